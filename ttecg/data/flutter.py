"""Does one wave run through the pauses between the QRS complexes, 220 to 350 times a minute?

The circuit of flutter keeps its rate and phase for a whole record; fibrillation keeps neither (ESC guideline on
supraventricular tachycardia 2019: a regular atrial rate of 220-350/min, sawtooth without an isoelectric line). At every
atrial rate a sinusoid with its first harmonic is fitted to what lies between the QRS complexes.

Axes: T time, L lead, F atrial rates.
"""

import dataclasses

import numpy as np
from scipy.signal import detrend

from ttecg.data.beats import FINE, MedianBeat
from ttecg.ecg import ECG, INDEPENDENT, bandpass

RATES = np.arange(220.0, 351.0, 3.0)  # per minute; 10 s tell 6/min apart
_RATE = 125.0
MARGIN_S = 0.03  # of QRS
_T_OVER_S = 0.36  # after R at 60/min; it goes with the cube root of RR
_SHORTEST_S = 0.2  # pause that is looked at
_LOCKED_HZ, _FREE_HZ = 1.0, 2.5  # lower edges: waves of the beat's own rate count against flutter at 2:1


@dataclasses.dataclass(frozen=True)
class Shares:
    """Of the power over eight leads, 0-1, that one atrial rate explains; NaN where too little of the record is left.
    locked: between QRS complexes as recorded, where a wave shows that falls on the same phase of each beat (2:1).
    rest: after the usual beat was taken off, where one shows that does not. pauses: from the end of T to the next QRS,
    where one shows that beats have four of."""

    locked: float
    rest: float
    pauses: float


def flutter_shares(ecg: ECG, beat: MedianBeat, peaks_s: np.ndarray) -> Shares:
    """peaks_s: R peaks in seconds, at least two."""
    x_TL = ecg.select(INDEPENDENT).resample(_RATE).signal
    time_T = np.arange(len(x_TL)) / _RATE
    before, after = ((n / FINE + MARGIN_S) for n in (beat.r - beat.onset, beat.offset - beat.r))
    free_T = ~np.any([(time_T > p - before) & (time_T < p + after) for p in peaks_s], axis=0)
    pauses = _pauses(x_TL, time_T, peaks_s, before)
    if free_T.mean() < 0.2:
        return Shares(np.nan, np.nan, pauses)
    bridged_TL = np.stack([np.interp(time_T, time_T[free_T], x_T[free_T]) for x_T in x_TL.T], axis=1)
    whole_TL = bandpass(bridged_TL, _RATE, _LOCKED_HZ, 15.0, order=2)
    rest_TL = _without_beat(bandpass(bridged_TL, _RATE, _FREE_HZ, 15.0, order=2), peaks_s)
    locked, rest = (_largest_share(y_TL[free_T], time_T[free_T]) for y_TL in (whole_TL, rest_TL))
    return Shares(locked, rest, pauses)


def _pauses(x_TL: np.ndarray, time_T: np.ndarray, peaks_s: np.ndarray, before: float) -> float:
    """The share of what lies between T and the next QRS, each pause less its own line; NaN where pauses fill less than
    15 % of the record."""
    x_TL = bandpass(x_TL, _RATE, 0.5, 15.0)
    t_over = _T_OVER_S * np.cbrt(np.median(np.diff(peaks_s)))
    parts = [
        np.flatnonzero((time_T >= a + t_over) & (time_T <= b - before)) for a, b in zip(peaks_s, peaks_s[1:])
    ]
    parts = [i for i in parts if len(i) >= _SHORTEST_S * _RATE]
    if sum(map(len, parts)) < 0.15 * len(time_T):
        return np.nan
    level_TL = np.concatenate([detrend(x_TL[i], axis=0) for i in parts])
    return _largest_share(level_TL, time_T[np.concatenate(parts)])


def _without_beat(x_TL: np.ndarray, peaks_s: np.ndarray) -> np.ndarray:
    """Each beat, from a quarter of a cycle before R on, less the median of all."""
    cycle = min(np.median(np.diff(peaks_s)), 1.0)
    length = round(cycle * _RATE)
    starts = np.round((peaks_s - 0.25 * cycle) * _RATE).astype(int)
    starts = starts[(starts >= 0) & (starts + length <= len(x_TL))]
    rest_TL = x_TL.copy()
    if len(starts):
        usual_WL = np.median([x_TL[s : s + length] for s in starts], axis=0)
        for s in starts:
            rest_TL[s : s + length] -= usual_WL
    return rest_TL


def _largest_share(x_TL: np.ndarray, time_T: np.ndarray) -> float:
    """Over RATES, the greatest share of the power that a sinusoid and its first harmonic explain."""
    turn_FT = 2 * np.pi * RATES[:, None] / 60 * time_T
    waves_F4T = np.stack([np.sin(turn_FT), np.cos(turn_FT), np.sin(2 * turn_FT), np.cos(2 * turn_FT)], axis=1)
    seen_F4L = waves_F4T @ x_TL
    fitted_F4L = np.linalg.solve(waves_F4T @ waves_F4T.transpose(0, 2, 1), seen_F4L)
    return float((fitted_F4L * seen_F4L).sum((1, 2)).max() / ((x_TL**2).sum() + 1e-12))
