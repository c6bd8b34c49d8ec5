"""`ttecg data simulate|prepare|restore-voltages|reports`: what models are trained on."""

import dataclasses
import pathlib
from typing import Annotated, Literal

from ttecg.commands import Optional, Several, check_least, check_seed, positional
from ttecg.commands.requests import check_age, check_heart_rate, check_sex

_MOST = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulate:
    """Makes simulated ECGs: WFDB records and records.csv, which `ttecg data prepare folder` reads."""

    examples = (
        "ttecg data simulate --num 200 --out data/simulated",
        'ttecg data simulate --num 20 --findings "left bundle branch block" --heart-rate 55 --out data/lbbb',
    )

    # how many
    num: int
    # new folder for the records
    out: pathlib.Path
    # what every ECG shows; drawn anew for each unless given
    findings: Several[str] = ()
    # beats per minute; needs --findings, and is drawn to suit them unless given
    heart_rate: Optional[float] = None
    # years
    age: Optional[float] = None
    # F or M
    sex: Optional[str] = None
    # of the random choices; different seeds share no patient
    seed: int = 0
    # samples per second
    rate: float = 500.0
    # seconds
    duration: float = 10.0

    def run(self) -> None:
        if not 1 <= self.num <= _MOST:
            raise ValueError(f"--num {self.num} is not between 1 and {_MOST}")
        check_seed(self.seed)
        if self.heart_rate is not None and not self.findings:
            raise ValueError("--heart-rate goes with --findings; drawn ones have heart rates of their own")
        check_heart_rate(self.heart_rate, "--heart-rate")
        check_age(self.age, "--age")
        _check_new(self.out)
        sex = check_sex(self.sex, "--sex")
        from ttecg.data.write_folder import write_folder

        self._simulate(0, sex)  # refuses what cannot be simulated before anything is written
        write_folder((self._simulate(i, sex) for i in range(self.num)), self.out, self.num)
        print(f"{self.num} simulated ECGs in {self.out}")

    def _simulate(self, index: int, sex: str | None):
        import numpy as np

        from ttecg.data.simulator import draw_findings, simulate

        seed = self.seed * _MOST + index
        findings = self.findings or draw_findings(np.random.default_rng((seed, 7)))
        patient = {"age": self.age, "sex": sex, "heart_rate": self.heart_rate}
        return simulate(findings, seed, **patient, rate=self.rate, duration=self.duration)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepare:
    """Makes a set for training: recordings checked and packed, split into train, validation and test.

    The set is complete or absent; killed, the same command goes on where it was. The simulator needs no recordings.
    """

    examples = (
        "ttecg data prepare ptbxl --source ptb-xl/1.0.3 --download --rate 500 --out data/ptbxl-500",
        "ttecg data prepare folder --source data/simulated --table data/simulated/records.csv --out data/sim",
        "ttecg data prepare simulator --count 1000000 --rate 100 --processes 4 --out data/simulator-100",
    )

    # what the recordings are; folder is any folder of WFDB records
    name: Annotated[
        Literal["ptbxl", "ludb", "folder", "simulator"], *positional("{ptbxl,ludb,folder,simulator}")
    ]
    # the folder where the recordings are
    source: Optional[pathlib.Path] = None
    # simulated ECGs to make, of which a tenth each is for validation and test
    count: Optional[int] = None
    # new folder for the set; data/NAME-RATE unless given
    out: Optional[pathlib.Path] = None
    # samples per second; unless given 500 for ptbxl and simulator, and as in the files for others
    rate: Optional[float] = None
    # CSV file with report, age, sex, labels, fold of the records of a folder
    table: Optional[pathlib.Path] = None
    # leave out what cannot be used (named in skipped.csv) instead of stopping
    skip_bad: bool = False
    # first fetch into --source what is missing there, from PhysioNet
    download: bool = False
    # that share the work; the files are the same for any number
    processes: int = 1

    def run(self) -> None:
        self._check()
        from ttecg.data.dataset import describe
        from ttecg.data.prepare import prepare, prepare_simulated

        if self.name == "simulator":
            out = prepare_simulated(self.count, self.out, self.rate, processes=self.processes)
        else:
            out = prepare(
                self.name,
                self.source,
                self.out,
                self.rate,
                table=self.table,
                skip_bad=self.skip_bad,
                download=self.download,
                processes=self.processes,
            )
        about = describe(out)
        counts = ", ".join(f"{count} {split}" for split, count in about["records"].items())
        print(f"{out}: {counts} records; {about['skipped']} skipped, {about['flagged']} remarks")

    def _check(self) -> None:
        check_least(1, processes=self.processes)
        if self.table is not None and self.name != "folder":
            raise ValueError(f"--table is for `ttecg data prepare folder`; {self.name} has tables of its own")
        simulated = self.name == "simulator"
        if (self.count is None) == simulated:
            raise ValueError(
                "--count says how many ECGs `ttecg data prepare simulator` makes, and is for it alone"
            )
        if (self.source is None) != simulated:
            raise ValueError(
                "--source is the folder where the recordings of ptbxl, ludb or folder are; simulator has none"
            )
        if simulated and (self.skip_bad or self.download):
            raise ValueError("--skip-bad and --download are for recordings; simulator has none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreVoltages:
    """Puts plausible millivolts back into z-scored recordings, learned from a prepared set's train split.

    Writes a folder for `ttecg data prepare folder`. Models that work on shape alone can be tested on folds 9 and 10.
    """

    examples = (
        "ttecg data restore-voltages --shape ptbxl_shape_100hz.npz --labels labels_21799.csv "
        "--reports reports_12245.csv --reference data/ptbxl-500 --out data/shape",
    )

    # NPZ file with ecg_id and signal_milli_sd
    shape: pathlib.Path
    # CSV file with fold and labels of every record
    labels: pathlib.Path
    # CSV file with report, age, sex and SCP codes of some
    reports: pathlib.Path
    # prepared set of recordings in mV
    reference: pathlib.Path
    # new folder for the records
    out: pathlib.Path
    # folds to take, as in 1,2,9
    folds: str = "1,2,3,4,5,6,7,8"

    def run(self) -> None:
        for path in (self.shape, self.labels, self.reports):
            if not path.is_file():
                raise FileNotFoundError(f"{path}: there is no such file")
        _check_new(self.out)
        folds = _folds(self.folds)
        from ttecg.data.dataset import open_dataset
        from ttecg.data.shape_set import load_shape_set
        from ttecg.data.write_folder import write_folder

        reference = open_dataset(self.reference, "train")
        ecgs = load_shape_set(self.shape, self.labels, self.reports, reference, folds=folds)
        write_folder((ecgs[i] for i in range(len(ecgs))), self.out, len(ecgs))
        print(f"{len(ecgs)} ECGs with drawn voltages in {self.out}, learned from {len(reference)} in mV")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reports:
    """Says how much of the reports in a table is understood, and which words are not."""

    examples = ("ttecg data reports ptbxl_database.csv --folds 9,10",)

    # CSV file with a column report
    table: Annotated[pathlib.Path, *positional("FILE.csv")]
    # only these values of the column strat_fold, as in 9,10
    folds: Optional[str] = None

    def run(self) -> None:
        if not self.table.is_file():
            raise FileNotFoundError(f"{self.table}: there is no such file")
        from ttecg.data.reports import coverage, read_reports

        print(coverage(read_reports(self.table, None if self.folds is None else _folds(self.folds))))


def _folds(text: str) -> list[int]:
    try:
        return [int(fold) for fold in text.split(",")]
    except ValueError:
        raise ValueError(f"--folds {text!r}: give numbers like 9,10") from None


def _check_new(out: pathlib.Path) -> None:
    if out.exists():
        raise ValueError(f"--out {out} exists; give a new folder")
