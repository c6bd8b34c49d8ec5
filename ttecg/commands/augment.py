"""`ttecg augment`: synthetic ECGs for scarce classes, as a set to train on."""

import dataclasses
import pathlib

from ttecg.commands import check_least, check_results, check_seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """Makes synthetic ECGs of a set's scarce classes, filters them, and writes them as a prepared set.

    Prompts are reports of real training records of the class. An interrupted run goes on where it was with the same
    command. Train on both with sources=["data/ptbxl-500", "out/augmented"].
    """

    examples = (
        "ttecg augment --data data/ptbxl-500 --labels superclass --balance --out data/balanced",
        "ttecg augment --data data/ptbxl-500 --labels AFIB CLBBB --target-count 200 --out data/scarce",
    )

    # prepared set with reports and labels
    data: pathlib.Path
    # new prepared set
    out: pathlib.Path
    # label sets (superclass, subset, rhythm, all) or single labels, as in AFIB
    labels: tuple[str, ...]
    # records that each class shall have, with the real ones
    target_count: int = 0
    # as many records of each class as the largest has
    balance: bool = False
    # a text-to-ECG bundle's name or folder
    model: str = "demo"
    # network that must see the class in an ECG; '' for none
    classifier: str = "classifier"
    # noise detector that must not object; '' for none
    quality: str = "quality"
    # of the random choices
    seed: int = 0
    # processes that make ECGs side by side
    processes: int = 1

    def run(self) -> None:
        from ttecg.data.dataset import describe

        describe(self.data)
        check_least(0, target_count=self.target_count)
        check_least(1, processes=self.processes)
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.augment import augment
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        augment(
            self.data,
            self.out,
            self.labels,
            target_count=self.target_count,
            balance=self.balance,
            model=self.model,
            classifier=self.classifier,
            quality=self.quality,
            seed=self.seed,
            processes=self.processes,
        )
