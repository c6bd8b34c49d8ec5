"""`ttecg bench data`: how fast this machine is."""

import dataclasses
import pathlib

from ttecg.commands import Optional


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
        if self.batch < 1:
            raise ValueError(f"--batch {self.batch}: give 1 or more")
        if not self.seconds > 0:
            raise ValueError(f"--seconds {self.seconds:g}: give more than 0")
        from ttecg.bench.data import bench

        bench(self.data, self.batch, self.seconds, self.json)
