"""Rate, intervals and axis of ECGs as numbers, and how sets of them compare. What cannot be measured is NaN."""

import dataclasses

import numpy as np

from ttecg.data.beats import intervals
from ttecg.ecg import ECG
from ttecg.evaluate.auroc import interval, patient_draws


@dataclasses.dataclass(frozen=True)
class Measured:
    """Rate per minute, coefficient of variation of RR, intervals in ms (QTc after Fridericia), axis in degrees."""

    heart_rate: float
    rr_cv: float
    pr_ms: float
    qrs_ms: float
    qt_ms: float
    qtc_ms: float
    axis_deg: float


FIELDS = tuple(f.name for f in dataclasses.fields(Measured))
_LEAST = 8  # records of a class, for its means to be shown
NOTHING = Measured(*[np.nan] * len(FIELDS))


def measured(ecg: ECG) -> Measured:
    """By `data.beats`; all NaN where a sample is not a number."""
    if not np.isfinite(ecg.signal).all():
        return NOTHING
    found = {k: np.nan if v is None else float(v) for k, v in intervals(ecg).items()}
    rr = 60 / found["heart_rate"] if found["heart_rate"] else np.nan
    return Measured(**found, qtc_ms=found["qt_ms"] / np.cbrt(rr))


def table(values) -> np.ndarray:
    """(N, fields) of many `Measured`."""
    return np.array([[getattr(m, name) for name in FIELDS] for m in values], float).reshape(-1, len(FIELDS))


def difference(a, b, field: str) -> np.ndarray:
    """|a - b|; an axis goes round."""
    return np.abs(_signed(np.asarray(a, float) - np.asarray(b, float), field))


def _signed(d, field: str):
    """A difference as it is; one of axes within -180 to 180."""
    return (d + 180) % 360 - 180 if field == "axis_deg" else d


def condition_row(made_N, asked_N, patients, seed: int = 0, draws: int = 1000) -> dict:
    """Heart rate against what was asked for: mean absolute error of those that could be measured, and the share within
    10 per minute of all, where one without a rate has missed; the same against the rates asked of others."""
    made, asked = np.asarray(made_N, float), np.asarray(asked_N, float)
    weights = patient_draws(patients, draws, seed)
    ring = np.random.default_rng(seed).permutation(len(asked))
    other = np.empty_like(asked)
    other[ring] = asked[np.roll(ring, 1)]  # each has that of its neighbour on a ring: nobody keeps its own
    error, shuffled = np.abs(made - asked), np.abs(made - other)
    near = (error <= 10).astype(float)
    return {
        "n": len(made),
        "measured": float(np.isfinite(made).mean()),
        "mean absolute error": _mean(error),
        "error 95 %": interval(_weighted(error, weights)),
        "within 10": float(near.mean()),
        "within 10 95 %": interval(_weighted(near, weights)),
        "shuffled error": _mean(shuffled),
        "shuffled within 10": float((shuffled <= 10).mean()),
    }


def interval_rows(made_NxF, real_NxF, texts, patients, seed: int = 0, draws: int = 1000) -> list[dict]:
    """One row for each measure: mean and spread of made and recorded ECGs, how many could be measured, the mean
    absolute difference of an ECG from the record whose report it was made of, with the floor (two records of different
    patients under one text) and the control (a record of another text)."""
    weights = patient_draws(patients, draws, seed)
    same, other = partners(texts, patients, np.random.default_rng(seed))
    rows = []
    for i, name in enumerate(FIELDS):
        made, real = made_NxF[:, i], real_NxF[:, i]
        error = difference(made, real, name)
        rows.append({
            "measure": name,
            "made": _mean(made, name), "sd": _spread(made, name), "measured": float(np.isfinite(made).mean()),
            "recorded": _mean(real, name), "recorded sd": _spread(real, name),
            "recorded measured": float(np.isfinite(real).mean()),
            "difference of means": float(_signed(_mean(made, name) - _mean(real, name), name)),
            "difference 95 %": interval(
                _signed(_weighted(made, weights, name) - _weighted(real, weights, name), name)),
            "error": _mean(error),
            "error 95 %": interval(_weighted(error, weights)),
            "floor, same text": _mean(difference(real[same >= 0], real[same[same >= 0]], name)),
            "shuffled": _mean(difference(made, real[other], name)),
        })  # fmt: skip
    return rows


def class_rows(
    made_NxF, real_NxF, target_NxL, names, patients, seed: int = 0, draws: int = 1000
) -> list[dict]:
    """PR, QRS and QT by class: a row for each interval of each class that at least `_LEAST` records have. Mean, spread
    and how many could be measured, of the recorded ECGs of that class and of those made of their reports. target: 1
    where a record has the label of `names`. Few records of a class tell little of its spread: see the intervals."""
    rows = []
    for label, has in zip(names, np.asarray(target_NxL).T == 1):
        if has.sum() < _LEAST:
            continue
        weights = patient_draws(np.asarray(patients)[has], draws, seed)
        for name in ("pr_ms", "qrs_ms", "qt_ms"):
            made, real = (x[has, FIELDS.index(name)] for x in (made_NxF, real_NxF))
            rows.append({
                "class": label, "n": int(has.sum()), "measure": name,
                "made": _mean(made), "recorded": _mean(real), "difference": _mean(made) - _mean(real),
                "difference 95 %": interval(_weighted(made, weights) - _weighted(real, weights)),
                "sd": _spread(made, name), "recorded sd": _spread(real, name),
                "sd difference 95 %": interval(_weighted_spread(made, weights) - _weighted_spread(real, weights)),
                "measured": float(np.isfinite(made).mean()), "recorded measured": float(np.isfinite(real).mean()),
            })  # fmt: skip
    return rows


def partners(texts, patients, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(N,) a random record of another patient with an equal text, -1 where there is none; and one of another text, of
    any where all are alike."""
    texts, patients = np.asarray(texts), np.asarray(patients)
    same, other = np.full(len(texts), -1), np.arange(len(texts))
    for i in range(len(texts)):
        alike = np.flatnonzero((texts == texts[i]) & (patients != patients[i]))
        different = np.flatnonzero(texts != texts[i])
        same[i] = rng.choice(alike) if len(alike) else -1
        other[i] = rng.choice(different if len(different) else len(texts))
    return same, other


def _mean(x_N, field: str = "") -> float:
    return float(_weighted(x_N, np.ones((1, len(x_N))), field)[0])


def _weighted(x_N, weight_DxN, field: str = "") -> np.ndarray:
    """(D,) means over what could be measured; of an axis the direction of the mean unit vector, degrees."""
    known = np.isfinite(x_N)
    weight, x = weight_DxN[:, known], np.asarray(x_N)[known]
    total = weight.sum(1)
    if field == "axis_deg":
        turned = weight @ np.exp(1j * np.radians(x))
        return np.where(total > 0, np.degrees(np.angle(turned)), np.nan)
    return np.where(total > 0, weight @ x / np.maximum(total, 1), np.nan)


def _spread(x_N, field: str) -> float:
    """Standard deviation of what could be measured; of an axis the root mean square turn from the mean axis."""
    off = _signed(x_N - _mean(x_N, field), field)
    return float(np.sqrt(np.nanmean(off**2))) if np.isfinite(off).any() else float("nan")


def _weighted_spread(x_N, weight_DxN) -> np.ndarray:
    """(D,) standard deviations of what could be measured."""
    mean_D = _weighted(x_N, weight_DxN)
    return np.sqrt(np.maximum(_weighted(np.square(x_N), weight_DxN) - mean_D**2, 0))
