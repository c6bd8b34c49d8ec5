"""The files of one shard of generated ECGs, and what is written when all shards are there."""

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

    def write(self, first: int, pairs: Iterable[tuple[Origin, ECG]], folder: pathlib.Path) -> list[str]:
        """Writes ECGs, of which the first has the number `first`; their lines of the manifest."""
        lines = []
        for number, (origin, ecg) in enumerate(pairs, first):
            write_one(origin, ecg, folder / self.place(number), self.picture)
            lines.append(origin.line(self.place(number)))
        return lines

    def finish(self, parts: list[pathlib.Path], folder: pathlib.Path):
        """Writes what all shards have in common; parts: of the manifest, in order."""
        join(parts, folder / MANIFEST)


def join(parts: list[pathlib.Path], file: pathlib.Path):
    """One file of many."""
    with file.open("wb") as whole:
        for part in parts:
            with part.open("rb") as text:
                shutil.copyfileobj(text, whole)
