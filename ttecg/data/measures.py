"""What is measured on a whole ECG and told a generator: rate and rhythm, PR and QT, other beats, flutter waves.

What is read off one usual beat is in `models.beat_measures`.
"""

import numpy as np

from ttecg.data import beats
from ttecg.data.flutter import flutter_shares
from ttecg.ecg import ECG, INDEPENDENT


def measure(x_Tx8, peaks, kinds, rate: float) -> dict[str, float | None]:
    """The numbers of `models.measures` by name that need the whole ECG: the eight independent leads (mV) with R peaks
    (samples) and kinds of beats. None or NaN for what cannot be measured."""
    ecg, peaks = ECG(np.asarray(x_Tx8, float), INDEPENDENT, rate), np.asarray(peaks, float)
    found = beats.intervals(ecg, np.round(peaks).astype(int))
    names = ("heart_rate", "rr_cv", "pr_ms", "qt_ms")
    return {k: found[k] for k in names} | _others(peaks, kinds) | {"flutter": _flutter(ecg, peaks)}


def _others(peaks, kinds) -> dict[str, float | None]:
    """Of beats that are not of the usual kind: how many, and how early they come."""
    rr, which = np.diff(peaks), np.flatnonzero(kinds[1:] > 0)
    early = float(np.mean(rr[which]) / np.median(rr)) if len(which) else None
    return {"other_beats": float((kinds > 0).sum()) or None, "other_early": early}


def _flutter(ecg: ECG, peaks) -> float | None:
    """The share of the power between QRS complexes that one wave of 220-350/min explains, in phase with the beats."""
    beat = beats.median_beat(ecg, np.round(peaks).astype(int))
    if beat is None or len(peaks) < 2:
        return None
    return flutter_shares(ecg, beat, peaks / ecg.rate).locked
