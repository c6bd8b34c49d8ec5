"""Reading a prepared set: random access to its ECGs by index.

For example

    data = open_dataset("data/ptbxl-500", split="train")
    data[17].lead("V1")

is V1, in mV, of the eighteenth recording to train on.
"""

import json
import pathlib
from collections.abc import Sequence

import numpy as np

from ttecg.data.batches import host_rows
from ttecg.data.prepare import NAMES, READABLE, SPEC, damaged_files
from ttecg.data.quiet_tfds import tensorflow_datasets
from ttecg.data.rows import SPLITS
from ttecg.ecg import ECG, INDEPENDENT, LEADS


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
    if not isinstance(about, dict) or about.get("format") not in READABLE:
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
    fold, likelihoods (one per label, per cent) and source (the name of the data set). Many at once: `read_batch`."""

    def __init__(self, path, splits: tuple[str, ...], about: dict):
        from ttecg.data.reading import Records, SignalFormat

        self.path, self.splits, self.about = pathlib.Path(path), splits, about
        info = tensorflow_datasets().builder_from_directory(str(path)).info
        self._records = Records([file for name in splits for file in info.splits[name].filepaths])
        self._format = SignalFormat(info.features["signal"])

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}, split={'+'.join(self.splits)!r}, {len(self)} records)"

    def __getitem__(self, index: int) -> ECG:
        ((_, row),) = self._read([index.__index__()])
        return self._ecg(row)

    def read_batch(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Records of one length as arrays over B: signal (B, T, 8), float32 mV of the independent leads; rate, age (NaN
        where unknown); id, sex, report ("" where unknown) of text, labels of tuples of text.

        ValueError where their lengths differ."""
        found: dict[str, np.ndarray] = {}
        for b, row in self._read(indices):
            microvolts = self._format.eight(row)
            if not found:
                found = _empty(len(indices), len(microvolts))
            if len(microvolts) != found["signal"].shape[1]:
                raise ValueError(
                    f"{self.path}: records of {len(microvolts)} and of {found['signal'].shape[1]} samples make no "
                    "batch; read them one by one"
                )
            np.divide(microvolts, np.float32(1000), out=found["signal"][b])
            for name, get in _FACTS.items():
                found[name][b] = get(row, name)
        return found

    @property
    def bytes_per_record(self) -> float:
        """Bytes on disk that a record takes, on average."""
        files = self.about["files"]
        return sum(files.values()) / sum(self.about["records"].values())

    def _read(self, indices):
        indices, count = np.asarray(indices), len(self)
        outside = indices[(indices < -count) | (indices >= count)]
        if len(outside):
            raise IndexError(f"{self.path}: record {outside[0]} of {count}")
        return self._records.read(indices % count)

    def _ecg(self, row) -> ECG:
        age = _number(row, "age")
        info = {
            "patient_id": _text(row, "patient_id"),
            "fold": row["fold"].int64_list.value[0],
            "source": self.about["name"],
            "likelihoods": tuple(row["likelihoods"].float_list.value),
        }
        return ECG(
            self._format.twelve(row),
            LEADS,
            _number(row, "rate"),
            None if np.isnan(age) else age,
            _text(row, "sex") or None,
            _text(row, "report") or None,
            _texts(row, "labels"),
            _text(row, "id"),
            info,
        )


def drawn_batch(records: Dataset, seed: int, size: int, step: int, shard: tuple[int, int] = (0, 1)) -> dict:
    """`read_batch` of the rows that host shard[0] of shard[1] has in the batch of a step: a pure function of the rest.

    Records are drawn with replacement, all with one call."""
    drawn = np.random.default_rng((seed, step)).integers(len(records), size=size)
    rows = host_rows(size, shard)
    return records.read_batch(drawn[rows.start : rows.stop])


def _number(row, name: str) -> float:
    return row[name].float_list.value[0]


def _text(row, name: str) -> str:
    return row[name].bytes_list.value[0].decode()


def _texts(row, name: str) -> tuple[str, ...]:
    return tuple(text.decode() for text in row[name].bytes_list.value)


# what a batch holds beside the signals
_FACTS = {"rate": _number, "age": _number, "id": _text, "sex": _text, "report": _text, "labels": _texts}


def _empty(size: int, samples: int) -> dict[str, np.ndarray]:
    """A batch to be filled."""
    facts = {name: np.empty(size, np.float32 if get is _number else object) for name, get in _FACTS.items()}
    return {"signal": np.empty((size, samples, len(INDEPENDENT)), np.float32)} | facts
