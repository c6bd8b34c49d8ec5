"""`ttecg evaluate classification`: whether leads that models make help a classifier."""

import dataclasses
import pathlib

from ttecg.commands import Optional, Several, check_least, check_results


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateClassification:
    """Trains one classifier on lead I, on I and II, on I and II made twelve by models, and on real leads, and compares.

    --out gets a table (classification.json), a plot, and results.jsonl with a line for every network; the same command
    goes on where it was interrupted, and more models or seeds are added to what is there.
    """

    examples = (
        "ttecg evaluate classification --data data/ptbxl-500 --out out/classification",
        "ttecg evaluate classification --data data/ptbxl-500 --models ridge --cross-validate 5 --out out/classes-cv",
    )

    # prepared set that has SCP codes, or LUDB's labels; split by patients, as `ttecg data prepare` makes it
    data: pathlib.Path
    # folder for the results
    out: pathlib.Path
    # what makes leads of I and II: ridge (fitted on the training part), or models of `ttecg reconstruct --model`
    models: tuple[str, ...] = ("ridge", "unet")
    # a model of `ttecg two-lead` to set beside them
    two_lead: Optional[str] = None
    # what to tell: superclass, subset (MI and arrhythmia), rhythm, all
    labels: tuple[str, ...] = ("superclass", "subset")
    # of the networks, a whole set of networks for each
    seeds: tuple[int, ...] = (0, 1, 2)
    # test every record once, in so many groups of folds, instead of the test split: narrower intervals, but trained
    # models have seen these records
    cross_validate: int = 0
    # prepared sets whose train split joins the training
    also: Several[pathlib.Path] = ()
    # look at the shape of leads, not at their voltages, as sets without true voltages need
    shape_only: bool = False
    # steps of each network's training
    steps: int = 400

    def run(self) -> None:
        from ttecg.data.dataset import describe
        from ttecg.data.statements import label_names

        label_names(self.labels)
        check_least(1, steps=self.steps)
        check_results(self.out)
        for path in (self.data, *self.also):
            describe(path)
        from ttecg.evaluate.classification import evaluate
        from ttecg.evaluate.study import study_recipe
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(
            self.data,
            self.out,
            models=self.models,
            two_lead_model=self.two_lead or "",
            labels=self.labels,
            seeds=self.seeds,
            cross_validate=self.cross_validate,
            also=self.also,
            recipe=study_recipe(self.shape_only, self.steps),
        )
