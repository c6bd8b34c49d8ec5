"""What each lead tells: `ttecg ablate leads --model unet --data DIR --out DIR [--all]`.

One line of JSON in out/leads.jsonl for each set of visible leads, so an interrupted study goes on. The error of a set
is the mean over the eight independent leads of MSE / power of that lead (0 for a visible lead, 1 where nothing is
known); a lead's information is its Shapley value: the drop in that error when it is added, averaged over all orders in
which leads can be added. The eight values sum to 1, less what all eight leave (nothing).
"""

import dataclasses
import itertools
import math
import pathlib

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from ttecg import plot
from ttecg.ecg import INDEPENDENT, LEADS
from ttecg.evaluate import report
from ttecg.evaluate.reconstruction import Records
from ttecg.evaluate.reconstruction_metrics import CHEST, mean_interval, wave_metrics
from ttecg.models import lead_maps
from ttecg.reconstruct import load

CHEST_LEADS = LEADS[6:]
# the 25 sets of arXiv 2502.00559
PAPER_SETS = (
    ("I",), ("II",), ("III",), ("I", "II"),
    *(("I", "II", v) for v in CHEST_LEADS),
    *(("I", "II", *pair) for pair in itertools.combinations(CHEST_LEADS, 2)),
)  # fmt: skip
ALL_SETS = tuple(s for k in range(1, 8) for s in itertools.combinations(INDEPENDENT, k))
_ROWS = 1024  # recordings times sets in one pass
FILE = "leads.jsonl"


def ablate(
    model="unet", data=None, split="test", sets=PAPER_SETS, out=None, seed=0, train_each=None, beside="ridge"
):
    """Scores every set that out/leads.jsonl does not hold yet, prints the tables, draws out/leads.png. With all 254
    proper subsets there it adds Shapley values and the best sets. Returns {set: row}.

    train_each: a `UNetTraining`; each set then gets a network of its own, trained in out/SET."""
    out = pathlib.Path(out)
    reader = load(model) if train_each is None else load(beside)
    records = Records(data, split, reader.rate, reader.band)
    power = (records.signals.astype(float) ** 2).mean((0, 1))
    out.mkdir(parents=True, exist_ok=True)
    names = [",".join(s) for s in sets]
    rows = {}
    for name in dict.fromkeys((beside, "model")):
        one = load(name) if name != "model" else None if train_each else reader
        key = {"data": str(data), "split": split, "records": len(records), "seed": seed}
        key["model"] = one.hash if one else _digest(train_each)
        done = {r["visible"]: r for r in report.read_lines(out / FILE) if {k: r.get(k) for k in key} == key}
        todo = [s for s in sets if ",".join(s) not in done]
        if len(todo) < len(sets):
            print(f"{len(sets) - len(todo)} of {len(sets)} sets are in {out / FILE} already")
        for leads, numbers in _scored(one, records, todo, train_each, out):
            row = (
                key
                | {"name": name if one is not reader else str(model)}
                | _row(leads, numbers, records, power, seed)
            )
            report.add_lines(out / FILE, [row])
            done[row["visible"]] = row
        rows[name] = {n: done[n] for n in names}
    shown = rows["model"]
    print(f"{len(records)} records of {len(set(records.patients))} patients, {split} split of {data}")
    print(_tables(shown, rows[beside], beside))
    if ("I", "II") in sets:
        print(ordering(shown["I,II"]))
    results = {"inter_lead_correlation": correlation(records.signals).tolist()}
    if set(ALL_SETS) <= set(sets):
        results |= {n: information(r) for n, r in rows.items()}
        print(_information_table(results))
    report.save(
        out,
        "leads",
        {"data": str(data), "split": split, "records": len(records)} | results,
        list(shown.values()),
    )
    draw(shown, results, out / "leads.png")
    return shown


def _scored(model, records: Records, sets, train_each, out):
    """(leads, {metric: (N, 8)}) of each set, several sets in one pass."""
    if model is None:
        for leads in tqdm(sets, desc="lead sets"):
            network = _trained(train_each, leads, out / "-".join(leads))
            yield leads, _metrics(records, network.predict(records.signals, lead_maps.visible(leads)), leads)
        return
    at_once = max(1, _ROWS // len(records))
    with tqdm(total=len(sets), desc=f"lead sets, {model.name}", disable=not sets) as bar:
        for i in range(0, len(sets), at_once):
            part = sets[i : i + at_once]
            masks = np.repeat([lead_maps.visible(s) for s in part], len(records), axis=0)
            y = model.predict_masks(np.tile(records.signals, (len(part), 1, 1)), masks)
            for leads, one in zip(part, np.split(y, len(part))):
                yield leads, _metrics(records, one, leads)
                bar.update()


def _trained(config, leads, workdir):
    from ttecg.train import unet

    config = dataclasses.replace(config, model=dataclasses.replace(config.model, leads=leads))
    unet.run(config, workdir, resume=workdir.is_dir())
    return load(workdir)


def _metrics(records: Records, y, leads) -> dict:
    shown = lead_maps.visible(leads)[lead_maps.EIGHT]
    numbers = wave_metrics(records.signals, y)
    return {k: np.where(shown, np.nan, numbers[k]) for k in ("r", "rmse_mv")}


def _row(leads, numbers: dict, records: Records, power, seed: int) -> dict:
    mask = lead_maps.visible(leads)
    chest = [i for i in CHEST if not mask[lead_maps.EIGHT[i]]]
    row = {"visible": ",".join(leads), "leads": {}}
    mse = np.nan_to_num(numbers["rmse_mv"]) ** 2
    row["error"] = float((mse.mean(0) / power).mean())
    for name in ("r", "rmse_mv"):
        mean = numbers[name][:, chest].mean(1) if chest else np.full(len(records), np.nan)
        row[name], row[f"{name}_low"], row[f"{name}_high"] = mean_interval(mean, records.patients, seed)
    for i, lead in enumerate(INDEPENDENT):
        if not mask[lead_maps.EIGHT[i]]:
            values = {"r": numbers["r"][:, i], "rmse_mv": numbers["rmse_mv"][:, i], "mse": mse[:, i]}
            row["leads"][lead] = {
                k: list(mean_interval(v, records.patients, seed)) for k, v in values.items()
            }
    row["ordering"] = _ordering(mse, records.patients, seed) if row["visible"] == "I,II" else None
    return row


def _ordering(mse_Nx8, patients, seed: int, draws: int = 1000) -> dict:
    """Share of draws of patients in which V3 is the worst chest lead by MSE, and V1 and V6 the two best."""
    _, who = np.unique(patients, return_inverse=True)
    count = who.max() + 1
    total = np.stack([np.bincount(who, mse_Nx8[:, i], count) for i in CHEST])
    picks = np.random.default_rng(seed).integers(count, size=(draws, count))
    order = np.argsort(total[:, picks].sum(-1), axis=0)
    best = np.sort(order[:2], axis=0)
    return {
        "v3_worst": float((order[-1] == 2).mean()),
        "v1_v6_best": float(((best[0] == 0) & (best[1] == 5)).mean()),
    }


def ordering(row: dict) -> str:
    """The paper's order of the leads, in words."""

    def word(share):
        return "confirmed" if share >= 0.95 else "refuted" if share <= 0.05 else "undecided"

    mse = ", ".join(
        f"{v} {1000 * m:.1f} ({1000 * low:.1f}-{1000 * high:.1f})"
        for v, (m, low, high) in ((v, row["leads"][v]["mse"]) for v in CHEST_LEADS)
    )
    o = row["ordering"]
    return (
        f"\nfrom I, II: MSE in 0.001 mV^2 (95 %): {mse}\nV3 worst: {word(o['v3_worst'])} ({o['v3_worst']:.0%} of draws)"
        f"; V1 and V6 best: {word(o['v1_v6_best'])} ({o['v1_v6_best']:.0%})"
    )


def information(rows: dict) -> dict:
    """Shapley values by lead, and the set of k leads with the least error, k = 1 to 7."""
    error = {frozenset(name.split(",")): row["error"] for name, row in rows.items() if "III" not in name}
    error |= {frozenset(): 1.0, frozenset(INDEPENDENT): 0.0}
    best = []
    for k in range(1, 8):
        chosen = min((s for s in error if len(s) == k), key=error.get)
        best.append({"leads": [lead for lead in INDEPENDENT if lead in chosen], "error": error[chosen]})
    return {"shapley": shapley(error, INDEPENDENT), "best": best}


def shapley(error: dict, leads) -> dict[str, float]:
    """{lead: the drop in error that it brings, averaged over all orders}. error: {frozenset of leads: float} of all
    subsets, the empty one and the whole included."""
    n, values = len(leads), {}
    for lead in leads:
        others = [x for x in leads if x != lead]
        values[lead] = sum(
            (error[frozenset(s)] - error[frozenset((*s, lead))]) / (n * math.comb(n - 1, k))
            for k in range(n)
            for s in itertools.combinations(others, k)
        )
    return values


def correlation(signals_NxTx8) -> np.ndarray:
    """(8, 8) mean over records of the correlation between leads."""
    x = signals_NxTx8 - signals_NxTx8.mean(1, keepdims=True)
    x = x / np.maximum(np.sqrt((x**2).sum(1, keepdims=True)), 1e-9)
    return np.einsum("nti,ntj->ij", x, x) / len(x)


def _digest(config) -> str:
    from ttecg.bundle import digest

    return digest({}, dataclasses.asdict(config))


def _tables(rows: dict, beside: dict, name: str) -> str:
    lines = [
        {
            "visible": visible,
            "r": f"{row['r']:.3f} ({row['r_low']:.3f}-{row['r_high']:.3f})",
            f"r {name}": beside[visible]["r"],
            "rmse_mv": row["rmse_mv"],
            f"rmse {name}": beside[visible]["rmse_mv"],
        }
        | {v: row["leads"][v]["r"][0] if v in row["leads"] else "-" for v in INDEPENDENT[1:]}
        for visible, row in rows.items()
    ]
    return "\nmean over hidden chest leads, and r by lead\n" + report.table(lines)


def _information_table(results: dict) -> str:
    named = {n: r for n, r in results.items() if isinstance(r, dict)}
    lines = [{"information (Shapley)": n} | r["shapley"] for n, r in named.items()]
    best = [
        {"best set": " ".join(b["leads"]), "of": n, "error": b["error"]}
        for n, r in named.items()
        for b in r["best"]
    ]
    return f"\n{report.table(lines)}\n\n{report.table(best)}"


def draw(rows: dict, results: dict, path) -> None:
    """Heat map of r (set by rebuilt lead), correlation of the leads, and Shapley values where they are."""
    names = list(rows) if len(rows) <= 40 else [",".join(s) for s in PAPER_SETS if ",".join(s) in rows]
    figure = Figure((13, 2 + 0.3 * max(len(names), 14)), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[3, 2])
    axes = figure.add_subplot(grid[:, 0])
    values = np.array([
        [rows[n]["leads"][v]["r"][0] if v in rows[n]["leads"] else np.nan for v in INDEPENDENT] for n in names
    ])  # fmt: skip
    image = axes.imshow(values, vmin=0.5, vmax=1, aspect="auto", cmap="viridis")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if value < 0.85 else "k"
            )
    axes.set(
        title="Pearson r of rebuilt leads; blank: visible", xlabel="rebuilt lead", ylabel="visible leads"
    )
    axes.set_xticks(range(8), INDEPENDENT)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.5)
    axes = figure.add_subplot(grid[0, 1])
    matrix = np.array(results["inter_lead_correlation"])
    axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
    for (i, j), value in np.ndenumerate(matrix):
        axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7)
    axes.set(title="correlation of the recorded leads")
    axes.set_xticks(range(8), INDEPENDENT)
    axes.set_yticks(range(8), INDEPENDENT)
    if "model" in results:
        axes = figure.add_subplot(grid[1, 1])
        axes.bar(INDEPENDENT, [results["model"]["shapley"][lead] for lead in INDEPENDENT])
        axes.set(title="information (Shapley value)")
    plot.save(figure, path, 80)
