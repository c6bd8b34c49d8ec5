"""`ttecg generate`: clinical report text to 12-lead ECGs."""

import dataclasses
import math
import pathlib
from collections.abc import Iterator
from typing import Annotated, Literal

from ttecg.commands import Optional, positional
from ttecg.commands.requests import (
    Request,
    check_age,
    check_heart_rate,
    check_report,
    check_sex,
    read_requests,
    read_rr,
)

_SHOWN = 12
_LARGEST_SEED = 2_000_000_000  # below 2**31 with room for the rows of a table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generate:
    """Makes 12-lead ECGs from clinical report text, typed in English or German.

    For each ECG --out gets a WFDB record (NAME.hea, NAME.dat: 500 Hz, mV), its picture on ECG paper and a
    line in manifest.jsonl. The same command with the same seed gives the same bytes.
    """

    examples = (
        'ttecg generate "sinus rhythm, left bundle branch block" --age 63 --sex F --num 4 --out out/lbbb',
        "ttecg generate --reports examples/reports.csv --num 2 --out out/many",
    )

    # what the ECG shows, in words
    report: Annotated[str | None, *positional("[REPORT]")] = None
    # instead of REPORT: a CSV file with a column report and, where wanted, age, sex, heart_rate, name
    reports: Optional[pathlib.Path] = None
    # years
    age: Optional[float] = None
    # F or M
    sex: Optional[str] = None
    # beats per minute
    heart_rate: Optional[float] = None
    # a text file of RR intervals (s or ms) that the beats shall follow
    rr: Optional[pathlib.Path] = None
    # how many ECGs of each report
    num: int = 1
    # of the random choices; row k of --reports uses seed + k, counted from 0
    seed: int = 0
    # of sampling; below 1 is more typical, 0 takes the likeliest; the model's own unless given
    temperature: Optional[float] = None
    # draw only from this many likeliest codes, 0 for all; the model's own unless given
    top_k: Optional[int] = None
    # draw only from the likeliest codes that have this share of probability; the model's own unless given
    top_p: Optional[float] = None
    # how strongly to follow the prompt, 1 for not more than learned; the model's own unless given
    guidance: Optional[float] = None
    # a model of the package by name, or a bundle's folder
    model: str = "demo"
    # new folder for the results
    out: pathlib.Path
    # write no pictures
    no_pictures: bool = False
    # kind of pictures
    picture_format: Literal["png", "pdf", "svg"] = "png"

    def run(self) -> None:
        self._check()
        requests = self._requests()
        rr = None if self.rr is None else read_rr(self.rr)
        from ttecg.export import check_out, write_generated

        check_out(self.out)
        import ttecg
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        model = ttecg.load(self.model)
        ecgs = self._generate(model, requests, rr)
        written = write_generated(ecgs, self.out, None if self.no_pictures else self.picture_format)
        self._tell(written)

    def _check(self) -> None:
        if self.num < 1:
            raise ValueError(f"--num {self.num}: ask for at least 1 ECG")
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise ValueError(f"--seed {self.seed} is not between 0 and {_LARGEST_SEED}")
        for name in ("temperature", "guidance"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"--{name} {value:g} must be 0 or more")
        if self.top_k is not None and self.top_k < 0:
            raise ValueError(f"--top-k {self.top_k} must be 0 (all codes) or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"--top-p {self.top_p:g} must be above 0 and at most 1")
        check_age(self.age, "--age")
        check_sex(self.sex, "--sex")
        check_heart_rate(self.heart_rate, "--heart-rate")

    def _requests(self) -> list[Request]:
        """What is asked for; conditions of the command line stand in where a row of --reports has none."""
        if (self.report is None) == (self.reports is None):
            raise ValueError(
                'give one of a report in quotes, as in ttecg generate "sinus rhythm", and --reports FILE.csv'
            )
        if self.rr is not None and self.heart_rate is not None:
            raise ValueError("--rr fixes the beats already; leave --heart-rate out")
        sex = check_sex(self.sex, "--sex")
        if self.report is not None:
            return [Request(check_report(self.report, "the report"), self.age, sex, self.heart_rate, "ecg")]
        rows = read_requests(self.reports)
        if self.rr is not None and any(row.heart_rate is not None for row in rows):
            raise ValueError(f"--rr fixes the beats already; leave heart_rate out of {self.reports}")
        own = {"age": self.age, "sex": sex, "heart_rate": self.heart_rate}
        return [row.with_defaults(own) for row in rows]

    def _generate(self, model, requests: list[Request], rr) -> Iterator[tuple]:
        """Pairs of Origin and ECG, made as they are asked for."""
        from tqdm import tqdm

        import ttecg
        from ttecg.export import Origin

        sampling = {name: getattr(self, name) for name in ("temperature", "top_k", "top_p", "guidance")}
        with tqdm(total=len(requests) * self.num, unit="ECG", disable=None) as bar:
            for row, ask in enumerate(requests):
                asked = {"age": ask.age, "sex": ask.sex, "heart_rate": ask.heart_rate, "rr": rr}
                seed, before = self.seed + row, row * self.num
                ecgs = model.generate(
                    ask.report,
                    num=self.num,
                    seed=seed,
                    **asked,
                    **sampling,
                    progress=lambda done, before=before: bar.update(before + done - bar.n),
                )
                for index, ecg in enumerate(ecgs):
                    yield (
                        Origin(
                            name=f"{ask.name}-{index + 1:04d}",
                            report=ask.report,
                            prompt=ecg.info["prompt"],
                            **asked | {"rr": tuple(rr) if rr else None},
                            seed=seed,
                            index=index,
                            sampling=sampling,
                            model=model.name,
                            model_hash=model.hash,
                            ttecg=ttecg.__version__,
                        ),
                        ecg,
                    )

    def _tell(self, written) -> None:
        ending = "hea" if self.no_pictures else self.picture_format
        for origin in written[:_SHOWN]:
            print(f"{self.out / origin.name}.{ending}  {origin.prompt}")
        if len(written) > _SHOWN:
            print(f"... and {len(written) - _SHOWN} more")
        what = "WFDB records" if self.no_pictures else f"WFDB records, pictures ({self.picture_format})"
        count = f"{len(written)} synthetic ECG{'s' if len(written) > 1 else ''}"
        print(f"{count} in {self.out}: {what}, manifest.jsonl")
