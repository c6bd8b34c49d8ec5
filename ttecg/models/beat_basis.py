"""Usual beats as a few numbers: principal components of the beats of many people.

Where leads and moments are quiet they count for more than their size (WHITEN), or P waves would drown in QRS. A beat's
coordinates are its components, bent so that few lie far out; in files they are bytes, one of 64 bins. Axes: B batch,
W sample, L lead, C component.
"""

import dataclasses

import numpy as np
from scipy import ndimage

COMPONENTS = 160
BINS = 64
WHITEN = 0.5  # power of a sample's usual size by which it is divided
STEP = 0.1  # width of a bin, in coordinates
_BEND, _STRETCH = 1.5, 1.2  # of coordinates: a bin near zero is 0.08 of a spread wide


@dataclasses.dataclass(frozen=True)
class BeatBasis:
    """mean (W, L) mV; axes (C, W, L), mV of one spread of each component; weight (W, L) of every sample."""

    mean: np.ndarray
    axes: np.ndarray
    weight: np.ndarray

    def encode(self, beats_BxWxL: np.ndarray) -> np.ndarray:
        """(B, C) bins of usual beats in mV."""
        scaled = self.axes * self.weight
        size = (scaled**2).sum((1, 2))
        away = (beats_BxWxL - self.mean) * self.weight
        return to_bins(np.einsum("bwl,cwl->bc", away, scaled) / size)

    def decode(self, bins_BxC: np.ndarray) -> np.ndarray:
        """(B, W, L) mV."""
        return self.mean + np.einsum("bc,cwl->bwl", to_values(coordinates(np.asarray(bins_BxC))), self.axes)


def to_bins(values) -> np.ndarray:
    """uint8 bins of numbers in units of their component's spread."""
    bins = np.round(np.arcsinh(_BEND * values) / _STRETCH / STEP) + BINS // 2
    return np.clip(bins, 0, BINS - 1).astype(np.uint8)


def coordinates(bins):
    """float32 coordinates of bins."""
    return STEP * (bins.astype(np.float32) - BINS // 2)


def to_values(coordinates, sinh=np.sinh):
    """Numbers in units of their component's spread; sinh: of NumPy or of JAX."""
    return sinh(_STRETCH * coordinates) / _BEND


def fit(beats_NxWxL: np.ndarray, count_N=None) -> BeatBasis:
    """From usual beats in mV; count: how often each counts, 1 unless given. ValueError for few beats."""
    number, *shape = beats_NxWxL.shape
    if number <= COMPONENTS:
        raise ValueError(
            f"{number} usual beats are too few for {COMPONENTS} components; name more recordings"
        )
    share = np.ones(number) if count_N is None else np.asarray(count_N, float)
    share = (share / share.sum()).astype(np.float32)
    size = ndimage.gaussian_filter1d(np.sqrt(np.einsum("n,nwl->wl", share, beats_NxWxL**2)), 4, axis=0) + 1e-3
    weight = size**-WHITEN
    mean = np.einsum("n,nwl->wl", share, beats_NxWxL)
    away = ((beats_NxWxL - mean) * weight).reshape(number, -1)
    values, vectors = np.linalg.eigh((away * share[:, None]).T @ away)
    values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(COMPONENTS)])
    axes = (vectors * np.sqrt(np.maximum(values, 1e-12))).T.reshape(COMPONENTS, *shape) / weight
    # in C order: safetensors writes memory as it lies
    return BeatBasis(*(np.ascontiguousarray(x, np.float32) for x in (mean, axes, weight)))
