"""Learns what recorders add to the heart's signal.

    ttecg train recorder --config configs/recorder.py --workdir runs/recorder

No gradients: powers of bands outside the tokenizer's, and what the tokenizer takes from the edges of QRS, are measured
on recordings. `ttecg export RUNS/GENERATOR --recorder RUNS/RECORDER` puts it into a bundle.
"""

import dataclasses

import numpy as np
from safetensors.numpy import save
from tqdm import tqdm

from ttecg.bundle import RECORDER, load_tokenizer
from ttecg.data import batches, recorder
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.train.config import check_workdir, open_workdir, write_bytes
from ttecg.train.tokenizer import prepare_signal

_MINIMUM_RATE = 500.0  # what is above the band is not known of slower recordings


@dataclasses.dataclass(frozen=True)
class RecorderTraining:
    """Everything that defines a recorder."""

    # work directory or bundle of the VQ tokenizer that writes the hearts it will be added to
    tokenizer: str = "runs/tokenizer"
    # prepared sets of recordings as they were made, at 500 per second or faster
    sources: tuple[str, ...] = ("data/ptbxl-500",)
    # recordings of each to learn from, at most
    records: int = 1000


def run(config: RecorderTraining, workdir, resume: bool = False):
    """Writes workdir/recorder.safetensors. ValueError for a source without fast recordings."""
    tokenizer = load_tokenizer(config.tokenizer)
    sources, _ = batches.open_sources(config.sources, "train")
    for name, source in zip(config.sources, sources):
        if source[0].rate < _MINIMUM_RATE:
            raise ValueError(
                f"{name}: recorded at {source[0].rate:g} per second; a recorder needs 500 or more"
            )
    check_workdir(workdir, config, resume)
    found = recorder.fit(
        _pair(s[i], tokenizer) for s in sources for i in tqdm(range(min(len(s), config.records)))
    )
    arrays = {
        k: np.ascontiguousarray(v, np.float32) for k, v in vars(found).items()
    }  # as safetensors wants it
    workdir = open_workdir(workdir, config, resume)
    write_bytes(workdir / RECORDER, save(arrays))
    return workdir / RECORDER


def _pair(ecg: ECG, tokenizer):
    """(recorded, as the tokenizer writes it), (T, 8) mV each at the recorder's rate."""
    c = tokenizer.config
    written = tokenizer.decode(tokenizer.encode(prepare_signal(ecg, c)[None, : c.samples]))[0]
    heart = ECG(written.astype(float), INDEPENDENT, c.rate).resample(recorder.RATE).signal
    recorded = ecg.select(INDEPENDENT).resample(recorder.RATE).signal
    length = min(len(heart), len(recorded))
    return recorded[:length], heart[:length]
