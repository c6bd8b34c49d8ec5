"""Losses on waveforms."""

import jax.numpy as jnp
import numpy as np

WINDOWS = (
    16,
    32,
    64,
    128,
)  # samples: 64 to 512 ms at 250 Hz, from the width of a QRS to that of a whole beat


def stft_magnitude(x_BxTxL, window: int):
    """Magnitudes (B, F, L, window/2 + 1) of a Hann-windowed STFT with a hop of a quarter window, as matrix products."""
    hop = window // 4
    batch, samples, leads = x_BxTxL.shape
    count = (samples - window) // hop + 1
    hops = x_BxTxL[:, : (count + 3) * hop].reshape(batch, count + 3, hop, leads)
    frames = jnp.concatenate([hops[:, i : i + count] for i in range(4)], axis=2).swapaxes(
        2, 3
    )  # (B, F, L, window)
    n, f = np.arange(window), np.arange(window // 2 + 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / window)
    angle = 2 * np.pi * np.outer(n, f) / window
    real, imag = (
        jnp.asarray(hann[:, None] * g(angle) / np.sqrt(window), x_BxTxL.dtype) for g in (np.cos, np.sin)
    )
    return jnp.sqrt((frames @ real) ** 2 + (frames @ imag) ** 2 + 1e-8)


def multi_resolution_stft(x_BxTxL, y_BxTxL, windows=WINDOWS):
    """Mean absolute difference of STFT magnitudes over several window lengths (after Yamamoto et al. 2020)."""
    terms = [jnp.abs(stft_magnitude(x_BxTxL, w) - stft_magnitude(y_BxTxL, w)).mean() for w in windows]
    return sum(terms) / len(terms)


def linear_stft(x_BxTxL, y_BxTxL, window: int = 32):
    """Mean absolute difference of the magnitudes of a plain Hann-windowed FFT of 32 samples, with a hop of 8: the
    spectral loss of Auto-TTE (arXiv 2303.09395, section 2.3), whose gradient its released code loses."""
    gap = stft_magnitude(x_BxTxL, window) - stft_magnitude(y_BxTxL, window)
    return window**0.5 * jnp.abs(gap).mean()
