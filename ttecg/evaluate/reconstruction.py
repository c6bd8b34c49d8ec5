"""How well hidden leads are rebuilt: `ttecg evaluate reconstruction --model unet --data DIR --out DIR`.

In the model's band and at its rate, hidden leads only (leads that others give by Einthoven's law are never scored), per
record, then averaged. The mean is over hidden chest leads. Ridge regression stands in every table.
"""

import pathlib

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from ttecg import plot
from ttecg.data.dataset import open_dataset
from ttecg.data.statements import CLASSES, targets
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_twelve
from ttecg.evaluate import report
from ttecg.evaluate.given import patient_of
from ttecg.evaluate.reconstruction_metrics import (
    BEATS,
    CHEST,
    WAVES,
    beat_metrics,
    landmarks,
    mean_interval,
    quintile_ratios,
    wave_metrics,
)
from ttecg.models import lead_maps
from ttecg.reconstruct import load

LEAD_SETS = (("I",), ("I", "II"), ("I", "II", "V2"), ("I", "II", "V3"))


class Records:
    """A split of a prepared set as the model sees it: signals (N, T, 8), patients, R peaks and J, superclasses."""

    def __init__(self, data, split: str, rate: float, band):
        self.rate, records = rate, open_dataset(data, split)
        if not len(records):
            raise ValueError(f"{data} has no record in its {split} split")
        ecgs = [records[i] for i in tqdm(range(len(records)), desc="reading", disable=len(records) < 100)]
        self.signals = np.stack([signal_of(e, rate, band) for e in _equal(ecgs)])
        self.ids = [e.id for e in ecgs]
        self.patients = np.array([patient_of(e) for e in ecgs])
        self.landmarks = [landmarks(e) for e in ecgs]
        self.classes = np.array([targets(e.labels, CLASSES) for e in ecgs])

    def __len__(self):
        return len(self.signals)


def _equal(ecgs: list[ECG]) -> list[ECG]:
    """Cut to the shortest."""
    length = min(e.duration for e in ecgs)
    return [e if e.duration == length else e.crop(0, length) for e in ecgs]


def signal_of(ecg: ECG, rate: float, band) -> np.ndarray:
    """(T, 8) float32 mV."""
    return ecg.select(INDEPENDENT).resample(rate).bandpass(*band).signal.astype(np.float32)


def evaluate(model="unet", data=None, split="test", sets=LEAD_SETS, against=("ridge",), seed=0, out=None):
    """Prints a table for each set of visible leads; writes out/reconstruction.json and .png. Returns the rows."""
    models = {str(name): load(name) for name in dict.fromkeys([model, *against])}
    first = next(iter(models.values()))
    masks = {leads: lead_maps.visible(leads) for leads in sets}
    records = Records(data, split, first.rate, first.band)
    rows, drawn = [], {}
    for leads, mask in masks.items():
        for name, one in models.items():
            y = one.predict(records.signals, mask)
            numbers = score(records, y, mask)
            rows.append(summary(name, leads, mask, records, numbers, seed))
            drawn[leads, name] = (y, numbers)
    names = ", ".join(f"{name} ({one.hash})" for name, one in models.items())
    print(
        f"{len(records)} records of {len(set(records.patients))} patients, {split} split of {data}; {names}"
    )
    print(tables(rows))
    if out:
        about = {
            "models": {name: one.hash for name, one in models.items()},
            "data": str(data),
            "split": split,
            "records": len(records),
            "patients": len(set(records.patients)),
            "seed": seed,
        }
        report.save(out, "reconstruction", about, rows)
        draw(records, masks, drawn, str(model), pathlib.Path(out) / "reconstruction.png")
        print(f"reconstruction.json and reconstruction.png in {out}")
    return rows


def score(records: Records, y_NxTx8, mask_12) -> dict[str, np.ndarray]:
    """{name: (N, 8)}, NaN for leads that were visible."""
    numbers = wave_metrics(records.signals, y_NxTx8)
    beats = [
        beat_metrics(x, y, records.rate, peaks, j)
        for x, y, (peaks, j) in zip(records.signals, y_NxTx8, records.landmarks)
    ]
    numbers |= {name: np.stack([b[name] for b in beats]) for name in BEATS}
    shown = np.asarray(mask_12)[lead_maps.EIGHT]
    return {name: np.where(shown, np.nan, v) for name, v in numbers.items()}


def summary(name: str, leads, mask_12, records: Records, numbers: dict, seed: int) -> dict:
    """One row of results: means over hidden chest leads with intervals, and every number by lead and by superclass."""
    hidden = [i for i in range(8) if not mask_12[lead_maps.EIGHT[i]]]
    chest = [i for i in hidden if i in CHEST]
    row = {"visible": ",".join(leads), "model": name}
    means = {k: _row_mean(v[:, chest or hidden]) for k, v in numbers.items()}
    for k in (*WAVES, *BEATS):
        row[k], row[f"{k}_low"], row[f"{k}_high"] = mean_interval(means[k], records.patients, seed)
    row["by_lead"] = {
        INDEPENDENT[i]: {
            k: dict(zip(("mean", "low", "high"), mean_interval(v[:, i], records.patients, seed)))
            for k, v in numbers.items()
        }
        for i in hidden
    }
    flat = [numbers[k][:, chest or hidden].ravel() for k in ("true_pp_mv", "pp_ratio")]
    row["pp_ratio_by_quintile"] = quintile_ratios(*flat)
    row["by_superclass"] = {
        c: {"records": int((records.classes[:, i] == 1).sum())}
        | {k: _nanmean(means[k][records.classes[:, i] == 1]) for k in (*WAVES, *BEATS)}
        for i, c in enumerate(CLASSES)
    }
    return row


def _row_mean(x_NxL) -> np.ndarray:
    number = np.isfinite(x_NxL).sum(1)
    return np.where(number > 0, np.nansum(x_NxL, 1) / np.maximum(number, 1), np.nan)


def _nanmean(values) -> float:
    values = np.asarray(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def tables(rows: list[dict]) -> str:
    """Means with intervals, r by lead, and ratios and superclasses, as text."""
    plain = (
        "visible", "model", "r", "r_low", "r_high", "rmse_mv", "mae_mv", "r2", "nrmse", "snr_db",
        "r_time_ms", "r_found", "r_amplitude_error_pct", "st_error_mv", "st_over_0.1mv",
    )  # fmt: skip
    parts = ["", "mean over hidden chest leads", report.table([{k: r[k] for k in plain} for r in rows])]
    for name in ("r", "rmse_mv"):
        lines = [
            {"visible": r["visible"], "model": r["model"]}
            | {i: r["by_lead"][i][name]["mean"] if i in r["by_lead"] else "-" for i in INDEPENDENT[1:]}
            for r in rows
        ]
        parts += ["", f"{name} by hidden lead", report.table(lines)]
    lines = [
        {"visible": r["visible"], "model": r["model"]}
        | {f"fifth {i + 1}": v for i, v in enumerate(r["pp_ratio_by_quintile"])}
        for r in rows
    ]
    parts += ["", "QRS height, rebuilt over true, by fifth of the true height", report.table(lines)]
    lines = [
        {"visible": r["visible"], "model": r["model"]}
        | {
            f"{c} ({v['records']})": f"{v['r']:.3f} / {v['st_error_mv']:.3f}"
            for c, v in r["by_superclass"].items()
        }
        for r in rows
    ]
    parts += ["", "r / ST error (mV) by superclass (records)", report.table(lines)]
    return "\n".join(parts)


def draw(records: Records, masks: dict, drawn: dict, model: str, path) -> None:
    """A page: r by lead, true against rebuilt QRS height, and the best, median and worst record of the last set."""
    figure = Figure((14, 4 * len(masks) + 9), layout="constrained")
    grid = figure.add_gridspec(len(masks) + 3, 2, height_ratios=[4] * len(masks) + [3] * 3)
    names = list(dict.fromkeys(name for _, name in drawn))
    for line, leads in enumerate(masks):
        left, right = figure.add_subplot(grid[line, 0]), figure.add_subplot(grid[line, 1])
        for offset, name in enumerate(names):
            _, numbers = drawn[leads, name]
            hidden = [i for i in range(1, 8) if np.isfinite(numbers["r"][:, i]).any()]
            means = np.array([mean_interval(numbers["r"][:, i], records.patients) for i in hidden])
            at = np.array(hidden) + 0.15 * (offset - (len(names) - 1) / 2)
            left.errorbar(
                at, means[:, 0], [means[:, 0] - means[:, 1], means[:, 2] - means[:, 0]], fmt="o", label=name
            )
        left.set(title=f"{', '.join(leads)} visible", ylabel="Pearson r (95 %)", xticks=range(1, 8))
        left.set_xticklabels(INDEPENDENT[1:])
        left.legend()
        numbers = drawn[leads, model][1]
        true = numbers["true_pp_mv"][:, list(CHEST)]
        right.plot(true, true * numbers["pp_ratio"][:, list(CHEST)], ".", ms=4)
        top = np.nanmax(true)
        right.plot([0, top], [0, top], "k", lw=0.5)
        right.set(title=f"{model}: QRS height of chest leads", xlabel="recorded, mV", ylabel="rebuilt, mV")
    leads = list(masks)[-1]
    y, numbers = drawn[leads, model]
    order = np.argsort(_row_mean(numbers["r"][:, list(CHEST)]))
    for line, (word, n) in enumerate(zip(("best", "median", "worst"), order[[-1, len(order) // 2, 0]])):
        axes = figure.add_subplot(grid[len(masks) + line, :])
        x12, y12 = to_twelve(records.signals[n]), to_twelve(y[n])
        for k, lead in enumerate(LEADS[6:]):
            t = np.arange(round(2.5 * records.rate)) / records.rate + 2.6 * k
            part = slice(0, len(t))
            axes.plot(t[: len(x12[part])], x12[part, 6 + k], "k", lw=0.8)
            axes.plot(t[: len(x12[part])], y12[part, 6 + k], "r", lw=0.8)
            axes.text(t[0], axes.get_ylim()[1], lead, va="top")
        axes.set(
            title=f"{word}: record {records.ids[n]}, black recorded, red from {', '.join(leads)}", ylabel="mV"
        )
        axes.set_xticks([])
    plot.save(figure, path, 80)
