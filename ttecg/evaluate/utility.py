"""Are synthetic ECGs of use to train on? `ttecg evaluate utility --model demo --data data/ptbxl-500 --out out/utility`.

One classifier, one recipe, three seeds, always the same number of steps, tested on the recorded test split:

real            trained on the training split (TRTR); everything is compared with this
synthetic       trained on as many synthetic ECGs, each made of a training record's report (TSTR)
real, tested on synthetic ECGs made of the test records' reports (TRTS)
+25 % ...       real, and so many synthetic ones beside
oversampled, class weights, mixup    what costs nothing, on the real records
1 % ...         so few real records, alone and with synthetic ones made of their reports only

The generator has seen all training records; where few are labelled, its knowledge of the others is part of what helps.
"""

import dataclasses
import functools
import json
import pathlib
import time

import numpy as np
from tqdm import tqdm

from ttecg.data.dataset import open_dataset
from ttecg.data.prompt import Prompt
from ttecg.data.statements import label_names
from ttecg.evaluate import auroc
from ttecg.evaluate.classification import study_recipe
from ttecg.evaluate.classifier_fit import fit_and_score
from ttecg.evaluate.classifier_signals import Recordings, split
from ttecg.evaluate.generation import prompt_of
from ttecg.evaluate.synthetic import Joined, synthesise
from ttecg.evaluate.utility_report import publish
from ttecg.models.functional import Functional
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.config import to_dict, write_text

REAL, ON_SYNTHETIC = "real", "real, tested on synthetic"
_LINES, _STUDY = "results.jsonl", "study.json"
_FEWEST = 10  # real records where few are labelled


@dataclasses.dataclass(frozen=True)
class Row:
    """One training: places of its records among the real and synthetic ones, and what it is tested on."""

    name: str
    train: np.ndarray
    test: np.ndarray
    recipe: ClassifierTraining
    base: str = REAL


@dataclasses.dataclass(frozen=True)
class Pool:
    """Real and synthetic ECGs one after the other: signal (N + M, T, 8), target (N + M, L). of (M,): the real record
    whose report each synthetic one was made of; copy (M,): its number among those."""

    signal: Joined
    target: np.ndarray
    real: int
    of: np.ndarray
    copy: np.ndarray

    def made_of(self, records, copies: int) -> np.ndarray:
        """Places of the first copies of these records, all first copies before all second ones."""
        which = np.flatnonzero(np.isin(self.of, records) & (self.copy < copies))
        return self.real + which[np.lexsort((self.of[which], self.copy[which]))]


def evaluate(
    data,
    out,
    *,
    model="demo",
    labels=("superclass",),
    seeds=(0, 1, 2),
    shares=(0.25, 0.5, 1.0, 2.0),
    few=(0.01, 0.05, 0.1),
    few_copies: int = 8,
    recipe: ClassifierTraining | None = None,
) -> list[dict]:
    """Prints the table and writes utility.json, utility.png and results.jsonl to `out`; what is there is not made
    again. shares: of synthetic to real records. few: shares of the real records that are labelled, of which
    `few_copies` synthetic ones are made each. Returns the rows."""
    from ttecg.loading import load

    names = label_names(labels)
    recipe = dataclasses.replace(recipe or study_recipe(), labels=tuple(labels), sources=())
    recipe = dataclasses.replace(recipe, model=recipe.network)
    maker = load(model)
    if not hasattr(maker, "generate_many"):
        raise ValueError(f"{model} makes no ECGs from reports; give a text-to-ECG bundle such as demo")
    if not seeds or not all(0 < s for s in (*shares, *few)):
        raise ValueError("seeds and shares must not be empty, and shares must be positive")
    out = pathlib.Path(out)
    study = {"recipe": to_dict(recipe), "model": maker.hash, "shares": list(shares), "few": list(few)}
    open_study(out, study)
    records = Recordings(out / "signals", data, (), names, recipe.model)
    group = split(records, 0, data)[0]
    scarce = scarcest(records.target[group.train], names)
    subsets = {share: few_records(records.target, group.train, share) for share in few}
    pool = _pool(out, records, data, group, maker, recipe, shares, subsets, few_copies)
    rows = plan(pool, group, subsets, recipe, shares, few_copies, records.target)
    lines = train_rows(out, pool, rows, seeds, recipe)
    areas = {}
    for row in rows:
        on_real = row.test[0] < pool.real
        patients = records.patient[row.test if on_real else pool.of[row.test - pool.real]]
        weights[row.name] = np.concatenate(
            [np.ones((1, len(row.test)), np.uint16), auroc.patient_draws(patients)]
        )
        scores = np.stack([lines[row.name, s]["scores"] for s in seeds])
        areas[row.name] = auroc.label_areas(scores, pool.target[row.test], weights[row.name])
    about = {
        "model": maker.name, "hash": maker.hash, "data": str(data), "trained on": len(group.train),
        "tested": len(group.test), "patients": len(set(records.patient[group.test])),
        "synthetic": len(pool.of), "seeds": list(seeds), "scarcest": scarce, "labels": list(names),
        "recipe": to_dict(recipe),
    }  # fmt: skip
    sizes = {row.name: len(row.train) for row in rows}
    return publish(out, about, areas, {row.name: row.base for row in rows}, sizes, names, scarce)


def open_study(out: pathlib.Path, now: dict):
    """Makes `out`, or checks that what is there was made in the same way."""
    now = json.loads(json.dumps(now))
    if (out / _STUDY).exists():
        before = json.loads((out / _STUDY).read_text())
        changed = [k for k in now if before.get(k) != now[k]]
        if changed:
            raise ValueError(f"{out} holds a study with another {changed[0]}; give another --out")
    elif out.is_file() or out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no study; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / _STUDY, json.dumps(now, indent=1))


def scarcest(target_NxL, names, count: int = 2) -> list[str]:
    """The labels with fewest positive records, of those that have any."""
    positive = np.nansum(target_NxL == 1, axis=0)
    order = [i for i in np.argsort(positive, kind="stable") if positive[i]]
    return [names[i] for i in order[:count]]


def few_records(target_NxL, train, share: float, seed: int = 0) -> np.ndarray:
    """A share of the training records, at least 10; every label that is there comes in first, scarce ones before
    frequent ones. A larger share holds all of a smaller one."""
    rng = np.random.default_rng(seed)
    order = list(rng.permutation(train))
    positive = np.nansum(target_NxL[train] == 1, axis=0)
    first: list[int] = []
    for label in [i for i in np.argsort(positive, kind="stable") if positive[i]] * 2:
        first += [r for r in order if target_NxL[r, label] == 1 and r not in first][:1]
    rest = [r for r in order if r not in first]
    return np.array([*first, *rest][: max(round(share * len(train)), min(_FEWEST, len(train)))])


def _pool(out, records, data, group, maker, recipe, shares, subsets, few_copies) -> Pool:
    """Copies made of training records' reports for the largest share, more of the few, one of test records'."""
    copies = {int(r): int(np.ceil(max((*shares, 1.0)))) for r in group.train}
    for some in subsets.values():
        copies |= {int(r): max(copies[int(r)], few_copies) for r in some}
    copies |= {int(r): 1 for r in group.test}
    prompts = _prompts(records, data)
    asked = [(r, c) for r, n in copies.items() for c in range(n) if prompts[r]]
    if len(asked) < 16:
        raise ValueError(f"{data}: {len(asked)} records have a report and a label; at least 16 are needed")
    made = synthesise(out / "synthetic.npy", maker, [(prompts[r], (c, r)) for r, c in asked], recipe.model)
    of, copy = (np.array(x) for x in zip(*asked))
    target = np.concatenate([records.target, records.target[of]])
    return Pool(Joined(records.real(), made), target, len(records), of, copy)


def _prompts(records: Recordings, data) -> list[Prompt | None]:
    opened: dict = {}
    found = []
    for _, part, i in records._place:
        if part not in opened:
            opened[part] = open_dataset(data, str(part))
        ecg = opened[part][int(i)]
        found.append(prompt_of(ecg) if any(map(str.isalnum, ecg.report or "")) else None)
    return found


def plan(pool: Pool, group, subsets, recipe, shares, few_copies: int, target_NxL) -> list[Row]:
    """The trainings of the study, see the module's docstring."""
    train, test = group.train, group.test
    every = int(np.ceil(max((*shares, 1.0))))
    made = pool.made_of(train, every)
    rows = [
        Row(REAL, train, test, recipe),
        Row("synthetic", made[: len(train)], test, recipe),
        Row(ON_SYNTHETIC, train, pool.made_of(test, 1), recipe),
        *(Row(f"+{share:.0%} synthetic", np.concatenate([train, made[: round(share * len(train))]]), test, recipe)
          for share in shares),
        Row("oversampled", oversampled(target_NxL, train), test, recipe),
        Row("class weights", train, test, dataclasses.replace(recipe, class_weights=True)),
        Row("mixup", train, test, dataclasses.replace(recipe, mixup=0.3)),
    ]  # fmt: skip
    for share, some in subsets.items():
        name = f"{share:.0%} real ({len(some)})"
        both = np.concatenate([some, pool.made_of(some, few_copies)])
        rows += [Row(name, some, test, recipe), Row(f"{name} + synthetic", both, test, recipe, name)]
    return rows


def oversampled(target_NxL, train) -> np.ndarray:
    """Training records, those with a scarce label repeated so that it is seen as often as the most frequent, at most
    eight times."""
    positive = target_NxL[train] == 1
    count = np.maximum(positive.sum(0), 1)
    wanted = np.where(positive, count.max() / count, 1.0).max(1)
    return np.repeat(train, np.clip(np.rint(wanted), 1, 8).astype(int))


def train_rows(out: pathlib.Path, pool: Pool, rows: list[Row], seeds, recipe) -> dict:
    """{(row, seed): line}; trains what results.jsonl does not hold. Rows on the same records share their networks."""
    lines = {(x["row"], x["seed"]): x for x in _read_lines(out / _LINES)}
    functional = Functional(recipe.network.create)
    todo = {row.name: [s for s in seeds if (row.name, s) not in lines] for row in rows}
    with tqdm(total=sum(map(len, todo.values())) * recipe.run.steps, unit="step", disable=None) as bar:
        for row in rows:
            if not todo[row.name]:
                continue
            bar.set_description(row.name)
            started, missing = time.perf_counter(), todo[row.name]
            scores = fit_and_score(
                row.recipe, functional, pool.signal, pool.target, row.train, row.test, missing,
                functools.partial(_advance, bar, len(missing)),
            )  # fmt: skip
            took = (time.perf_counter() - started) / len(missing)
            for seed, logits in zip(missing, scores):
                line = {"row": row.name, "seed": seed, "seconds": round(took, 1),
                        "scores": [[float(f"{v:.6g}") for v in one] for one in logits]}  # fmt: skip
                lines[row.name, seed] = line
                with (out / _LINES).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
    return lines


def _advance(bar, count: int, step: int):
    bar.update(count)


def _read_lines(path: pathlib.Path) -> list[dict]:
    """A line that an interruption cut short is as if it were not there."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8")
    if whole and not whole.endswith("\n"):
        whole = whole[: whole.rfind("\n") + 1]
        write_text(path, whole)
    return [json.loads(line) for line in whole.splitlines()]
