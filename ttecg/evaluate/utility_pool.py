"""The ECGs that a study of use trains on: recorded ones, and synthetic ones with the record that each answers to.

Synthetic ECGs are made of the reports of records and have their labels, or are read from a folder of the user's. Of
these, the k-th ECG of a text belongs to the k-th record with that text, training records first; an ECG of no record's
text is of use where it has labels of its own.
"""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib

import numpy as np
from tqdm import tqdm

from ttecg.data.dataset import open_dataset
from ttecg.data.prompt import Prompt
from ttecg.data.reports import canonical
from ttecg.data.statements import targets
from ttecg.evaluate.classifier_signals import SECONDS, Recordings
from ttecg.evaluate.given import has_words, prompt_of, reported
from ttecg.evaluate.synthetic import Joined, microvolts, synthesise
from ttecg.models.resnet import ResNetConfig
from ttecg.train.config import write_text

NOBODY, _NO_USE = -1, -2  # stand for the record of an ECG whose text no record has, and of one without labels
_FEWEST_MADE, _FEWEST_REAL = 16, 10


@dataclasses.dataclass(frozen=True)
class Pool:
    """Recorded and synthetic ECGs one after the other: signal (N + M, T, 8) int16 microvolts, target (N + M, L).
    real: N. of (M,): the record that a synthetic ECG answers to, or NOBODY; copy (M,): its number among that record's.
    """

    signal: Joined
    target: np.ndarray
    real: int
    of: np.ndarray
    copy: np.ndarray

    @classmethod
    def recorded(cls, signal, target_NxL) -> "Pool":
        """Without synthetic ones."""
        return cls(Joined(signal), target_NxL, len(target_NxL), np.zeros(0, int), np.zeros(0, int))

    def made_of(self, records, copies: int | None = None, free: bool = False, seed: int = 0) -> np.ndarray:
        """Places of the first copies of these records, or of all; all first copies before all second ones, each in a
        random order, so that a beginning is a fair sample. free: those of NOBODY after them."""
        use = np.isin(self.of, records) & (self.copy < (copies or np.inf))
        which = np.flatnonzero(use | free & (self.of == NOBODY))
        order = np.random.default_rng(seed).permutation(len(self.of))[which]
        return self.real + which[np.lexsort((order, self.copy[which], self.of[which] == NOBODY))]


def from_model(out, records: Recordings, prompts, maker, copies: dict[int, int]) -> Pool:
    """Synthetic ECGs that `maker` makes of the reports of records: {record: how many}. They lie in out/synthetic.npy;
    an interrupted run goes on. prompts: of `prompts_of`. ValueError where too few records have a report."""
    asked = [(r, c) for r, n in copies.items() for c in range(n) if prompts[r]]
    if len(asked) < _FEWEST_MADE:
        raise ValueError(
            f"{records.sets[0]}: {len(asked)} ECGs could be made; too few records have both a report and a label"
        )
    wanted = [(prompts[r], (c, r)) for r, c in asked]
    made = synthesise(pathlib.Path(out) / "synthetic.npy", maker, wanted, records.config)
    of, copy = (np.array(x) for x in zip(*asked))
    target = np.concatenate([records.target, records.target[of]])
    return Pool(Joined(records.real(), made), target, len(records), of, copy)


def from_folder(out, records: Recordings, prompts, path, names) -> Pool:
    """Synthetic ECGs of a prepared set or of a folder of WFDB records. ValueError where too few are of use."""
    made, texts, own = _read_given(pathlib.Path(out) / "given.npy", path, names, records.config)
    order = np.argsort([{"train": 0, "test": 1}.get(p, 2) for p in records.part], kind="stable")
    of, copy = linked(texts, [(r, canonical(prompts[r].report)) for r in order if prompts[r]])
    silent = np.isnan(own).all(1)
    own[silent] = np.where((of[silent] == NOBODY)[:, None], np.nan, records.target[of[silent]])
    use = ~np.isnan(own).all(1)
    if use.sum() < _FEWEST_MADE:
        raise ValueError(
            f"{path}: {use.sum()} of {len(use)} ECGs have labels, or a report of a record of {records.sets[0]}; at "
            f"least {_FEWEST_MADE} are needed"
        )
    if not use.all():
        print(
            f"{path}: {(~use).sum()} of {len(use)} ECGs have neither labels nor a record's report: left out"
        )
    of = np.where(use, of, _NO_USE)
    return Pool(Joined(records.real(), made), np.concatenate([records.target, own]), len(records), of, copy)


def linked(texts, records_with_texts) -> tuple[np.ndarray, np.ndarray]:
    """(of, copy) for ECGs by their text; records_with_texts: (record, text), those that come first are served first."""
    places = collections.defaultdict(list)
    for record, text in records_with_texts:
        places[text].append(int(record))
    seen: collections.Counter = collections.Counter()
    found = []
    for text in texts:
        count, there = seen[text], places.get(text, [NOBODY])
        found.append((there[count % len(there)], count // len(there)))
        seen[text] += 1
    of, copy = zip(*found)
    return np.array(of), np.array(copy)


def prompts_of(records: Recordings) -> list[Prompt | None]:
    """What asks for each record; None for those without words in their report."""
    opened: dict = {}
    found = []
    for number, part, i in records.place:
        source = records.sets[int(number)]
        if (source, part) not in opened:
            opened[source, part] = open_dataset(source, str(part))
        ecg = opened[source, part][int(i)]
        found.append(prompt_of(ecg) if has_words(ecg.report) else None)
    return found


def _read_given(file: pathlib.Path, path, names, config: ResNetConfig):
    """(M, T, 8) int16 microvolts on disk, M canonical texts, (M, L) own targets. Complete or absent."""
    about = {
        "folder": _fingerprint(pathlib.Path(path)),
        "labels": list(names),
        "sees": [config.rate, *config.band],
    }
    note, told = file.with_suffix(".json"), file.with_suffix(".npz")
    if note.exists():
        if json.loads(note.read_text()) != about:
            raise ValueError(f"{file} was made of other files than {path} holds now; give another --out")
    else:
        _copy_given(file, told, path, names, config)
        write_text(note, json.dumps(about))
    with np.load(told, allow_pickle=False) as stored:
        return np.load(file, mmap_mode="r", allow_pickle=False), stored["texts"], stored["own"]


def _copy_given(file, told, path, names, config: ResNetConfig):
    ecgs, texts, own = reported(path), [], []
    samples, scratch = round(SECONDS * config.rate), file.with_suffix(".tmp")
    stored = np.lib.format.open_memmap(scratch, "w+", np.int16, (len(ecgs), samples, 8))
    for i, ecg in enumerate(tqdm(ecgs, desc="reading", unit="ECG", disable=None)):
        stored[i] = microvolts(ecg, config, samples)
        texts.append(canonical(ecg.report))
        own.append(targets(ecg.labels, names))
    stored.flush()
    os.replace(scratch, file)
    np.savez(told, texts=np.array(texts, str), own=np.stack(own))


def _fingerprint(path: pathlib.Path) -> str:
    stats = [
        (str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(path.rglob("*.*"))
    ]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]


def scarcest(target_NxL, names, count: int = 2) -> list[str]:
    """The labels with fewest positive records, of those that have any."""
    positive = np.nansum(target_NxL == 1, axis=0)
    order = [i for i in np.argsort(positive, kind="stable") if positive[i]]
    return [str(names[i]) for i in order[:count]]


def few_records(target_NxL, train, share: float, seed: int = 0) -> np.ndarray:
    """A share of the training records, at least 10; two of every label that is there come in first, scarce ones before
    frequent ones. A larger share holds all of a smaller one."""
    order = list(np.random.default_rng(seed).permutation(train))
    positive = np.nansum(target_NxL[train] == 1, axis=0)
    first: list[int] = []
    for label in [i for i in np.argsort(positive, kind="stable") if positive[i]] * 2:
        first += [r for r in order if target_NxL[r, label] == 1 and r not in first][:1]
    rest = [r for r in order if r not in first]
    return np.array([*first, *rest][: max(round(share * len(train)), min(_FEWEST_REAL, len(train)))])


def oversampled(target_NxL, train) -> np.ndarray:
    """Training records, those with a scarce label repeated so that it is seen as often as the most frequent, at most
    eight times."""
    positive = target_NxL[train] == 1
    count = np.maximum(positive.sum(0), 1)
    wanted = np.where(positive, count.max() / count, 1.0).max(1)
    return np.repeat(train, np.clip(np.rint(wanted), 1, 8).astype(int))
