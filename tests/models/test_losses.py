"""The spectral loss equals a Hann-windowed FFT, and is zero for equal signals only."""

import jax
import numpy as np
import pytest

from ttecg.models import losses


@pytest.mark.parametrize("window, samples", [(16, 100), (32, 101), (64, 64)])
def test_magnitudes_are_those_of_an_fft(window, samples):
    x = np.random.default_rng(0).normal(size=(2, samples, 3)).astype(np.float32)
    starts = range(0, samples - window + 1, window // 4)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    wanted = np.stack([np.abs(np.fft.rfft(hann[:, None] * x[:, s : s + window], axis=1)) for s in starts], 1)
    got = jax.jit(losses.stft_magnitude, static_argnums=1)(x, window)
    np.testing.assert_allclose(got, wanted.swapaxes(2, 3) / np.sqrt(window), atol=2e-4)


def test_a_difference_at_any_place_counts_and_none_is_zero():
    x = np.random.default_rng(0).normal(size=(1, 256, 2)).astype(np.float32)
    loss = jax.jit(losses.multi_resolution_stft)
    assert loss(x, x) == 0
    slope = np.asarray(jax.jit(jax.grad(losses.multi_resolution_stft, 1))(x, 1.1 * x))
    assert np.isfinite(slope).all() and (slope[:, 1:] != 0).mean() > 0.99


def test_the_linear_stft_is_that_of_a_plain_fft():
    x, y = np.random.default_rng(1).normal(size=(2, 1, 72, 3)).astype(np.float32)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(32) / 32)

    def magnitudes(s):
        return [np.abs(np.fft.rfft(hann[:, None] * s[0, at : at + 32], axis=0)) for at in range(0, 41, 8)]

    wanted = np.abs(np.subtract(magnitudes(x), magnitudes(y))).mean()
    assert jax.jit(losses.linear_stft)(x, y) == pytest.approx(wanted, rel=1e-4)
    assert losses.linear_stft(x, x) == 0


def test_the_linear_stft_has_a_gradient_at_every_sample_that_was_made():
    x, y = np.random.default_rng(2).normal(size=(2, 2, 96, 8)).astype(np.float32)
    slope = np.asarray(jax.jit(jax.grad(losses.linear_stft, 1))(x, y))
    assert np.isfinite(slope).all() and (np.abs(slope[:, 1:]) > 1e-7).mean() > 0.99
    down = y - 0.01 * slope / np.abs(slope).max()
    assert losses.linear_stft(x, down) < losses.linear_stft(x, y)
