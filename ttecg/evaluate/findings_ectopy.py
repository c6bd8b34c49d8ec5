"""Beats that come too early and look otherwise than the rest: ventricular premature beats."""

import numpy as np

from ttecg.data.beats import FINE, MedianBeat, median_beat
from ttecg.ecg import ECG, bandpass

_EARLY = 0.85  # of the usual RR interval
_ALIKE = 0.8  # correlation with the usual QRS; another kind of beat has less
_WIDER_MS, _WIDE_MS = 20.0, 120.0  # than the usual QRS, or in any case
_QRS_S = 0.10  # on either side of R


def alike(ecg: ECG, usual: MedianBeat, peaks: np.ndarray) -> np.ndarray:
    """(B,) bool: whether the QRS of each beat correlates with the usual one, over all leads, by 0.8 or more. peaks: R
    peaks as samples at ecg.rate."""
    x_TL = bandpass(ecg.select(usual.leads).resample(FINE).signal, FINE)
    reach = round(_QRS_S * FINE)
    padded_TL = np.pad(x_TL, ((reach, reach), (0, 0)), mode="edge")
    at = np.round(peaks * FINE / ecg.rate).astype(int)
    beats_BWL = np.stack([padded_TL[p : p + 2 * reach] for p in at])
    return _likeness(beats_BWL, usual.signal[usual.r - reach : usual.r + reach]) >= _ALIKE


def _likeness(beats_BWL: np.ndarray, usual_WL: np.ndarray) -> np.ndarray:
    """(B,) correlations, each lead less its mean."""
    beats_BWL = beats_BWL - beats_BWL.mean(1, keepdims=True)
    usual_WL = usual_WL - usual_WL.mean(0)
    norms_B = np.sqrt((beats_BWL**2).sum((1, 2)) * (usual_WL**2).sum()) + 1e-12
    return (beats_BWL * usual_WL).sum((1, 2)) / norms_B


def premature_wide_beats(ecg: ECG, usual: MedianBeat, peaks: np.ndarray, alike_B: np.ndarray) -> int:
    """How many beats come before 85 % of the usual RR interval, are not alike, and are 120 ms wide or 20 ms wider than
    the usual one. peaks: R peaks as samples at ecg.rate; alike_B: of these, as `alike` says.

    A ventricular premature beat is early, wide (120 ms) and bizarre (Surawicz and Knilans, Chou's Electrocardiography).
    A beat whose end lies outside the record cannot be measured and does not count."""
    rr = np.diff(peaks)
    early = 1 + np.flatnonzero((rr < _EARLY * np.median(rr)) & ~alike_B[1:])
    return sum(_wide(ecg, usual, peak) for peak in peaks[early])


def _wide(ecg: ECG, usual: MedianBeat, peak: int) -> bool:
    own = median_beat(ecg, np.array([peak]))
    if own is None:
        return False
    width, before = ((m.offset - m.onset) / FINE * 1000 for m in (own, usual))
    return width >= _WIDE_MS or width >= before + _WIDER_MS
