"""Reading a prepared set: random access to its ECGs by index.

For example

    data = open_dataset("data/ptbxl-500", split="train")
    data[17].lead("V1")

is V1, in mV, of the eighteenth recording to train on.
"""

import bisect
import itertools
import json
import pathlib

import numpy as np

from ttecg.data.prepare import FORMAT, NAMES, SPEC, damaged_files
from ttecg.data.quiet_tfds import tensorflow_datasets
from ttecg.data.rows import SPLITS
from ttecg.ecg import ECG, LEADS


def describe(path) -> dict:
    """What the prepared set says of itself: name, rate, records per split, number skipped and flagged."""
    path = pathlib.Path(path)
    try:
        about = json.loads((path / SPEC).read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(
            f"{path}: is not a prepared set; make one with `ttecg data prepare {'|'.join(NAMES)} --source "
            f"FOLDER --out {path}`"
        ) from None
    except ValueError:
        raise ValueError(f"{path}: its {SPEC} is damaged; delete the set and prepare it again") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"{path}: is a set of another version of ttecg; delete it and prepare it again")
    return about


def open_dataset(path, split: str = "train") -> "Dataset":
    """The records of a split of a prepared set: "train", "validation", "test", several joined by +, or "all".

    ValueError where there is no such set (it names the command that makes one) or split."""
    about = describe(path)
    damaged = damaged_files(pathlib.Path(path), about)
    if damaged:
        raise ValueError(f"{path}: {damaged[0]} is missing or damaged; delete the set and prepare it again")
    there = [name for name in SPLITS if name in about["records"]]
    wanted = there if split == "all" else [name.strip() for name in split.split("+")]
    unknown = [name for name in wanted if name not in there]
    if unknown or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"{path}: split {split!r} is not one of {', '.join(there)}, all, nor several joined by +"
        )
    return Dataset(path, tuple(wanted), about)


class Dataset:
    """A sequence of ECGs. `signal` is float32 mV, (T, 12), leads as in ttecg.ecg.LEADS; info has patient_id,
    fold, likelihoods (one per label, per cent) and source (the name of the data set)."""

    def __init__(self, path, splits: tuple[str, ...], about: dict):
        self.path, self.splits, self.about = pathlib.Path(path), splits, about
        builder = tensorflow_datasets().builder_from_directory(str(path))
        self._sources = [builder.as_data_source(name) for name in splits]
        self._ends = list(itertools.accumulate(len(s) for s in self._sources))

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}, split={'+'.join(self.splits)!r}, {len(self)} records)"

    def __getitem__(self, index: int) -> ECG:
        index = index.__index__()
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path}: record {index} of {len(self)}")
        index %= len(self)
        part = bisect.bisect_right(self._ends, index)
        start = self._ends[part - 1] if part else 0
        return self._ecg(self._sources[part][index - start])

    def _ecg(self, r: dict) -> ECG:
        age = float(r["age"])
        info = {
            "patient_id": r["patient_id"].decode(),
            "fold": int(r["fold"]),
            "source": self.about["name"],
            "likelihoods": tuple(map(float, r["likelihoods"])),
        }
        return ECG(
            r["signal"] / np.float32(1000),
            LEADS,
            float(r["rate"]),
            None if np.isnan(age) else age,
            r["sex"].decode() or None,
            r["report"].decode() or None,
            tuple(label.decode() for label in r["labels"]),
            r["id"].decode(),
            info,
        )
