"""The usual beat of one lead, and that beat laid out over the R peaks of another: how a lead II of another time says
what lead II would look like now.

Axes: T time (samples), W sample within the beat. Peaks are sample positions and need not be whole numbers.
"""

import numpy as np

from ttecg.data.beats import r_peaks
from ttecg.ecg import ECG

SPAN = (0.36, 0.60)  # seconds of the beat before and after R
_FADE = 0.06  # seconds over which one beat gives way to the next


def lead_peaks(x_T: np.ndarray, lead: str, rate: float) -> np.ndarray:
    """R peaks found in one lead alone (samples); empty where nothing beats."""
    return r_peaks(ECG(np.asarray(x_T, np.float64)[:, None], (lead,), rate)).astype(float)


def median_beat(x_T: np.ndarray, peaks: np.ndarray, rate: float, span=SPAN) -> np.ndarray:
    """(W,) the median over the beats that lie wholly within the lead, over all beats where none does (the lead's ends
    are then held), zeros where there is no beat."""
    offsets = np.arange(-round(span[0] * rate), round(span[1] * rate))
    if len(peaks) == 0:
        return np.zeros(len(offsets))
    places = np.asarray(peaks)[:, None] + offsets
    whole = (places[:, 0] >= 0) & (places[:, -1] <= len(x_T) - 1)
    places = places[whole] if whole.any() else places
    return np.median(np.interp(places, np.arange(len(x_T)), x_T), axis=0)


def lay_out(
    beat_W: np.ndarray, peaks: np.ndarray, samples: int, rate: float, before: float = SPAN[0]
) -> np.ndarray:
    """(samples,) the beat at every peak: each point of time belongs to the R peak before it or, shortly before the next
    one, to that. Peaks go on beyond the first and the last at the median RR interval; zeros where there is none.
    before: seconds of the beat before its R peak."""
    if len(peaks) == 0:
        return np.zeros(samples)
    peaks = _continued(np.asarray(peaks, float), samples, rate)
    t = np.arange(samples, dtype=float)
    k = np.clip(np.searchsorted(peaks, t, side="right") - 1, 0, len(peaks) - 2)
    since, until, rr = t - peaks[k], peaks[k + 1] - t, peaks[k + 1] - peaks[k]
    offsets = np.arange(len(beat_W)) - round(before * rate)
    early, late = np.interp(-until, offsets, beat_W), np.interp(since, offsets, beat_W)
    border = np.minimum(before * rate, 0.4 * rr)
    share = np.clip((border - until) / (_FADE * rate) + 0.5, 0.0, 1.0)
    return share * early + (1 - share) * late


def _continued(peaks: np.ndarray, samples: int, rate: float) -> np.ndarray:
    rr = max(float(np.median(np.diff(peaks))) if len(peaks) > 1 else 0.8 * rate, 0.2 * rate)
    before = peaks[0] - rr * np.arange(int(max(peaks[0], 0) / rr) + 1, 0, -1)
    after = peaks[-1] + rr * np.arange(1, int(max(samples - peaks[-1], 0) / rr) + 2)
    return np.concatenate([before, peaks, after])


def cues(one_T, two_S, peaks_one, peaks_two, rate: float, span=SPAN) -> dict[str, np.ndarray]:
    """What the two-lead model is told beside the leads: "template" (T, 2), the usual beats of I and of II at lead I's
    R peaks, and "beats" (W, 2), those beats. All zero where either lead has no beat. float32."""
    if len(peaks_one) == 0 or len(peaks_two) == 0:
        peaks_one = peaks_two = np.zeros(0)
    both = [median_beat(one_T, peaks_one, rate, span), median_beat(two_S, peaks_two, rate, span)]
    template = np.stack([lay_out(beat, peaks_one, len(one_T), rate, span[0]) for beat in both], axis=-1)
    beats = np.stack(both, axis=-1)
    return {"template": template.astype(np.float32), "beats": beats.astype(np.float32)}
