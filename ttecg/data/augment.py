"""Augmentations of the eight independent leads that leave an ECG an ECG.

Each takes x (T, 8) in mV, leads in the order of `ecg.INDEPENDENT`, and a NumPy generator.
"""

import numpy as np

from ttecg.ecg import DOWER

_INVERSE = np.linalg.pinv(DOWER)


def rotation(degrees_xyz) -> np.ndarray:
    """Rotation matrix about X, then Y, then Z."""
    m = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees_xyz)):
        c, s = np.cos(angle), np.sin(angle)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = c
        turn[i, j], turn[j, i] = -s, s
        m = turn @ m
    return m


def rotate_heart(x_T8: np.ndarray, degrees_xyz) -> np.ndarray:
    """Turns the dipole part of the signal (Dower there and back); what no dipole explains stays as it is."""
    dipole = x_T8 @ _INVERSE.T
    return x_T8 + dipole @ (rotation(degrees_xyz) - np.eye(3)).T @ DOWER.T


def random_rotation(x_T8: np.ndarray, rng: np.random.Generator, sd: float = 8.0) -> np.ndarray:
    """A small turn, standard deviation `sd` degrees about each axis: another chest, the same heart."""
    return rotate_heart(x_T8, rng.normal(0, sd, 3))


def random_gain(
    x_T8: np.ndarray, rng: np.random.Generator, low: float = 0.75, high: float = 1.33
) -> np.ndarray:
    """One factor for the whole record, log-uniform, and a few per cent on each chest lead; I and II share theirs,
    as one amplifier error would break no law of the limb leads."""
    per_lead = np.concatenate([np.ones(2), rng.uniform(0.93, 1.07, 6)])
    return x_T8 * np.exp(rng.uniform(np.log(low), np.log(high))) * per_lead


def random_crop(x_TL: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """`samples` consecutive samples; ValueError if the record is shorter."""
    if len(x_TL) < samples:
        raise ValueError(f"a record of {len(x_TL)} samples is shorter than the crop of {samples}")
    start = rng.integers(len(x_TL) - samples + 1)
    return x_TL[start : start + samples]


def random_time_scale(
    x_TL: np.ndarray, samples: int, rng: np.random.Generator, low: float = 0.85, high: float = 1.18
) -> np.ndarray:
    """`samples` of a record that runs faster or slower by a log-uniform factor, from a random place (linear
    interpolation). A record too short for the factor is run slower; ValueError where it is shorter than half."""
    factor = min(np.exp(rng.uniform(np.log(low), np.log(high))), (len(x_TL) - 1) / (samples - 1))
    if factor < 0.5:
        raise ValueError(f"a record of {len(x_TL)} samples is too short for examples of {samples}")
    place = rng.uniform(0, len(x_TL) - 1 - factor * (samples - 1)) + factor * np.arange(samples)
    low_index = np.minimum(place.astype(int), len(x_TL) - 2)
    part = (place - low_index)[:, None]
    return (1 - part) * x_TL[low_index] + part * x_TL[low_index + 1]


def retime(
    x_T8: np.ndarray,
    peaks: np.ndarray,
    rate: float,
    samples: int,
    rng: np.random.Generator,
    stretch: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The same beats at another rate: only the pause after T is stretched or shortened, QRS and T keep their width.

    The record is cut 250 ms before each R peak into beats (later where the heart is fast), the piece of each beat
    after 55 % of its length, and after the QRS, is resampled to make RR `stretch` times as long, beats are joined
    from a random one on (going round), and `samples` are returned from a random place in its first beat, with the
    new peaks. Joins are levelled, so no step appears. A record with fewer than four peaks comes back as it is, at
    the given length.
    """
    before = round(min(0.25 * rate, 0.45 * np.median(np.diff(peaks)))) if len(peaks) > 1 else 0
    cuts = [p - before for p in peaks if p - before >= 0]
    if len(cuts) < 4:
        return x_T8[:samples], peaks[peaks < samples]
    beats = [_stretch(x_T8[a:b], stretch, before + round(0.1 * rate)) for a, b in zip(cuts[:-1], cuts[1:])]
    first, pieces, found, length, number = int(rng.integers(len(beats))), [], [], 0, 0
    offset = int(rng.integers(len(beats[first])))
    while length < offset + samples:
        beat = beats[(first + number) % len(beats)]
        found.append(length + before)
        pieces.append(_level(beat, pieces[-1][-1] if pieces else beat[0], round(0.08 * rate)))
        length, number = length + len(beat), number + 1
    joined, found = np.concatenate(pieces)[offset : offset + samples], np.array(found) - offset
    return joined, found[(found >= 0) & (found < samples)]


def _stretch(beat: np.ndarray, factor: float, qrs_end: int) -> np.ndarray:
    """Stretches the part after QRS and 55 % of the beat so that the whole becomes `factor` times as long (at least
    60 % of the part stays). A beat with nothing after its QRS stays as it is."""
    keep = max(round(0.55 * len(beat)), qrs_end)
    rest = len(beat) - keep
    if rest < 4:
        return beat
    wanted = max(round(len(beat) * factor) - keep, round(0.6 * rest), 2)
    place = np.linspace(0, rest - 1, wanted)
    low = np.minimum(place.astype(int), rest - 2)
    part = place - low
    tail = beat[keep:]
    return np.concatenate([beat[:keep], (1 - part)[:, None] * tail[low] + part[:, None] * tail[low + 1]])


def _level(beat: np.ndarray, start: np.ndarray, samples: int) -> np.ndarray:
    """Fades the difference between the last join and this beat's first sample out over `samples`."""
    fade = np.zeros(len(beat))
    n = min(samples, len(beat))
    fade[:n] = 0.5 + 0.5 * np.cos(np.pi * np.arange(n) / n)
    return beat + fade[:, None] * (start - beat[0])
