"""How the privacy of generated ECGs is shown: tables, the verdict, JSON, a plot."""

import numpy as np
from matplotlib.figure import Figure

from ttecg.evaluate import report
from ttecg.evaluate.privacy_judge import FLOOR
from ttecg.plot import save

_COLORS = ("#8aa5c0", "#1f4e79", "#b03030", "#e08a3c")  # real ECGs blue, generated ones red and orange
_COPIES = "#999999"
_AXES = {"one patient stands out": "nearest training patient over the second nearest"}
_TABLES = {
    "rows": "distance to the nearest training record (0: a copy)",
    "nearest": "is the nearest record of all a training one? (by chance: patients dealt to both sides anew)",
    "membership": "does nearness to generated ECGs tell training from held-out records? (.5: no)",
    "runs": "longest run of codes shared with a training record",
    "people": "real ECGs alone: does the encoder know people?",
    "taken": "as near to a training record as the two halves of one held-out recording (of half of them)",
    "suspects": "nearer than every held-out ECG",
}


def publish(about: dict, found: dict, verdict: str, out=None) -> dict:
    """Prints; writes privacy.json and privacy.png into `out`. Returns what the first holds."""
    print(
        f"\nmodel {about['model']} ({about['hash']}), {about['training records']} training records of "
        f"{about['data']}, seed {about['seed']}"
    )
    if not about["encoder"]:
        print("no encoder was given: distance in its space and recognition of patients are left out")
    for group, count in about["broken"].items():
        if count:
            print(f"{count} ECGs of {group!r} hold samples that are no numbers; they are seen as flat")
    for name, title in _TABLES.items():
        if found[name]:
            print(f"\n{title}\n{report.table([_shown(r) for r in found[name]])}")
    print(f"\n{verdict}")
    kept = {k: v for k, v in found.items() if k not in ("near", "rows")}
    if out:
        report.save(out, "privacy", {**about, "verdict": verdict, **kept}, found["rows"])
        save(plot(found), f"{out}/privacy.png", 150)
        print(f"results in {out}: privacy.json, privacy.png")
    return {**about, "verdict": verdict, **kept, "rows": found["rows"]}


def _shown(row: dict) -> dict:
    return {k: _span(v) if isinstance(v, tuple) else v for k, v in row.items()}


def _span(values) -> str:
    low, high = values
    return f"{low:.3f} to {high:.3f}"


def plot(found: dict) -> Figure:
    """A panel for each measure of nearness: what share of each group lies within a distance of a training record."""
    near = found["near"]
    figure = Figure(figsize=(3.6 * len(near), 3.6), facecolor="white", layout="constrained")
    for axis, (name, groups) in zip(figure.subplots(1, len(near)), near.items()):
        colors = [*_COLORS[: len(groups) - 1], _COPIES]
        for (group, values), color in zip(groups.items(), colors):
            x = np.sort(values)
            axis.step(x, np.arange(1, len(x) + 1) / len(x), where="post", color=color, label=group)
        axis.axvline(groups[FLOOR].min(), color=_COLORS[1], linewidth=0.8, linestyle=":")
        axis.set_title(name, fontsize=9)
        axis.set_xlabel(_AXES.get(name, "distance to the nearest training record"), fontsize=8)
        axis.set_xlim(left=0)
    figure.axes[0].set_ylabel("share of ECGs", fontsize=8)
    figure.axes[0].legend(fontsize=7)
    figure.suptitle("dotted: the nearest held-out ECG", fontsize=8)
    return figure
