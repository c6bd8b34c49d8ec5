"""Noise on clean leads: wandering baseline, muscle, mains. Every draw comes from the generator that is handed in.

    noisy = corrupt(x_T, 500.0, rng, "muscle", snr=6.0)

Axes: T time (samples). Millivolts, or whatever unit the lead has.
"""

import numpy as np
from scipy import ndimage

from ttecg.ecg import bandpass, resample

KINDS = ("wander", "muscle", "mains")
RATE = 500.0  # noise for training is made here: mains do not fit under half of 100 Hz
_SNR_DB = {"wander": (-12.0, 15.0), "muscle": (3.0, 28.0), "mains": (0.0, 25.0)}  # in training


def noise(kind: str, samples: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """(samples,) of one kind of noise with a root mean square of 1. ValueError for another kind."""
    if kind not in KINDS:
        raise ValueError(f"noise is {', '.join(KINDS)}, got {kind!r}")
    x = {"wander": _wander, "muscle": _muscle, "mains": _mains}[kind](samples, rate, rng)
    return x / (np.sqrt(np.mean(x**2)) + 1e-12)


def corrupt(x_T, rate: float, rng: np.random.Generator, kind: str, snr: float) -> np.ndarray:
    """The lead with one kind of noise at a signal-to-noise ratio in dB (powers about the mean)."""
    size = np.std(x_T) * 10 ** (-snr / 20)
    return x_T + size * noise(kind, len(x_T), rate, rng)


def training_noise(
    samples: int, rate: float, band, rng: np.random.Generator, chance: float = 0.5
) -> np.ndarray:
    """(samples,) for a lead with a spread of 1: each kind with this chance, at a random signal-to-noise ratio, as it
    looks after resampling to `rate` and band-passing, as the model's input is."""
    fine = round(samples * RATE / rate)
    total, any_kind = np.zeros(fine), False
    for kind, (low, high) in _SNR_DB.items():
        if rng.random() < chance:
            total += 10 ** (-rng.uniform(low, high) / 20) * noise(kind, fine, RATE, rng)
            any_kind = True
    if not any_kind:
        return np.zeros(samples)
    return bandpass(resample(total[:, None], RATE, rate), rate, *band)[:samples, 0]


def _wander(samples, rate, rng):
    """Drift and breathing: sines below 0.7 Hz, the slower the larger, and here and there an electrode that moves."""
    t, hz = np.arange(samples) / rate, np.concatenate([rng.uniform(0.03, 0.7, 8), rng.uniform(0.15, 0.4, 1)])
    size = rng.normal(0, 1, 9) / (1 + (hz / 0.15) ** 1.3)
    drift = size @ np.sin(2 * np.pi * (hz[:, None] * t + rng.random((9, 1))))
    if rng.random() < 0.3:
        at, width = rng.uniform(0, t[-1] + 1 / rate), rng.uniform(0.1, 0.4)
        drift = drift + rng.normal(0, 1) * np.std(drift) * np.tanh((t - at) / width)
    return drift


def _muscle(samples, rate, rng):
    """White noise with little above 150 Hz that swells and fades."""
    white = rng.standard_normal(samples)
    if rate > 300:
        white = ndimage.gaussian_filter1d(white, rate / (2 * np.pi * 150))
    knots = np.exp(rng.normal(0, rng.uniform(0, 0.8), 10))
    return white * np.interp(np.linspace(0, 9, samples), np.arange(10), knots)


def _mains(samples, rate, rng):
    """50 or 60 Hz with a third harmonic where the sampling rate holds it, slowly changing in size."""
    t, hz = np.arange(samples) / rate, (60.0 if rng.random() < 0.3 else 50.0) + rng.normal(0, 0.05)
    swell = 1 + 0.3 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.3) * t + rng.random()))
    third = 0.15 * np.sin(2 * np.pi * (3 * hz * t + rng.random())) if 3 * hz < rate / 2 else 0.0
    return swell * (np.sin(2 * np.pi * (hz * t + rng.random())) + third)
