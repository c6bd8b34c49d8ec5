"""One heartbeat as a heart dipole: Gaussian waves in vector space, and the healthy population behind them.

Axes of the dipole: X to the patient's left, Y to the feet, Z to the back, all in mV. The leads see it through
the Dower matrix, perturbed per patient (no two torsos agree). K waves, L the eight independent leads.
Dower: G. E. Dower, 1968; the sum of Gaussians follows McSharry et al., IEEE Trans. Biomed. Eng. 50 (2003).
The mean and spread of the normal QRS loop were fitted to PTB-XL records (folds 1-8) labelled normal.
"""

import dataclasses

import numpy as np

from ttecg.ecg import DOWER, INDEPENDENT

# What Dower's torso lacks against the PTB-XL records: more of the left in I, more front in V2, less in V1.
TORSO = DOWER + np.array([
    [0.05, 0.09, -0.05], [0, 0, 0],
    [0.03, 0.02, 0.10], [-0.02, 0.05, -0.28], [0.06, 0, 0.02],
    [0.06, -0.05, 0.08], [0.02, 0, 0], [0, 0.10, -0.05],
])  # fmt: skip

# Normal QRS: centres and widths as fractions of its duration, dipole of each wave in mV.
QRS_U = np.array([0.12, 0.28, 0.42, 0.55, 0.70, 0.88])
QRS_W = np.array([0.075, 0.075, 0.072, 0.072, 0.078, 0.065])
QRS_V = np.array([
    [-0.09, -0.08, -0.08], [0.03, -0.02, -0.27], [0.90, 0.36, 0.15],
    [0.74, 0.38, 0.60], [-0.12, 0.00, 0.45], [-0.05, -0.05, 0.04],
])  # fmt: skip
QRS_SD = np.array([
    [0.030, 0.050, 0.035], [0.080, 0.050, 0.100], [0.130, 0.100, 0.130],
    [0.150, 0.120, 0.140], [0.120, 0.090, 0.120], [0.040, 0.050, 0.040],
])  # fmt: skip


@dataclasses.dataclass
class Waves:
    """K Gaussians: centre, left and right width in s (K,), dipole in mV (K, 3).

    with_qt (K,): 1 where the centre is counted from the end of the QT interval, 0 where from QRS onset."""

    centre: np.ndarray
    left: np.ndarray
    right: np.ndarray
    dipole: np.ndarray
    with_qt: np.ndarray

    @classmethod
    def of(cls, centre, left, right, dipole, with_qt=0.0) -> "Waves":
        centre = np.atleast_1d(np.asarray(centre, float))
        return cls(
            centre,
            *(np.broadcast_to(np.asarray(w, float), centre.shape) for w in (left, right)),
            np.reshape(dipole, (-1, 3)),
            np.full(centre.shape, float(with_qt)),
        )

    def __add__(self, other: "Waves") -> "Waves":
        names = [f.name for f in dataclasses.fields(Waves)]
        return Waves(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))


@dataclasses.dataclass
class Heart:
    """What one patient's beats look like; findings change it in place (times in s, dipoles in mV).

    torso (8, 3): lead matrix. p_vec (2, 3): right then left atrium. qrs_u, qrs_w (K,): centres and widths as
    fractions of qrs_dur; qrs_vec (K, 3). st_vec: level after the J point, fading over st_len. t_vec, t_shape:
    dipole of T and its (rise, fall) widths at QT 0.4 s. t_late: dipole of a terminal T part. u_vec: U wave.
    spike: dipole of a pacing spike. axis: the frontal axis last set, degrees."""

    age: float
    sex: str
    torso: np.ndarray
    axis: float
    pr: float
    p_dur: float
    p_vec: np.ndarray
    qrs_dur: float
    qrs_u: np.ndarray
    qrs_w: np.ndarray
    qrs_vec: np.ndarray
    qtc: float
    st_vec: np.ndarray
    t_vec: np.ndarray
    t_shape: tuple[float, float]
    st_len: float = 0.07
    t_late: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    u_vec: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    spike: np.ndarray | None = None

    def qrs_waves(self) -> Waves:
        width = self.qrs_w * self.qrs_dur
        return Waves.of(self.qrs_u * self.qrs_dur, width, width, self.qrs_vec)

    def qrs_leads(self) -> np.ndarray:
        """(101, 8) the QRS in mV over its own duration, as the torso shows it."""
        u = np.linspace(0, 1, 101)[:, None]
        return np.exp(-0.5 * ((u - self.qrs_u) / self.qrs_w) ** 2) @ (self.qrs_vec @ self.torso.T)

    def ventricular_waves(self, qt: float) -> Waves:
        """QRS, ST, T and U waves of a beat, counted from QRS onset; qt (s) sets how wide T is."""
        stretch = np.sqrt(qt / 0.4)
        rise, fall = self.t_shape[0] * stretch, self.t_shape[1] * stretch
        waves = self.qrs_waves()
        waves += Waves.of(self.qrs_dur + 0.02, 0.030, self.st_len * stretch, self.st_vec)
        waves += Waves.of(
            [-2.2 * fall - 0.6 * rise, -2.2 * fall],
            [1.3 * rise, rise],
            [rise, fall],
            np.stack([0.22 * self.t_vec, 0.86 * self.t_vec]),
            with_qt=1,
        )
        if self.t_late.any():
            waves += Waves.of(-1.2 * fall, 0.6 * rise, 0.6 * fall, self.t_late, with_qt=1)
        if self.u_vec.any():
            waves += Waves.of(0.07, 0.035, 0.045, self.u_vec, with_qt=1)
        if self.spike is not None:
            waves += Waves.of(-0.012, 0.0012, 0.0012, self.spike)
        return waves

    def p_waves(self) -> Waves:
        """P counted from its onset."""
        d = self.p_dur
        return Waves.of([0.36 * d, 0.64 * d], [0.16 * d, 0.16 * d], [0.17 * d, 0.16 * d], self.p_vec)


def turn_frontal(vec: np.ndarray, degrees: float) -> np.ndarray:
    """Dipoles (..., 3) turned about Z; positive turns the axis as cardiologists count, from left to feet."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vec @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def turn_horizontal(vec: np.ndarray, degrees: float) -> np.ndarray:
    """Dipoles (..., 3) turned about Y; positive turns what points left towards the back."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vec @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def frontal_axis(area_L: np.ndarray) -> float:
    """Degrees in (-180, 180], from net areas of the eight leads: the hexaxial system read on I and aVF."""
    i, ii = area_L[0], area_L[1]
    return float(np.degrees(np.arctan2((ii - i / 2) * 2 / np.sqrt(3), i)))


def qrs_axis(heart: Heart) -> float:
    """Frontal QRS axis of a heart as its torso shows it, degrees."""
    return frontal_axis(heart.torso @ (heart.qrs_vec * heart.qrs_w[:, None]).sum(0))


def limb_span(heart: Heart) -> float:
    """Largest peak-to-peak QRS over the six limb leads, mV."""
    i, ii = heart.qrs_leads()[:, :2].T
    limb = np.stack([i, ii, ii - i, (i + ii) / 2, i - ii / 2, ii - i / 2])
    return float(np.ptp(limb, axis=1).max())


def set_axis(heart: Heart, target: float, start: float = 0.0) -> None:
    """Turn the QRS waves that peak after fraction `start` so that the frontal axis comes to `target` degrees.

    Of all turns in steps of a degree the smallest of the best is taken; where the waves before `start` are
    too strong to be outweighed, the axis comes as near as it can."""
    late = heart.qrs_u >= start
    weighted = heart.qrs_vec * heart.qrs_w[:, None]
    turns = np.arange(-180, 180)
    area = weighted[~late].sum(0) + _turned(weighted[late].sum(0), turns)
    leads = area @ heart.torso[:2].T
    axes = np.degrees(np.arctan2((leads[:, 1] - leads[:, 0] / 2) * 2 / np.sqrt(3), leads[:, 0]))
    miss = np.abs((axes - target + 180) % 360 - 180)
    heart.qrs_vec[late] = turn_frontal(heart.qrs_vec[late], turns[np.argmin(miss + 0.01 * np.abs(turns))])
    heart.axis = target


def _turned(vec: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """(N, 3) one dipole turned about Z by each of N angles."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.stack([c * vec[0] - s * vec[1], s * vec[0] + c * vec[1], np.full(len(c), vec[2])], axis=1)


def draw_torso(rng: np.random.Generator) -> np.ndarray:
    """(8, 3) lead matrix of one patient: electrode gains, misplacement along the chest, and the rest."""
    chest = TORSO[2:]
    shift = rng.normal(0, 0.22) + rng.normal(0, 0.10, 6)  # in electrode spacings
    at = np.clip(np.arange(6) + shift, 0, 5)
    low = np.minimum(at.astype(int), 4)
    moved = chest[low] + (at - low)[:, None] * (chest[low + 1] - chest[low])
    moved = moved * np.exp(rng.normal(0, 0.12, (6, 1))) + rng.normal(0, 0.08, (6, 3))
    limb = TORSO[:2] * np.exp(rng.normal(0, 0.08, (2, 1))) + rng.normal(0, 0.04, (2, 3))
    return np.concatenate([limb, moved])


def draw_heart(rng: np.random.Generator, age: float, sex: str) -> Heart:
    """A healthy heart of that age (years) and sex."""
    male = sex == "male"
    gain = np.exp(rng.normal(0.26 if male else 0.18, 0.25) - 0.002 * (age - 50))
    shift = rng.normal(0, 0.035) * np.array([0.3, 0.7, 1, 1, 1, 0.4])  # the main forces come early or late
    qrs = turn_horizontal(gain * (QRS_V + rng.normal(0, 1, (6, 3)) * QRS_SD), rng.normal(0, 13))
    heart = Heart(
        age=age, sex=sex, torso=draw_torso(rng), axis=0.0,
        pr=float(np.clip(rng.normal(0.152 + 0.0003 * (age - 50), 0.018), 0.122, 0.196)),
        p_dur=float(np.clip(rng.normal(0.102, 0.008), 0.082, 0.118)), p_vec=_draw_p(rng),
        qrs_dur=float(np.clip(rng.normal(0.089 if male else 0.084, 0.007), 0.070, 0.104)),
        qrs_u=QRS_U + shift + rng.normal(0, 0.008, 6), qrs_vec=qrs,
        qrs_w=QRS_W * np.exp(rng.normal(0, 0.06, 6)),
        qtc=float(np.clip(rng.normal(0.405 if male else 0.416, 0.016), 0.365, 0.445)),
        st_vec=np.zeros(3), t_vec=np.zeros(3), t_shape=(rng.uniform(0.046, 0.066), rng.uniform(0.030, 0.042)),
    )  # fmt: skip
    _add_texture(rng, heart, 0.09 * gain)
    axis = float(np.clip(rng.normal(58 - 0.5 * (age - 25), 30), -26, 87))
    set_axis(heart, axis)
    _draw_t(rng, heart, gain)
    return heart


def _add_texture(rng, heart: Heart, size: float) -> None:
    """Narrow waves on the main forces: the steepness and small slurs that broad Gaussians cannot have."""
    at = np.array([0.36, 0.48, 0.60]) + rng.normal(0, 0.04, 3)
    heart.qrs_u = np.concatenate([heart.qrs_u, at])
    heart.qrs_w = np.concatenate([heart.qrs_w, rng.uniform(0.035, 0.05, 3)])
    heart.qrs_vec = np.concatenate([heart.qrs_vec, rng.normal(0, size, (3, 3))])


def _draw_p(rng) -> np.ndarray:
    size = np.exp(rng.normal(0, 0.30))
    right = np.array([0.055, 0.070, -0.030]) + rng.normal(0, [0.015, 0.017, 0.015])
    left = np.array([0.090, 0.050, 0.025]) + rng.normal(0, [0.020, 0.020, 0.015])
    return size * turn_frontal(np.stack([right, left]), rng.normal(0, 8))


def _draw_t(rng, heart: Heart, gain: float) -> None:
    """T and ST of a healthy heart: T follows QRS, half way to its own mean direction (about 40 degrees)."""
    angle = np.radians(np.clip(38 + 0.35 * (heart.axis - 40) + rng.normal(0, 16), -12, 75))
    size = 0.34 * np.sqrt(gain) * np.exp(rng.normal(0, 0.30)) * (1 - 0.004 * (heart.age - 50))
    front = 0.19 * np.exp(rng.normal(0, 0.5)) * (1.35 if heart.sex == "male" else 0.85)
    front *= 1 - 0.004 * (heart.age - 50)
    heart.t_vec = np.array([size * np.cos(angle), 0.62 * size * np.sin(angle), -front])
    heart.st_vec = (
        heart.t_vec * rng.uniform(0.0, 0.16) + np.array([0.0, 0.0, -0.03]) + rng.normal(0, 0.014, 3)
    )
    if rng.random() < 0.3:
        heart.u_vec = heart.t_vec * rng.uniform(0.03, 0.09)


def lead_direction(*leads: str) -> np.ndarray:
    """Unit dipole (3,) that these leads see best on average: from the heart to the wall they look at."""
    full = {name: DOWER[INDEPENDENT.index(name)] for name in INDEPENDENT}
    full |= {
        "III": full["II"] - full["I"],
        "aVL": full["I"] - full["II"] / 2,
        "aVF": full["II"] - full["I"] / 2,
    }
    mean = sum(full[name] / np.linalg.norm(full[name]) for name in leads)
    return mean / np.linalg.norm(mean)
