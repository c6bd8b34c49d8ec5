"""How well hidden leads were rebuilt: numbers of each record and lead, NaN where a number does not exist.

x is the recording, y the reconstruction, both (N, T, L) in mV in one band. The formulas, per record and lead: Pearson r
(0 where a lead is flat); RMSE and MAE over time; R2 = 1 - sum (x-y)^2 / sum (x - mean x)^2; nRMSE = RMSE / RMS(x);
SNR = 10 log10(sum x^2 / sum (x-y)^2).
"""

import numpy as np

from ttecg.data.beats import intervals, r_peaks
from ttecg.ecg import ECG, INDEPENDENT, resample

WAVES = ("r", "rmse_mv", "mae_mv", "r2", "nrmse", "snr_db")
BEATS = (
    "r_time_ms",
    "r_found",
    "r_amplitude_error_pct",
    "st_error_mv",
    "st_over_0.1mv",
    "true_pp_mv",
    "pp_ratio",
)
FINE = 500.0  # Hz at which waves are timed
MATCH_S, REACH_S = 0.075, 0.05
ST_S = 0.060  # after J


def wave_metrics(x_NxTxL, y_NxTxL) -> dict[str, np.ndarray]:
    """{name of `WAVES`: (N, L)}."""
    x, y = np.asarray(x_NxTxL, np.float64), np.asarray(y_NxTxL, np.float64)
    error, a, b = x - y, x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    square, power, spread = (error**2).sum(1), (x**2).sum(1), (a**2).sum(1)
    scale = np.sqrt(spread * (b**2).sum(1))
    mean = square / x.shape[1]

    def over(top, bottom):
        return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)

    return {
        "r": np.where(scale > 0, (a * b).sum(1) / np.where(scale > 0, scale, 1), 0.0),
        "rmse_mv": np.sqrt(mean),
        "mae_mv": np.abs(error).mean(1),
        "r2": 1 - over(square, spread),
        "nrmse": np.sqrt(over(square, power)),
        "snr_db": 10 * np.log10(over(power, square)),
    }


def landmarks(ecg: ECG) -> tuple[np.ndarray, float]:
    """R peaks of a recording, seconds, and how long after them QRS ends (J), seconds; from all its leads."""
    width = intervals(ecg)["qrs_ms"]
    return r_peaks(ecg) / ecg.rate, (0.05 if width is None else width / 2000)


def beat_metrics(x_TxL, y_TxL, rate: float, peaks_s, j_s: float) -> dict[str, np.ndarray]:
    """{name of `BEATS`: (L,)}, medians or means over the beats of one record.

    The R (or S) wave of a lead is the largest deflection within 50 ms of the record's R peak; in the reconstruction it
    is the largest one of that sign within 75 ms. ST level: at J + 60 ms against 80 to 60 ms before R. Peak-to-peak is
    that of the QRS (60 ms about R), the ratio is reconstruction over recording."""
    x, y = (resample(np.asarray(s, np.float64), rate, FINE) for s in (x_TxL, y_TxL))
    ahead, behind = round(0.09 * FINE), round((j_s + ST_S + 0.02) * FINE) + round(MATCH_S * FINE)
    at = [round(p * FINE) for p in peaks_s]
    at = [p for p in at if p >= ahead and p + behind < min(len(x), len(y))]
    if not at:
        return {name: np.full(x.shape[1], np.nan) for name in BEATS}
    rows = [_beat(x, y, p, round((j_s + ST_S) * FINE)) for p in at]
    time, found, amplitude, st, true_pp, pp = (np.array(v) for v in zip(*rows))
    with np.errstate(invalid="ignore"):
        ratio = np.median(pp, 0) / np.median(true_pp, 0)
    return {
        "r_time_ms": _nanmean(np.where(found, time, np.nan)),
        "r_found": found.mean(0),
        "r_amplitude_error_pct": _nanmean(np.where(found, amplitude, np.nan)),
        "st_error_mv": np.abs(np.median(st, 0)),
        "st_over_0.1mv": (np.abs(np.median(st, 0)) > 0.1).astype(float),
        "true_pp_mv": np.median(true_pp, 0),
        "pp_ratio": ratio,
    }


def _beat(x, y, p: int, st_at: int):
    near, wide = round(REACH_S * FINE), round(MATCH_S * FINE)
    part = x[p - near : p + near + 1]
    place = np.abs(part).argmax(0)
    top = np.take_along_axis(part, place[None], 0)[0]
    other = y[p - wide : p + wide + 1] * np.sign(top)
    there = other.argmax(0)
    height = np.take_along_axis(other, there[None], 0)[0]
    time = np.abs((place - near) - (there - wide)) / FINE * 1000
    found = (height > 0) & (time <= MATCH_S * 1000)
    amplitude = 100 * np.abs(height - np.abs(top)) / np.maximum(np.abs(top), 1e-9)
    base = slice(p - round(0.08 * FINE), p - round(0.06 * FINE))
    level = [s[p + st_at - 3 : p + st_at + 4].mean(0) - s[base].mean(0) for s in (x, y)]
    spread = [np.ptp(s[p - round(0.06 * FINE) : p + round(0.06 * FINE)], axis=0) for s in (x, y)]
    return time, found, amplitude, level[1] - level[0], *spread


def _nanmean(x_BxL) -> np.ndarray:
    number = np.isfinite(x_BxL).sum(0)
    return np.where(number > 0, np.nansum(x_BxL, 0) / np.maximum(number, 1), np.nan)


def quintile_ratios(true_pp_mv, pp_ratio) -> list[float]:
    """Median ratio of rebuilt to true QRS height in each fifth of the true heights, the lowest first. A model that
    falls back to the mean is above 1 in the first and below 1 in the last."""
    use = np.isfinite(true_pp_mv) & np.isfinite(pp_ratio)
    order = np.argsort(np.asarray(true_pp_mv)[use])
    parts = np.array_split(np.asarray(pp_ratio)[use][order], 5)
    return [float(np.median(part)) if len(part) else float("nan") for part in parts]


def mean_interval(values_N, patients, seed: int = 0, draws: int = 1000) -> tuple[float, float, float]:
    """(mean, low, high): over records, with the 95 % interval when patients, with all their records, are drawn anew."""
    values, (_, who) = np.asarray(values_N, float), np.unique(patients, return_inverse=True)
    there = np.isfinite(values)
    if not there.any():
        return (float("nan"),) * 3
    count = who.max() + 1
    total, number = np.bincount(who[there], values[there], count), np.bincount(who[there], minlength=count)
    picks = np.random.default_rng(seed).integers(count, size=(draws, count))
    means = total[picks].sum(1) / np.maximum(number[picks].sum(1), 1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values[there].mean()), float(low), float(high)


CHEST = tuple(i for i, name in enumerate(INDEPENDENT) if name.startswith("V"))
