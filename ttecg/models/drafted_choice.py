"""Of several draws of a drafting generator, the one that shows best what was asked for.

A story is judged by whether its beat plan has the rate, the irregularity and the other beats that its numbers say; a
usual beat by what is measured on it. Distances are counted in bins. Axes: B batch, M measures, R plan slots, W sample
of a beat, L lead.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data.flutter import MARGIN_S as FLUTTER_MARGIN_S
from ttecg.data.flutter import RATES as FLUTTER_RATES
from ttecg.models import beat_form, beat_measures, beat_plan, measures
from ttecg.models.layout import AHEAD

_FAR = 6.0  # bins; what is further off is no worse
_OUTSIDE = 10.0  # of a bin outside of what the report allows, for each that it is away
_INSIDE = 0.1  # of a bin inside of it, for each that a beat is away from the one drawn; of a plan it is 1
_INTERVALS = ("pr_ms", "qrs_ms", "qt_ms")
_INTERVAL = 0.3  # the same of these, up to twice as far: at 0.1 a QRS of 220 ms passed for 87
_CLOSE = 4.0  # bins by which these may be away, before it speaks against the story
_SPAN_S = 0.1  # around R, over which beats of two kinds are compared
_LIKE = 0.6  # correlation with the usual beat above which another is of its kind
_ALIKE_COST = 60.0
_FLUTTERS = 0.5  # share of flutter waves
_PHASES = 128  # points of a cycle at which waves are looked for
_WAVES = 9  # one more than a cycle may have of them


def story_faults(bins_BxM, plan_BxR, kinds_BxR, allowed_BxMxK):
    """(B,) how far plans are from their numbers and from what reports allow."""
    times = beat_plan.times(plan_BxR)
    rr = jnp.where(jnp.isfinite(times[:, 1:]), times[:, 1:] - times[:, :-1], jnp.nan)
    middle = jnp.nanmedian(rr, 1)
    other = (kinds_BxR > 0) & jnp.isfinite(times)
    before = jnp.where(other[:, 1:], rr, jnp.nan)
    count = other.sum(1)
    found = {
        "heart_rate": 60 / middle,
        "rr_cv": jnp.nanstd(rr, 1) / jnp.nanmean(rr, 1),
        "other_beats": jnp.where(count > 0, count, jnp.nan),
        "other_early": jnp.nanmean(before, 1) / middle,
    }
    outside, off = _faults(found, bins_BxM, allowed_BxMxK)
    return sum(outside.values()) + sum(off.values())


def beat_faults(formed_BxWxL, beats_BxWxL, bins_BxM, allowed_BxMxK, before: int, rate: float):
    """Faults of usual beats, (B,): how far they are from what reports allow, and whether PR, QRS and QT are far from
    those drawn; and (B,) how far their numbers are from those drawn else. formed: in the form of all.

    The second says which beat shows its numbers best, not which numbers are to be shown: errors of voltages grow with
    the voltages, so that low ones would be, and of intervals those that most people have."""
    values = beat_measures.read(formed_BxWxL, before, rate)
    rr = 60 / measures.value("heart_rate", bins_BxM[:, measures.NAMES.index("heart_rate")])
    values["flutter"] = flutter_share(beats_BxWxL, rr, before, rate)
    values |= beat_measures.intervals(beats_BxWxL, rr, before, rate)
    outside, off = _faults(values, bins_BxM, allowed_BxMxK)
    off = {name: _INSIDE * far for name, far in off.items()}
    for name, number in measures.bins_of({k: values[k] for k in _INTERVALS}).items():
        away = jnp.abs(number - bins_BxM[:, measures.NAMES.index(name)])
        outside[name] += _INTERVAL * jnp.clip(away - _CLOSE, 0, 2 * _FAR - _CLOSE)
        off[name] = _INTERVAL * jnp.minimum(away, _CLOSE)
    flutters = measures.value("flutter", bins_BxM[:, measures.NAMES.index("flutter")]) > _FLUTTERS
    for name in ("pr_ms", "qt_ms"):  # waves that run through the beat leave neither P nor the end of T
        outside[name], off[name] = (jnp.where(flutters, 0.0, x[name]) for x in (outside, off))
    return _if_asked(outside, bins_BxM), _if_asked(off, bins_BxM)


def _faults(values: dict, bins_BxM, allowed_BxMxK) -> tuple[dict, dict]:
    """{measure: (B,)} of numbers as they were measured: what it costs that they are outside of what reports allow, and
    how far they are from those drawn."""
    outside, off = {}, {}
    for name, number in measures.bins_of(values).items():
        i = measures.NAMES.index(name)
        far = jnp.where(
            allowed_BxMxK[:, i], jnp.abs(jnp.arange(measures.BINS) - number[:, None]), measures.BINS
        )
        outside[name] = _OUTSIDE * jnp.minimum(far.min(1), _FAR)
        off[name] = _away(number, bins_BxM[:, i])
    return outside, off


def _if_asked(faults: dict, bins_BxM):
    """(B,) their sum, without measures that are asked not to be there: on a beat they cannot be seen to be missing."""
    return sum(
        jnp.where(bins_BxM[:, measures.NAMES.index(name)] > 0, fault, 0.0) for name, fault in faults.items()
    )


def flutter_share(beats_BxWxL, rr_B, before: int, rate: float):
    """(B,) share of the power between QRS complexes that one wave of 220-350/min and its first harmonic explain, where
    beats come one RR interval (seconds) after the other; `data.flutter` measures it on whole ECGs."""
    phase = jnp.arange(_PHASES) / _PHASES
    read = beat_measures.read(beats_BxWxL, before, rate)
    qrs = (read["qrs_ms"] - read["qr_ms"]) / 1000 + FLUTTER_MARGIN_S, read["qr_ms"] / 1000 + FLUTTER_MARGIN_S
    return jax.vmap(lambda *one: _flutter(*one, phase, before, rate))(beats_BxWxL, rr_B, *qrs)


def _flutter(beat_WxL, rr, after, ahead, phase, before: int, rate: float):
    since = phase * rr
    place = before + rate * jnp.where(since < rr - jnp.minimum(before / rate, AHEAD * rr), since, since - rr)
    x = beat_form.at(beat_WxL, place)
    free = ((since > after) & (since < rr - ahead))[:, None]
    x = jnp.where(free, x - (free * x).sum(0) / jnp.maximum(free.sum(), 1), 0.0)

    def share(times):
        """Of a wave that one beat has so many of."""
        turn = 2 * np.pi * times * phase[:, None]
        waves = free * jnp.concatenate([f(k * turn) for k in (1, 2) for f in (jnp.sin, jnp.cos)], 1)
        seen = waves.T @ x
        fitted = _solve(waves.T @ waves + 1e-3 * jnp.eye(4), seen)
        return jnp.where(_is_flutter(60 * times / rr), (fitted * seen).sum(), 0.0)

    return jax.vmap(share)(jnp.arange(1.0, _WAVES)).max() / ((x**2).sum() + 1e-9)


def _solve(positive_NxN, y_NxL):
    """Gauss and Jordan, for few unknowns; why not `jnp.linalg`: see `beat_measures._main_direction`."""
    rows = jnp.concatenate([positive_NxN, y_NxL], 1)
    for i in range(len(positive_NxN)):
        row = rows[i] / rows[i, i]
        rows = (rows - rows[:, i, None] * row).at[i].set(row)
    return rows[:, len(positive_NxN) :]


def _is_flutter(rate):
    return (rate > FLUTTER_RATES[0] - 3) & (rate < FLUTTER_RATES[-1] + 3)


def other_faults(beats_BxWxL, usual_BxWxL, bins_BxM, allowed_BxMxK, before: int, rate: float):
    """(B,) how far beats of another kind are from the width asked for, and from being of another kind."""
    width = {"other_qrs_ms": beat_measures.read(beats_BxWxL, before, rate)["qrs_ms"]}
    reach = round(_SPAN_S * rate)
    like = _correlation(*(x[:, before - reach : before + reach] for x in (beats_BxWxL, usual_BxWxL)))
    outside, off = (_if_asked(x, bins_BxM) for x in _faults(width, bins_BxM, allowed_BxMxK))
    return outside + _INSIDE * off + _ALIKE_COST * jnp.maximum(like - _LIKE, 0)


def _away(bins_B, asked_B):
    """Bins between; as far as can be where one is there and the other is not."""
    lost = (bins_B == 0) != (asked_B == 0)
    return jnp.where(lost, _FAR, jnp.minimum(jnp.abs(bins_B - asked_B), _FAR))


def _correlation(x_BxWxL, y_BxWxL):
    x, y = (v - v.mean(1, keepdims=True) for v in (x_BxWxL, y_BxWxL))
    size = jnp.sqrt((x**2).sum((1, 2)) * (y**2).sum((1, 2)))
    return (x * y).sum((1, 2)) / (size + np.float32(1e-9))
