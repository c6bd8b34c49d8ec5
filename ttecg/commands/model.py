"""`ttecg export`, `ttecg evaluate` and `ttecg bench`: what is done with a trained model."""

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

from ttecg.commands import Optional, check_least, check_results, check_seed, positional

# runs that make no bundle of their own, and where they go
_PARTS = {
    "RecorderTraining": "a part of a generator's bundle: export the generator with --recorder",
    "BeatBasisTraining": "a part of a generator: export the generator that was trained with it",
    "TextTokenizerTraining": "a part of a generator: export the generator that was trained with it",
    "TokenizerTraining": "a part of a generator's bundle: export the generator that was trained with it",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Makes a bundle, a folder that stands alone and that --model takes, of a trained model."""

    examples = ("ttecg export runs/generator-debug --out bundles/debug",)

    # work directory of a training run (not of a tokenizer); several of `ttecg train unet` answer with their mean
    workdirs: Annotated[tuple[pathlib.Path, ...], *positional("WORKDIR"), tyro.conf.arg(metavar="WORKDIR...")]
    # new folder for the bundle
    out: pathlib.Path
    # what the bundle calls itself; the last part of --out unless given
    name: Optional[str] = None
    # text file with the model card; a short one is written unless given
    card: Optional[pathlib.Path] = None
    # how weights are stored
    dtype: Literal["float16", "float32"] = "float16"
    # what `ttecg generate` uses unless told otherwise (bundles of a generator)
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 1.0
    # factor on the temperature of the beat plan
    plan_temperature: float = 1.0
    # factors on the temperature of each level of codes; the last holds for further levels
    level_temperature: tuple[float, ...] = (1.0,)
    # of a drafting generator: factors for its measures and its usual beats
    measure_temperature: float = 1.0
    usual_temperature: float = 1.0
    # of a drafting generator: stories drawn (numbers and beat plan), each with three usual beats, of which what shows
    # best what was asked for stays
    draws: int = 12
    # of a drafting generator: how closely codes keep to their draft, 1 as learned
    trust: float = 1.0
    # how much of what a recorder adds is drawn around the heart's signal
    noise: float = 1.0
    # folder of a `ttecg train recorder` run: what generated ECGs are recorded with
    recorder: Optional[pathlib.Path] = None

    def run(self) -> None:
        if not self.workdirs:
            raise ValueError("name the work directory of a training run")
        for workdir in self.workdirs:
            if not workdir.is_dir():
                raise FileNotFoundError(f"{workdir}: there is no such folder; give that of a training run")
        if self.out.exists():
            raise ValueError(f"--out {self.out} exists; give a new folder")
        if self.card is not None and not self.card.is_file():
            raise FileNotFoundError(f"--card {self.card}: there is no such file")
        from ttecg.bundle import task_of

        task = task_of(self.workdirs[0])
        if not task:
            raise ValueError(
                f"{self.workdirs[0]} is no work directory of a training run; give one of `ttecg train`"
            )
        if len(self.workdirs) > 1 and task != "UNetTraining":
            raise ValueError(
                f"{self.workdirs[0]} holds a {task} run; only several `ttecg train unet` runs join"
            )
        common = {"name": self.name or self.out.absolute().name, "card": self.card or "", "dtype": self.dtype}
        kinds = {"UNetTraining": self._unet, "TwoLeadTraining": self._two_lead}
        kinds |= {"NoiseDetectorTraining": self._noise_detector, "DecoderTraining": self._decoder}
        kinds |= dict.fromkeys(("ClassifierTraining", "ClipTraining", "Wav2VecTraining"), self._encoder)
        if task in _PARTS:
            raise ValueError(f"{self.workdirs[0]} holds a {task} run, which is {_PARTS[task]}")
        if task != "GeneratorTraining":
            self._refuse_settings_of_generators(task)
        kinds.get(task, self._generator)(common)
        print(f"bundle in {self.out}")

    def _refuse_settings_of_generators(self, task: str) -> None:
        from ttecg.models.sampling import SamplingPolicy

        for name, usual in (vars(SamplingPolicy()) | {"recorder": None}).items():
            if getattr(self, name) != usual:
                raise ValueError(
                    f"--{name.replace('_', '-')} is for generators; {self.workdirs[0]} holds a {task} run"
                )

    def _generator(self, common: dict) -> None:
        from ttecg.bundle import export
        from ttecg.models.sampling import SamplingPolicy

        fields = [field.name for field in dataclasses.fields(SamplingPolicy)]
        sampling = SamplingPolicy(**{name: getattr(self, name) for name in fields})
        export(self.workdirs[0], self.out, sampling=sampling, recorder=self.recorder, **common)

    def _unet(self, common: dict) -> None:
        from ttecg.reconstruct import KIND, join

        self._network(KIND, join(self.workdirs), common)

    def _noise_detector(self, common: dict) -> None:
        from ttecg.quality import KIND, load

        self._network(KIND, load(self.workdirs[0]), common)

    def _two_lead(self, common: dict) -> None:
        from ttecg.two_lead import KIND, load

        self._network(KIND, load(self.workdirs[0]), common)

    def _network(self, kind: str, model, common: dict) -> None:
        from ttecg.bundle import export_network

        export_network(self.out, kind, model.config, model.params, model.buffers, **common)

    def _encoder(self, common: dict) -> None:
        from ttecg.encoders import export

        export(self.workdirs[0], self.out, **common)

    def _decoder(self, common: dict) -> None:
        from ttecg.decoder import export

        export(self.workdirs[0], self.out, **common)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateTokenizer:
    """Scores how a tokenizer rebuilds the recordings of a prepared set."""

    examples = ("ttecg evaluate tokenizer --model demo --data data/ptbxl-500 --split test",)

    # a bundle's name or folder, or the work directory of `ttecg train tokenizer`
    model: str
    # prepared set
    data: pathlib.Path
    # which part of it
    split: str = "test"
    # folder for the figures and pictures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        check_results(self.out)
        from ttecg.evaluate.tokenizer import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.data, self.split, self.out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateAdherence:
    """Scores whether generated ECGs show what was asked for, by published criteria.

    Each finding is asked for by two English and two German prompts. With --data, the same criteria are applied to
    recorded ECGs: of that label, normal ones, and others.
    """

    examples = ("ttecg evaluate adherence --model demo --num 10 --data data/ptbxl-500",)

    # a bundle's name or folder
    model: str = "demo"
    # ECGs of each prompt
    num: int = 10
    # prepared set whose recorded ECGs the criteria are applied to as well
    data: Optional[pathlib.Path] = None
    # which part of --data; nothing is trained, so all of it may be used
    split: str = "all"
    # of the random choices
    seed: int = 0
    # folder for the figures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        if self.num < 1:
            raise ValueError(f"--num {self.num}: ask for at least 1 ECG")
        from ttecg.evaluate.adherence import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.num, self.seed, self.data, self.split, self.out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatePrivacy:
    """Says whether generated ECGs are copies of training records, beside held-out people and planted copies.

    The last line is the verdict, PASS or FAIL with the reason. --out gets privacy.json and privacy.png.
    """

    examples = ("ttecg evaluate privacy --model demo --data data/ptbxl-500 --num 100",)

    # the prepared set that the model was trained on
    data: pathlib.Path
    # a bundle's name or folder
    model: str = "demo"
    # instead of generating: a prepared set, or a folder of WFDB records whose headers hold their reports
    generated: Optional[pathlib.Path] = None
    # held-out records, and ECGs generated under their reports, at most
    num: int = 100
    # network in whose space distances are measured
    encoder: str = "encoder"
    # of the random choices
    seed: int = 0
    # folder for the figures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        check_least(1, num=self.num)
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.evaluate.privacy import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.data, self.num, self.seed, self.out, self.generated, self.encoder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchGenerate:
    """Times generation on this machine, of a bundle or of a config with random weights."""

    examples = (
        "ttecg bench generate --model demo --batch 1 8",
        "ttecg bench generate --config configs/generator_paper.py --batch 1",
    )

    # Python file with the config of a generator
    config: Optional[pathlib.Path] = None
    # instead of --config: a bundle's name or folder
    model: Optional[str] = None
    # ECGs made at a time
    batch: tuple[int, ...] = (1, 8, 64)

    def run(self) -> None:
        if (self.config is None) == (self.model is None):
            raise ValueError("give either --config FILE.py or --model NAME")
        if not self.batch or min(self.batch) < 1:
            raise ValueError(f"--batch {' '.join(map(str, self.batch))}: give numbers from 1 up")
        from ttecg.runtime import devices_for_cores, keep_compiled_programs

        config = None if self.config is None else _generator_of(self.config)
        devices_for_cores()
        keep_compiled_programs()
        from ttecg.bench.generate import generate

        generate(config, self.batch, bundle=self.model)


def _generator_of(path: pathlib.Path):
    """The generator's config within the training config of a file."""
    from ttecg.train.config import load_config
    from ttecg.train.generator import GeneratorTraining

    training = load_config(path)
    if not isinstance(training, GeneratorTraining):
        raise ValueError(
            f"--config {path} holds a {type(training).__name__}; `ttecg bench generate` takes a "
            "GeneratorTraining"
        )
    return training.model
