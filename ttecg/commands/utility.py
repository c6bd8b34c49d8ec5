"""`ttecg evaluate utility` and `ttecg evaluate classifier-scale`: studies that train many classifiers."""

import dataclasses
import pathlib

from ttecg.commands import Optional, check_least, check_results


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateUtility:
    """Trains classifiers on real ECGs, on synthetic ones and on both, and says whether the synthetic ones help.

    --out gets a table (utility.json), a plot, and results.jsonl with a line for every network; the same command goes on
    where it was interrupted.
    """

    examples = (
        "ttecg evaluate utility --model demo --data data/ptbxl-500 --out out/utility",
        "ttecg evaluate utility --generated out/many --data data/ptbxl-500 --out out/utility-many",
    )

    # prepared set with reports and labels, with a train and a test split
    data: pathlib.Path
    # folder for the results
    out: pathlib.Path
    # a text-to-ECG bundle's name or folder
    model: str = "demo"
    # instead of generating: a prepared set, or a folder of WFDB records whose headers hold their reports
    generated: Optional[pathlib.Path] = None
    # what to tell: superclass, subset (MI and arrhythmia), rhythm, all
    labels: tuple[str, ...] = ("superclass",)
    # of the networks, a whole set of networks for each
    seeds: tuple[int, ...] = (0, 1, 2)
    # synthetic ECGs beside the real ones, as shares of their number
    shares: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    # shares of the real records, where few are labelled
    few: tuple[float, ...] = (0.01, 0.05, 0.1)
    # look at the shape of leads, not at their voltages
    shape_only: bool = False
    # steps of each network's training
    steps: int = 400

    def run(self) -> None:
        from ttecg.data.dataset import describe
        from ttecg.data.statements import label_names

        label_names(self.labels)
        describe(self.data)
        check_least(1, steps=self.steps)
        check_results(self.out)
        if self.generated is not None and not self.generated.exists():
            raise FileNotFoundError(f"--generated {self.generated}: there is no such folder")
        from ttecg.evaluate.study import study_recipe
        from ttecg.evaluate.utility import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(
            self.data,
            self.out,
            model=self.model,
            generated=self.generated,
            labels=self.labels,
            seeds=self.seeds,
            shares=self.shares,
            few=self.few,
            recipe=study_recipe(self.shape_only, self.steps),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateClassifierScale:
    """Trains the classifier in every depth, width and kernel of a grid, and compares."""

    examples = (
        "ttecg evaluate classifier-scale --config configs/classifier_scale.py --data data/ptbxl-500 --out out/scale",
    )

    # Python file that sets `config` and `grid`
    config: pathlib.Path
    # prepared set with labels, with a train and a test split
    data: pathlib.Path
    # folder for the results
    out: pathlib.Path
    # of the networks, a whole grid for each
    seeds: tuple[int, ...] = (0, 1, 2)
    # steps of each network's training, in place of the config's
    steps: Optional[int] = None

    def run(self) -> None:
        from ttecg.data.dataset import describe

        describe(self.data)
        check_least(1, steps=self.steps)
        check_results(self.out)
        from ttecg.evaluate.classifier_scale import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.config, self.data, self.out, self.seeds, self.steps or 0)
