"""Synthetic ECGs for a study of classifiers, on disk beside the recordings that they were made of.

int16 microvolts, eight leads at the classifier's rate, ten seconds, in one file that is mapped into memory. They are
made in blocks; what is done is noted after every block, so an interrupted study goes on where it was.
"""

import hashlib
import json
import os
import pathlib

import numpy as np
from tqdm import tqdm

from ttecg.data.prompt import Prompt
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.evaluate.classifier_signals import SECONDS
from ttecg.models.resnet import ResNetConfig
from ttecg.train.config import write_text

_BLOCK = 64


def synthesise(file, maker, asked: list[tuple[Prompt, tuple[int, int]]], config: ResNetConfig) -> np.ndarray:
    """(M, T, 8) int16 microvolts, one for each (prompt, (seed, index)), made by `maker.generate_many`, kept in `file`.

    ValueError where the file was made of other prompts or by another model."""
    file = pathlib.Path(file)
    note, about = file.with_suffix(".json"), _about(maker, asked, config)
    done = 0
    if note.exists():
        before = json.loads(note.read_text())
        if before["about"] != about:
            raise ValueError(f"{file} was made by another model or of other reports; give another --out")
        done = before["done"]
    shape = (len(asked), round(SECONDS * config.rate), 8)
    if not file.exists():
        scratch = file.with_suffix(".tmp")
        np.lib.format.open_memmap(scratch, "w+", np.int16, shape).flush()
        os.replace(scratch, file)
        done = 0
    stored = np.load(file, mmap_mode="r+", allow_pickle=False)
    with tqdm(total=len(asked), initial=done, desc="generating", unit="ECG", disable=None) as bar:
        while done < len(asked):
            part = asked[done : done + _BLOCK]
            for i, ecg in enumerate(maker.generate_many(part)):
                stored[done + i] = microvolts(ecg, config, shape[1])
                bar.update()
            stored.flush()
            done += len(part)
            write_text(note, json.dumps({"about": about, "done": done}))
    return np.load(file, mmap_mode="r", allow_pickle=False)


def microvolts(ecg: ECG, config: ResNetConfig, samples: int) -> np.ndarray:
    """(samples, 8) int16, as the classifier sees it; zeros beyond the recording's end."""
    x = ecg.select(INDEPENDENT).resample(config.rate).bandpass(*config.band).signal[:samples]
    x = np.clip(np.rint(np.nan_to_num(x) * 1000), -32767, 32767).astype(np.int16)
    return np.pad(x, ((0, samples - len(x)), (0, 0)))


def _about(maker, asked, config: ResNetConfig) -> dict:
    text = repr([(p, tuple(map(int, s))) for p, s in asked]) + repr((config.rate, config.band))
    return {"model": maker.hash, "prompts": hashlib.sha256(text.encode()).hexdigest()[:16]}


class Joined:
    """Several arrays (N_i, T, 8) seen as one of their rows, without a copy."""

    def __init__(self, *parts: np.ndarray):
        self._parts, self._ends = parts, np.cumsum([len(p) for p in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which):
        if np.ndim(which) == 0:
            part = int(np.searchsorted(self._ends, which, side="right"))
            return self._parts[part][int(which) - (self._ends[part - 1] if part else 0)]
        return np.stack([self[int(i)] for i in which])
