"""Abnormal spread of activation: bundle branches, pre-excitation, and beats that start in a ventricle.

Every function changes a Heart in place: QRS path and duration, and the repolarisation that follows from them.
"""

import numpy as np

from ttecg.data.simulator_beats import Heart, limb_span, qrs_axis, set_axis


def _set_qrs(heart, dur, u, w, vec) -> None:
    heart.qtc += 0.65 * max(0.0, dur - heart.qrs_dur)
    heart.qrs_dur, heart.qrs_u, heart.qrs_w, heart.qrs_vec = (
        dur,
        np.array(u),
        np.array(w),
        np.array(vec, float),
    )


def discordant(rng, heart, share: float = 0.16) -> None:
    """ST and T away from the QRS, as after any abnormal spread of activation."""
    area = (heart.qrs_vec * heart.qrs_w[:, None]).sum(0) / heart.qrs_w.mean() / 3
    heart.st_vec = -area * share * rng.uniform(0.3, 0.8)
    heart.t_vec = -area * (share + 0.10) * rng.uniform(0.6, 1.3) + rng.normal(0, 0.05, 3)
    heart.t_late = 0.25 * np.linalg.norm(heart.t_vec) * rng.normal(0, 0.4, 3)
    heart.u_vec = np.zeros(3)


def left_bundle(rng, heart: Heart, dur: float, axis: float) -> None:
    """Septum from right to left, then slowly to the left and back; a notch where the two ventricles meet."""
    size = np.linalg.norm(heart.qrs_vec[2:4], axis=1).mean() / 1.35 * rng.uniform(0.85, 1.2)
    vec = np.array([[0.14, 0.08, 0.00], [0.62, 0.22, 0.55], [0.88, 0.26, 1.05], [0.66, 0.18, 1.05],
                    [0.88, 0.12, 0.75], [0.28, 0.02, 0.18]])  # fmt: skip
    vec = size * (vec + rng.normal(0, 0.07, vec.shape))
    _set_qrs(heart, dur, [0.13, 0.28, 0.42, 0.56, 0.71, 0.87], [0.08, 0.085, 0.085, 0.085, 0.085, 0.075], vec)
    _fragment(rng, heart, 0.11 * size)
    set_axis(heart, axis)
    discordant(rng, heart)


def _lbbb(rng, heart) -> None:
    left_bundle(rng, heart, float(np.clip(rng.normal(0.143, 0.012), 0.128, 0.180)), rng.uniform(-35, 60))


def _incomplete_lbbb(rng, heart) -> None:
    """The septal forces turn, the rest is little slower: no Q in I, V5, V6, a slurred tall R."""
    dur = rng.uniform(0.107, 0.118)
    heart.qtc += 0.5 * (dur - heart.qrs_dur)
    heart.qrs_dur = dur
    heart.qrs_vec[:2] = np.array([[0.10, 0.05, 0.02], [0.32, 0.12, 0.16]]) * rng.uniform(0.8, 1.3)
    heart.qrs_vec[2:4] *= 1.12
    heart.t_vec[:] = 0.55 * heart.t_vec + np.array([-0.07, 0, -0.05])
    heart.st_vec += np.array([-0.03, 0, -0.03])


def _late_right(rng, heart, dur: float, size: float) -> None:
    """The normal QRS keeps its own pace; the late right ventricle adds slow forces to the right and front."""
    old = heart.qrs_dur
    centre = np.concatenate([heart.qrs_u[:5] * old, [0.70 * dur, 0.86 * dur]])
    width = np.concatenate([heart.qrs_w[:5] * old, [0.10 * dur, 0.075 * dur]])
    late = size * (np.array([[-0.32, -0.06, -0.46], [-0.20, -0.02, -0.28]]) + rng.normal(0, 0.07, (2, 3)))
    early = heart.qrs_vec[:5].copy()
    early[4, 2] *= 0.6
    early[3, 2] *= 0.75
    _set_qrs(heart, dur, centre / dur, width / dur, np.concatenate([early, late]))
    set_axis(heart, min(qrs_axis(heart), rng.uniform(20, 88)))


def _rbbb(rng, heart) -> None:
    _late_right(rng, heart, float(np.clip(rng.normal(0.139, 0.010), 0.124, 0.168)), rng.uniform(0.6, 1.25))
    heart.t_vec += np.array([0.06, 0.0, 0.24]) * rng.uniform(0.7, 1.4)
    heart.st_vec += np.array([0.01, 0.0, 0.03])


def _incomplete_rbbb(rng, heart) -> None:
    _late_right(rng, heart, rng.uniform(0.106, 0.118), rng.uniform(0.5, 0.85))
    heart.t_vec += np.array([0.0, 0.0, 0.07])


def _ivcd(rng, heart) -> None:
    dur = rng.uniform(0.126, 0.148)
    _set_qrs(heart, dur, heart.qrs_u, heart.qrs_w, heart.qrs_vec * 0.95)
    heart.qrs_vec[4:6] *= 1.6
    _fragment(rng, heart, 0.25)
    heart.t_vec = 0.55 * heart.t_vec - 0.08 * heart.qrs_vec[2:5].mean(0)


def _fragment(rng, heart, size) -> None:
    """Notches: narrow waves of alternating sign on the main forces."""
    at = np.array([0.40, 0.52, 0.66]) + rng.normal(0, 0.03, 3)
    vec = size * rng.uniform(0.6, 1.4) * rng.normal(0, 1, 3) * np.array([[1.0], [-1.3], [0.8]])
    heart.qrs_u = np.concatenate([heart.qrs_u, at])
    heart.qrs_w = np.concatenate([heart.qrs_w, np.full(3, 0.045)])
    heart.qrs_vec = np.concatenate([heart.qrs_vec, vec])


def _abnormal_qrs(rng, heart) -> None:
    heart.qrs_dur = max(heart.qrs_dur, rng.uniform(0.096, 0.112))
    _fragment(rng, heart, 0.20)


def _wpw(rng, heart) -> None:
    """A slurred delta wave 30 to 50 ms before the normal QRS, which it shortens PR by."""
    early = rng.uniform(0.030, 0.050)
    old = heart.qrs_dur
    dur = max(old + early, 0.112)
    heart.pr = rng.uniform(0.086, 0.112)
    angle = np.radians(rng.uniform(-60, 70))
    delta = np.array([np.cos(angle), np.sin(angle), rng.choice([-0.5, 0.5]) * rng.uniform(0.5, 1.2)])
    delta *= rng.uniform(0.30, 0.45) / np.linalg.norm(delta)
    heart.qrs_vec[:2] *= 0.3  # the septum is reached from elsewhere
    u = np.concatenate([early * np.array([0.4, 0.9, 1.35]), heart.qrs_u * old + early]) / dur
    w = np.concatenate([early * np.array([0.30, 0.33, 0.33]), heart.qrs_w * old]) / dur
    _set_qrs(heart, dur, u, w, np.concatenate([[0.45 * delta, 0.85 * delta, delta], heart.qrs_vec]))
    heart.t_vec = 0.6 * heart.t_vec - 0.45 * delta
    heart.st_vec = heart.st_vec - 0.10 * delta


def ventricular_beat(rng, heart: Heart, kind: str) -> None:
    """Make this heart beat from a ventricle: "V" premature, "E" escape, "P" paced at the right apex."""
    if kind == "P":
        left_bundle(rng, heart, rng.uniform(0.142, 0.182), rng.uniform(-85, -50))
        heart.qrs_vec[3:] += np.array([-0.25, 0.0, 0.1]) * rng.uniform(0, 1)
        heart.qrs_vec *= min(1.0, rng.uniform(1.6, 2.6) / limb_span(heart))
        spike = np.array([0.3, -0.5, 0.6]) + rng.normal(0, 0.3, 3)
        heart.spike = spike * rng.choice([0.12, 0.5, 1.2]) * rng.uniform(0.7, 1.3)
        discordant(rng, heart)
        return
    size = rng.uniform(0.9, 1.6)
    from_right = rng.random() < 0.6
    vec = rng.normal(0, 1, 3) * np.array([0.5, 0.9, 0.2]) + np.array([0.75, 0, 0.8]) * (
        1 if from_right else -1
    )
    vec *= size / np.linalg.norm(vec)
    bend = np.cross(vec, rng.normal(0, 0.35, 3))
    path = np.stack(
        [0.25 * vec + 0.2 * bend, 0.8 * vec + bend, vec, 0.8 * vec - bend, 0.35 * vec - 0.5 * bend]
    )
    _set_qrs(heart, rng.uniform(0.132, 0.172), [0.16, 0.34, 0.50, 0.66, 0.84], [0.095] * 5, path)
    discordant(rng, heart)


CONDUCTION = {
    "left bundle branch block": _lbbb, "incomplete left bundle branch block": _incomplete_lbbb,
    "right bundle branch block": _rbbb, "incomplete right bundle branch block": _incomplete_rbbb,
    "intraventricular conduction delay": _ivcd, "abnormal qrs": _abnormal_qrs,
    "wolff-parkinson-white pattern": _wpw,
}  # fmt: skip
