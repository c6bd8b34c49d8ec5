"""ECGs whose voltages were taken away, with plausible voltages put back.

In the shape set every lead is divided by its own standard deviation. Einthoven's law still fixes the ratios
among the six limb leads, since s_II z_II = s_I z_I + s_III z_III and the like have one solution up to a
common factor. That factor and the six precordial scales are drawn: a ridge regression, fitted on recordings
in mV, predicts their logarithms from wave shape, age, sex and findings, and a residual vector of that fit is
added, so that spread and covariance are those of real recordings. The result is plausible, not measured: use
it to train, not to read mV.

    reference = [ECGs in mV, folds 1-8]
    ecgs = load_shape_set("ptbxl_shape_100hz.npz", "labels_21799.csv", "reports_12245.csv", reference)

Axes: T time, L lead, F feature, N recording, S scale (the limb leads' common one, then V1-V6).
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

import numpy as np

from ttecg.data.comments import parse_age
from ttecg.data.rows import parse_fold, read_table
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_eight, to_twelve

RATE = 100.0
_EIGHT = [LEADS.index(name) for name in INDEPENDENT]
# rows: what is zero of I, II, III, aVR, aVL, aVF by Einthoven and Goldberger
_LAWS = np.array([[-1, 1, -1, 0, 0, 0], [0.5, 0.5, 0, 1, 0, 0], [-1, 0.5, 0, 0, 1, 0], [0.5, -1, 0, 0, 0, 1]])
# findings that change voltages, each by the codes (SCP-ECG, or the coarser names of PTB-XL's subclasses)
_FINDINGS = (
    {"NORM"},
    {"LVH", "VCLVH", "HVOLT", "SEHYP"},
    {"LVOLT"},
    {"RVH"},
    {"CLBBB", "ILBBB"},
    {"CRBBB", "IRBBB"},
    {"LAFB", "LPFB", "LAFB/LPFB"},
    {"AMI", "ASMI", "ALMI"},
    {"IMI", "ILMI", "IPLMI", "IPMI"},
    {"AFIB", "AFLT"},
    {"PVC", "BIGU", "TRIGU"},
    {"PACE"},
)
_PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0)
# PTB-XL's label columns drop the underscore that its SCP codes have
_RENAMED = {"NST": "NST_", "NT": "NT_", "TAB": "TAB_", "STD": "STD_", "STE": "STE_", "ISC": "ISC_"}


@dataclasses.dataclass(frozen=True)
class VoltageModel:
    """Ridge regression from features to log standard deviations in mV, and the residuals of its training set.

    mean_F, std_F standardise the features; weight_FxS, bias_S predict; residual_NxS: leave-one-out residuals.
    """

    mean_F: np.ndarray
    std_F: np.ndarray
    weight_FxS: np.ndarray
    bias_S: np.ndarray
    residual_NxS: np.ndarray
    penalty: float

    def predict(self, features_F: np.ndarray) -> np.ndarray:
        """(S,) expected log scales; an unknown feature (NaN) counts as average, an extreme one is clipped."""
        x_F = np.clip(np.nan_to_num((features_F - self.mean_F) / self.std_F), -3, 3)
        return self.bias_S + x_F @ self.weight_FxS


def limb_ratios(z_TL: np.ndarray) -> np.ndarray:
    """(6,) log standard deviations of the limb leads I, II, III, aVR, aVL, aVF, up to a common constant (they
    sum to zero), from their z-scored signals in the first six columns: the least-squares null vector of
    Einthoven's laws."""
    z_T6 = np.asarray(z_TL, np.float64)[:, :6]
    gram = (_LAWS.T @ _LAWS) * (z_T6.T @ z_T6 / len(z_T6))
    scale_6 = np.abs(np.linalg.eigh(gram)[1][:, 0])
    log_6 = np.log(np.maximum(scale_6, 1e-3 * scale_6.max()))
    return log_6 - log_6.mean()


def shape_features(z_TL: np.ndarray, age: float | None, sex: str | None, labels: Iterable[str]) -> np.ndarray:
    """(F,) what the regression sees of a z-scored (T, 12) signal at 100 Hz; NaN where age or sex is unknown.

    Noise is left out on purpose: it tells voltages well for one recorder and misleads for the next."""
    z_TL = np.asarray(z_TL, np.float64)
    spread_L = np.log(np.percentile(z_TL, 99.7, axis=0) - np.percentile(z_TL, 0.3, axis=0) + 1e-3)
    slope_L = np.log(np.percentile(np.abs(np.diff(z_TL, axis=0)), 99, axis=0) + 1e-3)
    middle_L = np.log(np.median(np.abs(z_TL), axis=0) + 1e-3)
    tails_L = np.log((z_TL**4).mean(0) + 1e-3)
    z_T8 = z_TL[:, _EIGHT]
    products = (z_T8.T @ z_T8 / len(z_T8))[np.triu_indices(8, 1)]
    shape = (limb_ratios(z_TL), spread_L, slope_L, middle_L, tails_L, (z_TL**3).mean(0), products)
    years = np.nan if age is None else float(age)
    patient = (years, years**2 / 100, {"male": 0.0, "female": 1.0}.get(sex, np.nan))
    known = set(labels)
    return np.concatenate([*shape, patient, [float(bool(known & codes)) for codes in _FINDINGS]])


def fit_voltages(ecgs: Iterable[ECG]) -> VoltageModel:
    """The model of recordings in mV with all twelve leads, brought to 100 Hz and the band of the shape set.

    Give it training folds only. ValueError with fewer than 20 recordings."""
    features, targets = [], []
    for ecg in ecgs:
        z_TL, log_L = standardise(ecg)
        features.append(shape_features(z_TL, ecg.age, ecg.sex, ecg.labels))
        targets.append(np.concatenate([[log_L[:6].mean()], log_L[6:]]))
    if len(features) < 20:
        raise ValueError(f"{len(features)} recordings are too few to learn voltages from; give 20 or more")
    return _ridge(np.array(features), np.array(targets))


def standardise(ecg: ECG) -> tuple[np.ndarray, np.ndarray]:
    """((T, 12) z-scored per lead at 100 Hz, (12,) log standard deviations in mV), made as the shape set was:
    Butterworth of order 4, 0.5-40 Hz, zero phase. ValueError for a flat lead."""
    x_TL = ecg.select(LEADS).resample(RATE).bandpass(0.5, 40.0, order=4).signal
    deviation_L = x_TL.std(0)
    if not (deviation_L > 1e-4).all():
        flat = ", ".join(n for n, s in zip(LEADS, deviation_L, strict=True) if not s > 1e-4)
        raise ValueError(f"{ecg.id or 'ECG'}: lead {flat} is flat or not finite; leave this recording out")
    return (x_TL - x_TL.mean(0)) / deviation_L, np.log(deviation_L)


def _ridge(x_NxF: np.ndarray, y_NxS: np.ndarray) -> VoltageModel:
    """Ridge regression with the penalty of least leave-one-out error, which has a closed form."""
    count_F = np.maximum((~np.isnan(x_NxF)).sum(0), 1)
    mean_F = np.nansum(x_NxF, axis=0) / count_F
    std_F = np.sqrt(np.nansum((x_NxF - mean_F) ** 2, axis=0) / count_F)
    std_F = np.where(std_F > 1e-6, std_F, np.inf)  # a feature that never varies says nothing
    a_NxF = np.clip(np.nan_to_num((x_NxF - mean_F) / std_F), -3, 3)
    centre_F, bias_S = a_NxF.mean(0), y_NxS.mean(0)
    u, s, vt = np.linalg.svd(a_NxF - centre_F, full_matrices=False)
    fits = []
    for penalty in _PENALTIES:
        shrink = s**2 / (s**2 + penalty)
        leverage_N = (u**2 * shrink).sum(1) + 1 / len(u)
        residual = (y_NxS - bias_S - (u * shrink) @ (u.T @ (y_NxS - bias_S))) / (1 - leverage_N)[:, None]
        fits.append(((residual**2).mean(), penalty, residual))
    _, penalty, residual_NxS = min(fits, key=lambda fit: fit[0])
    weight_FxS = (vt.T * (s / (s**2 + penalty))) @ (u.T @ (y_NxS - bias_S))
    return VoltageModel(mean_F, std_F, weight_FxS, bias_S - centre_F @ weight_FxS, residual_NxS, penalty)


def restore(
    model: VoltageModel, z_TL: np.ndarray, age=None, sex=None, labels=(), seed: int | None = None
) -> np.ndarray:
    """(T, 12) mV of a signal (T, 12) z-scored lead by lead at 100 Hz; Einthoven's law holds to rounding.

    seed None gives the expected voltages; a number adds a residual of the training set, always the same."""
    if np.ndim(z_TL) != 2 or np.shape(z_TL)[1] != 12:
        raise ValueError(f"a z-scored signal has shape (T, 12), in standard order; got {np.shape(z_TL)}")
    log_S = model.predict(shape_features(z_TL, age, sex, labels))
    if seed is not None:
        log_S = log_S + model.residual_NxS[np.random.default_rng([seed, 0]).integers(len(model.residual_NxS))]
    log_L = np.concatenate([log_S[0] + limb_ratios(z_TL), log_S[1:]])
    return to_twelve(to_eight(np.asarray(z_TL, np.float64) * np.exp(log_L)))


def cross_validate(ecgs: Sequence[ECG], parts: int = 5) -> dict[str, np.ndarray]:
    """How well voltages come back on recordings that the fit has not seen: `parts` parts of whole patients.

    "model", "constant": (8,) median |log of restored over true standard deviation| of I, II, V1-V6, by the
    model's expectation and by the mean of the training recordings; "true", "drawn": (N, 8) log standard
    deviations in mV."""
    patients = [str(e.info.get("patient_id", e.id)) for e in ecgs]
    part_of = {p: i % parts for i, p in enumerate(sorted(set(patients)))}
    rows = []
    for part in range(parts):
        train = [e for e, p in zip(ecgs, patients, strict=True) if part_of[p] != part]
        model = fit_voltages(train)
        constant_L = np.mean([standardise(e)[1] for e in train], axis=0)
        for i, (e, p) in enumerate(zip(ecgs, patients, strict=True)):
            if part_of[p] == part:
                z_TL, log_L = standardise(e)
                mean, drawn = (restore(model, z_TL, e.age, e.sex, e.labels, seed) for seed in (None, i))
                rows.append([np.log(mean.std(0)) - log_L, constant_L - log_L, log_L, np.log(drawn.std(0))])
    rows = np.array(rows)[:, :, _EIGHT]  # (N, 4, 8)
    model, constant = np.median(np.abs(rows[:, :2]), axis=0)
    return {"model": model, "constant": constant, "true": rows[:, 2], "drawn": rows[:, 3]}


class ShapeSet(Sequence):
    """A sequence of ECGs at 100 Hz, each made when asked for: `signal` float32 mV (T, 12); info has
    patient_id, fold, source "ptbxl_shape", superclass, and amplitude "drawn". `load_shape_set` makes one."""

    def __init__(self, milli_NxTxL: np.ndarray, facts: list[dict], model: VoltageModel):
        self._milli, self._facts, self.model = milli_NxTxL, facts, model

    def __len__(self) -> int:
        return len(self._facts)

    def __repr__(self) -> str:
        return f"ShapeSet({len(self)} records, voltages drawn)"

    def __getitem__(self, index: int) -> ECG:
        facts = self._facts[index.__index__()]
        z_TL = self._milli[facts["row"]] / 1000.0
        signal = restore(self.model, z_TL, facts["age"], facts["sex"], facts["labels"], seed=int(facts["id"]))
        known = {name: facts[name] for name in ("id", "age", "sex", "report", "labels", "info")}
        return ECG(signal.astype(np.float32), LEADS, RATE, **known | {"info": dict(facts["info"])})


def load_shape_set(npz_path, labels_csv, reports_csv, reference, folds=range(1, 9)) -> ShapeSet:
    """The shape set's recordings in these folds, voltages from `reference`: a VoltageModel or ECGs in mV.

    npz_path: ecg_id (N,), signal_milli_sd (N, T, 12) int16, thousandths of a standard deviation. labels_csv
    tells fold and labels of every record; reports_csv (or None) report, age, sex and SCP codes of some. Where
    a record has no SCP codes, its labels are PTB-XL's coarser ones. ValueError names what does not fit."""
    ids, milli_NxTxL = _read_npz(npz_path)
    lines = _by_id(labels_csv, ("ecg_id", "patient_id", "strat_fold", *_COLUMNS))
    more = {} if reports_csv is None else _by_id(reports_csv, _REPORT_COLUMNS)
    unknown = [i for i in ids if i not in lines]
    if unknown:
        raise ValueError(f"{labels_csv}: no line for ecg_id {', '.join(unknown[:3])} of {npz_path}")
    model = reference if isinstance(reference, VoltageModel) else fit_voltages(reference)
    facts = [_facts(row, lines[i], more.get(i)) for row, i in enumerate(ids)]
    wanted = set(folds)
    return ShapeSet(milli_NxTxL, [f for f in facts if f["info"]["fold"] in wanted], model)


_COLUMNS = ("super_class", "sub_class", "rhythm", "form")
_REPORT_COLUMNS = ("ecg_id", "age", "sex", "report", "scp_codes")


def _by_id(path, columns) -> dict[str, dict]:
    return {line["ecg_id"]: line for line in read_table(path, columns)}


def _read_npz(path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        if not {"ecg_id", "signal_milli_sd"} <= set(stored.files):
            raise ValueError(f"{path}: holds {', '.join(stored.files)}; expected ecg_id and signal_milli_sd")
        ids, milli = stored["ecg_id"], stored["signal_milli_sd"]
    if milli.ndim != 3 or milli.shape[2] != 12 or len(ids) != len(milli):
        raise ValueError(f"{path}: signal_milli_sd is {milli.shape} for {len(ids)} ids; expected (N, T, 12)")
    return [str(i) for i in ids], milli


def _facts(row: int, line: dict, more: dict | None) -> dict:
    """What the tables know of one record, as the arguments of an ECG, and its row in the signal array."""
    more = more or dict.fromkeys(_REPORT_COLUMNS, "")
    superclass, sub, rhythm, form = (re.findall(r"'([^']+)'", line[column]) for column in _COLUMNS)
    exact = re.findall(r"'([^']+)'\s*:", more["scp_codes"])
    labels = exact or [_RENAMED.get(code, code) for code in (*sub, *form, *rhythm)]
    return {
        "row": row,
        "id": line["ecg_id"],
        "age": parse_age(more["age"]),
        "sex": {"0": "male", "1": "female"}.get(more["sex"]),
        "report": more["report"] or None,
        "labels": tuple(dict.fromkeys(labels)),
        "info": {
            "patient_id": line["patient_id"].removesuffix(".0"),
            "fold": parse_fold(line["strat_fold"]),
            "source": "ptbxl_shape",
            "superclass": tuple(superclass),
            "amplitude": "drawn",
        },
    }
