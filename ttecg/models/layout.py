"""Usual beats laid out over R peaks: the draft of an ECG that its beat plan and its usual beats make.

Axes: R slot of the plan, K kind of beat, W sample of the beat, T time, L lead.
"""

import functools

import jax
import jax.numpy as jnp

BEFORE, AFTER = 0.352, 0.688  # seconds of a usual beat on either side of R: 11 and 21.5 frames of 32 ms
AHEAD = 0.45  # of an RR interval, at most, belongs to the beat that ends it: there `data.beats` looks for P
_FADE = 0.06  # seconds over which one beat gives way to the next


def window(rate: float) -> tuple[int, int]:
    """Samples of a usual beat before R, and in all."""
    before = round(BEFORE * rate)
    return before, before + round(AFTER * rate)


def lay_out(beats_KxWxL, peaks_R, kinds_R, samples: int, rate: float, before: int):
    """(samples, L): each point of time belongs to the R peak before it or, shortly before the next one, to that.

    peaks: seconds, ascending, infinite past the last one; kinds: of each peak. `before`: samples of a beat ahead of its
    R peak. Another beat is taken to lie one RR interval before the first and after the last. Zeros without a peak."""
    width, t = beats_KxWxL.shape[1], jnp.arange(samples) / rate
    count = jnp.isfinite(peaks_R).sum()
    ext, kinds = _continued(peaks_R, kinds_R, count, samples / rate)
    k = jnp.sum(ext[None, 1:-1] <= t[:, None], -1)  # of ext: the beat before
    prev, following = ext[k], ext[k + 1]
    since, until, rr = t - prev, following - t, following - prev
    flat = beats_KxWxL.reshape(-1, beats_KxWxL.shape[-1])

    def at(kind_T, place_T):
        place = jnp.clip(place_T, 0, width - 1)
        low = jnp.minimum(place.astype(jnp.int32), width - 2)
        part = (place - low)[:, None]
        return (1 - part) * flat[kind_T * width + low] + part * flat[kind_T * width + low + 1]

    late, early = at(kinds[k], before + since * rate), at(kinds[k + 1], before - until * rate)
    border = jnp.minimum(before / rate, AHEAD * rr)
    share = jnp.clip((border - until) / _FADE + 0.5, 0, 1)[:, None]
    return jnp.where(count > 0, share * early + (1 - share) * late, 0.0)


def _continued(peaks_R, kinds_R, count, seconds: float):
    """The peaks and kinds with a usual beat before the first and after the last, (R + 2,)."""
    first, last = peaks_R[0], peaks_R[jnp.maximum(count - 1, 0)]
    rr = jnp.where(count > 1, peaks_R[1] - first, 0.9)
    rr_end = jnp.where(count > 1, last - peaks_R[jnp.maximum(count - 2, 0)], 0.9)
    ext = jnp.concatenate([jnp.minimum(first - rr, -0.05)[None], peaks_R, jnp.full(1, jnp.inf)])
    ext = jnp.where(jnp.arange(len(ext)) == count + 1, jnp.maximum(last + rr_end, seconds + 0.05), ext)
    kinds = jnp.pad(kinds_R.astype(jnp.int32), 1)
    return ext, jnp.where(jnp.arange(len(ext)) <= count, kinds, 0)


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def lay_out_batch(beats_BxKxWxL, peaks_BxR, kinds_BxR, samples: int, rate: float, before: int):
    """(B, samples, L): `lay_out` of each."""
    return jax.vmap(lambda b, p, k: lay_out(b, p, k, samples, rate, before))(
        beats_BxKxWxL, peaks_BxR, kinds_BxR
    )
