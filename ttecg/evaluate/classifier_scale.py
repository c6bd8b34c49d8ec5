"""How deep, how wide, which kernel? `ttecg evaluate classifier-scale --config configs/classifier_scale.py`.

Every combination of the config's `grid` is trained with the same recipe and seeds on the training split of a prepared
set and tested on its test split (arXiv 2308.12492 did so on PhysioNet 2021).
"""

import dataclasses
import itertools
import pathlib
import runpy

import numpy as np

from ttecg.data.statements import label_names
from ttecg.evaluate import auroc, report
from ttecg.evaluate.classifier_signals import Recordings, split
from ttecg.evaluate.synthetic import Joined
from ttecg.evaluate.utility import Pool, Row, open_study, train_rows
from ttecg.models.functional import Functional
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.config import load_config, to_dict

AXES = ("depth", "width", "kernel")


def evaluate(config_file, data, out, seeds=(0, 1, 2)) -> list[dict]:
    """Prints and writes classifier-scale.json; results.jsonl there has a line for every network, and what is there is
    not trained again. Returns the rows, best first. ValueError where the file holds no grid."""
    base, grid = load_config(config_file), runpy.run_path(str(config_file)).get("grid")
    if not isinstance(base, ClassifierTraining) or not isinstance(grid, dict) or set(grid) != set(AXES):
        raise ValueError(
            f"{config_file} must set `config` to a ClassifierTraining and `grid` to {', '.join(AXES)}"
        )
    out, names = pathlib.Path(out), label_names(base.labels)
    open_study(out, {"config": to_dict(base), "grid": {k: list(v) for k, v in grid.items()}})
    records = Recordings(out / "signals", data, (), names, base.model)
    group = split(records, 0, data)[0]
    pool = Pool(Joined(records.real()), records.target, len(records), np.zeros(0, int), np.zeros(0, int))
    weights = auroc.patient_draws(records.patient[group.test])
    weights = np.concatenate([np.ones((1, len(group.test)), np.uint16), weights])
    rows = []
    for values in itertools.product(*(grid[a] for a in AXES)):
        sizes = dict(zip(AXES, values))
        recipe = sized(base, **sizes)
        name = ", ".join(f"{k} {v}" for k, v in sizes.items())
        lines = train_rows(out, pool, [Row(name, group.train, group.test, recipe)], seeds, recipe)
        scores = np.stack([lines[name, s]["scores"] for s in seeds])
        areas = auroc.label_areas(scores, records.target[group.test], weights)
        mean = np.nanmean(areas, axis=(0, 2))
        rows.append({
            **sizes, "parameters": Functional(recipe.network.create).count(),
            "AUROC": float(mean[0]), "95 %": auroc.interval(mean[1:]),
            "sd over seeds": float(np.nanmean(areas[:, 0], axis=-1).std()),
            "seconds": float(np.mean([lines[name, s]["seconds"] for s in seeds])),
        })  # fmt: skip
    rows.sort(key=lambda r: -r["AUROC"])
    print(
        f"{data}: {len(group.train)} records to train on, {len(group.test)} to test on, {len(seeds)} seeds\n"
    )
    print(report.table([r | {"95 %": "{:.3f}-{:.3f}".format(*r["95 %"])} for r in rows]))
    print("\nmean over the others\n" + report.table(marginal(rows)))
    report.save(
        out, "classifier-scale", {"data": str(data), "seeds": list(seeds), "marginal": marginal(rows)}, rows
    )
    return rows


def sized(base: ClassifierTraining, depth: int, width: int, kernel: int) -> ClassifierTraining:
    """The same with other sizes; later stages stay as many times as wide as the first as they are."""
    first = base.model.widths[0]
    widths = tuple(round(w / first * width) for w in base.model.widths)
    return dataclasses.replace(
        base, model=dataclasses.replace(base.model, widths=widths, depth=depth, kernel=kernel)
    )


def marginal(rows: list[dict]) -> list[dict]:
    """Mean AUROC over all networks that share one size."""
    return [
        {"size": f"{axis} {value}", "AUROC": float(np.mean([r["AUROC"] for r in rows if r[axis] == value]))}
        for axis in AXES
        for value in sorted({r[axis] for r in rows})
    ]
