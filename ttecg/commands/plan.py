"""`ttecg plan`: memory, FLOPs, collectives and time of a run on machines that are not at hand."""

import dataclasses
import json
import pathlib

from ttecg.commands import Assignments, Optional, assignments, check_least


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Compiles the steps of a run for machines that are not at hand, and says whether it fits and how fast it can be.

    The last lines are the verdict: FITS, or DOES NOT FIT with the reason and what to change. Times are the least that
    the chips' rates allow. TPU slices need libtpu, pip install 'ttecg[plan]', and no TPU.
    """

    examples = (
        "ttecg plan --config configs/generator_debug.py --topology cpu:8",
        "ttecg plan --config configs/generator_large.py --topology v5e:16x16 --records 21799 --json plan.json",
    )

    # Python file that sets `config`
    config: pathlib.Path
    # a TPU slice (v5e:16x16), GPUs (h200x8), or CPU devices of this machine (cpu:8)
    topology: str
    # how many recordings an epoch has
    records: int = 21_799
    # ECGs that each device samples at a time (generators)
    sample_batch: int = 16
    # fields of the config to change, as in run.batch=64
    set: Assignments = ()
    # file for the same figures as JSON
    json: Optional[pathlib.Path] = None

    def run(self) -> None:
        from ttecg.plan.apart import plan_apart
        from ttecg.plan.report import text
        from ttecg.plan.topology import parse
        from ttecg.train.config import write_text

        check_least(1, records=self.records, sample_batch=self.sample_batch)
        topology = parse(self.topology)
        if self.json is not None and not self.json.absolute().parent.is_dir():
            raise FileNotFoundError(f"--json {self.json}: there is no folder {self.json.parent}")
        if self.json is not None and self.json.is_dir():
            raise ValueError(f"--json {self.json} is a folder; give a file in it")
        request = {
            "config": str(self.config),
            "set": assignments(self.set),
            "topology": self.topology,
            "records": self.records,
            "sample_batch": self.sample_batch,
        }
        result = plan_apart(request, topology)
        print("\n" + text(result))
        if self.json is not None:
            write_text(self.json, json.dumps(result, indent=1))
            print(f"figures in {self.json}")
