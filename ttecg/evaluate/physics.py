"""What holds for every electrocardiogram, whoever's: the limb leads agree, all leads beat at once, one beat of a kind
looks like the next, nothing is flat, clipped or impossibly tall."""

import dataclasses

import numpy as np
from scipy.stats import wasserstein_distance

from ttecg.data.beats import r_peaks
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_eight, to_twelve
from ttecg.evaluate.adherence import faults
from ttecg.metrics import windows

_RATE = 250.0
_NEAR_S = 0.075  # a peak of a lead belongs to the beat that lies so near
_BEAT_S = (-0.25, 0.40)


@dataclasses.dataclass(frozen=True)
class Physics:
    """Of one ECG. residual: root mean square by which limb leads break Einthoven's and Goldberger's laws, mV. jitter:
    standard deviation over leads of the times of a beat's tallest deflection, ms, mean over beats; some 7 ms where
    ECGs are recorded, since leads see the beat from several sides. constancy: median correlation of beats with the
    median beat, mean over leads. rr: RR intervals, s. faults: see `adherence.faults`."""

    residual: float
    jitter: float
    constancy: float
    rr: tuple[float, ...]
    faults: tuple[str, ...]


def physics(ecg: ECG) -> Physics:
    """Of an ECG with twelve leads."""
    found = tuple(faults(ecg))
    if "NaN" in found:
        return Physics(np.nan, np.nan, np.nan, (), found)
    twelve = ecg.select(LEADS).signal
    residual = float(np.sqrt(np.mean((twelve - to_twelve(to_eight(twelve)))[:, 2:6] ** 2)))
    x, peaks = _quick(ecg)
    return Physics(residual, _jitter(x, peaks), _constancy(x, peaks), tuple(np.diff(peaks) / _RATE), found)


def beat_constancy(ecg: ECG) -> float:
    """`Physics.constancy` alone; NaN with fewer than three whole beats."""
    return _constancy(*_quick(ecg))


def _quick(ecg: ECG) -> tuple[np.ndarray, np.ndarray]:
    """(T, 8) at _RATE, without wander, and its R peaks."""
    quick = ecg.select(INDEPENDENT).resample(_RATE).bandpass(0.67, 40.0)
    return quick.signal, r_peaks(quick)


def _jitter(x_TxL, peaks) -> float:
    """Of the time at which a lead is farthest from its median near each beat; leads whose QRS is small there, under a
    fifth of the tallest, say nothing."""
    reach = round(_NEAR_S * _RATE)
    away = np.abs(x_TxL - np.median(x_TxL, axis=0))
    spread = []
    for p in peaks:
        part = away[max(p - reach, 0) : p + reach + 1]
        height = part.max(0)
        told = height >= 0.2 * height.max()
        if told.sum() > 1:
            spread.append(part.argmax(0)[told].std())
    return float(np.mean(spread) / _RATE * 1000) if spread else float("nan")


def _constancy(x_TxL, peaks) -> float:
    beats = windows(x_TxL, peaks, _RATE, _BEAT_S)
    if len(beats) < 3:
        return float("nan")
    beats = beats - beats.mean(1, keepdims=True)
    usual = np.median(beats, axis=0)
    up = (beats * usual).sum(1)
    down = np.sqrt((beats**2).sum(1) * (usual**2).sum(0)) + 1e-12
    return float(np.median(up / down, axis=0).mean())


def rr_distance(real, made) -> float:
    """1-Wasserstein distance of two sets' RR intervals, ms."""
    a, b = ([r for p in some for r in p.rr] for some in (real, made))
    return float(1000 * wasserstein_distance(a, b)) if a and b else float("nan")
