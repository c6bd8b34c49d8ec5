"""How `ttecg.augment` makes synthetic ECGs: in blocks of requests, in one process or several.

A block's content follows from (plan, class, block) alone. Its file holds the ECGs that were kept and a line for every
request, and is complete or absent.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib

import numpy as np

from ttecg.data.dataset import open_dataset
from ttecg.ecg import INDEPENDENT
from ttecg.processes import workers

BLOCK = 32  # requests
CLASS_SPAN = 10_000_000  # sample numbers set aside for a class
REASONS = ("fault", "noise", "class")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be made; the same plan gives the same set. wanted: {class: number}; models and filters by name and
    hash ("" for none); thresholds: {class: least probability}."""

    data: str
    records: dict
    wanted: dict[str, int]
    seed: int
    model: tuple[str, str]
    classifier: tuple[str, str]
    quality: tuple[str, str]
    thresholds: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Tools:
    """Names of the models; each process loads them for itself, once."""

    model: str
    classifier: str
    quality: str

    @functools.cached_property
    def maker(self):
        from ttecg.generate import load

        return load(self.model)

    @functools.cached_property
    def judge(self):
        from ttecg import encoders

        return encoders.of_kind(encoders.load(self.classifier), "classifier")

    @functools.cached_property
    def detector(self):
        from ttecg.quality import load

        return load(self.quality)


@contextlib.contextmanager
def open_pool(tools: Tools, data, plan: Plan, names, told, processes: int):
    """A function from blocks to their results, in this process or in several."""
    with workers(processes, _start, (tools, data, plan, names, told)) as run:
        yield lambda blocks: run(make_block, blocks)


_worker: dict = {}  # what `_start` gave this process


def _start(tools: Tools, data, plan: Plan, names, told):
    from ttecg.runtime import keep_compiled_programs

    keep_compiled_programs()
    _worker.update(tools=tools, records=open_dataset(data, "train"), plan=plan, told=told, names=names)


def block_file(work, number: int, block: int) -> pathlib.Path:
    return pathlib.Path(work) / f"{number:03d}-{block:06d}.npz"


def make_block(task) -> None:
    """Makes, judges and writes one block: the kept signals, and a line for every request."""
    work, number, name, block = task
    tools, plan = _worker["tools"], _worker["plan"]
    sources = np.flatnonzero(_worker["told"][:, _worker["names"].index(name)] == 1)
    sources = np.random.default_rng((plan.seed, number)).permutation(sources)
    places = [int(sources[k % len(sources)]) for k in range(block * BLOCK, (block + 1) * BLOCK)]
    real = [_worker["records"][i] for i in places]
    from ttecg.evaluate.given import prompt_of

    first = number * CLASS_SPAN + block * BLOCK
    asked = [(prompt_of(e), (plan.seed, first + i)) for i, e in enumerate(real)]
    made = list(tools.maker.generate_many(asked))
    chance = [None] * len(made)
    if tools.classifier:
        chance = tools.judge.probabilities(made)[:, tools.judge.names.index(name)]
    lines, kept = [], []
    for i, (ecg, source, p) in enumerate(zip(made, real, chance)):
        noise = tools.detector.scores(ecg)["record"] if tools.quality else None
        refused = _refusals(ecg, plan, name, p, noise)
        lines.append({
            "class": name, "refused": refused, "prompt": ecg.info["prompt"], "report": source.report,
            "age": source.age, "sex": source.sex, "labels": list(source.labels),
            "patient_id": source.info["patient_id"], "source": source.id, "seed": plan.seed, "index": first + i,
            "model": plan.model[0], "model_hash": plan.model[1],
            "probability": None if p is None else round(float(p), 4),
            "noise": None if noise is None else round(noise, 4),
        })  # fmt: skip
        if not refused:
            kept.append(np.rint(ecg.select(INDEPENDENT).signal * 1000).astype(np.int16))
    file = block_file(work, number, block)
    scratch = file.with_name(f"{file.stem}.{os.getpid()}.tmp.npz")
    signal = np.stack(kept) if kept else np.zeros((0, 0, 8), np.int16)
    np.savez_compressed(scratch, signal=signal, rate=made[0].rate, lines=json.dumps(lines))
    os.replace(scratch, file)


def _refusals(ecg, plan: Plan, name: str, probability, noise) -> list[str]:
    from ttecg.evaluate.adherence import faults
    from ttecg.quality import NOISY

    found = ["fault"] if faults(ecg) else []
    found += ["noise"] if noise is not None and noise >= NOISY else []
    return found + (["class"] if probability is not None and probability < plan.thresholds[name] else [])


def read_lines(file: pathlib.Path) -> list[dict]:
    with np.load(file, allow_pickle=False) as stored:
        return json.loads(str(stored["lines"]))
