"""Plain numbers of an ECG that need no trained network: what a simple discriminator looks at, and its spectrum."""

import numpy as np
from scipy.signal import welch
from scipy.stats import kurtosis, skew

from ttecg.ecg import ECG, INDEPENDENT

RATE = 100.0
BANDS = ((0.5, 1), (1, 2), (2, 4), (4, 7), (7, 11), (11, 16), (16, 22), (22, 30), (30, 40))  # Hz


def spectrum(ecg: ECG) -> np.ndarray:
    """(leads x bands,) logarithm of the share of each lead's power in each band, so voltages do not matter."""
    return _spectrum(_seen(ecg))


def features(ecg: ECG) -> np.ndarray:
    """(F,) per lead: spread, skewness, kurtosis, largest and mean slope, height and depth over the spread, share of
    quiet time; correlations of leads; spectrum. Leads are divided by their spread, which is told as a logarithm."""
    x = _seen(ecg)
    spread = x.std(0) + 1e-6
    z = (x - x.mean(0)) / spread
    slope = np.abs(np.diff(z, axis=0))
    parts = [
        np.log(spread),
        skew(z, axis=0),
        np.log(np.clip(kurtosis(z, axis=0), 0, None) + 1),
        slope.max(0),
        slope.mean(0),
        np.percentile(z, 99, axis=0),
        np.percentile(z, 1, axis=0),
        (np.abs(z) < 0.2).mean(0),
        np.corrcoef(z.T + 0.0)[np.triu_indices(len(INDEPENDENT), 1)],
        _spectrum(x),
    ]
    return np.nan_to_num(np.concatenate(parts)).astype(np.float32)


def spectrum_distance(real_NxF, made_MxF) -> float:
    """Root mean squared difference of the sets' mean spectra, in decibels."""
    gap = np.asarray(real_NxF).mean(0) - np.asarray(made_MxF).mean(0)
    return float(np.sqrt((gap**2).mean()) * 10 / np.log(10))


def _seen(ecg: ECG) -> np.ndarray:
    x = ecg.select(INDEPENDENT).resample(RATE).bandpass(0.5, 45.0).signal
    return np.nan_to_num(x)


def _spectrum(x_TxL) -> np.ndarray:
    frequency, power = welch(x_TxL, RATE, nperseg=min(256, len(x_TxL)), axis=0)
    bands = np.stack([power[(frequency >= low) & (frequency < high)].sum(0) for low, high in BANDS])
    share = bands / (bands.sum(0) + 1e-12)
    return np.log(share + 1e-6).T.ravel().astype(np.float32)
