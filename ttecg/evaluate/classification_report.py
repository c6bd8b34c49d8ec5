"""The table, the file and the picture of a classification study."""

import numpy as np
from matplotlib.figure import Figure

from ttecg.data.statements import label_names
from ttecg.evaluate import auroc, report


def results_of(areas: dict[str, np.ndarray], names, label_sets, base: str) -> list[dict]:
    """A dictionary per row: for the macro mean of each label set and for each label the area (mean over seeds), its
    95 % interval, the standard deviation over seeds, and the difference from the row `base` with its interval, of the
    same draws of patients."""
    rows = []
    for name, area in areas.items():
        row = {"leads": name}
        for what, columns in _columns(areas, names, label_sets).items():
            mine, other = (a[:, :, columns].mean(-1) for a in (area, areas[base]))  # (S, D)
            row[what] = _figures(mine) | _difference(mine, other)
        rows.append(row)
    return rows


def _columns(areas, names, label_sets) -> dict[str, list[int]]:
    """Labels by the name of a figure; labels that cannot be scored on this sample are left out."""
    sample = next(iter(areas.values()))[0, 0]
    scored = {name: i for i, name in enumerate(names) if not np.isnan(sample[i])}
    macro = {f"macro {s}": [scored[n] for n in label_names((s,)) if n in scored] for s in label_sets}
    singles = {name: [i] for name, i in scored.items()}
    return {what: columns for what, columns in (macro | singles).items() if columns}


def _figures(area_SxD) -> dict:
    low, high = auroc.interval(area_SxD.mean(0)[1:])
    return {
        "auroc": float(area_SxD[:, 0].mean()),
        "low": low,
        "high": high,
        "sd_over_seeds": float(area_SxD[:, 0].std(ddof=1)) if len(area_SxD) > 1 else 0.0,
    }


def _difference(mine_SxD, base_SxD) -> dict:
    change = (mine_SxD - base_SxD).mean(0)
    low, high = auroc.interval(change[1:])
    return {"gain": float(change[0]), "gain_low": low, "gain_high": high}


def show(out, about: dict, rows: list[dict], label_sets, names) -> None:
    """Prints, and writes classification.json and classification.png."""
    kinds = [k for k in rows[0] if k != "leads"]
    shown = [k for k in kinds if k.startswith("macro") and k != "macro subset"]
    shown += [k for k in ("MI", "arrhythmia") if k in kinds]
    print(
        f"{about['data']}, {about['split']}: {about['tested']} records of {about['patients']} patients; "
        f"{len(about['seeds'])} seeds; trained on {' / '.join(map(str, about['trained on']))}"
    )
    print("positive: " + ", ".join(f"{k} {v}" for k, v in about["positive"].items() if v))
    print("AUROC, mean over seeds (95 % interval over patients); gain over leads I and II, paired\n")
    first = shown[0] if shown else kinds[0]
    cells = [
        {"leads": row["leads"]}
        | {k: _area(row[k]) for k in shown}
        | {f"gain in {first}": _gain(row[first]), "sd over seeds": f"{row[first]['sd_over_seeds']:.3f}"}
        for row in rows
    ]
    print(report.table(cells))
    print("\nMade leads are a function of I and II: a gain is no information; the ridge row is the control.")
    if about["seen in training"]:
        print(
            f"Beware: {', '.join(about['seen in training'])} may have been fitted on the records tested here; only the "
            "test split without --cross-validate is clean."
        )
    report.save(out, "classification", about, rows)
    _plot(rows, shown or kinds[:1], about).savefig(f"{out}/classification.png", dpi=150)
    print(f"figures in {out}: classification.json, classification.png, results.jsonl")


def _area(f: dict) -> str:
    return f"{f['auroc']:.3f} ({f['low']:.3f}-{f['high']:.3f})"


def _gain(f: dict) -> str:
    return f"{f['gain']:+.3f} ({f['gain_low']:+.3f} to {f['gain_high']:+.3f})"


def _plot(rows, kinds, about) -> Figure:
    figure = Figure(
        figsize=(3 + 3.2 * len(kinds), 1.3 + 0.42 * len(rows)), facecolor="white", layout="constrained"
    )
    for axis, kind in zip(np.atleast_1d(figure.subplots(1, len(kinds), sharey=True)), kinds):
        values = np.array([[r[kind][k] for k in ("auroc", "low", "high")] for r in rows])
        place = np.arange(len(rows))[::-1]
        axis.hlines(place, values[:, 1], values[:, 2], color="#8aa5c0", linewidth=3)
        axis.plot(values[:, 0], place, "o", color="#1f4e79")
        axis.axvline(values[1, 0], color="#b03030", linewidth=0.8, linestyle=":")
        axis.set_yticks(place, [r["leads"] for r in rows])
        axis.set_xlabel(f"AUROC, {kind}")
        axis.grid(axis="x", alpha=0.3)
    figure.suptitle(
        f"{about['tested']} records, {len(about['seeds'])} seeds; bars: 95 % over patients; dotted: leads I and II",
        fontsize=9,
    )
    return figure
