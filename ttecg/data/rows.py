"""One line per recording to prepare: which file, which fold, and what its table says of it."""

import csv
import dataclasses
import hashlib
import pathlib

import numpy as np

from ttecg.data.checks import BrokenRecord, defects, flags
from ttecg.data.files import read_ecg
from ttecg.ecg import LEADS

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Row:
    """A recording to be prepared. What is None here is taken from the comments in the recording's own header.

    path: WFDB record, with or without its ending. fold: 1-10, of which 1-8 train, 9 is validation, 10 test.
    labels with one likelihood each, per cent; where the source states none it is 100.
    """

    path: pathlib.Path
    id: str
    fold: int
    patient_id: str = ""
    age: float | None = None
    sex: str | None = None
    report: str | None = None
    labels: tuple[str, ...] | None = None
    likelihoods: tuple[float, ...] | None = None

    @property
    def split(self) -> str:
        return SPLITS[max(0, self.fold - 8)]


def hashed_fold(key: str) -> int:
    """Fold 1-10 of a patient or record: the same on every machine, whatever else is in the set."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 10 + 1


def parse_fold(text: str) -> int:
    """Fold 1-10 of "7" or "7.0"; ValueError otherwise."""
    try:
        fold = float(text)
    except ValueError:
        fold = 0.0
    if fold not in range(1, 11):
        raise ValueError(
            f"fold {text!r} is not a whole number from 1 to 10 (1-8 train, 9 validation, 10 test)"
        )
    return int(fold)


def read_table(path, needed=()) -> list[dict]:
    """The lines of a CSV file with a header row, as dictionaries of text; ValueError if it is none."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such table")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [(name or "").strip() for name in reader.fieldnames or ()]
            lines = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV table in UTF-8 ({error})") from None
    missing = [name for name in needed if name not in header]
    if missing or not lines:
        what = f"no column {', '.join(missing)}" if missing else "no line below the header"
        raise ValueError(f"{path}: {what}; is this the right file?")
    return [
        {(k or "").strip(): (v or "").strip() for k, v in line.items() if isinstance(v, (str, type(None)))}
        for line in lines
    ]


def microvolts(signal, name) -> np.ndarray:
    """mV as int16 microvolts; BrokenRecord, with the record's name, where they do not fit."""
    rounded = np.rint(np.asarray(signal, np.float64) * 1000)
    if np.abs(rounded).max() > 32767:
        raise BrokenRecord(
            f"{name}: {np.abs(rounded).max() / 1000:.0f} mV does not fit 16 bits of microvolts"
        )
    return rounded.astype(np.int16)


def load(row: Row, rate: float | None, checksum: bool = True) -> tuple[dict, list[str]]:
    """(example for the prepared set, reasons to look at it twice) of one recording.

    The twelve standard leads as int16 microvolts; at `rate` samples per second, resampled where the file has
    another. BrokenRecord or FileNotFoundError, with the reason, where it cannot be used."""
    ecg = read_ecg(row.path, checksum=checksum)
    found = defects(ecg)
    if found:
        raise BrokenRecord(f"{row.path}: {'; '.join(found)}")
    notes = flags(ecg)
    ecg = ecg.select(LEADS)
    if rate is not None:
        ecg = ecg.resample(rate)
    labels = ecg.labels if row.labels is None else row.labels
    age = ecg.age if row.age is None else row.age
    return {
        "signal": microvolts(ecg.signal, row.path),
        "rate": np.float32(ecg.rate),
        "id": row.id,
        "age": np.float32(np.nan if age is None else age),
        "sex": (ecg.sex if row.sex is None else row.sex) or "",
        "report": (ecg.report if row.report is None else row.report) or "",
        "labels": list(labels),
        "likelihoods": list(row.likelihoods or [100.0] * len(labels)),
        "patient_id": row.patient_id,
        "fold": row.fold,
    }, notes
