"""Usual beats in one form, whatever their PR: P begins at the same place, and where there is no P nothing lies between
T and QRS. A generator draws beats in this form; a beat then has the PR that it is asked to have, or no P.

Axes: W sample of the beat, L lead. Times in seconds from R unless the name says _ms.
"""

import jax.numpy as jnp

from ttecg.models import measures

P_AT = 0.24  # before R
P_WIDTH = 0.11
_CLEAR = 0.02  # between P and QRS, at least
_REST, _FADE = (
    0.012,
    0.03,
)  # before QRS: where the level is read, and over how long what was there fades into it


def to_form(beat_WxL, pr_ms, qr_ms, qt_ms, before: int, rate: float):
    """A beat with R at sample `before`, whose P comes to lie where all have it. pr_ms NaN: P is absent; qr_ms: from the
    onset of QRS to R; qt_ms NaN: T ends nowhere."""
    begins = _begins(pr_ms, qr_ms, before, rate)
    moved = _move(beat_WxL, begins, P_AT, pr_ms, qr_ms, before, rate)
    return jnp.where(jnp.isnan(pr_ms), _still(beat_WxL, qr_ms, qt_ms, before, rate), moved)


def from_form(beat_WxL, pr_ms, qr_ms, qt_ms, before: int, rate: float):
    """A beat in the form of all, with the PR that is told."""
    begins = _begins(pr_ms, qr_ms, before, rate)
    moved = _move(beat_WxL, P_AT, begins, pr_ms, qr_ms, before, rate)
    return jnp.where(jnp.isnan(pr_ms), _still(beat_WxL, qr_ms, qt_ms, before, rate), moved)


def apply(form, beat_WxL, bins_M, before: int, rate: float):
    """A beat of the commonest kind put into the form (`to_form`) or taken out of it (`from_form`) by its numbers."""
    told = [measures.value(name, bins_M[measures.NAMES.index(name)]) for name in ("pr_ms", "qr_ms", "qt_ms")]
    return form(beat_WxL, *told, before, rate)


def _begins(pr_ms, qr_ms, before: int, rate: float):
    """How long before R the P wave begins, inside the beat."""
    return jnp.minimum((pr_ms + qr_ms) / 1000, before / rate - 2 / rate)


def _move(beat_WxL, source, target, pr_ms, qr_ms, before: int, rate: float):
    """P that begins `source` before R begins `target` before it; its width is kept, what follows it up to QRS is
    stretched."""
    t, qrs = _times(beat_WxL, before, rate), qr_ms / 1000
    width = jnp.minimum(jnp.minimum(P_WIDTH, pr_ms / 1000 - _CLEAR), P_AT - qrs - _CLEAR)
    borders = [jnp.stack([-x, -x + width, -qrs]) for x in (target, source)]
    place = jnp.where(t < -target, t + target - source, jnp.interp(t, *borders))
    return at(beat_WxL, before + rate * jnp.where(t < -qrs, place, t))


def _still(beat_WxL, qr_ms, qt_ms, before: int, rate: float):
    """The level just before QRS, wherever neither QRS nor ST and T are."""
    t, qrs = _times(beat_WxL, before, rate)[:, None], qr_ms / 1000
    level = at(beat_WxL, before - rate * (qrs + _REST)[None])
    end = jnp.where(jnp.isnan(qt_ms), jnp.inf, qt_ms / 1000 - qrs)
    kept = jnp.clip((t + qrs + _REST) / _FADE + 1, 0, 1) * jnp.clip((end - t) / _FADE + 1, 0, 1)
    return level + kept * (beat_WxL - level)


def _times(beat_WxL, before: int, rate: float):
    return (jnp.arange(len(beat_WxL)) - before) / rate


def at(beat_WxL, place):
    """(.., L) by linear interpolation, the ends held."""
    place = jnp.clip(place, 0, len(beat_WxL) - 1)
    low = jnp.minimum(place.astype(jnp.int32), len(beat_WxL) - 2)
    part = (place - low)[:, None]
    return (1 - part) * beat_WxL[low] + part * beat_WxL[low + 1]
