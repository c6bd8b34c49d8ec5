"""How the study of use is shown: a table with intervals, a verdict, a plot."""

import numpy as np
from matplotlib.figure import Figure

from ttecg.data.statements import CLASSES
from ttecg.evaluate import report
from ttecg.evaluate.auroc import interval


def publish(out, about: dict, areas: dict, base: dict, sizes: dict, names, scarce) -> list[dict]:
    """areas: {row: (S, D, L)}, of which draw 0 is all records; base: {row: what it is compared with}."""
    shown = [i for i in range(len(names)) if not np.isnan(areas["real"][:, 0, i]).any()]
    main = [i for i in shown if names[i] in CLASSES] or shown
    rare = [i for i in shown if names[i] in scarce] or main
    rows = []
    for name, area in areas.items():
        row = {"trained on": name, "records": sizes[name]}
        for what, labels in (("macro", main), ("scarcest", rare)):
            mine, other = (np.nanmean(a[:, :, labels], axis=(0, 2)) for a in (area, areas[base[name]]))
            row |= {what: float(mine[0]), f"{what} 95 %": interval(mine[1:])}
            if name != base[name] and len(mine) == len(other):
                gain = mine - other
                row |= {f"{what} gain": float(gain[0]), f"{what} gain 95 %": interval(gain[1:])}
            else:
                row |= {f"{what} gain": None, f"{what} gain 95 %": None}
        row["sd over seeds"] = float(np.nanmean(area[:, 0][:, main], axis=-1).std())
        rows.append(row)
    lines = verdicts(rows, base)
    print(
        f"\n{about['model']} ({about['hash']}), {about['data']}: {about['trained on']} records to train on, "
        f"{about['tested']} of {about['patients']} patients to test on; {len(about['seeds'])} seeds; "
        f"scarcest: {', '.join(scarce)}\nAUROC (95 % over patients); gain over real, or over the same few alone\n"
    )
    print(report.table([{k: _cell(v) for k, v in r.items()} for r in rows]))
    print("\n" + "\n".join(lines))
    report.save(out, "utility", {**about, "verdicts": lines}, rows)
    _plot(rows, about).savefig(f"{out}/utility.png", dpi=150)
    print(f"results in {out}: utility.json, utility.png, results.jsonl")
    return rows


def verdicts(rows: list[dict], base: dict) -> list[str]:
    """For every row with synthetic ECGs: helps or hurts where the interval of the gain leaves zero out."""
    said = []
    for row in rows:
        name = row["trained on"]
        if "synthetic" in name and "tested on" not in name and row["macro gain"] is not None:
            low, high = row["macro gain 95 %"]
            word = "helps" if low > 0 else "hurts" if high < 0 else "undecided"
            said.append(
                f"{name} against {base[name]}: {word} ({row['macro gain']:+.3f}, {low:+.3f} to {high:+.3f})"
            )
    return said


def _cell(value):
    if isinstance(value, tuple):
        return "{:.3f}-{:.3f}".format(*value) if value[0] >= 0 else "{:+.3f} to {:+.3f}".format(*value)
    return value


def _plot(rows, about) -> Figure:
    figure = Figure(figsize=(11, 1.5 + 0.33 * len(rows)), facecolor="white", layout="constrained")
    for axis, what in zip(figure.subplots(1, 2, sharey=True), ("macro", "scarcest")):
        place = np.arange(len(rows))[::-1]
        spans = np.array([r[f"{what} 95 %"] for r in rows])
        axis.hlines(place, *spans.T, color="#8aa5c0", linewidth=3)
        axis.plot([r[what] for r in rows], place, "o", color="#1f4e79")
        axis.axvline(rows[0][what], color="#b03030", linewidth=0.8, linestyle=":")
        axis.set_yticks(place, [r["trained on"] for r in rows])
        axis.set_xlabel("AUROC, " + ("mean of labels" if what == "macro" else ", ".join(about["scarcest"])))
        axis.grid(axis="x", alpha=0.3)
    figure.suptitle(
        f"{about['tested']} recordings tested, {len(about['seeds'])} seeds; bars: 95 % over patients",
        fontsize=9,
    )
    return figure
