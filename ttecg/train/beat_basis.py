"""Learns the components of usual beats.

ttecg train beat-basis --config configs/beat_basis.py --workdir runs/basis
"""

import dataclasses
import pathlib

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from tqdm import tqdm

from ttecg.bundle import load_tokenizer
from ttecg.data import batches
from ttecg.models import beat_basis
from ttecg.train import codes, usual
from ttecg.train.config import at_least, check_workdir, open_workdir, write_bytes

FILE = "beat_basis.safetensors"
_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class BeatBasisTraining:
    """Everything that defines a basis of usual beats."""

    # work directory or bundle of the VQ tokenizer whose leads, rate and band hold
    tokenizer: str = "runs/tokenizer"
    # prepared sets, or "simulator:COUNT"; weights say how often the beats of each count
    sources: tuple[str, ...] = ("simulator",)
    # examples made of each recorded ECG, as in the generator's training, and ECGs of each source, at most
    variants: int = 4
    records: int = 3000
    seed: int = 0

    def __post_init__(self):
        at_least(self, variants=1, records=1)


def run(config: BeatBasisTraining, workdir, resume: bool = False):
    """Writes workdir/beat_basis.safetensors."""
    tokenizer = load_tokenizer(config.tokenizer).config
    sources, _ = batches.open_sources(config.sources, "train")
    check_workdir(workdir, config, resume)
    parsed = [batches.Source.parse(s) for s in config.sources]
    beats, weights = [], []
    for about, source in zip(parsed, sources):
        own = _beats(source, about.simulated, tokenizer, config)
        beats.append(own)
        weights.append(np.full(len(own), about.weight / len(own)))
    basis = beat_basis.fit(np.concatenate(beats), np.concatenate(weights))
    workdir = open_workdir(workdir, config, resume)
    write_bytes(workdir / FILE, save(vars(basis)))
    return workdir / FILE


def _beats(source, simulated: bool, tokenizer, config) -> np.ndarray:
    """(N, W, L) usual beats of every kind, of all variants of a source's ECGs, in the form that all have."""
    found, waiting = [], []
    count = 1 if simulated else config.variants
    for number in tqdm(
        range(min(len(source), config.records)), desc="usual beats", unit="ECG", mininterval=1
    ):
        waiting += codes.variants_of(source[number], tokenizer, count, (config.seed, number))
        if len(waiting) >= _CHUNK:
            found.append(usual.of(waiting, tokenizer.rate).beats)
            waiting = []
    if waiting:
        found.append(usual.of(waiting, tokenizer.rate).beats)
    beats = np.concatenate(found).reshape(-1, *found[0].shape[2:])
    return beats[beats.any((1, 2))]


def load(path) -> beat_basis.BeatBasis:
    """From a work directory; ValueError where there is none."""
    file = pathlib.Path(path) / FILE
    try:
        return beat_basis.BeatBasis(**load_file(file))
    except (OSError, SafetensorError, TypeError) as error:
        raise ValueError(
            f"no basis of usual beats in {path} ({error}); make one: ttecg train beat-basis"
        ) from None
