"""Usual beats as a generator learns them: in the form of `models.beat_form`, with the numbers measured on their ECG.

Axes: B ECG, K kind of beat (the commonest first), W sample of the beat, L lead, M measure.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data.measures import measure
from ttecg.data.usual_beats import usual_beats
from ttecg.models import beat_form, beat_measures, measures
from ttecg.models.layout import window


@dataclasses.dataclass(frozen=True)
class Usual:
    """Of ECGs: beats (B, K, W, L) mV, the commonest in the form of all; the kind of each beat, an array for each ECG;
    numbers (B, M), bins of `models.measures`."""

    beats: np.ndarray
    kinds: list[np.ndarray]
    numbers: np.ndarray


def of(ecgs: list, rate: float) -> Usual:
    """ecgs: (signal (T, 8) mV, R peaks in samples) of each."""
    before, length = window(rate)
    found = [usual_beats(x, peaks, rate, before, length) for x, peaks in ecgs]
    beats, kinds = np.stack([b for b, _ in found]), [k for _, k in found]
    numbers = np.stack([measures.bins(measure(x, p, k, rate)) for (x, p), k in zip(ecgs, kinds)])
    main = _read(beats[:, 0], rate)
    numbers = _with(numbers, {"qr_ms": main["qr_ms"]})
    beats = np.asarray(_apply(beat_form.to_form, beats, numbers, rate))
    numbers = _with(numbers, {k: v for k, v in _read(beats[:, 0], rate).items() if k != "qr_ms"})
    numbers[:, _index("p_ii_mv")] *= numbers[:, _index("pr_ms")] > 0
    width = np.where(beats[:, 1].any((1, 2)), _read(beats[:, 1], rate)["qrs_ms"], np.nan)
    return Usual(beats, kinds, _with(numbers, {"other_qrs_ms": width}))


def from_form(beats_BxKxWxL, numbers_BxM, rate: float) -> np.ndarray:
    """The beats with that of the commonest kind as its numbers ask."""
    return np.asarray(_apply(beat_form.from_form, beats_BxKxWxL, numbers_BxM, rate))


def _with(numbers_BxM, values: dict) -> np.ndarray:
    numbers_BxM = numbers_BxM.copy()
    for name, column in measures.bins_of(values).items():
        numbers_BxM[:, _index(name)] = column
    return numbers_BxM


def _index(name: str) -> int:
    return measures.NAMES.index(name)


@functools.partial(jax.jit, static_argnums=1)
def _read(beats_BxWxL, rate: float):
    return beat_measures.read(beats_BxWxL, window(rate)[0], rate)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _apply(form, beats_BxKxWxL, numbers_BxM, rate: float):
    def one(beats, numbers):
        return beats.at[0].set(beat_form.apply(form, beats[0], numbers, window(rate)[0], rate))

    return jax.vmap(one)(jnp.asarray(beats_BxKxWxL), numbers_BxM)
