"""How well one ECG agrees with another: the numbers that papers on ECG compression and reconstruction quote.

x is the original, y the reconstruction, both (T, L) in mV with the same leads and rate.
"""

import numpy as np

P_WINDOW = (-0.240, -0.060)  # seconds around the R peak in which a P wave lies
QRS_WINDOW = (-0.060, 0.060)


def pearson(x_TL, y_TL) -> np.ndarray:
    """Correlation of each lead, (L,); 0 where either lead is constant."""
    a, b = x_TL - x_TL.mean(0), y_TL - y_TL.mean(0)
    scale = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.where(scale > 0, (a * b).sum(0) / np.where(scale > 0, scale, 1), 0.0)


def rmse(x_TL, y_TL) -> float:
    """Root of the mean squared error over time and leads, mV."""
    return float(np.sqrt(np.mean((x_TL - y_TL) ** 2)))


def prd(x_TL, y_TL) -> float:
    """Percentage root-mean-square difference over all leads: 100 |x - y| / |x - mean of x|."""
    return float(100 * np.sqrt(((x_TL - y_TL) ** 2).sum() / ((x_TL - x_TL.mean(0)) ** 2).sum()))


def windows(x_TL, peaks, rate: float, window: tuple[float, float]) -> np.ndarray:
    """The parts of a signal around R peaks, (beats, samples, L); beats whose window leaves the record are left out."""
    a, b = round(window[0] * rate), round(window[1] * rate)
    whole = [p for p in peaks if p + a >= 0 and p + b <= len(x_TL)]
    return np.stack([x_TL[p + a : p + b] for p in whole]) if whole else np.zeros((0, b - a, x_TL.shape[1]))


def p_wave_correlation(x_TL, y_TL, peaks, rate: float) -> float:
    """Mean over leads of the correlation within all beats' P windows, each window's mean removed; nan without beats."""
    x, y = (windows(s, peaks, rate, P_WINDOW) for s in (x_TL, y_TL))
    if not len(x):
        return float("nan")
    x, y = (w - w.mean(1, keepdims=True) for w in (x, y))
    return float(pearson(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])).mean())


def qrs_amplitude_ratio(x_TL, y_TL, peaks, rate: float) -> float:
    """Median over beats of peak-to-peak(y) / peak-to-peak(x) around R, summed over leads; nan without beats."""
    x, y = (np.ptp(windows(s, peaks, rate, QRS_WINDOW), axis=1).sum(-1) for s in (x_TL, y_TL))
    return float(np.median(y / x)) if len(x) else float("nan")
