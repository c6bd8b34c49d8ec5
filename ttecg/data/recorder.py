"""What a recorder adds to the heart's signal: wander of the baseline, noise of muscles and mains, sharp edges of QRS.

Models see and write 0.5 to 40 Hz. Real recordings hold more, and any eye that is used to them sees the lack. A Recorder
knows, from recordings, how strong each band outside is in each lead (jointly Gaussian logarithms), how leads share it,
and how much of its edge a band-limited signal has lost; it draws another such recording around a made heart. Above the
band it tells what is there all the time from what comes with each QRS: its peaks are sharper than the band allows, the
more so the steeper they are.

Axes: T time at RATE, F frequencies, N bands, L the eight independent leads.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
from scipy import signal as sps

from ttecg.ecg import INDEPENDENT

RATE = 500.0
LOW = np.array([0, 0.15, 0.25, 0.35, 0.45])  # Hz, edges of the bands below the model's
HIGH = np.array([44, 46.5, 49, 51, 55, 60, 70, 80, 100, 130, 160, 200, 250.01])
GAINS = np.arange(14.0, 45.0, 2.0)  # Hz at which the edge is raised
_MOST = 3.0  # the largest such factor
_COMPONENTS = 24  # of the joint distribution of powers
_SNIPPET = 60  # samples around R in which a QRS is sharp
_APART = 6  # samples between two sharp points of a QRS
_SLOPES = (28.0, 40.0)  # Hz by which the steepness of a QRS is judged
_QUIET = 0.4  # this quantile of the power in half-second pieces is what is there all the time
_PIECE = 200


@dataclasses.dataclass(frozen=True)
class Recorder:
    """gain (len(GAINS),); correlation (N, L, L) of leads in each band, low ones first; mean (V,), axes (C, V), spread
    (C,) and rest (V,) of the logarithms of powers: low bands, high ones at all times, and high ones with QRS, the last
    over the power at 28-40 Hz that is written."""

    gain: np.ndarray
    correlation: np.ndarray
    mean: np.ndarray
    axes: np.ndarray
    spread: np.ndarray
    rest: np.ndarray

    def add(self, heart_TxL, peaks, rng: np.random.Generator, amount: float = 1.0) -> np.ndarray:
        """(T, L) mV of a heart's signal (T, L) at RATE with R peaks (samples), as a recorder might have seen it.
        amount: factor on the noise."""
        drawn = (self.spread * rng.normal(size=len(self.spread))) @ self.axes
        drawn = np.exp(self.mean + drawn + self.rest * rng.normal(size=len(self.rest))).reshape(
            -1, len(INDEPENDENT)
        )
        low, always, locked = np.split(drawn, [len(LOW) - 1, len(LOW) + len(HIGH) - 2])
        samples = len(heart_TxL)
        noise = self._noise(rng, samples, LOW, low) + self._noise(rng, samples, HIGH, always)
        noise += _sharp_peaks(heart_TxL, locked * _steepness(heart_TxL), peaks)
        return sharpened(heart_TxL, self.gain) + amount * noise

    def _noise(self, rng, samples: int, edges, power_NxL) -> np.ndarray:
        """(T, L) of random phases with so much power in each band."""
        band = np.digitize(np.fft.rfftfreq(samples, 1 / RATE), edges) - 1
        first = 0 if edges is LOW else len(LOW) - 1
        f = np.zeros((len(band), len(INDEPENDENT)), complex)
        for i, power_L in enumerate(power_NxL):
            root = np.linalg.cholesky(self.correlation[first + i] + 1e-6 * np.eye(len(power_L)))
            z = rng.normal(size=(2, (band == i).sum(), len(power_L))) @ root.T
            f[band == i] = (z[0] + 1j * z[1]) * np.sqrt(power_L * samples / 2)
        f[0] = 0
        return np.fft.irfft(f, n=samples, axis=0)


def _sharp_peaks(heart_TxL, power_NxL, peaks) -> np.ndarray:
    """(T, L): what makes the two sharpest points of each lead's usual QRS sharper, with the mean power over the record
    that is given in each band of HIGH."""
    half, samples, out = _SNIPPET // 2, len(heart_TxL), np.zeros_like(heart_TxL)
    whole = [p for p in np.round(peaks).astype(int) if half <= p < samples - half]
    if not whole:
        return out
    beat_WxL = np.median([heart_TxL[p - half : p + half] for p in whole], axis=0)
    bend_WxL = -np.diff(beat_WxL, 2, axis=0, prepend=beat_WxL[:1], append=beat_WxL[-1:])
    frequency = np.fft.rfftfreq(2 * _SNIPPET, 1 / RATE)
    band = np.clip(np.digitize(frequency, HIGH) - 1, 0, len(power_NxL) - 1)
    for lead, (bend_W, power_N) in enumerate(zip(bend_WxL.T, power_NxL.T)):
        size = np.where(frequency >= HIGH[0], np.sqrt(power_N[band]), 0.0)
        pulse = np.roll(np.fft.irfft(size), _SNIPPET)
        snippet = np.zeros(_SNIPPET)
        for place in _sharpest(bend_W):
            snippet += bend_W[place] * pulse[_SNIPPET - place : 2 * _SNIPPET - place]
        energy = power_N @ np.diff(HIGH) / (RATE / 2) * samples / len(whole)
        snippet *= np.sqrt(energy / ((snippet**2).sum() + 1e-12))
        for p in whole:
            out[p - half : p + half, lead] += snippet
    return out


def _sharpest(bend_W) -> list[int]:
    """The two places that bend most, some way apart."""
    first = int(np.abs(bend_W).argmax())
    far = np.abs(np.arange(len(bend_W)) - first) >= _APART
    return [first, int(np.where(far, np.abs(bend_W), -1.0).argmax())]


def _steepness(heart_TxL) -> np.ndarray:
    """(L,) mean power per frequency at 28-40 Hz."""
    return _powers(heart_TxL, np.array(_SLOPES))[0][0]


def fit(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Recorder:
    """From recordings, each as (recorded (T, L), the same as the model would write it (T, L)), mV at RATE.

    ValueError for fewer than eight."""
    gains, powers, shared = [], [], []
    for recorded, written in pairs:
        gains.append(_edge_loss(recorded, written))
        low, correlation_low = _powers(recorded, LOW)
        high, correlation_high = _powers(recorded, HIGH)
        always = high * _quiet_share(recorded)
        locked = (high - always) / _steepness(written)
        powers.append(np.log(np.concatenate([low, always, locked])).ravel())
        shared.append(np.concatenate([correlation_low, correlation_high]))
    if len(powers) < 8:
        raise ValueError(f"{len(powers)} recordings are too few to learn a recorder from; give at least 8")
    powers = np.array(powers)
    mean = powers.mean(0)
    u, s, axes = np.linalg.svd(powers - mean, full_matrices=False)
    axes, scores = axes[:_COMPONENTS], (u * s)[:, :_COMPONENTS]
    rest = (powers - mean - scores @ axes).std(0)
    gain = np.clip(np.exp(0.5 * np.median(gains, 0)), 1, _MOST)
    return Recorder(gain, np.mean(shared, 0), mean, axes, scores.std(0), rest)


def sharpened(x_TxL: np.ndarray, gain) -> np.ndarray:
    """The signal with its upper edge raised by `gain` at GAINS; nothing is left above."""
    pad = min(len(x_TxL) - 1, round(RATE))
    y = np.pad(x_TxL, ((pad, pad), (0, 0)), mode="reflect")
    frequency = np.fft.rfftfreq(len(y), 1 / RATE)
    factor = np.interp(frequency, GAINS, gain, left=1.0) / (1 + np.exp(frequency - HIGH[0]))
    return np.fft.irfft(np.fft.rfft(y, axis=0) * factor[:, None], n=len(y), axis=0)[pad : pad + len(x_TxL)]


def _edge_loss(recorded, written) -> np.ndarray:
    """(len(GAINS),) logarithm of the power of the recording over that of what is written, over all leads."""
    frequency, a = sps.welch(recorded, RATE, nperseg=500, axis=0)
    b = sps.welch(written, RATE, nperseg=500, axis=0)[1]
    near = np.abs(frequency[:, None] - GAINS) <= 1
    return np.array([np.log((a[m].sum() + 1e-12) / (b[m].sum() + 1e-12)) for m in near.T])


def _powers(x_TxL, edges) -> tuple[np.ndarray, np.ndarray]:
    """Mean power per frequency (N, L), over T; correlation of leads (N, L, L)."""
    f = np.fft.rfft(x_TxL, axis=0)
    band = np.digitize(np.fft.rfftfreq(len(x_TxL), 1 / RATE), edges) - 1
    f[0] = 0
    parts = [f[band == i] for i in range(len(edges) - 1)]
    power = np.array([(np.abs(p) ** 2).mean(0) for p in parts]) / len(x_TxL) + 1e-12
    scaled = [p / np.sqrt(q * len(x_TxL)) for p, q in zip(parts, power)]
    return power, np.array([(p.conj().T @ p).real / len(p) for p in scaled])


def _quiet_share(x_TxL) -> np.ndarray:
    """(N, L) of the power in each high band, how much is there all the time: 0.02 to 0.98."""
    frequency, _, power = sps.spectrogram(x_TxL.T, RATE, nperseg=_PIECE, noverlap=_PIECE // 2, detrend=False)
    quiet = np.quantile(power, _QUIET, axis=-1) / -np.log(1 - _QUIET)  # of an exponential distribution
    share = quiet / (power.mean(-1) + 1e-15)
    near = [
        np.abs(frequency - (a + b) / 2) <= max((b - a) / 2, RATE / _PIECE / 2) for a, b in zip(HIGH, HIGH[1:])
    ]
    return np.clip(np.array([share[:, m].mean(1) for m in near]), 0.02, 0.98)
