"""What the recording adds: breathing, drifting electrodes, muscle, mains; and atria that never rest.

Noise starts at the nine electrodes (RA, LA, LL, C1-C6), so it is shared between leads as in a real recording.
"""

import functools

import numpy as np

# electrodes RA, LA, LL, C1..C6 (columns) to the eight independent leads (rows)
ELECTRODES_TO_EIGHT = np.zeros((8, 9))
ELECTRODES_TO_EIGHT[0, :2] = (-1, 1)
ELECTRODES_TO_EIGHT[1, [0, 2]] = (-1, 1)
ELECTRODES_TO_EIGHT[2:, :3] = -1 / 3
ELECTRODES_TO_EIGHT[2:, 3:] = np.eye(6)

_DRIFT_HZ = np.array([0.03, 0.06, 0.1, 0.15, 0.22, 0.31, 0.43, 0.6])


@functools.lru_cache(maxsize=8)
def _drift_basis(samples: int, rate: float) -> np.ndarray:
    """(16, samples) sines and cosines of slow frequencies."""
    phase = 2 * np.pi * _DRIFT_HZ[:, None] * np.arange(samples) / rate
    return np.concatenate([np.sin(phase), np.cos(phase)])


def recording_noise(rng: np.random.Generator, samples: int, rate: float, breath_hz: float) -> np.ndarray:
    """(samples, 8) mV: wander, breathing, muscle, mains of one recording, from clean to restless."""
    t = np.arange(samples) / rate
    breathing = np.sin(2 * np.pi * (breath_hz * t + rng.random()))
    rows = [_drift_basis(samples, rate), breathing[None]]
    sizes = [_drift(rng), rng.normal(0, 0.02, (9, 1))]
    if rng.random() < 0.33:  # mains
        hz = 60 if rng.random() < 0.3 else 50
        rows.append(np.sin(2 * np.pi * (hz * t + rng.random()))[None])
        sizes.append(0.006 * np.exp(rng.normal(0, 0.7)) * rng.normal(0, 1, (9, 1)))
    slow = (ELECTRODES_TO_EIGHT @ np.concatenate(sizes, axis=1)) @ np.concatenate(rows)
    return (slow + ELECTRODES_TO_EIGHT.astype(np.float32) @ _muscle(rng, samples)).T


def _drift(rng) -> np.ndarray:
    """(9, 16) mV per slow frequency and electrode; the chest moves more than the limbs."""
    fall = np.tile(1 / (1 + (_DRIFT_HZ / 0.12) ** 1.3), 2)
    size = 0.025 * np.exp(rng.normal(0, 0.7)) * np.exp(rng.normal(0, 0.4, (9, 1)))
    size[:3] *= 0.6
    return rng.normal(0, 1, (9, 16)) * fall * size


def _muscle(rng, samples) -> np.ndarray:
    """(9, samples) low-passed white noise, single precision; restless electrodes swell and fade."""
    white = rng.standard_normal((9, samples + 1), np.float32)
    size = 0.004 * np.exp(rng.normal(0, 0.55)) * np.exp(rng.normal(0, 0.45, (9, 1)))
    size[3:] *= 0.8
    noise = white[:, 1:] + white[:, :-1]  # recorders pass little above 150 Hz
    noise *= size.astype(np.float32)
    if rng.random() < 0.25:
        knots = np.exp(rng.normal(0, 0.7, 12))
        noise *= np.interp(np.linspace(0, 11, samples), np.arange(12), knots).astype(np.float32)
    return noise


def fibrillation(rng: np.random.Generator, samples: int, rate: float, torso: np.ndarray) -> np.ndarray:
    """(samples, 8) mV fibrillatory waves: wandering between 4 and 9 Hz, each part from its own side."""
    t = np.arange(samples) / rate
    centre = rng.uniform(5.0, 7.4)
    hz = np.clip(
        centre + np.array([-0.9, -0.3, 0.35, 1.0]) * rng.uniform(0.5, 1.2) + rng.normal(0, 0.15, 4), 4.0, 8.8
    )
    wobble = rng.uniform(0.1, 0.35, (4, 1)) * np.sin(
        2 * np.pi * (rng.uniform(0.2, 0.7, (4, 1)) * t + rng.random((4, 1)))
    )
    phase = 2 * np.pi * (hz[:, None] * t + wobble + rng.random((4, 1)))
    waves = np.concatenate([np.sin(phase), np.cos(phase), 0.3 * np.sin(2 * phase + 1)])  # (12, T)
    size = 0.012 * np.exp(rng.normal(0, 0.6))
    lead = rng.normal(0, size * np.array([0.7, 1.0, 0.9]), (12, 3)) @ torso.T  # (12, 8)
    lead[:, 2] += rng.normal(0, 1.0 * size, 12)  # V1 lies over the right atrium
    lead[:, 3] += 0.4 * rng.normal(0, size, 12)
    return waves.T @ lead


def flutter(rng, samples: int, rate: float, torso: np.ndarray, hz: float, phase: float) -> np.ndarray:
    """(samples, 8) mV sawtooth at hz, phase cycles at time 0: slow down and fast up in II, upright in V1."""
    turn = 2 * np.pi * (hz * np.arange(samples) / rate + phase)
    skew = rng.uniform(0.2, 0.5)
    turn = turn + skew * np.sin(turn)
    saw = -(
        np.sin(turn) + rng.uniform(0.25, 0.5) * np.sin(2 * turn) + rng.uniform(0.0, 0.2) * np.sin(3 * turn)
    )
    side = np.sin(turn + rng.uniform(0.6, 2.0))
    size = 0.10 * np.exp(rng.normal(0, 0.35))
    main = torso @ (size * np.array([0.0, 1.0, 0.15]) + rng.normal(0, 0.12 * size, 3))
    other = torso @ rng.normal(0, 0.3 * size, 3)
    main[2] -= size * rng.uniform(0.5, 1.1)
    main[3] -= size * rng.uniform(0.1, 0.5)
    return np.outer(saw, main) + np.outer(side, other)
