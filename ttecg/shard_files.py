"""The files of one shard of generated ECGs, and what is written when all shards are there."""

import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable

import numpy as np

from ttecg.ecg import ECG, INDEPENDENT
from ttecg.export import MANIFEST, RATE, Origin, write_one
from ttecg.train.config import write_text

PER_FOLDER = 1000


class Wfdb:
    """A WFDB record for each ECG; of more than a thousand, every thousand have a folder."""

    def __init__(self, count: int, picture: str | None):
        self.count, self.picture = count, picture

    def place(self, number: int) -> str:
        """Where ECG `number` (from 0) lies within the results: "", or a folder's name and a slash."""
        width = max(3, len(str((self.count - 1) // PER_FOLDER)))
        return f"{number // PER_FOLDER:0{width}d}/" if self.count > PER_FOLDER else ""

    def write(self, work, shard: int, pairs: Iterable[tuple[Origin, ECG]]) -> list[str]:
        """Writes a shard's ECGs; their lines of the manifest."""
        lines = []
        for number, (origin, ecg) in enumerate(pairs, work.span(shard)[0]):
            write_one(origin, ecg, work.files(shard) / self.place(number), self.picture)
            lines.append(origin.line(self.place(number)))
        return lines

    def finish(self, work, out: pathlib.Path):
        """Writes what all shards have in common, when their files are in `out`."""
        join_manifest(work, out)


class ArrayRecord:
    """A prepared set, as `ttecg train` reads it: a file for each shard; every ECG is to train on."""

    NAME = "generated"

    def write(self, work, shard: int, pairs: Iterable[tuple[Origin, ECG]]) -> list[str]:
        """Writes a shard's ECGs; their lines of the manifest."""
        from ttecg.data.shards import write_file

        lines = []

        def examples():
            for origin, ecg in pairs:
                lines.append(origin.line())
                yield _example(origin, ecg)

        write_file(work.files(shard) / self._file(work, shard), examples())
        return lines

    def _file(self, work, shard: int) -> str:
        return f"{self.NAME}-train.array_record-{shard:05d}-of-{work.shards:05d}"

    def finish(self, work, out: pathlib.Path):
        """Writes what all shards have in common, when their files are in `out`; what makes it a set comes last."""
        from ttecg.data.builder import write_info
        from ttecg.data.prepare import FORMAT, SPEC

        spans = [work.span(shard) for shard in range(work.shards)]
        write_info(_generated(), out, self.NAME, {"train": [end - first for first, end in spans]})
        for name in ("skipped.csv", "flagged.csv"):
            (out / name).write_text("id,reason\n", encoding="utf-8")
        join_manifest(work, out)
        with (out / MANIFEST).open("rb") as file:
            rows = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        names = [self._file(work, shard) for shard in range(work.shards)]
        about = {
            "format": FORMAT, "name": self.NAME, "rate": RATE, "rows": rows, "records": {"train": work.order.count},
            "skipped": 0, "flagged": 0, "files": {name: (out / name).stat().st_size for name in names},
        }  # fmt: skip
        write_text(out / SPEC, json.dumps(about, indent=1) + "\n")


def _generated() -> type:
    from ttecg.data.builder import RecordBuilder

    class Generated(RecordBuilder):
        """Synthetic ECGs made by `ttecg generate`."""

        LEADS = len(INDEPENDENT)

    return Generated


def _example(origin: Origin, ecg: ECG) -> dict:
    """What a prepared set stores of an ECG."""
    from ttecg.data.rows import microvolts

    return {
        "signal": microvolts(ecg.select(INDEPENDENT).signal, origin.name),
        "rate": np.float32(ecg.rate),
        "id": origin.name,
        "age": np.float32(np.nan if origin.age is None else origin.age),
        "sex": origin.sex or "",
        "report": origin.report,
        "labels": [],
        "likelihoods": [],
        "patient_id": origin.name,
        "fold": 1,
    }


def join_manifest(work, out: pathlib.Path):
    """The manifest of its parts, complete or absent."""
    whole = work.folder / MANIFEST
    with whole.open("wb") as file:
        for shard in range(work.shards):
            with work.part(shard).open("rb") as part:
                shutil.copyfileobj(part, file)
    os.replace(whole, out / MANIFEST)
