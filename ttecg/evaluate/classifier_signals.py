"""The recordings of a classification study on disk: once as they are, and once for every model that makes leads.

int16 microvolts, eight leads at the classifier's rate, ten seconds, in files that are mapped into memory, so that a
large set needs disk (about 16 kB a record and model) but no memory. Every file is complete or absent.
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from tqdm import tqdm

from ttecg.data.dataset import describe, open_dataset
from ttecg.data.statements import targets
from ttecg.ecg import INDEPENDENT, resample, to_twelve
from ttecg.models import lead_maps
from ttecg.models.resnet import ResNetConfig
from ttecg.train.config import write_text

SECONDS = 10.0
TWO = lead_maps.visible(("I", "II"))
LINEAR = "ridge"  # fitted on the study's own training records
_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class Group:
    """Record numbers that a network is trained and tested on."""

    number: int
    train: np.ndarray
    test: np.ndarray


@dataclasses.dataclass(frozen=True)
class Maker:
    """Something that makes eight leads of I and II: chunk (N, T, 8) mV in, the same out; at `rate`, in `band`."""

    name: str
    hash: str
    rate: float
    band: tuple[float, ...]
    make: Callable[[np.ndarray], np.ndarray]


class Recordings:
    """The records of prepared sets that have a known label. The first set is what is tested on; `also` join the
    training alone. target (N, L) of 1, 0, NaN; part, "train", "test" …; patient, id, fold (N,); place (N, 3): number of
    the set, its split, number in the split."""

    def __init__(self, folder, data, also, names, config: ResNetConfig):
        self.folder, self.sets, self.config = pathlib.Path(folder), [data, *also], config
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            "sets": [describe(path) for path in self.sets],
            "labels": list(names),
            "rate": config.rate,
            "band": list(config.band),
        }
        file = self.folder / "about.json"
        if file.exists() and json.loads(file.read_text()) != about:
            raise ValueError(f"{self.folder} holds other recordings or labels; give another --out")
        write_text(file, json.dumps(about, indent=1))
        if not (self.folder / "records.npz").exists():
            self._list(names)
        with np.load(self.folder / "records.npz", allow_pickle=False) as stored:
            self.target, self.patient, self.id = stored["target"], stored["patient"], stored["id"]
            self.part, self.fold, self.place = stored["part"], stored["fold"], stored["place"]

    def __len__(self) -> int:
        return len(self.id)

    def real(self) -> np.ndarray:
        """(N, T, 8) int16 microvolts."""
        return self._stored("real", self._chunks(self.config.rate, self.config.band), "reading")

    def made(self, maker: Maker) -> np.ndarray:
        """(N, T, 8) int16 microvolts: what the maker makes of leads I and II."""
        chunks = self._chunks(maker.rate, maker.band)
        made = (_fit(maker.make(x), maker.rate, self.config.rate) for x in chunks)
        name = "".join(c if c.isalnum() else "_" for c in maker.name)
        return self._stored(f"made-{name}-{maker.hash}", made, maker.name)

    def ridge(self, train, name: str) -> Maker:
        """The linear map from I and II, fitted on these training records; name: of this choice of them."""
        signal, moment = self.real(), np.zeros((8, 8))
        for i in train:
            x = signal[i].astype(float) / 1000
            moment += x.T @ x / len(x) / len(train)
        weights = np.asarray(lead_maps.ridge(moment.astype(np.float32), TWO))

        def make(x):
            twelve = to_twelve(x)
            return np.asarray(lead_maps.restore(twelve @ weights, twelve, np.broadcast_to(TWO, (len(x), 12))))

        return Maker(LINEAR, name, self.config.rate, self.config.band, make)

    def _list(self, names):
        """records.npz: what is known of the records, and where they are."""
        rows = []
        for number, path in enumerate(self.sets):
            for part in describe(path)["records"]:
                for i, ecg in enumerate(tqdm(open_dataset(path, part), desc=f"labels, {part}", unit="ECG")):
                    target = targets(ecg.labels, names)
                    if not np.isnan(target).all():
                        patient = ecg.info["patient_id"] or f"{number}:{part}:{i}"
                        use = part if number == 0 else "also" if part == "train" else ""
                        rows.append((target, patient, ecg.id, use, ecg.info["fold"], (number, part, i)))
        rows = [r for r in rows if r[3]]
        if not rows:
            raise ValueError(f"{self.sets[0]}: no record has a label of {', '.join(names)}")
        target, patient, ids, use, fold, place = zip(*rows)
        scratch = self.folder / "records.tmp.npz"
        np.savez(
            scratch,
            target=np.stack(target),
            patient=np.array(patient, str),
            id=np.array(ids, str),
            part=np.array(use, str),
            fold=np.array(fold, int),
            place=np.array(place, str),
        )
        os.replace(scratch, self.folder / "records.npz")

    def _chunks(self, rate: float, band) -> Iterator[np.ndarray]:
        """(N', T, 8) mV of all records in order, resampled and band-passed."""
        samples, opened = round(SECONDS * rate), functools.lru_cache(open_dataset)
        for start in range(0, len(self), _CHUNK):
            chunk = np.zeros((min(_CHUNK, len(self) - start), samples, 8), np.float32)
            for row, (number, part, i) in zip(chunk, self.place[start : start + _CHUNK]):
                ecg = opened(self.sets[int(number)], str(part))[int(i)]
                x = ecg.select(INDEPENDENT).resample(rate).bandpass(*band).signal[:samples]
                row[: len(x)] = x
            yield chunk

    def _stored(self, name: str, chunks: Iterable[np.ndarray], what: str) -> np.ndarray:
        file = self.folder / f"{name}.npy"
        if not file.exists():
            scratch = file.with_suffix(".tmp")
            shape = (len(self), round(SECONDS * self.config.rate), 8)
            out = np.lib.format.open_memmap(scratch, "w+", np.int16, shape)
            start = 0
            with tqdm(total=len(self), desc=what, unit="ECG") as bar:
                for chunk in chunks:
                    out[start : start + len(chunk)] = np.clip(np.rint(chunk * 1000), -32767, 32767)
                    start += len(chunk)
                    bar.update(len(chunk))
            out.flush()
            del out
            os.replace(scratch, file)
        return np.load(file, mmap_mode="r", allow_pickle=False)


def split(records: Recordings, groups: int, data="the set") -> list[Group]:
    """Train and test split, or as many groups of folds, each tested once. Nobody is in both."""
    own = np.flatnonzero(records.part != "also")
    if groups:
        folds = np.unique(records.fold[own])
        if len(folds) < groups or folds.min() < 1:
            raise ValueError(
                f"{data}: its records are in {len(folds)} folds, too few for --cross-validate {groups}"
            )
        group_of = {fold: i % groups for i, fold in enumerate(folds)}
        tests = [own[[group_of[f] == g for f in records.fold[own]]] for g in range(groups)]
    else:
        tests = [np.flatnonzero(records.part == "test")]
    return [Group(g, _train_part(records, test, bool(groups)), test) for g, test in enumerate(tests)]


def _train_part(records: Recordings, test, all_parts: bool) -> np.ndarray:
    use = np.isin(records.part, ["train", "also"]) | all_parts
    use[test] = False
    use &= ~np.isin(records.patient, records.patient[test])
    if not use.any() or not len(test):
        raise ValueError("too few records with a known label: none is left to train on, or to test on")
    return np.flatnonzero(use)


def _fit(x_NxTx8: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    if rate == wanted:
        return x_NxTx8
    return np.stack([resample(x, rate, wanted)[: round(SECONDS * wanted)] for x in x_NxTx8])


def reconstructor(name: str) -> Maker:
    """A model of `ttecg reconstruct --model`."""
    from ttecg.reconstruct import load

    model = load(name)
    return Maker(
        model.name, model.hash, model.rate, tuple(model.band), lambda x: np.asarray(model.predict(x, TWO))
    )


def two_lead(name: str) -> Maker:
    """A model of `ttecg two-lead`. It gets lead I of one half of a record with lead II of the other half, each way
    round, as if they had been recorded one after the other."""
    from ttecg.two_lead import load

    model = load(name)

    def make(x):
        half = x.shape[1] // 2
        first, second = x[:, :half], x[:, half:]
        pairs = [(a[:, 0], b[:, 1]) for a, b in zip(first, second)]
        pairs += [(b[:, 0], a[:, 1]) for a, b in zip(first, second)]
        made = model.predict_many(pairs)
        return np.stack([np.concatenate(two) for two in zip(made[: len(x)], made[len(x) :])])

    return Maker(model.name, model.hash, model.config.rate, tuple(model.config.band), make)
