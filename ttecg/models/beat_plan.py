"""The beat plan: when the ventricles beat, as tokens, and where each code frame stands in its beat.

A plan is R slots of RR intervals in bins of 10 ms. The first is the time from the start of the record to the first
R peak, each further one the time to the next peak, then END; the rest is padding.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

BIN = 0.010  # seconds
BINS = 300  # longest interval 2.99 s
END, PAD, START = BINS, BINS + 1, BINS + 2
VOCAB = BINS + 3
SLOTS = 40  # 10 s at 230 beats per minute, and END
ECHOES = 6  # earlier beats that a frame looks back to


def encode(peaks_s: np.ndarray) -> np.ndarray:
    """R-peak times in seconds, ascending, to (SLOTS,) int32 tokens. Peaks beyond the last slot are dropped.

    Times are rounded, not intervals, so no error adds up; a pause longer than the longest bin is shortened.
    """
    ticks = np.round(np.asarray(peaks_s, float) / BIN).astype(int)[: SLOTS - 1]
    intervals = np.diff(ticks, prepend=0).clip(0, BINS - 1)
    return np.concatenate([intervals, [END], np.full(SLOTS - 1 - len(intervals), PAD)]).astype(np.int32)


def decode(tokens: np.ndarray) -> np.ndarray:
    """(SLOTS,) tokens to R-peak times in seconds."""
    tokens = np.asarray(tokens)
    stop = np.flatnonzero(tokens >= END)
    return np.cumsum(tokens[: stop[0] if len(stop) else len(tokens)]) * BIN


def early_frames(tokens: np.ndarray, frames: int, frame_seconds: float) -> np.ndarray:
    """(frames,) bool: which frames lie before the second R peak, where there is no earlier beat to go by."""
    peaks = decode(tokens)
    return (np.arange(frames) + 0.5) * frame_seconds < (peaks[1] if len(peaks) > 1 else np.inf)


@dataclasses.dataclass(frozen=True)
class Phase:
    """Where frames stand in their beats; arrays (B, N), times in seconds, `has_*` say what is known.

    since: time since the last R peak; until: time to the next one; before: the RR interval that ended at the last
    peak; around: the RR interval that holds the frame. echoes (B, N, 2, M): the same place in earlier beats, as
    times in the record, the latest first: as long after their R peak, and as long before it; known says which lie
    within their own beat.
    """

    since: jnp.ndarray
    until: jnp.ndarray
    before: jnp.ndarray
    around: jnp.ndarray
    has_last: jnp.ndarray
    has_next: jnp.ndarray
    has_before: jnp.ndarray
    echoes: jnp.ndarray
    known: jnp.ndarray


def times(plan_BxR):
    """R-peak times in seconds of plans (B, R) of tokens, infinite past the last one."""
    real = jnp.cumprod(plan_BxR < END, axis=1).astype(bool)
    return jnp.where(real, jnp.cumsum(jnp.where(real, plan_BxR, 0), 1) * BIN, jnp.inf)


def phase(plan_BxR, centres_N) -> Phase:
    """The phase of frames with these centre times (seconds) under a plan (B, R) of tokens."""
    return phase_at(times(plan_BxR), centres_N)


def phase_at(times_BxR, centres_N) -> Phase:
    """The phase of frames with these centre times among R peaks (B, R), seconds, infinite past the last one."""
    times, real = times_BxR, jnp.isfinite(times_BxR)
    passed_BxN = jnp.sum(times[:, None, :] <= centres_N[None, :, None], -1)
    count = real.sum(1)[:, None]

    def peak(index):
        flat = jnp.clip(index, 0, times.shape[1] - 1).reshape(len(times), -1)
        return jnp.take_along_axis(jnp.where(real, times, 0.0), flat, axis=1).reshape(index.shape)

    last, nxt, older = peak(passed_BxN - 1), peak(passed_BxN), peak(passed_BxN - 2)
    has_last, has_next, has_before = passed_BxN >= 1, passed_BxN < count, passed_BxN >= 2
    since = jnp.where(has_last, centres_N - last, 0.0)
    until = jnp.where(has_next, nxt - centres_N, 0.0)
    earlier = passed_BxN[..., None] - 2 - np.arange(ECHOES)  # beats before the one that holds the frame
    after = peak(earlier) + since[..., None]
    after_known = has_last[..., None] & (earlier >= 0) & (after < peak(earlier + 1))
    ends = earlier + 1  # the R peaks that end those beats
    ahead = peak(ends) - until[..., None]
    start = jnp.where(ends >= 1, peak(ends - 1), 0.0)
    ahead_known = has_next[..., None] & (ends >= 0) & (ahead > start)
    return Phase(
        since=since,
        until=until,
        before=jnp.where(has_before, last - older, 0.0),
        around=jnp.where(has_last & has_next, nxt - last, 0.0),
        has_last=has_last,
        has_next=has_next,
        has_before=has_before,
        echoes=jnp.stack([after, ahead], axis=2),
        known=jnp.stack([after_known, ahead_known], axis=2),
    )


def features(p: Phase):
    """(B, N, F) smooth features: Fourier series of both times from 8 s down to 31 ms, and the two intervals."""
    frequencies = 2.0 ** np.arange(-3, 5.01, 0.5)

    def waves(t, known):
        angle = 2 * np.pi * t[..., None] * frequencies
        # fast components lose meaning away from the peak, where they would only add noise
        fade = jnp.exp(-0.5 * (t[..., None] * frequencies / 8) ** 2)
        return jnp.concatenate([jnp.sin(angle) * fade, jnp.cos(angle) * fade], -1) * known[..., None]

    flags = jnp.stack([p.has_last, p.has_next, p.has_before], -1).astype(jnp.float32)
    intervals = jnp.stack([p.before, p.around], -1)
    return jnp.concatenate([waves(p.since, p.has_last), waves(p.until, p.has_next), intervals, flags], -1)
