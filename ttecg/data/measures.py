"""What is measured on an ECG and told a generator: rate, intervals, axis, voltages, ST, Q and T waves.

Rate, intervals and axis are those of `data.beats`; heights are read off the usual beat, above its level at the onset of
QRS: Q waves by lead groups, ST 60 ms after the end of QRS.
"""

import numpy as np

from ttecg.data import beats
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_twelve

FINE = beats.FINE


def measure(x_Tx8, peaks, kinds, usual_Wx8, before: int, rate: float) -> dict[str, float | None]:
    """The numbers of `models.measures` by name, of the eight independent leads (mV) with R peaks (samples) and kinds of
    beats, and of their usual beat, whose R lies `before` samples from its start; None for what cannot be measured."""
    found = beats.intervals(ECG(np.asarray(x_Tx8, float), INDEPENDENT, rate), np.round(peaks).astype(int))
    found["other_beats"] = float((kinds > 0).sum()) or None
    if len(peaks):
        found |= _heights(usual_Wx8, before, rate)
    return found


def _heights(usual_WxL: np.ndarray, before: int, rate: float) -> dict[str, float]:
    """Of the usual beat, above its level at the onset of QRS."""
    step = rate / FINE
    fine = np.arange(round((len(usual_WxL) - 1) / step) + 1) * step
    beat_Wx8 = np.stack([np.interp(fine, np.arange(len(x)), x) for x in usual_WxL.T.astype(float)], 1)
    onset, offset = beats.qrs_bounds(beat_Wx8, round(before / step))
    lead = dict(zip(LEADS, to_twelve(beat_Wx8 - beat_Wx8[onset]).T))
    qrs = {k: v[onset : offset + 1] for k, v in lead.items()}
    j60 = min(offset + round(0.06 * FINE), len(beat_Wx8) - 1)
    t = slice(
        min(offset + round(0.08 * FINE), len(beat_Wx8) - 2), min(offset + round(0.36 * FINE), len(beat_Wx8))
    )
    extreme = {k: lead[k][t][np.abs(lead[k][t]).argmax()] for k in ("II", "V2", "V5")}

    def st(*names):
        return float(np.mean([lead[n][j60] for n in names]))

    return {
        "sokolow_mv": -min(qrs["V1"].min(), 0) + max(qrs["V5"].max(), qrs["V6"].max(), 0),
        "r_avl_mv": max(qrs["aVL"].max(), 0),
        "s_v3_mv": -min(qrs["V3"].min(), 0),
        "r_v1_mv": max(qrs["V1"].max(), 0),
        "q_inferior": sum(has_q(qrs[n]) for n in ("II", "III", "aVF")),
        "q_anterior": sum(has_q(qrs[n]) for n in ("V1", "V2", "V3", "V4")),
        "st_inferior_mv": st("II", "III", "aVF"),
        "st_anterior_mv": st("V2", "V3", "V4"),
        "st_lateral_mv": st("I", "aVL", "V5", "V6"),
        **{f"t_{k.lower()}_mv": float(v) for k, v in extreme.items()},
    }


def has_q(qrs_W: np.ndarray) -> bool:
    """Whether a QRS (mV above its onset, at FINE) begins with a wave down of at least 0.1 mV and 30 ms that is a
    quarter of the R wave or more; a QRS without R counts."""
    top = int(qrs_W.argmax())
    early = qrs_W[: top + 1] if qrs_W[top] > 0.05 else qrs_W
    deep = early.min()
    if deep > -0.1 or -deep < 0.25 * max(qrs_W[top], 0):
        return False
    first = early[: int(early.argmin()) + 1]
    return bool(first.max() < 0.05 and (early < -0.02).sum() >= 0.03 * FINE)
