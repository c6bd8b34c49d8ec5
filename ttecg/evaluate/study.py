"""What studies that train many classifiers share: one recipe, and a folder that an interrupted run goes on with.

study.json says how the folder was made; results.jsonl has a line for every network, with its scores.
"""

import json
import pathlib
import time

from ttecg.data.dataset import describe
from ttecg.evaluate.auroc import scorable
from ttecg.evaluate.classifier_fit import fit_and_score
from ttecg.evaluate.report import add_lines
from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.config import write_text
from ttecg.train.loop import RunConfig

LINES, _STUDY = "results.jsonl", "study.json"


def study_recipe(shape_only: bool = False, steps: int = 400) -> ClassifierTraining:
    """What every network is trained with."""
    model, run = ResNetConfig(amplitude=not shape_only), RunConfig(steps=steps, batch=32, ema=0.99)
    return ClassifierTraining(model=model, run=run)


def check_seeds(seeds):
    """ValueError for seeds that are none, negative or repeated."""
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"--seeds {' '.join(map(str, seeds))}: give different whole numbers from 0 up, as in 0 1 2"
        )


def check_splits(data, mend: str = ""):
    """ValueError where there is nothing to train on or to test on; mend: what may be done."""
    for part in ("train", "test"):
        if not describe(data)["records"].get(part):
            raise ValueError(f"{data}: has no records in a {part} split" + (f"; {mend}" if mend else ""))


def check_scorable(data, target_NxL, labels):
    """ValueError where no label can be scored."""
    if not scorable(target_NxL).any():
        raise ValueError(
            f"{data}: no label of {', '.join(labels)} both holds and does not among the records tested"
        )


def check_study(out: pathlib.Path, now: dict):
    """ValueError where `out` holds what was not made in this way."""
    now = json.loads(json.dumps(now))
    if (out / _STUDY).exists():
        before = json.loads((out / _STUDY).read_text())
        changed = [k for k in {**now, **before} if before.get(k) != now.get(k)]
        if changed:
            raise ValueError(f"{out} holds a study with another {changed[0]}; give another --out")
    elif out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no study; give another --out")


def open_study(out: pathlib.Path, now: dict):
    """Makes `out`, or checks that what is there was made in the same way."""
    check_study(out, now)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / _STUDY, json.dumps(now, indent=1))


def train(
    out: pathlib.Path,
    about: dict,
    recipe: ClassifierTraining,
    functional,
    signal,
    target_NxL,
    parts,
    seeds,
    bar,
) -> list[dict]:
    """Trains a network for each seed on parts[0] and tests it on parts[1], record numbers; their lines, which are added
    to what is there: `about`, seed, seconds, scores (records tested, labels). bar: told of every step."""
    started = time.perf_counter()
    scores = fit_and_score(
        recipe, functional, signal, target_NxL, *parts, seeds, lambda _: bar.update(len(seeds))
    )
    took = round((time.perf_counter() - started) / len(seeds), 1)
    lines = [
        {
            **about,
            "seed": seed,
            "seconds": took,
            "scores": [[float(f"{v:.6g}") for v in one] for one in logits],
        }
        for seed, logits in zip(seeds, scores)
    ]
    add_lines(out / LINES, lines)
    return lines
