"""Simulated ECGs as a random-access set: record i of a split is a pure function of (split, i)."""

import numpy as np

from ttecg.data.simulator import draw_findings, simulate
from ttecg.ecg import ECG

_SPLITS = {"train": 0, "validation": 1, "test": 2}


class Simulated:
    """`count` ECGs of drawn patients; the three splits share no patient."""

    def __init__(self, count: int, split: str = "train", rate: float = 500.0):
        if split not in _SPLITS:
            raise ValueError(f"split is one of {', '.join(_SPLITS)}, got {split!r}")
        self._count, self._split, self._rate = count, _SPLITS[split], rate

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> ECG:
        if not 0 <= index < self._count:
            raise IndexError(index)
        seed = index * len(_SPLITS) + self._split
        return simulate(draw_findings(np.random.default_rng((seed, 7))), seed, rate=self._rate)
