"""Beat plans: to tokens and back, and the phase of frames against a plain loop."""

import jax
import numpy as np
import pytest

from ttecg.models import beat_plan
from ttecg.models.beat_plan import BIN, BINS, END, PAD, SLOTS

CENTRES = (np.arange(312) + 0.5) * 0.032


def random_peaks(rng, count=None):
    """R-peak times (s) of up to 10 s, RR 0.25 to 2.9 s."""
    times = rng.uniform(0.0, 1.5) + np.cumsum(np.append(0, rng.uniform(0.25, rng.uniform(0.3, 2.9), 40)))
    return times[times < 10][: SLOTS - 1 if count is None else count]


@pytest.mark.parametrize("seed", range(20))
def test_tokens_give_the_peaks_back_within_half_a_bin(seed):
    peaks = random_peaks(np.random.default_rng(seed))
    tokens = beat_plan.encode(peaks)
    assert tokens.shape == (SLOTS,) and tokens.dtype == np.int32
    np.testing.assert_allclose(beat_plan.decode(tokens), peaks, atol=0.005 + 1e-9)
    assert (
        (tokens[: len(peaks)] < BINS).all()
        and tokens[len(peaks)] == END
        and (tokens[len(peaks) + 1 :] == PAD).all()
    )


def test_no_beat_is_a_plan_too():
    tokens = beat_plan.encode([])
    assert tokens[0] == END and (tokens[1:] == PAD).all() and len(beat_plan.decode(tokens)) == 0


def test_a_pause_too_long_is_shortened_and_beats_too_many_are_dropped():
    np.testing.assert_allclose(beat_plan.decode(beat_plan.encode([1.0, 6.0])), [1.0, 1.0 + BIN * (BINS - 1)])
    many = beat_plan.encode(np.arange(1, 60) * 0.2)
    assert many[-1] == END and (many[:-1] == 20).all()


def test_tokens_after_the_end_mean_nothing():
    tokens = beat_plan.encode([0.5, 1.5])
    tokens[4:] = 33
    np.testing.assert_allclose(beat_plan.decode(tokens), [0.5, 1.5])


def reference(peaks, t) -> dict:
    """The phase of one frame, by looking."""
    before, after = [p for p in peaks if p <= t], [p for p in peaks if p > t]
    around = after[0] - before[-1] if before and after else 0.0
    return {
        "since": t - before[-1] if before else 0.0,
        "until": after[0] - t if after else 0.0,
        "before": before[-1] - before[-2] if len(before) > 1 else 0.0,
        "around": around,
        "has_last": bool(before),
        "has_next": bool(after),
        "has_before": len(before) > 1,
    }


def test_phase_equals_a_plain_reference():
    rng = np.random.default_rng(0)
    plans = np.stack([beat_plan.encode(random_peaks(rng, c)) for c in (None, None, None, 0, 1, 2)])
    phase = jax.jit(lambda plans: vars(beat_plan.phase(plans, CENTRES)))(plans)
    for row, plan in enumerate(plans):
        peaks = beat_plan.decode(plan)
        wanted = [reference(peaks, t) for t in CENTRES]
        clear = [np.abs(peaks - t).min(initial=1) > 1e-4 for t in CENTRES]  # at a peak rounding decides
        for name in wanted[0]:
            got = np.asarray(phase[name][row])[clear]
            np.testing.assert_allclose(
                got, np.array([w[name] for w in wanted])[clear], atol=1e-4, err_msg=name
            )


def reference_echoes(peaks, t) -> list[list[float | None]]:
    """Times of the same place in earlier beats, latest first: counted from R, and up to R; None where there is none."""
    now = sum(p <= t for p in peaks) - 1  # the beat that holds t
    after, ahead = [], []
    for m in range(beat_plan.ECHOES):
        first, end = now - 1 - m, now - m
        place = peaks[first] + t - peaks[now] if first >= 0 else np.inf
        after.append(place if first >= 0 and place < peaks[end] else None)
        place = peaks[end] - (peaks[now + 1] - t) if end >= 0 and now + 1 < len(peaks) else -np.inf
        ahead.append(place if place > (peaks[end - 1] if end >= 1 else 0.0) else None)
    return [after, ahead]


def test_echoes_equal_a_plain_reference():
    rng = np.random.default_rng(1)
    plans = np.stack([beat_plan.encode(random_peaks(rng, c)) for c in (None, None, None, 0, 1, 2)])
    centres = CENTRES + 0.0023  # off the ticks of the plan, so that rounding decides nothing
    phase = jax.device_get(jax.jit(lambda plans: vars(beat_plan.phase(plans, centres)))(plans))
    for row, plan in enumerate(plans):
        peaks = list(beat_plan.decode(plan))
        for n, t in enumerate(centres):
            for way, times in enumerate(reference_echoes(peaks, t)):
                for m, time in enumerate(times):
                    assert phase["known"][row, n, way, m] == (time is not None), (row, t, way, m)
                    if time is not None:
                        assert abs(phase["echoes"][row, n, way, m] - time) < 1e-4
    assert phase["known"].shape == (6, 312, 2, beat_plan.ECHOES) and phase["known"][0].any()


@pytest.mark.parametrize("peaks, count", [([], 10), ([0.3], 10), ([0.3, 0.52, 0.9], 5), ([0.04, 0.05], 0)])
def test_early_frames_lie_before_the_second_peak(peaks, count):
    early = beat_plan.early_frames(beat_plan.encode(peaks), 10, 0.1)
    np.testing.assert_array_equal(early, np.arange(10) < count)


def test_features_are_finite_bounded_and_tell_frames_apart():
    plans = np.stack([beat_plan.encode(p) for p in ([], [4.0], np.arange(0.3, 10, 0.8))])
    x = np.asarray(jax.jit(lambda p: beat_plan.features(beat_plan.phase(p, CENTRES)))(plans))
    assert x.shape[:2] == (3, 312) and np.isfinite(x).all() and np.abs(x).max() <= 3
    assert not x[0].any()  # without beats nothing is known
    within = x[2][20:40]
    assert min(np.abs(a - b).max() for i, a in enumerate(within) for b in within[:i]) > 0.02
    same = np.abs(x[2][50] - x[2][75]).max()  # 25 frames of 32 ms are one beat of 0.8 s
    assert same < 1e-3
