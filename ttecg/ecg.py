"""The ECG type that every part of ttecg speaks, and the algebra of its leads.

Axes: T time (samples), L lead. Signals are millivolts. Of the twelve leads only eight are independent
(I, II, V1-V6); the other four are linear combinations of I and II (Einthoven, Goldberger).
"""

import dataclasses
from fractions import Fraction

import numpy as np
from scipy import signal as sps

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
SEXES = ("male", "female")

# eight @ EIGHT_TO_TWELVE = twelve
EIGHT_TO_TWELVE = np.zeros((8, 12))
for _lead in INDEPENDENT:
    EIGHT_TO_TWELVE[INDEPENDENT.index(_lead), LEADS.index(_lead)] = 1.0
EIGHT_TO_TWELVE[:2, LEADS.index("III")] = (-1.0, 1.0)
EIGHT_TO_TWELVE[:2, LEADS.index("aVR")] = (-0.5, -0.5)
EIGHT_TO_TWELVE[:2, LEADS.index("aVL")] = (1.0, -0.5)
EIGHT_TO_TWELVE[:2, LEADS.index("aVF")] = (-0.5, 1.0)

# Dower et al. 1980: rows I, II, V1-V6; columns X (left), Y (down), Z (back)
DOWER = np.array([
    [0.632, -0.235, 0.059], [0.235, 1.066, -0.132],
    [-0.515, 0.157, -0.917], [0.044, 0.164, -1.387], [0.882, 0.098, -1.277],
    [1.213, 0.127, -0.601], [1.125, 0.127, -0.086], [0.831, 0.076, 0.230],
])  # fmt: skip

_CANONICAL = {name.lower(): name for name in LEADS}


def lead_name(name: str) -> str:
    """The standard spelling of a lead's name ("AVF", "avf" -> "aVF"); other names come back stripped."""
    return _CANONICAL.get(name.strip().lower().removeprefix("lead ").strip(), name.strip())


@dataclasses.dataclass(frozen=True)
class ECG:
    """One recording.

    signal: (T, L) float, millivolts. leads: L names. rate: samples per second.
    age in years, sex "male" or "female"; what is not known is None. labels are free strings
    (SCP codes for PTB-XL, finding names for the simulator). info holds further facts, by name.
    """

    signal: np.ndarray
    leads: tuple[str, ...] = LEADS
    rate: float = 500.0
    age: float | None = None
    sex: str | None = None
    report: str | None = None
    labels: tuple[str, ...] = ()
    id: str = ""
    info: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        shape = np.shape(self.signal)
        if len(shape) != 2 or shape[1] != len(self.leads):
            raise ValueError(
                f"{self.id or 'ECG'}: a signal of shape (T, {len(self.leads)}) belongs to leads "
                f"{', '.join(self.leads)}; got shape {shape}"
            )
        if len(set(self.leads)) != len(self.leads):
            raise ValueError(f"{self.id or 'ECG'}: a lead is named twice in {', '.join(self.leads)}")
        if not self.rate > 0:
            raise ValueError(f"{self.id or 'ECG'}: sampling rate must be positive, got {self.rate}")
        if self.sex is not None and self.sex not in SEXES:
            raise ValueError(f"{self.id or 'ECG'}: sex is 'male', 'female' or None, got {self.sex!r}")

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.signal) / self.rate

    def replace(self, **changes) -> "ECG":
        return dataclasses.replace(self, **changes)

    def lead(self, name: str) -> np.ndarray:
        """One lead, (T,) in mV. A limb lead that is not stored is derived where I and II, or others, allow."""
        return self.select((name,)).signal[:, 0]

    def select(self, leads) -> "ECG":
        """The same ECG with exactly these leads, in this order, by name. Missing limb leads are derived
        from two others that are there; ValueError names what cannot be had."""
        wanted = tuple(lead_name(n) for n in leads)
        have = dict(zip(self.leads, np.asarray(self.signal).T))
        missing = [n for n in wanted if n not in have]
        if missing:
            have |= _derive_limb(have)
            missing = [n for n in missing if n not in have]
        if missing:
            raise ValueError(
                f"{self.id or 'ECG'}: lead {', '.join(missing)} is not there and cannot be derived "
                f"from {', '.join(self.leads)}"
            )
        return self.replace(signal=np.stack([have[n] for n in wanted], axis=1), leads=wanted)

    def resample(self, rate: float) -> "ECG":
        """Polyphase resampling to `rate` samples per second, zero phase, anti-aliased."""
        if rate == self.rate:
            return self
        return self.replace(signal=resample(self.signal, self.rate, rate), rate=float(rate))

    def bandpass(self, low: float = 0.5, high: float = 40.0, order: int = 3) -> "ECG":
        """Butterworth, forward and backward (zero phase), Hz."""
        return self.replace(signal=bandpass(self.signal, self.rate, low, high, order))

    def crop(self, start: float, duration: float) -> "ECG":
        """The part [start, start + duration), seconds; ValueError where the recording does not hold it."""
        a, b = round(start * self.rate), round((start + duration) * self.rate)
        if a < 0 or b > len(self.signal) or b <= a:
            raise ValueError(
                f"{self.id or 'ECG'}: cannot take {start:g} s to {start + duration:g} s out of "
                f"{self.duration:g} s"
            )
        return self.replace(signal=self.signal[a:b])


def _derive_limb(have: dict) -> dict:
    """Limb leads that follow from those present, solving for (I, II); {} where they do not determine them."""
    limb = [n for n in LEADS[:6] if n in have]
    rows = EIGHT_TO_TWELVE[:2, [LEADS.index(n) for n in limb]].T  # (n, 2)
    if len(limb) < 2 or np.linalg.matrix_rank(rows) < 2:
        return {}
    i_ii = np.stack([have[n] for n in limb], axis=1) @ np.linalg.pinv(rows).T  # (T, 2)
    return dict(zip(LEADS[:6], (i_ii @ EIGHT_TO_TWELVE[:2, :6]).T))


def to_twelve(x_T8):
    """(..., T, 8) independent leads to (..., T, 12) standard leads, mV; NumPy or JAX."""
    return x_T8 @ EIGHT_TO_TWELVE.astype(x_T8.dtype)


def to_eight(x_T12):
    """(..., T, 12) standard leads to (..., T, 8) independent leads I, II, V1-V6, mV; NumPy or JAX."""
    return x_T12[..., [LEADS.index(n) for n in INDEPENDENT]]


def einthoven_residual(ecg: ECG) -> float:
    """Largest |stored - derived| over III, aVR, aVL, aVF in mV, of an ECG that holds all six limb leads."""
    limb = ecg.select(LEADS[:6]).signal
    return float(np.abs(limb - limb[:, :2] @ EIGHT_TO_TWELVE[:2, :6]).max())


def resample(x_TL: np.ndarray, rate_in: float, rate_out: float) -> np.ndarray:
    """(T, L) at rate_in to (round(T * rate_out / rate_in), L) at rate_out, samples per second, polyphase FIR.

    The edges are padded with the edge value, so a lead that does not start at zero gets no step."""
    if rate_in <= 0 or rate_out <= 0:
        raise ValueError(f"sampling rates must be positive, got {rate_in:g} and {rate_out:g}")
    ratio = Fraction(rate_out / rate_in).limit_denominator(1000)
    y = sps.resample_poly(
        np.asarray(x_TL, np.float64), ratio.numerator, ratio.denominator, axis=0, padtype="edge"
    )
    return y[: max(1, round(len(x_TL) * rate_out / rate_in))]


def bandpass(
    x_TL: np.ndarray, rate: float, low: float = 0.5, high: float = 40.0, order: int = 3
) -> np.ndarray:
    """Zero-phase Butterworth band-pass of (T, L), corner frequencies in Hz."""
    if not 0 < low < high < rate / 2:
        raise ValueError(
            f"band {low:g}-{high:g} Hz does not fit a sampling rate of {rate:g} Hz (0 < low < high < rate/2)"
        )
    sos = sps.butter(order, (low, high), "bandpass", fs=rate, output="sos")
    x = np.asarray(x_TL, np.float64)
    return sps.sosfiltfilt(sos, x, axis=0, padlen=min(len(x) - 1, round(rate)))
