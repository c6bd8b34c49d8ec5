"""`ttecg bench train|generate|data`: how fast this machine is."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from ttecg.commands import Assignments, Optional, assignments, check_least


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchTrain:
    """Times the training step of any config on random numbers, beside a large matrix product."""

    examples = (
        "ttecg bench train --config configs/generator_debug.py --seconds 2",
        "ttecg bench train --config configs/generator_base.py --set run.batch=16 "
        "--vary model.layers=2,4,16 --vary run.batch=1,4 --json out/train.json",
    )

    # Python file that sets `config`
    config: pathlib.Path
    # fields of the config to change, as in run.batch=16
    set: Assignments = ()
    # a row for each of these values of a field, all else as it is; may be given several times
    vary: Annotated[
        tuple[tuple[str, ...], ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="FIELD.PATH=VALUE,VALUE", help_behavior_hint=""),
    ] = ()
    # to time each row for
    seconds: float = 10.0
    # file for the figures
    json: Optional[pathlib.Path] = None

    def run(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"--seconds {self.seconds:g}: give more than 0")
        from ttecg.runtime import keep_compiled_programs
        from ttecg.train.config import load_config, override

        config = override(load_config(self.config), assignments(self.set))
        vary = dict(_values(text) for text in assignments(self.vary))
        for field, values in vary.items():  # a wrong value is named before anything is timed
            for value in values:
                override(config, [f"{field}={value}"])
        keep_compiled_programs()
        from ttecg.bench.train import bench

        bench(config, vary, self.seconds, self.json)


def _values(text: str) -> tuple[str, list[str]]:
    field, equals, values = text.partition("=")
    if not equals or not all(values.split(",")):
        raise ValueError(f"--vary takes field.path=value,value, got {text!r}")
    return field, values.split(",")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchData:
    """Times how fast batches of a prepared set are read, and says how much memory that takes."""

    examples = (
        "ttecg bench data --data data/simulator-100",
        "ttecg bench data --data data/ptbxl-500 --batch 64 --seconds 30 --json out/data.json",
    )

    # prepared set
    data: pathlib.Path
    # records of a batch
    batch: int = 256
    # to read for
    seconds: float = 10.0
    # file for the figures
    json: Optional[pathlib.Path] = None

    def run(self) -> None:
        check_least(1, batch=self.batch)
        if not self.seconds > 0:
            raise ValueError(f"--seconds {self.seconds:g}: give more than 0")
        from ttecg.bench.data import bench

        bench(self.data, self.batch, self.seconds, self.json)
