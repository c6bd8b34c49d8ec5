"""What is measured on one usual beat, in JAX, so that a sampler can tell what it has drawn.

Heights count from the level at the onset of QRS, whose bounds are those of `data.beats`. Axes: W sample of the beat, F
sample at `data.beats.FINE`, L lead (the eight independent ones; twelve after `to_twelve`).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from ttecg.data.beats import EDGE, FINE, LEAST_SPEED, MIN_WAVE_MV, STILL
from ttecg.ecg import LEADS, to_twelve
from ttecg.models.beat_form import P_AT, P_WIDTH
from ttecg.models.layout import lay_out

# of a Q wave; a little more than is asked for, since a reader measures the ECG and not its usual beat
_Q_MV, _Q_S, _Q_OF_R, _R_MV = 0.12, 0.034, 0.25, 0.02
_ST_S, _T_FROM_S, _T_TO_S = 0.06, 0.08, 0.36  # after the end of QRS
_FOLLOWING = 4.0  # beats that are laid out after one, to measure it among its like; at 220/min


def read(beats_NxWxL, before: int, rate: float) -> dict[str, jax.Array]:
    """Numbers (N,) of `models.measures` by name; p_ii_mv only holds for beats in the form of `beat_form`."""
    return jax.vmap(lambda beat: _read(beat, before, rate))(beats_NxWxL)


def _read(beat_WxL, before: int, rate: float) -> dict:
    x_FxL, onset, offset = _fine(beat_WxL, before, rate)
    centre = round(before * FINE / rate)
    f = jnp.arange(len(x_FxL))
    lead = dict(zip(LEADS, to_twelve(x_FxL - x_FxL[onset]).T))
    inside, count = (f >= onset) & (f <= offset), offset - onset + 1
    last = inside & (f > offset - jnp.maximum(1, count // 3))
    ends = offset + round(_ST_S * FINE)
    t_wave = (f >= offset + round(_T_FROM_S * FINE)) & (f < offset + round(_T_TO_S * FINE))

    def top(name):
        return jnp.maximum(jnp.where(inside, lead[name], 0.0).max(), 0.0)

    def depth(name):
        return jnp.maximum(jnp.where(inside, -lead[name], 0.0).max(), 0.0)

    def late(name):
        return (last * lead[name]).sum() / last.sum()

    def area(name):
        return (inside * lead[name]).sum() * 1000 / FINE

    def st(*names):
        return sum(lead[n][jnp.minimum(ends, len(f) - 1)] for n in names) / len(names)

    def largest(name):
        return lead[name][jnp.where(t_wave, jnp.abs(lead[name]), -1.0).argmax()]

    def q_waves(*names):
        return sum(has_q(lead[n], onset, offset) for n in names).astype(jnp.float32)

    return {
        "qr_ms": (centre - onset) * 1000 / FINE,
        "qrs_ms": (offset - onset) * 1000 / FINE,
        "axis_deg": _axis(lead["I"], lead["II"], onset, offset, inside),
        "p_ii_mv": _p_height(lead["II"], centre),
        "sokolow_mv": depth("V1") + jnp.maximum(top("V5"), top("V6")),
        "r_avl_mv": top("aVL"),
        "s_v3_mv": depth("V3"),
        "r_v1_mv": top("V1"),
        "late_v1_mv": late("V1"),
        "late_left_mv": jnp.minimum(late("I"), late("V6")),
        "area_v1": area("V1"),
        "area_i": area("I"),
        "area_left": jnp.maximum(area("V5"), area("V6")),
        "q_inferior": q_waves("II", "III", "aVF"),
        "q_anterior": q_waves("V1", "V2", "V3", "V4"),
        "st_inferior_mv": st("II", "III", "aVF"),
        "st_anterior_mv": st("V2", "V3", "V4"),
        "st_lateral_mv": st("I", "aVL", "V5", "V6"),
        "t_ii_mv": largest("II"),
        "t_v2_mv": largest("V2"),
        "t_v5_mv": largest("V5"),
    }


def intervals(beats_NxWxL, rr_N, before: int, rate: float) -> dict[str, jax.Array]:
    """pr_ms and qt_ms (N,) of beats that come one RR interval (seconds) after the other, as `data.beats` measures them;
    NaN where no P or T wave stands out. Whether beats agree on a P wave cannot be told of one."""
    return jax.vmap(lambda beat, rr: _intervals(beat, rr, before, rate))(beats_NxWxL, rr_N)


def _intervals(beat_WxL, rr, before: int, rate: float) -> dict:
    peaks = before / rate + rr * jnp.arange(-1.0, _FOLLOWING)
    laid_WxL = lay_out(beat_WxL[None], peaks, jnp.zeros(len(peaks), int), len(beat_WxL), rate, before)
    x_FxL, onset, offset = _fine(laid_WxL, before, rate)
    t_end = _t_end(x_FxL, onset, offset, rr)
    p_onset = _p_onset(x_FxL, onset, t_end, rr)
    return {"pr_ms": (onset - p_onset) * 1000 / FINE, "qt_ms": (t_end - onset) * 1000 / FINE}


def _t_end(x_FxL, onset, offset, rr):
    """The sample where the tangent at the steepest descent of T meets what follows, NaN without T."""
    f = jnp.arange(len(x_FxL))
    begins = offset + round(0.06 * FINE)
    ends = jnp.minimum(len(f), onset + jnp.round(jnp.minimum(0.68, 0.75 * rr) * FINE))
    inside = (f >= begins) & (f < ends)
    part_FxL = _smooth(x_FxL, 0.012)
    mean = (inside[:, None] * part_FxL).sum(0) / jnp.maximum(inside.sum(), 1)
    about_FxL = inside[:, None] * (part_FxL - mean)
    wave_F = (part_FxL - part_FxL[onset]) @ _main_direction(about_FxL.T @ about_FxL)
    reached_F = jnp.where(inside, wave_F, 0.0)
    wave_F = wave_F * jnp.where(reached_F.max() > -reached_F.min(), 1.0, -1.0)
    last_peak = onset + jnp.round(jnp.minimum(0.52, 0.12 + 0.42 * rr) * FINE)  # beyond it is the next P wave
    here, later = inside & (f < jnp.maximum(begins + 1, last_peak)), begins + round(EDGE * FINE)
    top = jnp.where(here, wave_F, -jnp.inf).argmax()
    rises, falls = wave_F > jnp.roll(wave_F, 1), wave_F >= jnp.roll(wave_F, -1)
    peaks = here & (f >= later) & (f + 1 < last_peak) & rises & falls
    after = jnp.where(peaks, wave_F, -jnp.inf).argmax()
    top = jnp.where((top < later) & peaks.any(), after, top)  # an ST segment that falls is no T wave
    slope_F = jnp.gradient(wave_F)
    falls = inside & (f >= top) & (f < top + round(0.16 * FINE))
    steepest = jnp.where(falls, slope_F, jnp.inf).argmin()
    level = jnp.nanmedian(jnp.where(inside & (f >= steepest), wave_F, jnp.nan))
    end = steepest + (level - wave_F[steepest]) / jnp.minimum(slope_F[steepest], -1e-9)
    seen = (wave_F[top] >= MIN_WAVE_MV) & (top < ends - round(EDGE * FINE)) & (slope_F[steepest] < 0)
    return jnp.where(seen & (ends - begins >= round(0.1 * FINE)), end, jnp.nan)


def _main_direction(cov_LxL):
    """(L,) the eigenvector of the greatest eigenvalue. Not of `jnp.linalg`: two LAPACK calls of one program wait for
    each other without end on a CPU of two cores (jaxlib 0.10)."""
    power = cov_LxL
    for _ in range(10):
        power = power / (jnp.trace(power) + 1e-30)
        power = power @ power
    longest = power[:, jnp.diag(power).argmax()]
    return longest / (jnp.linalg.norm(longest) + 1e-30)


def _p_onset(x_FxL, onset, t_end, rr):
    """The sample from which the greatest hump between T and QRS rises, NaN without P."""
    f = jnp.arange(len(x_FxL))
    free = onset - jnp.minimum(0.32, 0.45 * rr) * FINE
    start = jnp.round(jnp.nanmax(jnp.stack([free, t_end - rr * FINE, 0.0 * rr]))).astype(jnp.int32)
    stop = onset - round(0.02 * FINE)
    smooth_FxL = _smooth(x_FxL, 0.008)
    share_F = ((f - start) / jnp.maximum(onset - start, 1))[:, None]
    line_FxL = smooth_FxL[start] * (1 - share_F) + smooth_FxL[onset] * share_F
    hump_F = jnp.sqrt(((smooth_FxL - line_FxL) ** 2).sum(1))
    top = jnp.where((f >= start) & (f < stop), hump_F, -1.0).argmax()
    speed_F = jnp.sqrt((_smooth(x_FxL, 0.010, 1) ** 2).sum(1))
    rises = (f >= jnp.maximum(start, top - round(0.07 * FINE))) & (f < top)
    steepest = jnp.where(rises, speed_F, -1.0).argmax()
    begins = jnp.maximum(start, _rest(speed_F, steepest, -1, 0.08, 0.25 * speed_F[steepest]))
    seen = (hump_F[top] >= MIN_WAVE_MV) & (top > start) & (top < stop - 1)
    return jnp.where(seen & (stop - start >= round(0.06 * FINE)), begins, jnp.nan)


def _smooth(x_FxL, sigma: float, order: int = 0):
    """(F, L) smoothed over sigma seconds; of order 1 its slope there in mV/s."""
    return _smoother(len(x_FxL), sigma, order) @ x_FxL


@functools.lru_cache(maxsize=8)
def _smoother(count: int, sigma: float, order: int) -> np.ndarray:
    found = ndimage.gaussian_filter1d(np.eye(count), sigma * FINE, axis=0, order=order, mode="nearest")
    return (found * FINE**order).astype(np.float32)


def _fine(beat_WxL, before: int, rate: float):
    """A beat (F, L) at FINE, onset and offset of its QRS there."""
    fine, slope = _readers(len(beat_WxL), rate)
    speed_F = jnp.sqrt(((slope @ beat_WxL) ** 2).sum(1))
    return fine @ beat_WxL, *bounds(speed_F, round(before * FINE / rate))


@functools.lru_cache(maxsize=4)
def _readers(samples: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """(F, W) matrices that take a beat to FINE, and to its slope there in mV/s, smoothed over 6 ms."""
    step = rate / FINE
    places = np.arange(round((samples - 1) / step) + 1) * step
    fine = np.stack([np.interp(places, np.arange(samples), one) for one in np.eye(samples)], 1)
    slope = ndimage.gaussian_filter1d(fine, 0.006 * FINE, axis=0, order=1, mode="nearest") * FINE
    return fine.astype(np.float32), slope.astype(np.float32)


def bounds(speed_F, centre: int):
    """Samples at which QRS begins and ends, as `data.beats.qrs_bounds` finds them."""
    near = round(0.08 * FINE)
    top = centre - near + speed_F[centre - near : centre + near].argmax()
    limit = jnp.maximum(STILL * speed_F[top], LEAST_SPEED)
    return _rest(speed_F, top, -1, 0.13, limit), _rest(speed_F, top, 1, 0.16, limit)


def _rest(speed_F, start, step: int, reach: float, limit):
    path = start + step * jnp.arange(1, round(reach * FINE) + 1)
    there = (path >= 0) & (path < len(speed_F))
    speed = jnp.where(there, speed_F[jnp.clip(path, 0, len(speed_F) - 1)], jnp.inf)
    hold = round(0.016 * FINE)
    runs = len(path) - hold + 1
    slow = jnp.stack([speed[k : k + runs] < limit for k in range(hold)]).all(0)
    return path[jnp.where(slow.any(), slow.argmax(), speed.argmin())]


def _axis(i_F, ii_F, onset, offset, inside):
    """Degrees, from the net areas in I and aVF above the line that joins onset and offset."""
    share = jnp.clip((jnp.arange(len(i_F)) - onset) / jnp.maximum(offset - onset, 1), 0, 1)
    i, ii = ((inside * (x - x[offset] * share)).sum() for x in (i_F, ii_F))
    return jnp.degrees(jnp.arctan2((2 * ii - i) / np.sqrt(3), i))


def _p_height(ii_F, centre: int):
    """Mean height of P in II above the line between where it begins and the onset of QRS, which is zero."""
    begins, count = centre - round(P_AT * FINE), round(P_WIDTH * FINE)
    wave = ii_F[begins : begins + count]
    return (wave - wave[0] * (1 - jnp.arange(count) / (2 * count))).mean()


def has_q(x_F, onset, offset):
    """Whether a QRS (mV above its onset) begins with a wave down of at least 0.12 mV and 34 ms that is a quarter of the
    R wave or more; a QRS without R counts."""
    f = jnp.arange(len(x_F))
    inside = (f >= onset) & (f <= offset)
    top = jnp.where(inside, x_F, -jnp.inf).argmax()
    early = inside & ((f <= top) | (x_F[top] <= 0.05))
    bottom = jnp.where(early, x_F, jnp.inf).argmin()
    deep, first = -x_F[bottom], early & (f <= bottom)
    wide = (early & (x_F < -0.02)).sum() >= _Q_S * FINE
    return (
        (deep >= _Q_MV)
        & (deep >= _Q_OF_R * jnp.maximum(x_F[top], 0))
        & (jnp.where(first, x_F, -jnp.inf).max() < _R_MV)
        & wide
    )
