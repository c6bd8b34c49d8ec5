"""Do leads that a model makes help a classifier? `ttecg evaluate classification --data DIR --out DIR`.

One network, one recipe, the same seeds and the same batches, on: lead I; leads I and II; I and II made eight by each
model; the eight real leads (the other four of twelve follow from them). Leads that a row does not have are zero.

What to expect: the made leads are a function of I and II, and no function of a signal tells more about the diagnosis
than the signal does (the data-processing inequality). So a gain over I and II is not information about this patient.
It can be what the model has learned of hearts in general from other records, given to a classifier that had too few
labelled ones to learn it, or merely a kinder form of the input. The linear (ridge) row tells these apart: it has seen
only the training records, and a classifier could do what it does in its first layer; what it gains is form, and only
what a model gains beyond it speaks for the model. Row and form are alike as long as nothing is lost on the way: the
network is told each lead's spread beside its shape. With shape_only that is not so: the ratio of I to II is lost to
the classifier that sees them alone, and made leads bring it back.

A model rebuilds the records it was fitted on better than others. Where these are also what the classifier is trained
on, the leads it meets in the test are worse than those it learned from, and the model's row is rather too low.

The test part is one fold, unless cross_validate asks for every record to be tested once, in K groups of folds. Then
most of the records that are tested are those that a trained model was fitted on, and its row is too good; only ridge
is fitted anew for each group. Areas are means over seeds, intervals are bootstrapped over patients.
"""

import dataclasses
import pathlib

import numpy as np
from tqdm import tqdm

from ttecg.data.dataset import describe
from ttecg.data.statements import label_names
from ttecg.ecg import INDEPENDENT
from ttecg.evaluate import auroc
from ttecg.evaluate.classification_report import results_of, show
from ttecg.evaluate.classifier_signals import (
    LINEAR,
    Group,
    Maker,
    Recordings,
    reconstructor,
    split,
    two_lead,
)
from ttecg.evaluate.report import read_lines
from ttecg.evaluate.study import (
    LINES,
    check_scorable,
    check_seeds,
    check_splits,
    open_study,
    study_recipe,
    train,
)
from ttecg.models.functional import Functional
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.config import to_dict

BASE, REAL = "I, II", "eight real leads"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table: leads that are seen, of the real ones or of what a maker makes."""

    name: str
    leads: tuple[str, ...]
    maker: Maker | None = None
    linear: bool = False


def evaluate(
    data,
    out,
    *,
    models=(LINEAR,),
    two_lead_model: str = "",
    labels=("superclass", "subset"),
    seeds=(0, 1, 2),
    cross_validate: int = 0,
    also=(),
    recipe: ClassifierTraining | None = None,
) -> list[dict]:
    """Prints the table and writes to `out` classification.json and .png; results.jsonl there has a line for every
    network, and what is there is not trained again. Returns the rows."""
    names, rows = label_names(labels), _rows(models, two_lead_model)
    recipe = dataclasses.replace(recipe or study_recipe(), labels=tuple(labels), sources=())
    recipe = dataclasses.replace(recipe, model=recipe.network)
    _check(data, seeds, cross_validate, also)
    out = pathlib.Path(out)
    open_study(out, {"cross_validate": cross_validate, "recipe": to_dict(recipe)})
    records = Recordings(out / "signals", data, also, names, recipe.model)
    groups = split(records, cross_validate, data)
    tested = np.concatenate([g.test for g in groups])
    check_scorable(data, records.target[tested], labels)
    lines = _train_all(out, records, groups, rows, seeds, recipe)
    scores = {row.name: _scores(lines, row, groups, seeds) for row in rows}
    weights = auroc.draws_of(records.patient[tested])
    areas = {name: auroc.label_areas(s, records.target[tested], weights) for name, s in scores.items()}
    table = results_of(areas, names, labels, BASE)
    about = {
        "data": str(data),
        "also": [str(path) for path in also],
        "split": f"cross-validated in {cross_validate} groups of folds" if cross_validate else "test",
        "trained on": [len(g.train) for g in groups],
        "tested": len(tested),
        "patients": len(set(records.patient[tested])),
        "positive": {n: int(np.nansum(t)) for n, t in zip(names, records.target[tested].T)},
        "seeds": list(seeds),
        "models": {row.name: row.maker.hash for row in rows if row.maker},
        "seen in training": [row.name for row in rows if row.maker] if cross_validate else [],
        "recipe": to_dict(recipe),
    }
    show(out, about, table, labels, names)
    return table


def _rows(models, two_lead_model: str) -> list[Row]:
    repeated = sorted({m for m in models if list(models).count(m) > 1})
    if repeated:
        raise ValueError(f"--models names {repeated[0]} twice")
    rows = [Row("I", ("I",)), Row(BASE, ("I", "II"))]
    for name in models:
        if name == LINEAR:
            rows.append(Row(f"{BASE} + {LINEAR}", INDEPENDENT, linear=True))
        else:
            maker = reconstructor(name)
            rows.append(Row(f"{BASE} + {maker.name}", INDEPENDENT, maker))
    if two_lead_model:
        maker = two_lead(two_lead_model)
        rows.append(Row(f"I; II later + {maker.name}", INDEPENDENT, maker))
    rows.append(Row(REAL, INDEPENDENT))
    if len({row.name for row in rows}) < len(rows):
        raise ValueError("--models: two models have the same name; rename a bundle's folder")
    return rows


def _check(data, seeds, cross_validate: int, also):
    check_seeds(seeds)
    if cross_validate < 0 or cross_validate == 1:
        raise ValueError(f"--cross-validate {cross_validate}: give 2 or more groups, or 0 for the test split")
    for path in also:
        if not describe(path)["records"].get("train"):
            raise ValueError(f"--also {path}: has no records in a train split")
    if not cross_validate:
        check_splits(data, "--cross-validate 5 needs folds alone")


def _train_all(out, records, groups, rows, seeds, recipe) -> dict:
    """{(row, hash, group, seed): line} with all that the study needs; trains what is not in results.jsonl."""
    lines = {(x["row"], x["model_hash"], x["group"], x["seed"]): x for x in read_lines(out / LINES)}
    missing = {
        (row.name, g.number): [s for s in seeds if _key(row, g.number, s) not in lines]
        for g in groups
        for row in rows
    }
    functional = Functional(recipe.network.create)
    steps = sum(map(len, missing.values())) * recipe.run.steps
    with tqdm(total=steps, unit="step", smoothing=0.05, disable=None) as bar:
        for group in groups:
            for row in rows:
                if todo := missing[row.name, group.number]:
                    bar.set_description(
                        row.name if len(groups) == 1 else f"{row.name}, group {group.number + 1}"
                    )
                    made = _train(out, records, group, row, todo, recipe, functional, bar)
                    lines |= {_key(row, group.number, line["seed"]): line for line in made}
    return lines


def _train(out, records, group: Group, row: Row, seeds, recipe, functional, bar) -> list[dict]:
    signal = _signal(records, group, row)
    recipe = dataclasses.replace(recipe, leads=() if row.leads == INDEPENDENT else row.leads)
    name, hash_, number, _ = _key(row, group.number, 0)
    about = {"row": name, "model_hash": hash_, "group": number}
    parts = group.train, group.test
    return train(out, about, recipe, functional, signal, records.target, parts, seeds, bar)


def _signal(records: Recordings, group: Group, row: Row):
    if row.linear:
        return records.made(records.ridge(group.train, f"group{group.number}"))
    return records.made(row.maker) if row.maker else records.real()


def _key(row: Row, group: int, seed: int):
    return row.name, row.maker.hash if row.maker else "", group, seed


def _scores(lines: dict, row: Row, groups, seeds) -> np.ndarray:
    """(S, N, L), records in the order in which groups test them."""
    return np.stack(
        [np.concatenate([lines[_key(row, g.number, s)]["scores"] for g in groups]) for s in seeds]
    )
