"""What a reader measures in each lead of the usual beat: Q, R and S, the ST level, how QRS begins and ends.

Voltages count from the level just before QRS, as is usual where the baseline may lean. Everything is read off the
median beat of `data.beats`, 0.5-40 Hz, where a tall R is some hundredths lower than in the 150 Hz of a paper record.

Axes: W sample within the beat, L lead (the twelve).
"""

import dataclasses

import numpy as np

from ttecg.data.beats import FINE, MedianBeat
from ttecg.ecg import INDEPENDENT, LEADS, to_twelve

SMALLEST = 0.04  # mV; a deflection lower than this is no wave
_LEFT_MV = 0.01
_LEVEL_S = 0.016  # the level before QRS is the mean of so many seconds
_ST_S = (0.0, 0.04)  # after the J point


@dataclasses.dataclass(frozen=True)
class Waves:
    """Of one lead. q, r, s: height or depth in mV, 0 or more; s is what comes after the first R. q_ms: how long Q
    lasts. qs: there is no R. st: mV, mean over 40 ms from the J point. area: net, mV ms. late: mean of the last third
    of QRS, mV."""

    q: float
    q_ms: float
    r: float
    s: float
    qs: bool
    st: float
    area: float
    late: float


def waves(beat: MedianBeat) -> dict[str, Waves] | None:
    """By lead name; None where not all eight independent leads could be used."""
    if set(beat.leads) != set(INDEPENDENT):
        return None
    order = [beat.leads.index(name) for name in INDEPENDENT]
    twelve_WL = to_twelve(beat.signal[:, order])
    return {name: _of_lead(x_W, beat.onset, beat.offset) for name, x_W in zip(LEADS, twelve_WL.T)}


def _of_lead(x_W: np.ndarray, onset: int, offset: int) -> Waves:
    x_W = x_W - x_W[max(0, onset - round(_LEVEL_S * FINE)) : onset + 1].mean()
    qrs_W = x_W[onset : offset + 1]
    first = _first_r(qrs_W)
    before_W = qrs_W if first is None else qrs_W[:first]
    q = max(0.0, -before_W.min(initial=0.0))
    after_W = qrs_W[:0] if first is None else qrs_W[first:]
    st_W = x_W[offset + round(_ST_S[0] * FINE) : offset + round(_ST_S[1] * FINE) + 1]
    return Waves(
        q=float(q),
        q_ms=_lasts(before_W) if q >= SMALLEST else 0.0,
        r=float(max(0.0, qrs_W.max())) if first is not None else 0.0,
        s=float(max(0.0, -after_W.min(initial=0.0))),
        qs=first is None and q >= SMALLEST,
        st=float(st_W.mean()),
        area=float(qrs_W.sum() / FINE * 1000),
        late=float(qrs_W[-max(1, len(qrs_W) // 3) :].mean()),
    )


def _first_r(qrs_W: np.ndarray) -> int | None:
    """The sample at which the first upward wave of at least SMALLEST leaves the level; None without one."""
    tall = np.flatnonzero(qrs_W >= SMALLEST)
    if not len(tall):
        return None
    below = np.flatnonzero(qrs_W[: tall[0]] <= 0)
    return int(below[-1]) + 1 if len(below) else 0


def _lasts(before_W: np.ndarray) -> float:
    """ms between where a Q wave leaves the level and where it is back."""
    bottom = int(before_W.argmin())
    shallow = np.flatnonzero(before_W[:bottom] > -_LEFT_MV)
    back = np.flatnonzero(before_W[bottom:] >= 0)
    start = int(shallow[-1]) + 1 if len(shallow) else 0
    stop = bottom + int(back[0]) if len(back) else len(before_W)
    return (stop - start) / FINE * 1000
