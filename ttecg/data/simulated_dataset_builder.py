"""The ECGs of `ttecg.data.simulated`, kept on disk."""

import numpy as np

from ttecg.data.builder import RecordBuilder
from ttecg.data.rows import SPLITS, microvolts
from ttecg.data.simulated import Simulated
from ttecg.ecg import INDEPENDENT

_FOLDS = dict(zip(SPLITS, (1, 9, 10)))


class Builder(RecordBuilder):
    """Simulated ECGs, their eight independent leads, microvolts; a tenth each to validate and to test."""

    LEADS = 8


def parts(count: int) -> dict[str, range]:
    """{split: numbers of its records} of `count` ECGs in all."""
    if count < 10:
        raise ValueError(f"--count {count}: give 10 or more, as a tenth each is for validation and for test")
    tenth = count // 10
    return {"train": range(count - 2 * tenth), "validation": range(tenth), "test": range(tenth)}


def example(number: int, split: str, rate: float) -> tuple[dict, list]:
    """(what a prepared set stores, []: nothing to remark) of the ECG that `Simulated` has there."""
    ecg = Simulated(number + 1, split, rate)[number]
    return {
        "signal": microvolts(ecg.select(INDEPENDENT).signal, ecg.id),
        "rate": np.float32(rate),
        "id": ecg.id,
        "age": np.float32(ecg.age),
        "sex": ecg.sex,
        "report": ecg.report,
        "labels": list(ecg.labels),
        "likelihoods": [100.0] * len(ecg.labels),
        "patient_id": ecg.id,
        "fold": _FOLDS[split],
    }, []
