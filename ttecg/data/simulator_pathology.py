"""What each finding does to a heart's waves: axis, voltage, dead and injured walls, repolarisation.

Every function changes a Heart in place. A wall is a direction in dipole space, the one its leads look from:
dead muscle takes the early QRS forces away from it, injured muscle pulls ST towards it (outer layer) or away
from it (inner layer), ischaemic muscle turns T away from it. Reciprocal changes in opposite leads follow.
"""

import numpy as np

from ttecg.data.simulator_beats import Heart, lead_direction, limb_span, qrs_axis, set_axis, turn_frontal
from ttecg.data.simulator_conduction import CONDUCTION

WALLS = {
    "anterior": lead_direction("V2", "V3", "V4"),
    "anteroseptal": lead_direction("V1", "V2", "V3"),
    "anterolateral": lead_direction("V2", "V3", "V4", "V5", "V6", "I", "aVL"),
    "inferior": lead_direction("II", "III", "aVF"),
    "inferolateral": lead_direction("II", "III", "aVF", "V5", "V6"),
    "lateral": lead_direction("I", "aVL", "V5", "V6"),
    "posterior": -lead_direction("V1", "V2"),
}


def apply_findings(rng: np.random.Generator, findings: frozenset[str], heart: Heart) -> None:
    """All changes, in the order in which one builds on another; rhythms alone change nothing."""
    _intervals(rng, findings, heart)
    _atria(rng, findings, heart)
    _axis(rng, findings, heart)
    for name, change in {**CONDUCTION, **_HYPERTROPHY}.items():
        if name in findings:
            change(rng, heart)
    _infarcts(rng, findings, heart)
    _explicit_axis(rng, findings, heart)
    _voltage(rng, findings, heart)
    for name, change in _REPOLARISATION.items():
        if name in findings:
            change(rng, heart)


def _intervals(rng, findings, heart) -> None:
    if "first-degree av block" in findings:
        heart.pr = float(np.clip(0.208 + rng.gamma(2.0, 0.018), 0.21, 0.34))
    if "second-degree av block type wenckebach" in findings:
        heart.pr = rng.uniform(0.16, 0.24)
    if "long qt interval" in findings:
        heart.qtc = rng.uniform(0.488, 0.56)


def _atria(rng, findings, heart) -> None:
    if "left atrial enlargement" in findings:  # wide, notched, late forces to the back
        heart.p_dur = rng.uniform(0.124, 0.142)
        heart.p_vec[1] += np.array([0.035, 0.02, 0.065]) * rng.uniform(0.8, 1.4)
    if "right atrial enlargement" in findings:  # tall in II, early forces down and forward
        heart.p_vec[0] = np.array([0.03, rng.uniform(0.22, 0.34), -0.06])


# ---- axis and voltage ----------------------------------------------------------------------------


def _axis_target(rng, findings) -> float | None:
    if "left anterior fascicular block" in findings:
        return rng.uniform(-75, -46)
    if "left posterior fascicular block" in findings:
        return rng.uniform(102, 138)
    if "left axis deviation" in findings:
        return rng.uniform(-62, -33)
    if "right axis deviation" in findings:
        return rng.uniform(98, 140)
    if "right ventricular hypertrophy" in findings:
        return rng.uniform(92, 140)
    return None


def _axis(rng, findings, heart) -> None:
    target = _axis_target(rng, findings)
    if target is None:
        return
    set_axis(heart, target)
    heart.t_vec = turn_frontal(heart.t_vec, float(np.clip(0.2 * (target - 40), -15, 15)))
    if "left anterior fascicular block" in findings:  # r in II, III, aVF, q in I, aVL; then left and up
        _first_forces(heart, np.array([-0.10, 0.30, -0.16]), rng)
        heart.qrs_dur = max(heart.qrs_dur, rng.uniform(0.088, 0.110))
        heart.qrs_vec[2:] *= 0.85
        set_axis(heart, target, start=0.33)
    if "left posterior fascicular block" in findings:
        _first_forces(heart, np.array([0.30, -0.30, -0.10]), rng)
        heart.qrs_dur = max(heart.qrs_dur, rng.uniform(0.088, 0.110))
        set_axis(heart, target, start=0.33)


def _first_forces(heart, vec, rng) -> None:
    heart.qrs_vec[:2] = np.stack([0.35 * vec, vec]) * rng.uniform(0.8, 1.3)


_AXIS_RANGE = {
    "left anterior fascicular block": (-76, -46), "left posterior fascicular block": (100, 140),
    "left axis deviation": (-65, -32), "right axis deviation": (95, 142), "normal axis": (-27, 87),
}  # fmt: skip


def _explicit_axis(rng, findings, heart) -> None:
    """A stated axis survives block and infarction: the late forces turn, else the whole loop."""
    for name, (low, high) in _AXIS_RANGE.items():
        for start in (0.33, 0.0):
            if name in findings and not low <= qrs_axis(heart) <= high:
                set_axis(heart, rng.uniform(low + 2, high - 2), start)


def sokolow_lyon(heart: Heart) -> float:
    """S in V1 plus the larger R of V5 and V6, mV."""
    v = heart.qrs_leads()
    return float(-v[:, 2].min() + v[:, [6, 7]].max())


_WIDE = ("left bundle branch block", "right bundle branch block", "wolff-parkinson-white pattern",
         "incomplete left bundle branch block", "intraventricular conduction delay")  # fmt: skip


def _voltage(rng, findings, heart) -> None:
    if "low voltage" in findings:
        scale = rng.uniform(0.30, 0.45) / limb_span(heart)
        heart.qrs_vec *= scale
        heart.t_vec *= max(scale, 0.5)
        return
    heart.qrs_vec *= max(1.0, rng.uniform(0.62, 0.8) / limb_span(heart))
    heart.qrs_vec *= min(1.0, rng.uniform(2.2, 3.0) / limb_span(heart))
    sl = max(sokolow_lyon(heart), 0.1)  # an R in V1 with an S in V5 and V6 makes it negative
    if {"left ventricular hypertrophy", "high voltage"} & findings:
        heart.qrs_vec *= min(rng.uniform(4.0, 5.4) / sl, rng.uniform(2.6, 3.2) / limb_span(heart))
        back = np.where(heart.qrs_vec[:, 2] > 0, 1.08, 1.0)
        for _ in range(40):  # where the loop fills the frontal plane, what is missing points to the back
            if sokolow_lyon(heart) < 3.8:
                heart.qrs_vec[:, 2] *= back
    elif not findings.intersection(_WIDE):
        heart.qrs_vec *= min(1.0, rng.uniform(2.8, 3.3) / sl)


# ---- hypertrophy ---------------------------------------------------------------------------------


def _lvh(rng, heart) -> None:
    heart.qrs_dur = float(np.clip(heart.qrs_dur + rng.uniform(0.0, 0.014), 0.085, 0.114))
    heart.qrs_vec[2:5] *= np.array([1.15, 1.0, 1.35])
    if rng.random() < 0.55:  # strain: down-sloping ST and inverted T where R is tall
        heart.st_vec = np.array([-0.09, -0.03, -0.03]) * rng.uniform(0.7, 1.7)
        heart.t_vec = np.array([-0.20, -0.07, -0.14]) * rng.uniform(0.6, 1.6)
    heart.p_vec[1] += np.array([0.0, 0.0, 0.02])


def _rvh(rng, heart) -> None:
    heart.qrs_vec[2:4] = heart.qrs_vec[2:4] * np.array([0.55, 1.0, 0.35]) + np.array([-0.10, 0.0, -0.32])
    heart.qrs_vec[4] = np.array([-0.50, 0.05, -0.12]) * rng.uniform(0.8, 1.4)
    set_axis(heart, heart.axis)
    heart.t_vec = np.array([0.17, -0.03, 0.24]) * rng.uniform(0.6, 1.3)
    heart.st_vec = np.array([0.0, -0.01, 0.04])
    heart.p_vec[0] *= 1.3


_HYPERTROPHY = {"left ventricular hypertrophy": _lvh, "right ventricular hypertrophy": _rvh}


# ---- infarction ----------------------------------------------------------------------------------


def kill_wall(rng, heart: Heart, wall: str, size: float) -> None:
    """Take the first half of the QRS forces away from a wall, and leave `size` mV against it: a Q wave."""
    d = WALLS[wall]
    early = np.clip((0.51 - heart.qrs_u) / 0.10, 0, 1) * np.clip(heart.qrs_u / 0.2, 0.3, 1)
    toward = np.maximum(heart.qrs_vec @ d, 0)
    heart.qrs_vec -= early[:, None] * (toward + size)[:, None] * d
    late = np.clip((heart.qrs_u - 0.46) / 0.1, 0, 1)  # what is left of the wall is thin, too
    heart.qrs_vec -= (0.3 * late * np.maximum(heart.qrs_vec @ d, 0))[:, None] * d


def _posterior(rng, heart) -> None:
    """Seen from the front: tall, wide R and upright T in V1 and V2."""
    d = WALLS["posterior"]
    mid = np.exp(-0.5 * ((heart.qrs_u - 0.52) / 0.12) ** 2)
    heart.qrs_vec -= (mid * (np.maximum(heart.qrs_vec @ d, 0) + rng.uniform(0.28, 0.55)))[:, None] * d
    late = 0.7 * np.clip((heart.qrs_u - 0.6) / 0.1, 0, 1)
    heart.qrs_vec -= (late * np.maximum(heart.qrs_vec @ d, 0))[:, None] * d
    heart.t_vec = heart.t_vec - d * rng.uniform(0.08, 0.2)


_INFARCT_OF = {f"{wall} myocardial infarction": wall for wall in WALLS if wall != "posterior"}


def _infarcts(rng, findings, heart) -> None:
    walls = [wall for name, wall in _INFARCT_OF.items() if name in findings]
    if "pathological q waves" in findings and not walls:
        walls = [str(rng.choice(["inferior", "anteroseptal", "lateral"]))]
    if "ventricular aneurysm" in findings and not {"anterior", "anteroseptal", "anterolateral"} & set(walls):
        walls.append("anterior")
    acute = any(f.startswith("acute") for f in findings)
    for wall in walls:
        kill_wall(rng, heart, wall, rng.uniform(0.12, 0.34))
        if wall.startswith("inferior") and qrs_axis(heart) < -30:  # some late R stays in II, III, aVF
            set_axis(heart, rng.uniform(-30, 30), start=0.45)
        if not acute and rng.random() < 0.6:
            invert_t(heart, wall, rng.uniform(0.02, 0.16))
    if "posterior myocardial infarction" in findings:
        _posterior(rng, heart)
    for wall in ("anterior", "inferior", "lateral"):
        if f"acute {wall} st elevation" in findings:
            _acute(rng, heart, wall)


def _acute(rng, heart, wall) -> None:
    d = WALLS[wall]
    size = rng.uniform(0.13, 0.34) * (1.35 if wall == "lateral" else 1.0)
    heart.st_vec = 0.3 * heart.st_vec + d * size
    heart.st_len = rng.uniform(0.09, 0.13)
    heart.t_vec = heart.t_vec - d * min(0.0, heart.t_vec @ d) + d * size * rng.uniform(0.3, 1.2)
    if rng.random() < 0.4:
        kill_wall(rng, heart, wall, rng.uniform(0.08, 0.2))


# ---- repolarisation ------------------------------------------------------------------------------


def invert_t(heart: Heart, wall: str, size: float) -> None:
    """Turn T away from a wall: what pointed to it goes, `size` mV point away."""
    d = WALLS[wall]
    heart.t_vec = heart.t_vec - d * (max(heart.t_vec @ d, 0.0) + size)
    rest = heart.t_vec - d * (heart.t_vec @ d)
    heart.t_vec = heart.t_vec - 0.5 * rest * (np.linalg.norm(rest) > 0.25)


def _ischaemia(wall):
    def change(rng, heart):
        invert_t(heart, wall, rng.uniform(0.12, 0.34))
        fall = rng.uniform(0.038, 0.048)
        heart.t_shape = (fall * 1.1, fall)  # symmetrical
        heart.st_vec = 0.3 * heart.st_vec - WALLS[wall] * rng.uniform(0, 0.05)

    return change


def _injury(wall):
    def change(rng, heart):
        heart.st_vec = 0.3 * heart.st_vec - WALLS[wall] * rng.uniform(0.09, 0.2)
        heart.st_len = rng.uniform(0.08, 0.12)
        heart.t_vec = heart.t_vec - 0.5 * WALLS[wall] * max(heart.t_vec @ WALLS[wall], 0)

    return change


def _st_elevation(rng, heart) -> None:
    wall = str(rng.choice(["anteroseptal", "anterior", "inferior", "inferolateral"]))
    heart.st_vec = heart.st_vec + WALLS[wall] * rng.uniform(0.10, 0.20)
    heart.t_vec = heart.t_vec + WALLS[wall] * rng.uniform(0.0, 0.12)
    heart.st_len = rng.uniform(0.08, 0.11)


def _st_depression(rng, heart) -> None:
    d = lead_direction("V4", "V5", "V6", "II")
    heart.st_vec = 0.2 * heart.st_vec - d * rng.uniform(0.09, 0.2)
    heart.t_vec = heart.t_vec - 0.45 * d * (heart.t_vec @ d)
    heart.st_len = rng.uniform(0.08, 0.12)


def _st_t(rng, heart) -> None:
    d = lead_direction("V4", "V5", "V6", "I")
    heart.st_vec = 0.2 * heart.st_vec - d * rng.uniform(0.06, 0.14)
    heart.t_vec = heart.t_vec - d * (max(heart.t_vec @ d, 0) + rng.uniform(0.08, 0.25))


def _t_inversion(rng, heart) -> None:
    wall = str(rng.choice(["anterior", "inferior", "lateral", "anterolateral"]))
    invert_t(heart, wall, rng.uniform(0.10, 0.28))


def _t_changes(rng, heart) -> None:
    heart.t_vec = heart.t_vec * rng.uniform(0.1, 0.4) + rng.normal(0, 0.03, 3)
    heart.t_late = rng.normal(0, 0.05, 3)


def _nonspecific_st(rng, heart) -> None:
    side = rng.normal(0, 1, 3) + np.array([-1.2, -0.8, 0.3])
    heart.st_vec = heart.st_vec + side / np.linalg.norm(side) * rng.uniform(0.04, 0.075)
    heart.t_vec = heart.t_vec * rng.uniform(0.5, 0.9)


def _digitalis(rng, heart) -> None:
    """Scooped ST away from the main forces, small T, short QT, slow AV node."""
    d = lead_direction("V4", "V5", "V6", "II")
    heart.st_vec = -d * rng.uniform(0.08, 0.16)
    heart.st_len = rng.uniform(0.09, 0.12)
    heart.t_vec = 0.35 * heart.t_vec
    heart.t_late = d * rng.uniform(0.04, 0.10)
    heart.qtc = rng.uniform(0.34, 0.38)
    heart.pr = float(np.clip(heart.pr + 0.015, 0.12, 0.2))


def _electrolytes(rng, heart) -> None:
    if rng.random() < 0.5:  # too much potassium: tall, narrow T and flat P
        heart.t_vec = heart.t_vec * rng.uniform(2.2, 3.2)
        heart.t_shape = (rng.uniform(0.028, 0.034), rng.uniform(0.026, 0.030))
        heart.p_vec *= 0.5
    else:  # too little: flat T, ST depression, large U
        heart.u_vec = np.abs(heart.t_vec) * np.sign(heart.t_vec) * rng.uniform(0.5, 0.9)
        heart.t_vec = heart.t_vec * rng.uniform(0.2, 0.45)
        heart.st_vec = -lead_direction("V4", "V5", "II") * rng.uniform(0.05, 0.1)


def _aneurysm(rng, heart) -> None:
    heart.st_vec = heart.st_vec + WALLS["anterior"] * rng.uniform(0.10, 0.2)
    heart.st_len = rng.uniform(0.08, 0.11)
    heart.t_vec = heart.t_vec * 0.6


_REPOLARISATION = {
    "ventricular aneurysm": _aneurysm, "st elevation": _st_elevation, "st depression": _st_depression,
    "non-specific st changes": _nonspecific_st, "t wave changes": _t_changes, "ischaemic st-t changes": _st_t,
    "digitalis effect": _digitalis, "electrolyte disturbance": _electrolytes,
    "t wave inversion": _t_inversion,
    **{f"{wall} subendocardial injury": _injury(wall) for wall in ("anterior", "inferior", "lateral")},
    **{f"{wall} ischaemia": _ischaemia(wall) for wall in ("anterior", "inferior", "lateral")},
}  # fmt: skip
