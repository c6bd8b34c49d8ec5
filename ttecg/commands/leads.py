"""`ttecg evaluate reconstruction` and `ttecg ablate leads`: how well leads are rebuilt, and what each lead tells."""

import dataclasses
import pathlib

from ttecg.commands import Optional, Several, check_results, check_seed


def lead_sets(texts) -> tuple[tuple[str, ...], ...]:
    """("I,II,V2", ...) as sets of leads; ValueError for what is none."""
    from ttecg.ecg import lead_name
    from ttecg.models.lead_maps import visible

    sets = tuple(tuple(lead_name(part) for part in text.split(",") if part.strip()) for text in texts)
    for leads in sets:
        visible(leads)
    return tuple(dict.fromkeys(sets))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateReconstruction:
    """Scores how well hidden leads are rebuilt, beside ridge regression, with intervals over patients."""

    examples = ("ttecg evaluate reconstruction --model unet --data data/ptbxl-500 --out out/reconstruction",)

    # prepared set
    data: pathlib.Path
    # unet, ridge, dower, inverse-dower, kors, a bundle's folder, or a work directory of `ttecg train unet`
    model: str = "unet"
    # which part of the set
    split: str = "test"
    # sets of visible leads, as in I,II I,II,V2
    leads: tuple[str, ...] = ("I", "I,II", "I,II,V2", "I,II,V3")
    # models to set beside it
    against: tuple[str, ...] = ("ridge",)
    # of the bootstrap
    seed: int = 0
    # folder for figures and plots; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        sets = lead_sets(self.leads)
        if not sets:
            raise ValueError("--leads: name a set of visible leads at least, as in I,II")
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.evaluate.reconstruction import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.data, self.split, sets, self.against, self.seed, self.out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblateLeads:
    """Scores many sets of visible leads: the paper's 25, or all 254 with the information of each lead.

    --out gets one line of JSON for each set (an interrupted study goes on when started again), leads.json and a page of
    plots.
    """

    examples = (
        "ttecg ablate leads --model unet --data data/ptbxl-500 --out out/leads",
        "ttecg ablate leads --model unet --data data/ptbxl-500 --all --out out/shapley",
    )

    # prepared set
    data: pathlib.Path
    # folder for the results; an existing one is gone on with
    out: pathlib.Path
    # unet, ridge, dower, inverse-dower, kors, a bundle's folder, or a work directory of `ttecg train unet`
    model: str = "unet"
    # which part of the set
    split: str = "test"
    # sets of visible leads, as in I,II I,II,V2; the paper's 25 unless given
    leads: Several[str] = ()
    # the paper's sets and every subset of the eight independent leads
    all: bool = False
    # config of `ttecg train unet`: train a network for each set instead of asking one model
    train_each: Optional[pathlib.Path] = None
    # of the bootstrap
    seed: int = 0

    def run(self) -> None:
        from ttecg.evaluate.leads import ALL_SETS, PAPER_SETS, ablate
        from ttecg.runtime import keep_compiled_programs
        from ttecg.train.config import load_config

        if self.leads and self.all:
            raise ValueError("--all takes every set of leads; leave --leads out")
        check_seed(self.seed)
        check_results(self.out)
        sets = lead_sets(self.leads) if self.leads else PAPER_SETS
        sets = tuple(dict.fromkeys(PAPER_SETS + ALL_SETS)) if self.all else sets
        config = None
        if self.train_each is not None:
            from ttecg.train.unet import UNetTraining

            config = load_config(self.train_each)
            if not isinstance(config, UNetTraining):
                raise ValueError(
                    f"--train-each {self.train_each} holds a {type(config).__name__}, not a UNetTraining"
                )
        keep_compiled_programs()
        ablate(self.model, self.data, self.split, sets, self.out, self.seed, config)
