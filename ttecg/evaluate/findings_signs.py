"""What is measured of an ECG to tell whether it shows a finding. Everything within 0.5-40 Hz."""

import dataclasses

import numpy as np

from ttecg.data.beats import FINE, intervals, median_beat, r_peaks
from ttecg.data.beats_waves import Waves, waves
from ttecg.data.flutter import Shares, flutter_shares
from ttecg.ecg import ECG, LEADS
from ttecg.evaluate.findings_ectopy import alike, premature_wide_beats

_RATE = 500.0  # XQRS misses beats at 100 samples per second
_BAND = (0.5, 40.0)  # Hz
_NONE = Waves(*[np.nan] * 4, qs=False, **dict.fromkeys(("st", "area", "late"), np.nan))


@dataclasses.dataclass(frozen=True)
class Signs:
    """rate per minute and variation (coefficient, of RR) by wfdb's XQRS on the lead with the steepest QRS, a detector
    that no part of the generator knows; pr and qrs in ms, axis in degrees; NaN where not measurable. p: there is a
    steady P wave; p_upright: it points up in II and down in aVR. flutter: see `Shares`. premature: how many
    premature wide beats. steady: share of beats whose QRS is the usual one. leads: waves of each lead by name. sex as
    known."""

    rate: float
    variation: float
    pr: float
    qrs: float
    axis: float
    p_upright: bool
    flutter: Shares
    premature: int
    steady: float
    leads: dict[str, Waves]
    sex: str | None = None

    @property
    def p(self) -> bool:
        return bool(np.isfinite(self.pr))


NOTHING = Signs(*[np.nan] * 5, False, Shares(*[np.nan] * 3), 0, np.nan, dict.fromkeys(LEADS, _NONE))


def signs(ecg: ECG) -> Signs:
    """Of an ECG with twelve leads; where nothing beats, or a sample is no number, all NaN."""
    if not np.isfinite(ecg.signal).all():
        return NOTHING
    ecg = ecg.select(LEADS).resample(_RATE).bandpass(*_BAND)
    peaks = r_peaks(ecg)
    beat = median_beat(ecg, peaks)
    found = beat and waves(beat)
    if not found or len(peaks) < 3:
        return NOTHING
    seen = {k: np.nan if v is None else v for k, v in intervals(ecg).items()}
    rate, variation = _rhythm(ecg)
    alike_B = alike(ecg, beat, peaks)
    return Signs(
        rate, variation, seen["pr_ms"], seen["qrs_ms"], seen["axis_deg"], _p_upright(beat, seen["pr_ms"]),
        flutter_shares(ecg, beat, peaks / ecg.rate), premature_wide_beats(ecg, beat, peaks, alike_B),
        float(alike_B.mean()), found, ecg.sex,
    )  # fmt: skip


def _rhythm(ecg: ECG) -> tuple[float, float]:
    from wfdb.processing import xqrs_detect

    steepest = np.abs(np.diff(ecg.signal, axis=0)).max(0).argmax()
    rr = np.diff(xqrs_detect(ecg.signal[:, steepest], fs=ecg.rate, verbose=False)) / ecg.rate
    return (60 / np.median(rr), rr.std() / rr.mean()) if len(rr) > 1 else (np.nan, np.nan)


def _p_upright(beat, pr_ms: float) -> bool:
    """Net area between the onsets of P and QRS, above the line that joins them, in II and in -aVR = (I + II) / 2."""
    if not np.isfinite(pr_ms):
        return False
    start = max(0, beat.onset - round(pr_ms / 1000 * FINE))
    p_W2 = beat.signal[start : beat.onset + 1][:, [beat.leads.index("I"), beat.leads.index("II")]]
    i, ii = (p_W2 - np.linspace(p_W2[0], p_W2[-1], len(p_W2))).sum(0)
    return bool(ii > 0 and i + ii > 0)
