"""A waveform decoder, ready to use, and the bundle that holds one beside the tokenizer of its codes.

    load("runs/decoder").decode(codes)  # (B, T, L) mV

A text-to-ECG bundle with a decoder has `decoder.safetensors` and the entry "decoder" in its config.json.
"""

import dataclasses
import functools
import json
import pathlib
import shutil

import jax
import numpy as np

from ttecg import bundle
from ttecg.data.staged import staged_folder
from ttecg.models.functional import Functional
from ttecg.models.hifigan import HifiGanConfig
from ttecg.train.config import from_dict
from ttecg.train.decoder import DecoderTraining, net_arrays

DECODER = "decoder.safetensors"


@dataclasses.dataclass(frozen=True)
class LoadedDecoder:
    """A HiFi-GAN with its weights."""

    config: HifiGanConfig
    functional: Functional
    params: dict
    buffers: dict

    @functools.cached_property
    def hash(self) -> str:
        """Of weights and config."""
        return bundle.digest(self.params | self.buffers, dataclasses.asdict(self.config))

    def decode(self, codes_BxNxQ: np.ndarray) -> np.ndarray:
        """Codes of all levels -> (B, T, L) mV."""
        return np.asarray(_decode(self.functional, self.params, self.buffers, codes_BxNxQ))


@functools.partial(jax.jit, static_argnums=0)
def _decode(functional, params, buffers, codes):
    return functional.merge(params, buffers)(codes)


def load(name) -> LoadedDecoder:
    """From a bundle that has one (by name or folder), or from the work directory of `ttecg train decoder`."""
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        training = _training(path)
        arrays = net_arrays(*bundle.newest_weights(path, training.functional))
        return LoadedDecoder(training.model, Functional(training.model.create), *arrays)
    path = bundle.resolve(name)
    stored = bundle.read_json(path / bundle.CONFIG)
    if not isinstance(stored, dict) or "decoder" not in stored:
        raise ValueError(
            f"{name} has no HiFi-GAN; `ttecg train decoder` and `ttecg export` make a bundle with one"
        )
    config = from_dict(HifiGanConfig, stored["decoder"], str(path / bundle.CONFIG))
    functional = Functional(config.create)
    return LoadedDecoder(config, functional, *bundle.load_arrays(path / DECODER, functional))


def _training(workdir: pathlib.Path) -> DecoderTraining:
    config = dict(bundle.workdir_config(workdir, "DecoderTraining"))
    config.pop("task")
    return from_dict(DecoderTraining, config, f"{workdir}/config.json")


def export(workdir, out, *, name: str = "", card: str = "", dtype: str = "float16"):
    """Writes the bundle whose codes the decoder was trained on once more, with the decoder in it; complete or absent.

    card: path of the model card's text; that of the bundle, with a line on the decoder, unless given."""
    workdir, out = pathlib.Path(workdir), pathlib.Path(out)
    if out.exists():
        raise ValueError(f"{out} exists; give another --out")
    training = _training(workdir)
    if bundle.task_of(training.tokenizer):
        raise ValueError(
            f"{workdir} was trained on the work directory {training.tokenizer}; export the generator of that tokenizer "
            "and train the decoder with tokenizer set to its bundle, which it can then be put into"
        )
    decoder, source = load(workdir), bundle.resolve(training.tokenizer)
    config = bundle.read_config(source) | {"name": name or out.name}
    config["decoder"] = dataclasses.asdict(decoder.config)
    with staged_folder(out) as scratch:
        shutil.copytree(source, scratch, dirs_exist_ok=True)
        bundle.save_arrays(scratch / DECODER, decoder.params, decoder.buffers, dtype)
        (scratch / bundle.CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        text = pathlib.Path(card).read_text() if card else _card(source, training)
        (scratch / bundle.CARD).write_text(text)
    return out


def _card(source: pathlib.Path, training: DecoderTraining) -> str:
    file, run = source / bundle.CARD, training.run
    return (
        f"{file.read_text() if file.is_file() else ''}\n## Waveform decoder\n\n"
        f"With a HiFi-GAN (`--decoder hifigan`), trained on {', '.join(training.sources)}: {run.steps} steps of "
        f"{run.batch}, seed {run.seed}.\n"
    )
