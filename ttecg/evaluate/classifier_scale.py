"""How deep, how wide, which kernel? `ttecg evaluate classifier-scale --config configs/classifier_scale.py ...`.

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
from ttecg.evaluate.auroc import draws_of, scorable
from ttecg.evaluate.classifier_signals import Recordings, split
from ttecg.evaluate.study import check_scorable, check_seeds, check_splits, open_study
from ttecg.evaluate.utility import Row, train_rows
from ttecg.evaluate.utility_pool import Pool
from ttecg.models.functional import Functional
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.config import load_config, to_dict

AXES = ("depth", "width", "kernel")


def evaluate(config_file, data, out, seeds=(0, 1, 2), steps: int = 0) -> list[dict]:
    """Prints and writes classifier-scale.json; results.jsonl there has a line for every network, and what is there is
    not trained again. steps: in place of the config's. Returns the rows, best first. ValueError where the file holds no
    grid."""
    base, grid = read_grid(config_file)
    if steps:
        base = dataclasses.replace(base, run=dataclasses.replace(base.run, steps=steps))
    check_seeds(seeds)
    check_splits(data)
    sizes = [dict(zip(AXES, values)) for values in itertools.product(*(grid[a] for a in AXES))]
    recipes = [sized(base, **size) for size in sizes]
    out, names = pathlib.Path(out), label_names(base.labels)
    open_study(out, {"config": to_dict(base), "grid": {k: list(v) for k, v in grid.items()}})
    records = Recordings(out / "signals", data, (), names, base.model)
    group = split(records, 0, data)[0]
    target = records.target[group.test]
    check_scorable(data, target, base.labels)
    trainings = [Row(_name(s), group.train, group.test, r) for s, r in zip(sizes, recipes)]
    lines = train_rows(out, Pool.recorded(records.real(), records.target), trainings, seeds)
    draws, scored, rows, areas = draws_of(records.patient[group.test]), scorable(target), [], []
    for size, recipe, training in zip(sizes, recipes, trainings):
        mine = [lines[training.name, training.key, s] for s in seeds]
        area = auroc.label_areas(np.stack([x["scores"] for x in mine]), target, draws)[..., scored].mean(-1)
        areas.append(area.mean(0))
        rows.append({
            **size, "parameters": Functional(recipe.network.create).count(),
            "AUROC": float(area[:, 0].mean()), "95 %": auroc.interval(areas[-1][1:]),
            "sd over seeds": float(area[:, 0].std(ddof=int(len(seeds) > 1))),
            "seconds": float(np.mean([x["seconds"] for x in mine])),
        })  # fmt: skip
    effects = marginal(sizes, np.stack(areas))
    rows.sort(key=lambda r: -r["AUROC"])
    print(f"\n{data}: {len(group.train)} records to train on, {len(target)} to test on, {len(seeds)} seeds")
    print("AUROC (95 % over patients), mean over seeds and labels; seconds of one network\n")
    print(report.table(rows))
    print(
        "\nmean over the others; change: from the smallest, paired\n"
        + report.table(list(map(_cells, effects)))
    )
    about = {"data": str(data), "seeds": list(seeds), "config": to_dict(base), "marginal": effects}
    report.save(out, "classifier-scale", about, rows)
    print(f"\nresults in {out}: classifier-scale.json, results.jsonl")
    return rows


def read_grid(file) -> tuple[ClassifierTraining, dict]:
    """`config` and `grid` of a Python file. ValueError where they are not what they should be."""
    base, grid = load_config(file), runpy.run_path(str(file)).get("grid")
    if not isinstance(base, ClassifierTraining) or not isinstance(grid, dict) or set(grid) != set(AXES):
        raise ValueError(
            f"{file} must set `config` to a ClassifierTraining and `grid` to {{{', '.join(AXES)}}}"
        )
    for values in grid.values():
        if not isinstance(values, list | tuple) or not values or len(set(values)) < len(values):
            raise ValueError(
                f"{file}: each of {', '.join(AXES)} in `grid` needs different values, at least one"
            )
    return base, grid


def sized(base: ClassifierTraining, depth: int, width: int, kernel: int) -> ClassifierTraining:
    """The same with other sizes; later stages stay as many times as wide as the first as they are."""
    first = base.model.widths[0]
    widths = tuple(round(w / first * width) for w in base.model.widths)
    model = dataclasses.replace(base.model, widths=widths, depth=depth, kernel=kernel)
    return dataclasses.replace(base, model=model)


def marginal(sizes: list[dict], area_RxD) -> list[dict]:
    """For each size the mean area of all networks that have it, and the change from the smallest with its interval;
    draw 0 is all records."""
    rows = []
    for axis in AXES:
        values = sorted({s[axis] for s in sizes})
        means = [area_RxD[[s[axis] == v for s in sizes]].mean(0) for v in values]
        for value, mean in zip(values, means):
            change = mean - means[0]
            rows.append({"size": f"{axis} {value}", "AUROC": float(mean[0]), "change": float(change[0]),
                         "95 %": auroc.interval(change[1:])})  # fmt: skip
    return rows


def _name(size: dict) -> str:
    return ", ".join(f"{k} {v}" for k, v in size.items())


def _cells(effect: dict) -> dict:
    low, high = effect["95 %"]
    return effect | {"change": f"{effect['change']:+.3f}", "95 %": f"{low:+.3f} to {high:+.3f}"}
