"""The usual beats of an ECG: the median of its commonest kind of beat, and of the beats that look otherwise.

Laid out over the R peaks (`models.layout`) they are a draft of the whole ECG, which a generator writes first and then
follows. Axes: T time, L lead, B beat, W sample within the beat, K kind (0 the commonest, 1 another).
"""

import numpy as np

from ttecg.data.beats import alike
from ttecg.models.layout import AHEAD

KINDS = 2
_QRS = 0.1  # seconds on either side of R by which beats are told apart
_LIKE = 0.7  # correlation with the commonest kind of beat under which a beat is of another


def usual_beats(x_TL, peaks, rate: float, before: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(K, W, L) usual beats and (B,) the kind of each beat. A kind that does not occur is all zeros.

    peaks: samples, need not be whole. A usual beat has `length` samples, `before` of them ahead of R. A sample of a
    beat counts until the next beat begins; where none counts the nearest is held."""
    peaks = np.asarray(peaks, float)
    beats_KWL = np.zeros((KINDS, length, x_TL.shape[1]), np.float32)
    if len(peaks) == 0:
        return beats_KWL, np.zeros(0, np.int8)
    place_BW = peaks[:, None] + np.arange(-before, length - before)
    beats_BWL = _at(x_TL, place_BW)
    counts_BW = (place_BW >= 0) & (place_BW <= len(x_TL) - 1) & _own(peaks, place_BW, before, rate)
    reach = round(_QRS * rate)
    qrs_BWL = beats_BWL[:, before - reach : before + reach + 1]
    whole = np.flatnonzero(
        (place_BW[:, before - reach] >= 0) & (place_BW[:, before + reach] <= len(x_TL) - 1)
    )
    kinds = np.zeros(len(peaks), np.int8)
    if len(whole):
        main = whole[alike(qrs_BWL[whole])]
        kinds[whole] = _correlation(qrs_BWL[whole], np.median(qrs_BWL[main], 0)) < _LIKE
    for kind in range(KINDS):
        which = np.flatnonzero(kinds == kind)
        if len(which):
            same = np.intersect1d(which, whole)
            same = same[alike(qrs_BWL[same])] if len(same) else which
            beats_KWL[kind] = _median(beats_BWL[same], counts_BW[same])
    return beats_KWL, kinds


def _at(x_TL, place_BW) -> np.ndarray:
    """(B, W, L) by linear interpolation, the ends held."""
    place = np.clip(place_BW, 0, len(x_TL) - 1)
    low = np.minimum(place.astype(int), len(x_TL) - 2)
    part = (place - low)[..., None]
    return (1 - part) * x_TL[low] + part * x_TL[low + 1]


def _own(peaks, place_BW, before: int, rate: float) -> np.ndarray:
    """(B, W) which samples belong to the beat itself rather than to a neighbour."""
    rr = np.diff(peaks)
    border = np.minimum(before, AHEAD * rr) + 0.03 * rate
    start = np.concatenate([[-np.inf], peaks[1:] - border])
    end = np.concatenate([peaks[1:] - border + 0.06 * rate, [np.inf]])
    return (place_BW >= start[:, None]) & (place_BW <= end[:, None])


def _correlation(windows_BWL, usual_WL) -> np.ndarray:
    a = (windows_BWL - windows_BWL.mean(1, keepdims=True)).reshape(len(windows_BWL), -1)
    b = (usual_WL - usual_WL.mean(0)).ravel()
    return a @ b / (np.linalg.norm(a, axis=1) * np.linalg.norm(b) + 1e-12)


def _median(beats_BWL, counts_BW) -> np.ndarray:
    """The median over beats of what counts; the nearest such sample where nothing does."""
    told = counts_BW.any(0)
    if not told.any():
        return np.median(beats_BWL, axis=0)
    masked = np.where(counts_BW[..., None], beats_BWL, np.nan)
    nearest = np.abs(np.flatnonzero(told)[None] - np.arange(len(told))[:, None]).argmin(1)
    return np.nanmedian(masked[:, told], axis=0)[nearest]
