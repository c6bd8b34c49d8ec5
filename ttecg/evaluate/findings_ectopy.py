"""Beats that come too early and look otherwise: ventricular premature beats."""

import numpy as np

from ttecg.data.beats import FINE, MedianBeat, median_beat
from ttecg.ecg import ECG

_EARLY = 0.85  # of the usual RR interval
_ALIKE = 0.8  # correlation with the usual QRS; another kind of beat has less
_WIDER_MS, _WIDE_MS = 20.0, 120.0  # than the usual QRS, or in any case
_QRS_S = 0.10  # on either side of R


def premature_wide_beats(ecg: ECG, usual: MedianBeat, peaks: np.ndarray) -> int:
    """How many beats come before 85 % of the usual RR interval, differ from the usual QRS (correlation over all leads
    under 0.8) and are 120 ms wide or 20 ms wider than it. peaks: R peaks as samples at ecg.rate.

    A ventricular premature beat is early, wide (120 ms) and bizarre (Surawicz and Knilans, Chou's Electrocardiography).
    A beat whose end lies outside the record cannot be measured and does not count."""
    rr = np.diff(peaks)
    if len(rr) < 3:
        return 0
    early = 1 + np.flatnonzero(rr < _EARLY * np.median(rr))
    return sum(_differs(ecg, usual, peak) for peak in peaks[early])


def _differs(ecg: ECG, usual: MedianBeat, peak: int) -> bool:
    own = median_beat(ecg, np.array([peak]))
    if own is None or own.leads != usual.leads:
        return False
    reach = round(_QRS_S * FINE)
    a, b = (m.signal[m.r - reach : m.r + reach] for m in (own, usual))
    a, b = a - a.mean(0), b - b.mean(0)
    likeness = (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12)
    width, before = ((m.offset - m.onset) / FINE * 1000 for m in (own, usual))
    return bool(likeness < _ALIKE and (width >= _WIDE_MS or width >= before + _WIDER_MS))
