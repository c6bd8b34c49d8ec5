"""Synthetic ECGs as a prepared set, of which every record is to train on."""

import json
import pathlib

import numpy as np

from ttecg.data.builder import RecordBuilder, write_info
from ttecg.data.prepare import FORMAT, SPEC
from ttecg.ecg import INDEPENDENT
from ttecg.export import RATE
from ttecg.train.config import write_text


class Synthetic(RecordBuilder):
    """Synthetic ECGs made by ttecg."""

    LEADS = len(INDEPENDENT)


def example(signal_Tx8, name: str, patient: str, *, report, age, sex, labels=(), rate: float = RATE) -> dict:
    """What the set stores of an ECG; signal: int16 microvolts, labels: known for certain."""
    return {
        "signal": signal_Tx8,
        "rate": np.float32(rate),
        "id": name,
        "age": np.float32(np.nan if age is None else age),
        "sex": sex or "",
        "report": report,
        "labels": list(labels),
        "likelihoods": [100.0] * len(labels),
        "patient_id": patient,
        "fold": 1,
    }


def shard_name(name: str, shard: int, shards: int) -> str:
    """The file of a shard of the set `name`."""
    return f"{name}-train.array_record-{shard:05d}-of-{shards:05d}"


def finish(folder: pathlib.Path, name: str, counts: list[int], rows: str, **more):
    """Writes what makes a set of the shards that lie in a folder; what it says of itself comes last. counts: records of
    each shard; rows: a hash of what was asked for; more: entries of its description."""
    write_info(Synthetic, folder, name, {"train": counts})
    for remarks in ("skipped.csv", "flagged.csv"):
        (folder / remarks).write_text("id,reason\n", encoding="utf-8")
    files = [shard_name(name, shard, len(counts)) for shard in range(len(counts))]
    about = {
        "format": FORMAT, "name": name, "rate": RATE, "rows": rows, "records": {"train": sum(counts)},
        "skipped": 0, "flagged": 0, **more, "files": {file: (folder / file).stat().st_size for file in files},
    }  # fmt: skip
    write_text(folder / SPEC, json.dumps(about, indent=1) + "\n")
