"""`ttecg evaluate generation` and `ttecg evaluate encoder`: what generated ECGs are, and how good the judges are."""

import dataclasses
import math
import pathlib

from ttecg.commands import Optional, Several, check_least, check_results, check_seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateGeneration:
    """Lays generated ECGs beside recorded ones: fidelity, text, numbers, physics; each figure with floor and control.

    ECGs are generated under the reports of the recorded ones, with their age, sex and heart rate. --out gets
    generation.json and generation.html, a page with everything in one file.
    """

    examples = (
        "ttecg evaluate generation --model demo --data data/ptbxl-500 --out out/generation",
        "ttecg evaluate generation --data data/ptbxl-500 --generated out/af --out out/af-report",
    )

    # prepared set with reports
    data: pathlib.Path
    # a text-to-ECG bundle's name or folder
    model: str = "demo"
    # which part of --data; best what the model was not trained on
    split: str = "validation+test"
    # instead of generating: a prepared set, or a folder of WFDB records whose headers hold their reports
    generated: Optional[pathlib.Path] = None
    # recorded ECGs at most, and as many generated; 0 takes all
    num: int = 0
    # of the random choices
    seed: int = 0
    # encoders whose features sets are compared by
    encoders: tuple[str, ...] = ("encoder", "classifier")
    # networks that tell labels, and how well ECG and report fit
    classifier: str = "classifier"
    clip: str = "clip"
    # pairs of ECGs for each phrase that is changed; 0 for none
    edits: int = 10
    # folder for results and pictures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        from ttecg.data.dataset import describe

        describe(self.data)
        check_least(0, num=self.num, edits=self.edits)
        check_seed(self.seed)
        check_results(self.out)
        if self.generated is not None and not self.generated.exists():
            raise FileNotFoundError(f"--generated {self.generated}: there is no such folder")
        if not self.encoders:
            raise ValueError("--encoders: name one at least")
        from ttecg.evaluate.generation import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(
            self.model,
            self.data,
            self.split,
            self.generated,
            self.num,
            self.seed,
            self.encoders,
            self.classifier,
            self.clip,
            self.edits,
            self.out,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateEncoder:
    """Scores a classifier (AUROC), a CLIP pair (retrieval) or a self-supervised encoder (linear probe)."""

    examples = ("ttecg evaluate encoder --model classifier --data data/ptbxl-500",)

    # a bundle's name or folder, or a work directory
    model: str
    # prepared sets, joined
    data: tuple[pathlib.Path, ...]
    # which part of them
    split: str = "test"
    # leads that a self-supervised encoder sees; all unless given
    leads: Several[str] = ()
    # of the random choices
    seed: int = 0
    # folder for the figures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        from ttecg.data.dataset import describe

        for path in self.data:
            describe(path)
        if not self.data:
            raise ValueError("--data: name a prepared set at least")
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.evaluate.encoders import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.data, self.split, self.leads, self.seed, self.out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateQuality:
    """Scores the noise detectors: recordings as they are against the same with noise added at known ratios."""

    examples = ("ttecg evaluate quality --model quality --data data/ptbxl-500",)

    # prepared set, mostly clean
    data: pathlib.Path
    # a bundle's name or folder, or the work directory of `ttecg train noise-detector`
    model: str = "quality"
    # which part of --data
    split: str = "test"
    # signal-to-noise ratios in dB
    snrs: tuple[float, ...] = (0.0, 6.0, 12.0)
    # recordings at most; 0 takes all
    num: int = 0
    # of the random choices
    seed: int = 0
    # folder for the figures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        from ttecg.data.dataset import describe

        describe(self.data)
        if not self.snrs or not all(map(math.isfinite, self.snrs)):
            raise ValueError("--snrs: give one number at least, in dB")
        check_least(0, num=self.num)
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.evaluate.quality import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.data, self.split, self.snrs, out=self.out, num=self.num, seed=self.seed)
