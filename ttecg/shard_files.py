"""The files of one shard of generated ECGs, and what is written when all shards are there."""

import os
import pathlib
import shutil
from collections.abc import Iterable

from ttecg.ecg import ECG
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


def join_manifest(work, out: pathlib.Path):
    """The manifest of its parts, complete or absent."""
    whole = work.folder / MANIFEST
    with whole.open("wb") as file:
        for shard in range(work.shards):
            with work.part(shard).open("rb") as part:
                shutil.copyfileobj(part, file)
    os.replace(whole, out / MANIFEST)
