"""`ttecg train text-tokenizer|tokenizer|generator|...`: a trainer per stage, each with its own kind of config."""

import dataclasses
import importlib
import pathlib
from typing import ClassVar

from ttecg.commands import Assignments, assignments


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Training:
    # Python file that sets `config`
    config: pathlib.Path
    # folder for checkpoints, log and results
    workdir: pathlib.Path
    # go on with the run that is in --workdir
    resume: bool = False
    # train together with the other processes of a job (docs/many-hosts.md)
    distributed: bool = False
    # fields of the config to change, as in run.steps=200
    set: Assignments = ()

    task: ClassVar[str]
    kind: ClassVar[str]

    def run(self) -> None:
        from ttecg.train.config import load_config, override

        config = load_config(self.config)
        module = importlib.import_module(f"ttecg.train.{self.task.replace('-', '_')}")
        if not isinstance(config, getattr(module, self.kind)):
            raise ValueError(
                f"--config {self.config} holds a {type(config).__name__}; `ttecg train {self.task}` takes "
                f"a {self.kind}"
            )
        config = override(config, assignments(self.set))
        from ttecg.runtime import keep_compiled_programs
        from ttecg.train import distributed

        keep_compiled_programs()
        with distributed.joined() if self.distributed else distributed.alone():
            module.run(config, self.workdir, self.resume)
            if distributed.is_main():
                print(f"{self.task}: results in {self.workdir}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTokenizer(_Training):
    """Learns the pieces that report text is cut into, and writes text.model."""

    examples = ("ttecg train text-tokenizer --config configs/text_tokenizer.py --workdir runs/text",)

    task = "text-tokenizer"
    kind = "TextTokenizerTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer(_Training):
    """Trains the VQ tokenizer that turns ECGs into codes and back."""

    examples = ("ttecg train tokenizer --config configs/tokenizer_debug.py --workdir runs/tokenizer-debug",)

    task = "tokenizer"
    kind = "TokenizerTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatBasis(_Training):
    """Learns the components that the usual beats of people are made of, for drafting generators."""

    examples = ("ttecg train beat-basis --config configs/beat_basis.py --workdir runs/basis",)

    task = "beat-basis"
    kind = "BeatBasisTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorder(_Training):
    """Learns what recorders add to the heart's signal, for bundles whose ECGs are to look recorded."""

    examples = ("ttecg train recorder --config configs/recorder.py --workdir runs/recorder",)

    task = "recorder"
    kind = "RecorderTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generator(_Training):
    """Trains the transformer from report to ECG codes, on what the two tokenizers made."""

    examples = ("ttecg train generator --config configs/generator_debug.py --workdir runs/generator-debug",)

    task = "generator"
    kind = "GeneratorTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoder(_Training):
    """Trains the HiFi-GAN that writes the waveform of a tokenizer's codes."""

    examples = ("ttecg train decoder --config configs/decoder_debug.py --workdir runs/decoder-debug",)

    task = "decoder"
    kind = "DecoderTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UNet(_Training):
    """Trains the network that rebuilds hidden leads from visible ones."""

    examples = ("ttecg train unet --config configs/unet_debug.py --workdir runs/unet-debug",)

    task = "unet"
    kind = "UNetTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoLead(_Training):
    """Trains the model that makes twelve leads from leads I and II of different times."""

    examples = ("ttecg train two-lead --config configs/two_lead_debug.py --workdir runs/two-lead-debug",)

    task = "two-lead"
    kind = "TwoLeadTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier(_Training):
    """Trains the network that says what an ECG shows: superclasses, rhythm, or all statements."""

    examples = (
        "ttecg train classifier --config configs/classifier_debug.py --workdir runs/classifier-debug",
    )

    task = "classifier"
    kind = "ClassifierTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip(_Training):
    """Trains the pair of networks, of ECGs and of reports, that says how well the two fit."""

    examples = ("ttecg train clip --config configs/clip_debug.py --workdir runs/clip-debug",)

    task = "clip"
    kind = "ClipTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wav2Vec(_Training):
    """Trains the encoder of ECGs that needs no labels, by hiding parts and telling recordings apart."""

    examples = ("ttecg train wav2vec --config configs/wav2vec_debug.py --workdir runs/encoder-debug",)

    task = "wav2vec"
    kind = "Wav2VecTraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseDetector(_Training):
    """Trains the detectors of noisy recordings, on mostly clean ones."""

    examples = (
        "ttecg train noise-detector --config configs/noise_detector_debug.py --workdir runs/quality-debug",
    )

    task = "noise-detector"
    kind = "NoiseDetectorTraining"
