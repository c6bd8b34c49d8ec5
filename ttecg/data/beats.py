"""Where the heart beats are, and how long their parts last: R peaks, heart rate, PR, QRS, QT, axis.

All leads vote. R peaks come from NeuroKit2's detector on one signal, the root-sum-square over leads of the
QRS band; every beat is then shifted to agree with the record's own template, so that the fiducial point is
the same in each beat. Intervals are read off the median beat. These functions judge generated signals too:
on a flat or otherwise odd one they return an empty array or None, never an error.

Axes: T time, L lead, B beat, W sample within a beat window. Times in seconds unless the name says _ms.
"""

import dataclasses

import numpy as np
from scipy import ndimage
from scipy import signal as sps

from ttecg.ecg import ECG, INDEPENDENT, resample

RATE = 250.0  # detection runs here, whatever the rate of the record
SHORTEST_RR = 0.2  # seconds; 300 beats a minute
FINE = 500.0  # the median beat is measured here
_MIN_SECONDS = 1.0
EDGE = 0.03  # seconds at either end of where a T wave is looked for: no wave has its top there
MIN_WAVE_MV = 0.04  # a P or T wave lower than this over all leads is not seen
STILL = 0.06  # share of the greatest speed under which QRS has not begun or is over
LEAST_SPEED = 0.4  # mV/s over all leads; slower than this nothing is QRS
_BEFORE, _AFTER = 0.40, 0.70  # seconds of the median beat on either side of R
_MIN_QRS_MV = 0.02  # a record whose QRS band never exceeds this has no beats to speak of


def r_peaks(ecg: ECG) -> np.ndarray:
    """Sample indices (int, ascending, at ecg.rate) of the R peaks: where a QRS has most energy over leads.

    A QRS counts when its peak lies within the record. Empty where nothing beats. 100 to 1000 Hz."""
    used = _usable(ecg)
    if used is None:
        return np.zeros(0, int)
    x_TL, _ = used
    x_TL = _to_rate(x_TL, ecg.rate, RATE)
    band_TL = _band(x_TL, 6, 26)
    energy_T = np.sqrt((band_TL**2).sum(1))
    if np.percentile(energy_T, 99.5) < _MIN_QRS_MV:
        return np.zeros(0, int)
    smooth_T = ndimage.gaussian_filter1d(energy_T, 0.012 * RATE)
    peaks = _plausible(_snap(_detect(energy_T), smooth_T), smooth_T, _band(x_TL, 14, 40))
    peaks = _align(band_TL, peaks)
    peaks = np.unique(np.round(peaks * ecg.rate / RATE).astype(int))
    return peaks[(peaks >= 0) & (peaks < len(ecg.signal))]


def rr_intervals(ecg: ECG) -> np.ndarray:
    """Seconds between successive R peaks, one fewer than there are beats."""
    return np.diff(r_peaks(ecg)) / ecg.rate


def heart_rate(ecg: ECG) -> float | None:
    """Beats per minute, from the median RR interval; None with fewer than two beats."""
    return _rate(rr_intervals(ecg))


def rr_cv(ecg: ECG) -> float | None:
    """Standard deviation of the RR intervals over their mean; None with fewer than three beats."""
    return _cv(rr_intervals(ecg))


def _rate(rr: np.ndarray) -> float | None:
    return float(60 / np.median(rr)) if len(rr) else None


def _cv(rr: np.ndarray) -> float | None:
    return float(rr.std() / rr.mean()) if len(rr) > 1 else None


def _usable(ecg: ECG) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """(T, L) and the names of the leads that may vote: independent where there are any, finite, not flat."""
    x_TL = np.asarray(ecg.signal, np.float64)
    keep = [i for i, n in enumerate(ecg.leads) if n in INDEPENDENT] or list(range(x_TL.shape[1]))
    keep = [i for i in keep if len(x_TL) and np.isfinite(x_TL[:, i]).all() and np.ptp(x_TL[:, i]) > 0]
    if not keep or ecg.duration < _MIN_SECONDS or ecg.rate < 60:
        return None
    return x_TL[:, keep], tuple(ecg.leads[i] for i in keep)


def _to_rate(x_TL: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    return x_TL if rate == wanted else resample(x_TL, rate, wanted)


def _band(x_TL: np.ndarray, low: float, high: float) -> np.ndarray:
    """low-high Hz at RATE, zero phase; leads far louder than the others, in QRS or between (a loose
    electrode), turned down."""
    sos = sps.butter(2, (low, high), "bandpass", fs=RATE, output="sos")
    y_TL = sps.sosfiltfilt(sos, x_TL, axis=0, padlen=min(len(x_TL) - 1, int(RATE)))
    floor_L, peak_L = np.percentile(np.abs(y_TL), (50, 99), axis=0) + 0.005
    gain_L = np.minimum(3 * np.median(floor_L) / floor_L, 3 * np.median(peak_L) / peak_L)
    return y_TL * np.minimum(1, gain_L)


def _detect(energy_T: np.ndarray) -> np.ndarray:
    """Rough QRS positions. The mirror image beyond both ends gives the detector its usual surroundings there
    (it ignores what comes within its refractory time of the first sample)."""
    import neurokit2 as nk  # here, since it takes two seconds to import and most callers never need it

    pad = min(len(energy_T) - 1, round(0.8 * RATE))
    padded_T = np.pad(energy_T, pad, mode="reflect")
    found = nk.ecg_findpeaks(padded_T, sampling_rate=int(RATE), method="neurokit", mindelay=0.1)
    peaks = np.asarray(found["ECG_R_Peaks"], int) - pad
    slack = round(0.08 * RATE)  # a QRS at the very edge may have been found in its mirror image
    return peaks[(peaks > -slack) & (peaks < len(energy_T) + slack)]


def _snap(peaks: np.ndarray, smooth_T: np.ndarray) -> np.ndarray:
    """Each detection moved to the greatest smoothed energy within 80 ms; dropped if that lies outside."""
    reach, tops = round(0.08 * RATE), set()
    for p in peaks:
        a, b = max(0, p - reach), min(len(smooth_T), p + reach + 1)
        tops.add(a + int(np.argmax(smooth_T[a:b])) if a < b else 0)
    return np.array(sorted(tops - {0, len(smooth_T) - 1}), int)


def _plausible(peaks: np.ndarray, smooth_T: np.ndarray, sharp_TL: np.ndarray) -> np.ndarray:
    """Peaks without specks (under a quarter of the usual height), without the lower one of two that are
    closer than SHORTEST_RR (P beside QRS), and without T waves (within 0.4 s of a beat, and much blunter than
    it, or blunter and lower)."""
    if len(peaks) == 0:
        return peaks
    high = smooth_T[peaks]
    peaks = peaks[high > 0.25 * np.percentile(high, 80)]
    kept = []
    for p in sorted(peaks, key=lambda p: -smooth_T[p]):
        if all(abs(p - q) > SHORTEST_RR * RATE for q in kept):
            kept.append(p)
    reach = round(0.06 * RATE)
    sharp_T = ndimage.maximum_filter1d(np.sqrt((sharp_TL**2).sum(1)), 2 * reach + 1)
    beats = []
    for p in sorted(kept):
        before = beats[-1] if beats else p - len(smooth_T)
        sharp, tall = sharp_T[p] / (sharp_T[before] + 1e-9), smooth_T[p] / (smooth_T[before] + 1e-9)
        if p - before > 0.4 * RATE or sharp > 0.6 or (sharp > 0.3 and tall > 0.7):
            beats.append(p)
    return np.array(beats, int)


def alike(windows_BWL: np.ndarray, least: float = 0.8) -> np.ndarray:
    """(B,) bool: the commonest kind of beat, those that resemble the beat that most beats resemble."""
    flat_BF = windows_BWL.reshape(len(windows_BWL), -1)
    flat_BF = flat_BF / (np.linalg.norm(flat_BF, axis=1, keepdims=True) + 1e-12)
    corr_BB = flat_BF @ flat_BF.T
    return corr_BB[(corr_BB * (corr_BB > least)).sum(1).argmax()] > least - 1e-9


def _align(band_TL: np.ndarray, peaks: np.ndarray, reach: float = 0.06, span: float = 0.08) -> np.ndarray:
    """Peaks (float samples), each beat slid by at most `reach` seconds to where it correlates best with the
    median beat. Beats of another shape (correlation under 0.8) keep their own energy peak."""
    if len(peaks) < 3:
        return peaks.astype(float)
    r, s = round(reach * RATE), round(span * RATE)
    padded_TL = np.pad(band_TL, ((r + s, r + s), (0, 0)), mode="edge")
    wide_BWL = np.stack([padded_TL[p : p + 2 * (r + s) + 1] for p in peaks])
    near_BWL = wide_BWL[:, r : r + 2 * s + 1]
    template_WL = np.median(near_BWL[alike(near_BWL)], axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(wide_BWL, 2 * s + 1, axis=1)  # (B, 2r+1, L, W)
    dots_BR = np.einsum("brlw,wl->br", windows, template_WL)
    norms_BR = np.sqrt(np.einsum("brlw,brlw->br", windows, windows)) * np.linalg.norm(template_WL)
    corr_BR = dots_BR / (norms_BR + 1e-12)
    best_B = corr_BR.argmax(1)
    slid_B = best_B - r + np.array([_parabola(c, k) for c, k in zip(corr_BR, best_B, strict=True)])
    good_B = (corr_BR.max(1) > 0.8) & (best_B > 0) & (best_B < 2 * r)
    energy_W = ndimage.gaussian_filter1d(np.sqrt((template_WL**2).sum(1)), 0.012 * RATE)
    top = s - r + int(energy_W[s - r : s + r + 1].argmax())
    return np.where(good_B, peaks + slid_B + top - s + _parabola(energy_W, top), peaks)


def _parabola(y: np.ndarray, k: int) -> float:
    """Where between samples the maximum at k lies, -0.5 to 0.5."""
    if not 0 < k < len(y) - 1:
        return 0.0
    curve = y[k - 1] - 2 * y[k] + y[k + 1]
    return float(np.clip(0.5 * (y[k - 1] - y[k + 1]) / curve, -0.5, 0.5)) if curve < 0 else 0.0


# --- the median beat and what is read off it ---


@dataclasses.dataclass(frozen=True)
class MedianBeat:
    """The usual beat. signal (W, L): its median, mV at FINE, 0.5-40 Hz, of the independent leads that may vote.
    leads: their names. onset, r, offset: samples within W where QRS begins, stands at its R peak, ends."""

    signal: np.ndarray
    leads: tuple[str, ...]
    onset: int
    r: int
    offset: int


def median_beat(ecg: ECG, peaks: np.ndarray | None = None) -> MedianBeat | None:
    """Of the commonest kind of beat among `peaks` (`r_peaks` where not given); None where there is no whole beat."""
    found = _median_beat(ecg, peaks)
    if found is None:
        return None
    median_WL, centre, _, leads = found
    onset, offset = qrs_bounds(median_WL, centre)
    return MedianBeat(median_WL, leads, onset, centre, offset)


def qrs_width(ecg: ECG) -> float | None:
    """Global QRS duration in ms: from when the leads begin to move fast until they stop, on the median beat.

    Against LUDB's annotations it lies between the width in the median lead (+5 ms) and that from the earliest
    onset to the latest offset over the leads (-22 ms). None where there is no whole beat."""
    beat = _median_beat(ecg)
    if beat is None:
        return None
    median_WL, centre, _, _ = beat
    onset, offset = qrs_bounds(median_WL, centre)
    return (offset - onset) / FINE * 1000


def intervals(ecg: ECG, peaks: np.ndarray | None = None) -> dict[str, float | None]:
    """pr_ms, qrs_ms, qt_ms, axis_deg (frontal QRS axis, -180 to 180, from the net areas in I and aVF),
    heart_rate (beats per minute) and rr_cv.

    peaks: the R peaks (samples) where they are known. What cannot be measured is None: PR without a steady P wave,
    the axis without leads I and II."""
    peaks = r_peaks(ecg) if peaks is None else peaks
    rr = np.diff(peaks) / ecg.rate
    out = dict.fromkeys(("pr_ms", "qrs_ms", "qt_ms", "axis_deg"))
    out |= {"heart_rate": _rate(rr), "rr_cv": _cv(rr)}
    beat = _median_beat(ecg, peaks)
    if beat is None:
        return out
    median_WL, centre, beats_BWL, leads = beat
    onset, offset = qrs_bounds(median_WL, centre)
    out["qrs_ms"] = (offset - onset) / FINE * 1000
    cycle = float(np.median(rr)) if len(rr) else 1.0
    t_end = _t_end(median_WL, onset, offset, cycle)
    if t_end is not None:
        out["qt_ms"] = (t_end - onset) / FINE * 1000
    free = max(onset - min(0.32, 0.45 * cycle) * FINE, -1 if t_end is None else t_end - cycle * FINE)
    p_onset = _p_onset(median_WL, beats_BWL, round(free), onset)
    if p_onset is not None:
        out["pr_ms"] = (onset - p_onset) / FINE * 1000
    out["axis_deg"] = _axis(median_WL, leads, onset, offset)
    return out


def _median_beat(ecg: ECG, peaks: np.ndarray | None = None):
    """(median (W, L), index of the R peak, beats (B, W, L), lead names) at FINE, 0.5-40 Hz, over the
    commonest kind of beat; None where no beat lies wholly within the record."""
    peaks = r_peaks(ecg) if peaks is None else peaks
    used = _usable(ecg)
    if used is None or len(peaks) == 0:
        return None
    x_TL, leads = used
    sos = sps.butter(2, (0.5, min(40.0, 0.4 * ecg.rate)), "bandpass", fs=FINE, output="sos")
    x_TL = sps.sosfiltfilt(sos, _to_rate(x_TL, ecg.rate, FINE), axis=0, padlen=min(len(x_TL) - 1, int(FINE)))
    before, after = round(_BEFORE * FINE), round(_AFTER * FINE)
    at = np.round(peaks * FINE / ecg.rate).astype(int)
    at = at[(at >= before) & (at + after <= len(x_TL))]
    if len(at) == 0:
        return None
    beats_BWL = np.stack([x_TL[p - before : p + after] for p in at])
    qrs = slice(before - round(0.1 * FINE), before + round(0.1 * FINE))
    beats_BWL = beats_BWL[alike(beats_BWL[:, qrs])]
    return np.median(beats_BWL, axis=0), before, beats_BWL, leads


def _speed(x_WL: np.ndarray, sigma: float) -> np.ndarray:
    """(W,) mV/s: root-sum-square over leads of the slope after Gaussian smoothing with sigma seconds."""
    slope_WL = ndimage.gaussian_filter1d(x_WL, sigma * FINE, axis=0, order=1, mode="nearest") * FINE
    return np.sqrt((slope_WL**2).sum(1))


def _still(speed_W: np.ndarray, start: int, step: int, reach: float, limit: float) -> int:
    """The first sample, going from start in the direction of step (-1, 1), from which speed stays under limit
    for 16 ms; where that does not happen within `reach` seconds, the slowest sample on the way."""
    path = start + step * np.arange(1, round(reach * FINE) + 1)
    path = path[(path >= 0) & (path < len(speed_W))]
    hold = round(0.016 * FINE)
    if len(path) < hold:
        return start
    slow = np.lib.stride_tricks.sliding_window_view(speed_W[path] < limit, hold).all(1)
    return int(path[slow.argmax()] if slow.any() else path[speed_W[path].argmin()])


def qrs_bounds(median_WL: np.ndarray, centre: int) -> tuple[int, int]:
    """Onset and offset samples: where the spatial speed stays under 5 % of its maximum."""
    speed_W = _speed(median_WL, 0.006)
    near = slice(centre - round(0.08 * FINE), centre + round(0.08 * FINE))
    top = near.start + int(speed_W[near].argmax())
    limit = max(STILL * speed_W[top], LEAST_SPEED)
    return _still(speed_W, top, -1, 0.13, limit), _still(speed_W, top, 1, 0.16, limit)


def _p_onset(median_WL: np.ndarray, beats_BWL: np.ndarray, free: int, onset: int) -> int | None:
    """Sample at which the P wave begins: the greatest hump from `free` (T is over) to the onset of QRS,
    followed back to where it stands still. None where it is too low, or where the beats do not agree on it
    (fibrillation)."""
    start, stop = max(0, free), onset - round(0.02 * FINE)
    if stop - start < round(0.06 * FINE):
        return None
    smooth_WL = ndimage.gaussian_filter1d(median_WL, 0.008 * FINE, axis=0)
    hump_W = _height(smooth_WL[start : onset + 1])[: stop - start]
    top = int(hump_W.argmax())
    if hump_W[top] < MIN_WAVE_MV or not 0 < top < len(hump_W) - 1:
        return None
    part = slice(max(0, start + top - round(0.06 * FINE)), min(stop, start + top + round(0.06 * FINE)))
    if _agreement(beats_BWL[:, part], median_WL[part]) < 0.65:
        return None
    speed_W = _speed(median_WL, 0.010)
    rise = slice(max(0, start + top - round(0.07 * FINE)), start + top)
    steepest = rise.start + int(speed_W[rise].argmax())
    return max(start, _still(speed_W, steepest, -1, 0.08, 0.25 * speed_W[steepest]))


def _height(x_WL: np.ndarray) -> np.ndarray:
    """(W,) root-sum-square over leads of the distance from the line between the first and the last sample."""
    return np.sqrt(((x_WL - np.linspace(x_WL[0], x_WL[-1], len(x_WL))) ** 2).sum(1))


def _agreement(beats_BWL: np.ndarray, median_WL: np.ndarray) -> float:
    """Median correlation, over beats, of a part of the beat with the same part of the median beat."""
    flat_BF = (beats_BWL - beats_BWL.mean(1, keepdims=True)).reshape(len(beats_BWL), -1)
    flat_F = (median_WL - median_WL.mean(0)).ravel()
    norms_B = np.linalg.norm(flat_BF, axis=1) * np.linalg.norm(flat_F) + 1e-12
    return float(np.median(flat_BF @ flat_F / norms_B))


def _t_end(median_WL: np.ndarray, onset: int, offset: int, cycle: float) -> int | None:
    """Sample at which the T wave ends: where the tangent at its steepest descent meets what follows, on the
    leads' first principal component. None where no T wave stands out."""
    start = offset + round(0.06 * FINE)
    stop = min(len(median_WL), onset + round(min(0.68, 0.75 * cycle) * FINE))
    if stop - start < round(0.1 * FINE):
        return None
    smooth_WL = ndimage.gaussian_filter1d(median_WL, 0.012 * FINE, axis=0)
    part_WL = smooth_WL[start:stop] - smooth_WL[onset]
    main_L = np.linalg.svd(part_WL - part_WL.mean(0), full_matrices=False)[2][0]
    wave_W = part_WL @ main_L
    wave_W = wave_W if abs(wave_W.max()) > abs(wave_W.min()) else -wave_W
    last_peak = onset + round(min(0.52, 0.12 + 0.42 * cycle) * FINE) - start  # beyond it is the next P wave
    top = _hump(wave_W[: max(1, last_peak)])
    if wave_W[top] < MIN_WAVE_MV or top >= len(wave_W) - round(EDGE * FINE):
        return None
    slope_W = np.gradient(wave_W)[top : top + round(0.16 * FINE)]
    steepest = int(slope_W.argmin())
    if slope_W[steepest] >= 0:
        return None
    base = np.median(wave_W[top + steepest :])
    end = start + top + steepest + (base - wave_W[top + steepest]) / slope_W[steepest]
    return int(round(end)) if end < len(median_WL) else None


def _hump(wave_W: np.ndarray) -> int:
    """The highest sample, or, where the wave begins with it (an ST segment that falls), the highest peak after it."""
    top, begins = int(wave_W.argmax()), round(EDGE * FINE)
    peaks = 1 + np.flatnonzero((wave_W[1:-1] > wave_W[:-2]) & (wave_W[1:-1] >= wave_W[2:]))
    later = peaks[peaks >= begins]
    return int(later[wave_W[later].argmax()]) if top < begins and len(later) else top


def _axis(median_WL: np.ndarray, leads: tuple[str, ...], onset: int, offset: int) -> float | None:
    """Degrees, from the net QRS areas in I and aVF above the line that joins onset and offset."""
    if not {"I", "II"} <= set(leads):
        return None
    qrs_WL = median_WL[onset : offset + 1, [leads.index("I"), leads.index("II")]]
    i, ii = (qrs_WL - np.linspace(qrs_WL[0], qrs_WL[-1], len(qrs_WL))).sum(0)
    if np.hypot(i, ii) < 1e-9:
        return None
    return float(np.degrees(np.arctan2((2 * ii - i) / np.sqrt(3), i)))
