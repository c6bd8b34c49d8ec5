"""A batch is a pure function of (seed, step): which records, and how they are augmented.

Rows are drawn with replacement, a source by its weight and a record uniformly, so nothing but the step is needed
to go on after an interruption, and each host makes only its own rows.
"""

import dataclasses
import functools
import importlib.metadata
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Source:
    """Where training ECGs come from, written "PATH", "PATH:COUNT@WEIGHT", "simulator" or "simulator:COUNT@WEIGHT".

    PATH is a prepared set (`ttecg data prepare`, `ttecg data simulate`), of which COUNT takes the first so many
    training records; "simulator" makes COUNT different ECGs as they are needed. WEIGHT is the relative share of the
    rows of a batch.
    """

    path: str
    weight: float = 1.0
    count: int = 0

    @classmethod
    def parse(cls, text: str) -> "Source":
        path, at, weight = text.rpartition("@") if "@" in text else (text, "", "1")
        base, colon, count = path.rpartition(":")
        if colon and (base == "simulator" or count.isdigit()):
            if not count.isdigit() or int(count) == 0:
                raise ValueError(f"source {text!r}: after : comes a positive whole number of records")
            path, count = base, int(count)
        else:
            count = 0
        try:
            source = cls(path, float(weight), count)
        except ValueError:
            raise ValueError(f"source {text!r}: the weight after @ must be a number") from None
        if not source.weight > 0:
            raise ValueError(f"source {text!r}: the weight must be positive")
        return source

    @property
    def simulated(self) -> bool:
        return self.path == "simulator"

    def fingerprint(self) -> dict:
        """What decides the content of the set, for the names of caches."""
        count = {"count": self.count} if self.count else {}
        if self.simulated:
            return {"ttecg": importlib.metadata.version("ttecg")} | count
        from ttecg.data.dataset import describe

        return describe(self.path) | count

    def open(self, split: str) -> Sequence:
        """A random-access sequence of ECGs."""
        if self.simulated:
            from ttecg.data.simulated import Simulated

            return Simulated(self.count or 2000, split)
        from ttecg.data.dataset import describe, open_dataset

        if split not in describe(self.path)["records"]:
            return ()
        records = open_dataset(self.path, split)
        if self.count and split == "train":
            if self.count > len(records):
                raise ValueError(
                    f"source {self.path}: {self.count} training records are asked for, {len(records)} are there"
                )
            return _First(records, self.count)
        return records


@dataclasses.dataclass(frozen=True)
class _First:
    """The first records of a sequence."""

    records: Sequence
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int):
        if not -self.count <= index < self.count:
            raise IndexError(index)
        return self.records[index % self.count]


def with_split(texts: Sequence[str], split: str) -> list[str]:
    """Those of the sources that have records in a split."""
    return [t for t in texts if len(Source.parse(t).open(split))]


def open_sources(texts: Sequence[str], split: str) -> tuple[list[Sequence], "Mixture"]:
    """The sequences of ECGs that a config names, and how to draw from them; sources without this split are left out."""
    there = with_split(texts, split)
    if not there:
        raise ValueError(f"no source of {', '.join(texts) or '(none)'} has records in its {split} split")
    sources = [Source.parse(t) for t in there]
    records = [s.open(split) for s in sources]
    return records, Mixture([len(r) for r in records], [s.weight for s in sources])


def row_rng(seed: int, step: int, row: int) -> np.random.Generator:
    """The generator of one row of one step; independent of batch size per host and of history."""
    return np.random.default_rng((seed, step, row))


def host_rows(batch: int, shard: tuple[int, int]) -> range:
    """The global row numbers that host shard[0] of shard[1] makes."""
    index, count = shard
    if batch % count:
        raise ValueError(f"a batch of {batch} cannot be split over {count} hosts")
    return range(index * batch // count, (index + 1) * batch // count)


class Mixture:
    """Draws (source number, record number) by the sources' weights."""

    def __init__(self, sizes: Sequence[int], weights: Sequence[float]):
        self.sizes = tuple(sizes)
        self._edges = np.cumsum(np.asarray(weights, float)) / np.sum(weights)

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        source = int(np.searchsorted(self._edges, rng.random(), side="right").clip(0, len(self.sizes) - 1))
        return source, int(rng.integers(self.sizes[source]))


def batch(
    make_row: Callable[[np.random.Generator], dict],
    seed: int,
    size: int,
    step: int,
    shard: tuple[int, int] = (0, 1),
) -> dict[str, np.ndarray]:
    """Rows made by `make_row(rng)`, stacked: {name: (rows of this host, ...)}."""
    rows = [make_row(row_rng(seed, step, r)) for r in host_rows(size, shard)]
    return {k: np.stack([r[k] for r in rows]) for k in rows[0]}


def batches(make_row, seed: int, size: int) -> Callable[[int, tuple[int, int]], dict[str, np.ndarray]]:
    """`batch` as a function of (step, shard)."""
    return functools.partial(batch, make_row, seed, size)
