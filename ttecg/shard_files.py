"""The files of one shard of generated ECGs, and what is written when all shards are there."""

import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterable

from ttecg.ecg import ECG, INDEPENDENT
from ttecg.export import MANIFEST, Origin, write_one

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
        from ttecg import synthetic_set
        from ttecg.data.rows import microvolts
        from ttecg.data.shards import write_file

        lines = []

        def examples():
            for origin, ecg in pairs:
                lines.append(origin.line())
                known = {"report": origin.report, "age": origin.age, "sex": origin.sex, "rate": ecg.rate}
                eight = microvolts(ecg.select(INDEPENDENT).signal, origin.name)
                yield synthetic_set.example(eight, origin.name, origin.name, **known)

        write_file(work.files(shard) / synthetic_set.shard_name(self.NAME, shard, work.shards), examples())
        return lines

    def finish(self, work, out: pathlib.Path):
        """Writes what all shards have in common, when their files are in `out`; what makes it a set comes last."""
        from ttecg import synthetic_set

        join_manifest(work, out)
        with (out / MANIFEST).open("rb") as file:
            rows = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        spans = [work.span(shard) for shard in range(work.shards)]
        synthetic_set.finish(out, self.NAME, [end - first for first, end in spans], rows)


def join_manifest(work, out: pathlib.Path):
    """The manifest of its parts, complete or absent."""
    whole = work.folder / MANIFEST
    with whole.open("wb") as file:
        for shard in range(work.shards):
            with work.part(shard).open("rb") as part:
                shutil.copyfileobj(part, file)
    os.replace(whole, out / MANIFEST)
