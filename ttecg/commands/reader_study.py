"""`ttecg evaluate reader-study`: can cardiologists tell generated ECGs from recorded ones?"""

import dataclasses
import pathlib
from typing import Literal

from ttecg.commands import Optional, Several


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateReaderStudy:
    """Makes the material of a reader study, recorded and generated ECGs mixed, and scores the answers.

    --out gets study.pdf (instructions, then an ECG per page of A4, 25 mm/s, 10 mm/mV) and answers.csv, a blank form,
    for the readers, and key.csv, which stays with you. Half of the ECGs are held-out recordings, half are generated
    under the reports of other held-out recordings of the same classes and of other patients.

    With --score, the readers' filled-in forms are laid beside the key: accuracy, sensitivity, specificity, AUC,
    agreement of readers, agreement of ECGs and reports.
    """

    examples = (
        "ttecg evaluate reader-study --model demo --data data/ptbxl-500 --num 40 --seed 0 --out out/study",
        "ttecg evaluate reader-study --score reader-a.csv reader-b.csv --key out/study/key.csv",
    )

    # prepared set with reports
    data: Optional[pathlib.Path] = None
    # a text-to-ECG bundle's name or folder
    model: str = "demo"
    # which part of --data; best what the model was not trained on
    split: str = "validation+test"
    # ECGs, an even number
    num: int = 40
    # of the random choices
    seed: int = 0
    # 3x4: three rows of four leads above a rhythm strip; 12x1: a row per lead
    layout: Literal["3x4", "12x1"] = "3x4"
    # what stands above each ECG: the report as the model reads it, in canonical English; as it was typed; nothing
    text: Literal["prompt", "report", "none"] = "prompt"
    # instead of making a study: filled-in forms, one per reader
    score: Several[pathlib.Path] = ()
    # of --score: the key of the study
    key: Optional[pathlib.Path] = None
    # new folder for the study; with --score, a folder for the figures, printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        if self.score or self.key is not None:
            self._score()
        else:
            self._make()

    def _score(self) -> None:
        if not self.score or self.key is None:
            raise ValueError("--score and --key go together: the filled-in forms, and the key of their study")
        if self.data is not None:
            raise ValueError("--score takes no --data; leave it out, or --score and --key to make a study")
        from ttecg.evaluate.reader_study_score import score

        score(self.score, self.key, self.out)

    def _make(self) -> None:
        if self.data is None or self.out is None:
            raise ValueError("give --data and --out to make a study, --score and --key to score answers")
        if self.num < 2 or self.num % 2:
            raise ValueError(
                f"--num {self.num} must be an even number, 2 or more: half of the ECGs are generated"
            )
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed {self.seed} is not between 0 and {2**32 - 1}")
        from ttecg.data.dataset import describe
        from ttecg.export import check_out

        check_out(self.out)
        describe(self.data)
        from ttecg.evaluate.reader_study import make
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        make(self.model, self.data, self.out, self.split, self.num, self.seed, self.layout, self.text)
