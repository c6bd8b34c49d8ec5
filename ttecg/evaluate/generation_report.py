"""How the evaluation of generated ECGs is shown: printed tables, JSON, and one HTML page with pictures."""

import dataclasses
import math
import sys

import numpy as np
from matplotlib.figure import Figure

from ttecg.evaluate import report
from ttecg.evaluate.html_report import Page
from ttecg.evaluate.intervals import FIELDS
from ttecg.evaluate.seen import Seen
from ttecg.plot import plot_ecg, save

_MADE, _REAL = "#b03030", "#1f4e79"


@dataclasses.dataclass(frozen=True)
class Section:
    """A table: rows of equal keys."""

    name: str
    note: str
    rows: list[dict]


def publish(about: dict, sections: list[Section], made: Seen, real: Seen, out=None) -> dict:
    """Prints, and writes generation.json and generation.html into `out`. Returns what the first holds."""
    bad = faults_of(sections)
    print(
        f"model {about['model']}, {about['generated']} ECGs; {about['recorded']} recorded of "
        f"{about['patients']} patients ({about['data']}, {about['split']}), seed {about['seed']}"
    )
    print("\nwhat looks bad:\n" + "\n".join(f"  {line}" for line in bad or ["nothing by these measures"]))
    for s in sections:
        if s.rows:
            print(f"\n{s.name}: {s.note}\n{report.table(_shown(s.rows))}")
    found = {**about, "looks_bad": bad, **{s.name: s.rows for s in sections}}
    if out:
        report.save(out, "generation", found, [])
        drawn = {name: draw(made, real) for name, draw in _FIGURES.items()}
        for name, (figure, _) in drawn.items():
            save(figure, f"{out}/{name}.png", 100)
        _page(about, bad, sections, made, real, drawn).save(f"{out}/generation.html")
        names = ", ".join(f"{name}.png" for name in drawn)
        print(f"\nresults in {out}: generation.json, generation.html, {names}")
    return found


def faults_of(sections: list[Section]) -> list[str]:
    """What is worse than recorded ECGs by more than a rule of thumb, worst first. Rules: distances over 1.5 times the
    floor; precision, recall, coverage under 0.8 of it; discriminators over .8; CLIP under .97 and classifier under .95
    of recorded; numbers whose mean, of all or of a class, differs for certain and by over 10 (ms, per minute,
    degrees); edits that succeed in under 80 %."""
    found: list[tuple[float, str]] = []
    rows = {s.name: s.rows for s in sections}
    for r in rows.get("fidelity", ()):
        found += _fidelity_fault(r)
    for r in rows.get("text", ()):
        least = 0.97 if r["metric"] == "CLIP score" else 0.95 if r["metric"].endswith("AUROC, mean") else 0
        if least and r["made"] < least * r["recorded"]:
            found.append(
                (
                    r["recorded"] / max(r["made"], 1e-6),
                    f"{r['metric']}: {r['made']:.3f}, recorded {r['recorded']:.3f}",
                )
            )
    for r in rows.get("heart rate", ()):
        if r["within 10"] < 0.95:
            found.append(
                (
                    1 / max(r["within 10"], 1e-3),
                    f"heart rate within 10/min of what was asked: {r['within 10']:.0%}",
                )
            )
    for r in rows.get("intervals", ()):
        low, high = r["difference 95 %"]
        if r["measure"] != "rr_cv" and (low > 0 or high < 0) and abs(r["difference of means"]) > 10:
            found.append(
                (
                    1 + abs(r["difference of means"]) / 50,
                    f"mean {r['measure']}: {r['made']:.0f}, recorded {r['recorded']:.0f}",
                )
            )
    for r in rows.get("classes", ()):
        low, high = r["difference 95 %"]
        if (low > 0 or high < 0) and abs(r["difference"]) > 10:
            found.append(
                (
                    1 + abs(r["difference"]) / 50,
                    f"mean {r['measure']} of {r['class']}: {r['made']:.0f}, recorded {r['recorded']:.0f}",
                )
            )
    for r in rows.get("edits", ()):
        if r["share"] < 0.8:
            found.append(
                (1 / max(r["share"], 0.1), f"edit {r['edit']}: {r['must change']} in {r['share']:.0%}")
            )
    for r in rows.get("physics", ()):
        if r["metric"] == "share with any fault" and r["made"] > r["recorded"] + 0.02:
            found.append((3.0, f"faulty ECGs: {r['made']:.0%}, recorded {r['recorded']:.0%}"))
    return [line for _, line in sorted(found, key=lambda f: -f[0])]


def _fidelity_fault(r: dict) -> list[tuple[float, str]]:
    name, made, floor = r["metric"], r["made"], r["floor"]
    line = f"{name}: {made:.3g}, floor {floor:.3g}"
    if name.startswith(("FID", "spectrum", "RR")) and made > 1.5 * floor:
        return [(made / max(floor, 1e-9), line)]
    if name.startswith(("precision", "recall", "coverage")) and made < 0.8 * floor:
        return [(floor / max(made, 1e-3), line)]
    if name.startswith("discriminator") and made > 0.8:
        return [(2 * made, line)]
    return []


def _shown(rows: list[dict]) -> list[dict]:
    """Intervals as text, and missing numbers as a dash."""
    return [{k: _cell(v) for k, v in row.items()} for row in rows]


def _cell(value):
    if isinstance(value, tuple | list):
        return "" if any(v is None or math.isnan(v) for v in value) else "-".join(f"{v:.3g}" for v in value)
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3g}"
    return "" if value is None else value


def _page(about: dict, bad, sections, made: Seen, real: Seen, drawn: dict) -> Page:
    page = Page(f"ECGs made by {about['model']}")
    page.text("Synthetic ECGs: research material, not for diagnosis.", "bad")
    page.text(
        f"{about['generated']} generated ECGs; {about['recorded']} recorded ones of {about['patients']} patients "
        f"({about['data']}, {about['split']}); seed {about['seed']}; model {about['hash'] or ''}; looked at by "
        + ", ".join(f"{k} {v}" for k, v in about["looked at by"].items()),
        "small",
    )
    page.code("ttecg " + " ".join(sys.argv[1:]))
    page.heading("What looks bad").items(bad or ["nothing by these measures"])
    for s in sections:
        if s.rows:
            page.heading(s.name.capitalize()).text(s.note, "small").table(_shown(s.rows))
            for name in {"fidelity": ("fidelity", "spectrum")}.get(s.name, (s.name,)):
                if name in drawn:
                    page.figure(*drawn[name])
    page.heading("Some ECGs")
    for kind, ecgs in (("generated", made.some), ("recorded, of the same report", real.some)):
        for number, ecg in enumerate(ecgs, 1):
            page.figure(plot_ecg(ecg), f"{number}, {kind}: {ecg.report}", 60)
    return page


def _histograms(made: Seen, real: Seen):
    figure = Figure(figsize=(12, 5), layout="constrained")
    for axis, name in zip(figure.subplots(2, 4).flat, FIELDS):
        values = [s.measured[:, FIELDS.index(name)] for s in (real, made)]
        known = [v[np.isfinite(v)] for v in values]
        if min(map(len, known)):
            edges = np.histogram_bin_edges(np.concatenate(known), 30)
            for v, color, label in zip(known, (_REAL, _MADE), ("recorded", "generated")):
                axis.hist(v, edges, density=True, alpha=0.55, color=color, label=label)
        axis.set_title(name, fontsize=9)
        axis.set_yticks([])
    figure.axes[-1].axis("off")
    figure.axes[0].legend(fontsize=8)
    return figure, "Measured numbers of recorded and generated ECGs."


def _clouds(made: Seen, real: Seen):
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    for axis, name in zip(np.atleast_1d(figure.subplots(1, len(real.vectors))), real.vectors):
        x = real.vectors[name] - real.vectors[name].mean(0)
        _, _, axes = np.linalg.svd(x, full_matrices=False)
        for seen, color, label in ((real, _REAL, "recorded"), (made, _MADE, "generated")):
            p = (seen.vectors[name] - real.vectors[name].mean(0)) @ axes[:2].T
            axis.plot(*p.T, ".", color=color, alpha=0.5, markersize=4, label=label)
        axis.set_title(f"{name}: first two principal components of recorded", fontsize=9)
        axis.legend(fontsize=8)
    return figure, "Where recorded and generated ECGs lie for the networks that look at them."


def _spectra(made: Seen, real: Seen):
    from ttecg.evaluate.signal_features import BANDS

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axis = figure.subplots()
    middle = [np.sqrt(a * b) for a, b in BANDS]
    for seen, color, label in ((real, _REAL, "recorded"), (made, _MADE, "generated")):
        power = 10 / np.log(10) * seen.spectra.reshape(len(seen), -1, len(BANDS)).mean(1)
        low, mid, high = np.percentile(power, [10, 50, 90], axis=0)
        axis.fill_between(middle, low, high, color=color, alpha=0.2)
        axis.plot(middle, mid, "o-", color=color, label=label)
    axis.set_xscale("log")
    axis.set_xlabel("Hz")
    axis.set_ylabel("share of power, dB")
    axis.legend(fontsize=8)
    return figure, "Power by frequency, median and 80 % of ECGs, mean over leads."


_FIGURES = {"fidelity": _clouds, "spectrum": _spectra, "intervals": _histograms}
