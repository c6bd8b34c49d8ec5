"""How the study of use is shown: a table with intervals, a verdict for every row, a plot.

Intervals are bootstrapped over test patients and over seeds, the same draws for all rows, so that gains are paired.
"""

import numpy as np
from matplotlib.figure import Figure

from ttecg.data.statements import CLASSES
from ttecg.evaluate import report
from ttecg.evaluate.auroc import interval

_KINDS = ("macro", "scarcest")


def publish(out, about: dict, areas: dict, base: dict, sizes: dict, names) -> list[dict]:
    """Prints, and writes utility.json and utility.png. areas: {row: (S, D, L)}, of which draw 0 is all records; base:
    {row: what it is compared with}, itself for none."""
    rows = results_of(areas, base, names, about["scarcest"])
    rows = [{"trained on": r["row"], "records": sizes[r["row"]], **r} for r in rows]
    for row in rows:
        del row["row"]
    lines = verdicts(rows, base)
    print(
        f"\n{about['model']}, {about['data']}: "
        f"{about['trained on']} records to train on, {about['tested']} of {about['patients']} patients to test on; "
        f"seeds {', '.join(map(str, about['seeds']))}; scarcest: {', '.join(about['scarcest'])}\n"
        "AUROC (95 % over patients and seeds); gain over real, or over the same few alone\n"
    )
    print(report.table([_cells(r) for r in rows]))
    print("\n" + "\n".join(lines))
    print(f"({2 * len(lines)} comparisons, each at 95 %: one in twenty leaves zero out by chance)")
    if len(about["seeds"]) < 2:
        print(
            "One seed: the intervals leave out how much a training differs from the next; give --seeds 0 1 2."
        )
    report.save(out, "utility", {**about, "verdicts": lines}, rows)
    _plot(rows, about).savefig(f"{out}/utility.png", dpi=150)
    print(f"results in {out}: utility.json, utility.png, results.jsonl")
    return rows


def results_of(areas: dict, base: dict, names, scarce) -> list[dict]:
    """A dictionary per row: for the mean over labels (superclasses where there are any) and over the scarcest ones, the
    area (mean over seeds), its interval, and the gain over its base with an interval; None where nothing can be scored.
    Labels that cannot be scored in a row or its base are left out of both."""
    picks = _seed_draws(*next(iter(areas.values())).shape[:2])
    main = [i for i, n in enumerate(names) if n in CLASSES] or list(range(len(names)))
    rare = [i for i, n in enumerate(names) if n in scarce]
    rows = []
    for name, area in areas.items():
        row = {"row": name, "sd over seeds": None}
        for what, labels in zip(_KINDS, (main, rare)):
            labels = [i for i in labels if not np.isnan(area[0, 0, i] + areas[base[name]][0, 0, i])]
            mine, other = (_drawn(a[:, :, labels], picks) for a in (area, areas[base[name]]))
            row |= _figures(what, mine, mine - other if name != base[name] else None)
            if what == "macro" and labels:
                row["sd over seeds"] = float(area[:, 0, labels].mean(-1).std(ddof=int(len(area) > 1)))
        rows.append(row)
    return rows


def _seed_draws(seeds: int, draws: int) -> np.ndarray:
    """(D, S) seeds of each draw: all in draw 0, then with replacement."""
    picks = np.random.default_rng(1).integers(seeds, size=(draws, seeds))
    picks[0] = np.arange(seeds)
    return picks


def _drawn(area_SxDxL, picks_DxS) -> np.ndarray:
    """(D,) mean over the labels and over the seeds that were drawn; NaN where a label is missing from a draw."""
    if not area_SxDxL.shape[-1]:
        return np.full(len(picks_DxS), np.nan)
    mean_DxS = area_SxDxL.mean(-1).T
    return np.take_along_axis(mean_DxS, picks_DxS, 1).mean(1)


def _figures(what: str, mine_D, gain_D) -> dict:
    """Under the names of one kind; None for what could not be computed."""
    found = {}
    for key, values in ((what, mine_D), (f"{what} gain", gain_D)):
        known = values is not None and not np.isnan(values[0])
        found |= {
            key: float(values[0]) if known else None,
            f"{key} 95 %": interval(values[1:]) if known else None,
        }
    return found


def verdicts(rows: list[dict], base: dict) -> list[str]:
    """For every row that has a base and was tested on recorded ECGs: helps or hurts where the interval of the gain
    leaves zero out, undecided otherwise."""
    said = []
    for row in rows:
        name = row["trained on"]
        if base[name] == name or "tested on" in name:
            continue
        words = [f"{what} {_verdict(row[f'{what} gain'], row[f'{what} gain 95 %'])}" for what in _KINDS]
        said.append(f"{name} against {base[name]}: {'; '.join(words)}")
    return said


def _verdict(gain, span) -> str:
    if gain is None:
        return "not scored"
    word = "helps" if span[0] > 0 else "hurts" if span[1] < 0 else "undecided"
    return f"{word} ({gain:+.3f}, {span[0]:+.3f} to {span[1]:+.3f})"


def _cells(row: dict) -> dict:
    """A row as the table shows it."""
    cells = {"trained on": row["trained on"], "records": row["records"]}
    for what in _KINDS:
        span, gain_span = row[f"{what} 95 %"], row[f"{what} gain 95 %"]
        cells[what] = "" if span is None else f"{row[what]:.3f} ({span[0]:.3f}-{span[1]:.3f})"
        cells[f"{what} gain"] = (
            ""
            if gain_span is None
            else f"{row[f'{what} gain']:+.3f} ({gain_span[0]:+.3f} to {gain_span[1]:+.3f})"
        )
    return cells | {"sd over seeds": row["sd over seeds"]}


def _plot(rows, about) -> Figure:
    figure = Figure(figsize=(11, 1.5 + 0.33 * len(rows)), facecolor="white", layout="constrained")
    for axis, what in zip(figure.subplots(1, 2, sharey=True), _KINDS):
        place = np.arange(len(rows))[::-1]
        spans = np.array([r[f"{what} 95 %"] or (np.nan, np.nan) for r in rows])
        axis.hlines(place, *spans.T, color="#8aa5c0", linewidth=3)
        axis.plot([np.nan if r[what] is None else r[what] for r in rows], place, "o", color="#1f4e79")
        axis.axvline(rows[0][what], color="#b03030", linewidth=0.8, linestyle=":")
        axis.set_yticks(place, [r["trained on"] for r in rows])
        axis.set_xlabel("AUROC, " + ("mean of labels" if what == "macro" else ", ".join(about["scarcest"])))
        axis.grid(axis="x", alpha=0.3)
    figure.suptitle(
        f"{about['tested']} recordings tested, {len(about['seeds'])} seeds; bars: 95 % over patients and seeds; "
        "dotted: real",
        fontsize=9,
    )
    return figure
