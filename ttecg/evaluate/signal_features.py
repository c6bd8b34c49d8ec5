"""Plain numbers of an ECG that need no trained network: what a simple discriminator looks at, and its spectrum.

Most are taken between 0.5 and 45 Hz, where the heart is. What lies outside, the wander of the baseline and the noise of
muscles and mains, has columns of its own, the last ones: models that are trained on filtered signals write none of it,
and one such column then tells made from recorded ECGs, as it would any classifier that is trained on both. A
discriminator that is to judge the rest leaves them out (`features[WITHIN]`).
"""

import numpy as np
from scipy.signal import welch

from ttecg.ecg import ECG, INDEPENDENT
from ttecg.evaluate.intervals import measured
from ttecg.evaluate.physics import beat_constancy

RATE = 100.0
SEEN = (0.5, 45.0)  # Hz
WITHIN = slice(None, -2 * len(INDEPENDENT))  # the features of this band
BANDS = ((0.5, 1), (1, 2), (2, 4), (4, 7), (7, 11), (11, 16), (16, 22), (22, 30), (30, 40))  # Hz


def spectrum(ecg: ECG) -> np.ndarray:
    """(leads x bands,) natural logarithm of the share of each lead's power in each band, so voltages do not matter."""
    return _spectrum(_seen(ecg))


def features(ecg: ECG) -> np.ndarray:
    """(F,) float32, the values of `named`."""
    return np.array(list(named(ecg).values()), np.float32)


def named(ecg: ECG) -> dict[str, float]:
    """Features by name, in a fixed order. Per lead, divided by its spread, which is told as a logarithm: skewness,
    kurtosis, slopes, height and depth, share of quiet time, spectrum; correlations of leads; heart rate, variation of
    RR, QRS width, constancy of beats (0 where they cannot be measured); last, per lead, the logarithm of the power of
    wander and of noise over that in between."""
    x = _seen(ecg)
    spread = x.std(0) + 1e-6
    z = (x - x.mean(0)) / spread
    found = _by_lead(_shapes(z, spread))
    correlation = z.T @ z / len(z)
    pairs = zip(*np.triu_indices(len(INDEPENDENT), 1))
    found |= {f"{INDEPENDENT[i]} with {INDEPENDENT[j]}": correlation[i, j] for i, j in pairs}
    found |= _by_lead(
        {f"{a:g}-{b:g} Hz": s for (a, b), s in zip(BANDS, _spectrum(x).reshape(-1, len(BANDS)).T)}
    )
    found |= _beats(ecg) | _by_lead(_outside(ecg))
    return {name: float(np.nan_to_num(value)) for name, value in found.items()}


def _by_lead(values: dict[str, np.ndarray]) -> dict[str, float]:
    return {f"{what} {lead}": v for what, x_L in values.items() for lead, v in zip(INDEPENDENT, x_L)}


def _shapes(z_TxL, spread_L) -> dict[str, np.ndarray]:
    slope = np.abs(np.diff(z_TxL, axis=0))
    moving = z_TxL.any(0)  # moments of a flat lead are 0, not a warning
    third, fourth = (np.where(moving, (z_TxL**n).mean(0), 0.0) for n in (3, 4))
    return {
        "log spread": np.log(spread_L),
        "skewness": third,
        "log kurtosis": np.log(np.clip(fourth - 3, 0, None) + 1),
        "steepest": slope.max(0),
        "mean slope": slope.mean(0),
        "height": np.percentile(z_TxL, 99, axis=0),
        "depth": np.percentile(z_TxL, 1, axis=0),
        "quiet": (np.abs(z_TxL) < 0.2).mean(0),
    }


def _beats(ecg: ECG) -> dict[str, float]:
    seen = measured(ecg)
    return {
        "heart rate": seen.heart_rate,
        "RR variation": seen.rr_cv,
        "QRS width": seen.qrs_ms,
        "constancy": beat_constancy(ecg),
    }


def _outside(ecg: ECG) -> dict[str, np.ndarray]:
    """Below and above what `_seen` lets through, at the recording's own rate; at 90 per second or less there is no
    above."""
    x = np.nan_to_num(ecg.select(INDEPENDENT).signal)
    frequency, power = welch(x, ecg.rate, nperseg=min(round(4 * ecg.rate), len(x)), axis=0)
    below, above = frequency < SEEN[0], frequency > SEEN[1]
    within = power[~below & ~above].sum(0) + 1e-12
    return {
        "wander": np.log(power[below].sum(0) / within + 1e-8),
        "noise": np.log(power[above].sum(0) / within + 1e-8),
    }


def spectrum_distance(real_NxF, made_MxF) -> float:
    """Root mean squared difference of the sets' mean spectra, in decibels."""
    gap = np.asarray(real_NxF).mean(0) - np.asarray(made_MxF).mean(0)
    return float(np.sqrt((gap**2).mean()) * 10 / np.log(10))


def _seen(ecg: ECG) -> np.ndarray:
    x = ecg.select(INDEPENDENT).resample(RATE).bandpass(*SEEN).signal
    return np.nan_to_num(x)


def _spectrum(x_TxL) -> np.ndarray:
    frequency, power = welch(x_TxL, RATE, nperseg=min(256, len(x_TxL)), axis=0)
    bands = np.stack([power[(frequency >= low) & (frequency < high)].sum(0) for low, high in BANDS])
    share = bands / (bands.sum(0) + 1e-12)
    return np.log(share + 1e-6).T.ravel().astype(np.float32)
