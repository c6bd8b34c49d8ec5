"""ECGs that an evaluation is given, a prepared set or a folder of WFDB records, and what asks for ones like them."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from ttecg.data.dataset import open_dataset
from ttecg.data.files import read_ecg
from ttecg.data.prepare import SPEC
from ttecg.data.prompt import Prompt
from ttecg.ecg import ECG, LEADS


def has_words(report: str | None) -> bool:
    """Whether a report says anything."""
    return any(map(str.isalnum, report or ""))


def patient_of(ecg: ECG) -> str:
    """Whose ECG it is; one of which nobody is known is its own."""
    return str(ecg.info.get("patient_id") or ecg.id)


def prompt_of(ecg: ECG, rate: float = np.nan) -> Prompt:
    """What asks for an ECG like this one: its report, age and sex, and a heart rate per minute where it is known."""
    return Prompt(
        ecg.report,
        None if ecg.age is None else min(float(ecg.age), 120.0),
        ecg.sex,
        float(rate) if 20 <= rate <= 250 else None,
    )


def recordings(path):
    """The ECGs of a prepared set or of a folder of WFDB records, a sequence that is read when it is gone through.
    ValueError where there are none."""
    path = pathlib.Path(path)
    if (path / SPEC).is_file():
        return open_dataset(path, "all")
    files = sorted(path.rglob("*.hea"))
    if not files:
        raise ValueError(f"{path}: no prepared set and no WFDB record (NAME.hea) in it or below it")
    return _Files(tuple(file.with_suffix("") for file in files))


@dataclasses.dataclass(frozen=True)
class _Files:
    files: tuple[pathlib.Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[ECG]:
        return map(read_ecg, self.files)


def reported(path):
    """`recordings` that have a report and all leads: those records of a prepared set; of a folder every one must."""
    ecgs = recordings(path)
    if not isinstance(ecgs, _Files):
        return with_reports(ecgs)
    for file, ecg in zip(ecgs.files, ecgs):
        if not has_words(ecg.select(LEADS).report):
            raise ValueError(f"{file}: has no report; generated ECGs carry the report that they were made of")
    return ecgs


def with_reports(records, num: int = 0):
    """Those records that have a report with words, the first `num` of them; read when they are asked for."""
    which = [i for i in range(len(records)) if has_words(records[i].report)]
    if len(which) < 2:
        raise ValueError(f"{len(which)} of {len(records)} records have a report; at least 2 are needed")
    return _Part(records, which[: num or None])


@dataclasses.dataclass(frozen=True)
class _Part:
    records: object
    which: list[int]

    def __len__(self) -> int:
        return len(self.which)

    def __iter__(self) -> Iterator[ECG]:
        return (self.records[i] for i in self.which)
