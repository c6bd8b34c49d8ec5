"""Are synthetic ECGs of use to train on? `ttecg evaluate utility --model demo --data data/ptbxl-500 --out out/utility`.

One classifier, one recipe, three seeds, always the same number of steps, tested on the recorded test split:

real            trained on the training split (TRTR); everything is compared with this
synthetic       trained on as many synthetic ECGs, each made of a training record's report (TSTR)
real, tested on synthetic ECGs made of the test records' reports (TRTS)
+25% ...        real, and so many synthetic ones beside
oversampled, class weights, mixup    what costs nothing, on the real records
1% ...          so few real records, alone and with synthetic ones made of their reports only

The generator has seen all training records; where few are labelled, its knowledge of the others is part of what helps.
Synthetic ECGs may be read from a folder instead; shares that need more of them than there are become one row with all.
"""

import dataclasses
import functools
import hashlib
import pathlib

import numpy as np
from tqdm import tqdm

from ttecg import generate
from ttecg.data.statements import label_names
from ttecg.evaluate import auroc
from ttecg.evaluate.auroc import draws_of, scorable
from ttecg.evaluate.classifier_signals import Group, Recordings, split
from ttecg.evaluate.given import recordings
from ttecg.evaluate.report import read_lines
from ttecg.evaluate.study import (
    LINES,
    check_scorable,
    check_seeds,
    check_splits,
    check_study,
    open_study,
    study_recipe,
    train,
)
from ttecg.evaluate.utility_pool import (
    Pool,
    few_records,
    from_folder,
    from_model,
    oversampled,
    prompts_of,
    scarcest,
)
from ttecg.evaluate.utility_report import publish
from ttecg.models.functional import Functional
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.config import to_dict

REAL, ON_SYNTHETIC = "real", "real, tested on synthetic"


@dataclasses.dataclass(frozen=True)
class Row:
    """One training: places of its records among the real and synthetic ones, and what it is tested on."""

    name: str
    train: np.ndarray
    test: np.ndarray
    recipe: ClassifierTraining
    base: str = REAL

    @property
    def key(self) -> str:
        """Changes with the records."""
        places = np.concatenate([self.train, [-1], self.test]).astype(np.int64)
        return hashlib.sha256(places.tobytes()).hexdigest()[:12]


def evaluate(
    data,
    out,
    *,
    model="demo",
    generated=None,
    labels=("superclass",),
    seeds=(0, 1, 2),
    shares=(0.25, 0.5, 1.0, 2.0),
    few=(0.01, 0.05, 0.1),
    few_copies: int = 8,
    recipe: ClassifierTraining | None = None,
) -> list[dict]:
    """Prints the table and writes utility.json, utility.png and results.jsonl to `out`; what is there is not made
    again. generated: a folder of synthetic ECGs, in place of the model. shares: of synthetic to real records. few:
    shares of the real records that are labelled, of which `few_copies` synthetic ones are made each. Returns the rows.
    """
    shares, few = tuple(s for s in shares if s), tuple(s for s in few if s)
    check_seeds(seeds)
    if not all(0 < s <= 100 for s in shares) or not all(0 < s <= 1 for s in few):
        raise ValueError("--shares are between 0 and 100 (1 is as many as real ones), --few between 0 and 1")
    names = label_names(labels)
    recipe = dataclasses.replace(recipe or study_recipe(), labels=tuple(labels), sources=())
    recipe = dataclasses.replace(recipe, model=recipe.network)
    maker = None if generated else generate.load(model)
    check_splits(data)
    out = pathlib.Path(out)
    origin = {"generated": str(generated)} if generated else {"model": maker.hash}
    study = {"recipe": to_dict(recipe), **origin, "shares": list(shares), "few": list(few)}
    check_study(out, study)
    if generated:
        recordings(generated)  # refused before anything is written
    open_study(out, study)
    records = Recordings(out / "signals", data, (), names, recipe.model)
    group = split(records, 0, data)[0]
    check_scorable(data, records.target[group.test], labels)
    subsets = {share: few_records(records.target, group.train, share) for share in few}
    prompts = prompts_of(records)
    if generated:
        pool = from_folder(out, records, prompts, generated, names)
    else:
        pool = from_model(out, records, prompts, maker, _copies(group, shares, subsets, few_copies))
    reported = sum(prompts[r] is not None for r in group.train)
    rows = plan(pool, group, subsets, recipe, shares, few_copies, records.target, reported)
    lines = train_rows(out, pool, rows, seeds)
    draws = draws_of(records.patient[group.test])
    areas = {row.name: _areas(pool, group, row, lines, seeds, draws) for row in rows}
    there = scorable(records.target[group.test])
    about = {
        "model": f"{maker.name} ({maker.hash})" if maker else str(generated), "data": str(data),
        "trained on": len(group.train), "tested": len(group.test),
        "patients": len(set(records.patient[group.test])), "synthetic": len(pool.of), "seeds": list(seeds),
        "scarcest": scarcest(records.target[group.train][:, there], np.array(names)[there]),
        "labels": list(names), "recipe": to_dict(recipe),
    }  # fmt: skip
    sizes = {row.name: len(row.train) for row in rows}
    return publish(out, about, areas, {row.name: row.base for row in rows}, sizes, names)


def _copies(group: Group, shares, subsets, few_copies: int) -> dict[int, int]:
    """{record: ECGs made of its report}: training records' for the largest share, more of the few labelled ones, one of
    each test record's."""
    copies = dict.fromkeys(map(int, group.train), int(np.ceil(max((*shares, 1.0)))))
    for some in subsets.values():
        copies |= {int(r): max(copies[int(r)], few_copies) for r in some}
    return copies | dict.fromkeys(map(int, group.test), 1)


def plan(
    pool: Pool, group: Group, subsets, recipe, shares, few_copies: int, target_NxL, reported: int
) -> list[Row]:
    """The trainings of the study, see the module's docstring. reported: training records with a report, which shares
    are of. Rows that no synthetic ECG serves are left out, and said to be."""
    train, test = group.train, group.test
    made, on = pool.made_of(train, free=True), pool.made_of(test, 1)
    rows = [Row(REAL, train, test, recipe)]
    if len(made):
        rows.append(Row("synthetic", made[:reported], test, recipe))
    if scorable(pool.target[on]).any():
        rows.append(Row(ON_SYNTHETIC, train, on, recipe))
    else:
        print("too few synthetic ECGs answer to test records: nothing is tested on synthetic ones")
    sizes = [s for s in shares if round(s * reported) <= len(made)]
    rows += [
        Row(f"+{_percent(s)} synthetic", np.concatenate([train, made[: round(s * reported)]]), test, recipe)
        for s in sizes
    ]
    if len(sizes) < len(shares) and len(made):
        rows.append(Row(f"+{len(made)} synthetic (all)", np.concatenate([train, made]), test, recipe))
    rows += [
        Row("oversampled", oversampled(target_NxL, train), test, recipe),
        Row("class weights", train, test, dataclasses.replace(recipe, class_weights=True)),
        Row("mixup", train, test, dataclasses.replace(recipe, mixup=0.3)),
    ]
    for share, some in subsets.items():
        name, few_made = f"{_percent(share)} real ({len(some)})", pool.made_of(some, few_copies)
        rows.append(Row(name, some, test, recipe, name))
        if len(few_made):
            both = np.concatenate([some, few_made])
            rows.append(Row(f"{name} + synthetic", both, test, recipe, name))
        else:
            print(f"no synthetic ECG answers to the {name} records: they are alone")
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _areas(pool: Pool, group: Group, row: Row, lines, seeds, draws_DxN) -> np.ndarray:
    """(S, D, L); a synthetic ECG is drawn when the patient of its record is, so all rows are paired."""
    answers = np.concatenate([np.arange(pool.real), pool.of])[row.test]
    place = {int(r): i for i, r in enumerate(group.test)}
    weights = draws_DxN[:, [place[int(r)] for r in answers]]
    scores = np.stack([lines[row.name, row.key, s]["scores"] for s in seeds])
    return auroc.label_areas(scores, pool.target[row.test], weights)


def train_rows(out: pathlib.Path, pool: Pool, rows: list[Row], seeds) -> dict:
    """{(row's name, its key, seed): line}; trains what results.jsonl does not hold."""
    lines = {(x["row"], x["key"], x["seed"]): x for x in read_lines(out / LINES)}
    functional = functools.cache(lambda network: Functional(network.create))
    todo = {row.name: [s for s in seeds if (row.name, row.key, s) not in lines] for row in rows}
    steps = sum(len(todo[row.name]) * row.recipe.run.steps for row in rows)
    with tqdm(total=steps, unit="step", smoothing=0.05, disable=None) as bar:
        for row in rows:
            if todo[row.name]:
                bar.set_description(row.name)
                made = train(
                    out, {"row": row.name, "key": row.key}, row.recipe, functional(row.recipe.network),
                    pool.signal, pool.target, (row.train, row.test), todo[row.name], bar,
                )  # fmt: skip
                lines |= {(row.name, row.key, line["seed"]): line for line in made}
    return lines
