"""`ttecg generate`: clinical report text to 12-lead ECGs."""

import dataclasses
import itertools
import math
import pathlib
import sys
from collections.abc import Iterator
from typing import Annotated, Literal

from ttecg.commands import Optional, check_least, check_seed, positional
from ttecg.commands.requests import Request, check_age, check_number, check_report, check_sex, read_rr
from ttecg.data.numbers import NUMBERS

_SHOWN = 12
_READ = 10_000  # prompts that are read for what was not understood
_LARGEST_BATCH = 1024
_MOST_AT_ONCE = 10_000  # of one report, whose folder is written when all are made


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generate:
    """Makes 12-lead ECGs from clinical report text, typed in English or German.

    For each ECG --out gets a WFDB record (NAME.hea, NAME.dat: 500 Hz, mV), its picture on ECG paper and a
    line in manifest.jsonl. The same command with the same seed gives the same bytes. A table of reports may have
    millions of rows: of more than 1,000 ECGs every 1,000 get a folder, and a killed run goes on with the same command.
    """

    examples = (
        'ttecg generate "sinus rhythm, left bundle branch block" --age 63 --sex F --num 4 --out out/lbbb',
        "ttecg generate --reports examples/reports.csv --num 2 --out out/many",
        "ttecg generate --reports examples/reports.csv --num 1000 --format array_record --out data/synthetic",
    )

    # what the ECG shows, in words
    report: Annotated[str | None, *positional("[REPORT]")] = None
    # instead of REPORT: a CSV file with a column report and, where wanted, age, sex, name, heart_rate, pr_ms, ...
    reports: Optional[pathlib.Path] = None
    # years
    age: Optional[float] = None
    # F or M
    sex: Optional[str] = None
    # beats per minute
    heart_rate: Optional[float] = None
    # of the usual beat, for models that plan it: PR and QT intervals, width of QRS, its axis in the frontal plane
    pr_ms: Optional[float] = None
    qrs_ms: Optional[float] = None
    qt_ms: Optional[float] = None
    axis_deg: Optional[float] = None
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
    # how much of what a recorder adds to the heart's signal (wander, muscles, mains), 0 for none; the model's own
    # unless given
    noise: Optional[float] = None
    # a model of the package by name, or a bundle's folder
    model: str = "demo"
    # what makes the waveform of the codes: the tokenizer, or the HiFi-GAN of a bundle that has one
    decoder: Literal["vq", "hifigan"] = "vq"
    # new folder for the results
    out: pathlib.Path
    # ECGs of --reports that a device makes at a time; as many as its memory allows (256 at most) unless given
    batch: Optional[int] = None
    # files of --reports: WFDB records, or a prepared set without pictures that `ttecg train` reads
    format: Literal["wfdb", "array_record"] = "wfdb"
    # processes that make ECGs of --reports side by side, on a machine without GPU or TPU
    processes: int = 1
    # one of several processes, each started with this same command, share the ECGs of --reports; see launch/
    distributed: bool = False
    # write no pictures
    no_pictures: bool = False
    # kind of pictures
    picture_format: Literal["png", "pdf", "svg"] = "png"

    def run(self) -> None:
        self._check()
        if (self.report is None) == (self.reports is None):
            raise ValueError(
                'give one of a report in quotes, as in ttecg generate "sinus rhythm", and --reports FILE.csv'
            )
        if self.rr is not None and self.heart_rate is not None:
            raise ValueError("--rr fixes the beats already; leave --heart-rate out")
        rr = None if self.rr is None else tuple(read_rr(self.rr))
        if self.report is not None:
            self._one(rr)
        else:
            self._many(rr)

    def _check(self) -> None:
        check_least(1, num=self.num, processes=self.processes)
        check_seed(self.seed)
        if self.batch is not None and not 1 <= self.batch <= _LARGEST_BATCH:
            raise ValueError(f"--batch {self.batch} is not between 1 and {_LARGEST_BATCH}")
        for name in ("temperature", "guidance", "noise"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"--{name} {value:g} must be 0 or more")
        check_least(0, top_k=self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"--top-p {self.top_p:g} must be above 0 and at most 1")
        check_age(self.age, "--age")
        check_sex(self.sex, "--sex")
        for name in NUMBERS:
            check_number(name, getattr(self, name), f"--{name.replace('_', '-')}")

    @property
    def _numbers(self) -> dict:
        return {name: getattr(self, name) for name in NUMBERS}

    @property
    def _sampling(self) -> dict:
        return {name: getattr(self, name) for name in ("temperature", "top_k", "top_p", "guidance", "noise")}

    @property
    def _picture(self) -> str | None:
        return None if self.no_pictures or self.format == "array_record" else self.picture_format

    def _one(self, rr) -> None:
        """ECGs of one report; the folder is complete or absent."""
        if self.batch is not None or self.processes != 1 or self.format != "wfdb" or self.distributed:
            raise ValueError(
                "--batch, --processes, --format and --distributed are for --reports FILE.csv; leave them out"
            )
        if self.num > _MOST_AT_ONCE:
            raise ValueError(
                f"--num {self.num} is more than {_MOST_AT_ONCE}; give --reports a table with this report, "
                "which is written part by part and gone on with"
            )
        report, sex = check_report(self.report, "the report"), check_sex(self.sex, "--sex")
        from ttecg.export import check_out, write_generated

        check_out(self.out)
        from ttecg.generate import load
        from ttecg.runtime import devices_for_cores, keep_compiled_programs

        devices_for_cores()
        keep_compiled_programs()
        model = load(self.model).with_decoder(self.decoder)
        ecgs = self._generate(model, Request(report, self.age, sex, "ecg", **self._numbers), rr)
        written = write_generated(ecgs, self.out, self._picture)
        self._tell([dataclasses.asdict(origin) for origin in written], len(written))

    def _generate(self, model, ask: Request, rr) -> Iterator[tuple]:
        """Pairs of Origin and ECG."""
        from tqdm import tqdm

        from ttecg.export import origin_of

        asked = {"age": ask.age, "sex": ask.sex, "rr": rr, **ask.numbers}
        with tqdm(total=self.num, unit="ECG", disable=None) as bar:
            ecgs = model.generate(
                ask.report,
                num=self.num,
                seed=self.seed,
                **asked,
                **self._sampling,
                progress=lambda done: bar.update(done - bar.n),
            )
            for index, ecg in enumerate(ecgs):
                yield origin_of(ask, ecg, (self.seed, index), rr, self._sampling, model), ecg

    def _many(self, rr) -> None:
        """ECGs of a table; an unfinished folder is gone on with."""
        from ttecg.commands.request_table import open_table

        table = open_table(self.reports)
        if self.rr is not None and "heart_rate" in table.numbers:
            raise ValueError(f"--rr fixes the beats already; leave heart_rate out of {self.reports}")
        from ttecg.generate_sharded import Order, generate_sharded, manifest_lines
        from ttecg.runtime import devices_for_cores, keep_compiled_programs
        from ttecg.train.distributed import alone, is_main, joined

        devices_for_cores()
        keep_compiled_programs()
        order = Order(
            table=table,
            num=self.num,
            seed=self.seed,
            defaults={
                "age": self.age,
                "sex": check_sex(self.sex, "--sex"),
                **self._numbers,
            },
            rr=rr,
            sampling=self._sampling,
            model=self.model,
            decoder=self.decoder,
            form=self.format,
            picture=self._picture,
        )
        with joined() if self.distributed else alone():
            made = generate_sharded(order, self.out, batch=self.batch or 0, processes=self.processes)
            if is_main():
                if not made:
                    print(f"{self.out}: these ECGs are there already, complete")
                self._tell(manifest_lines(self.out, _READ), order.count)

    def _tell(self, made: list[dict], count: int) -> None:
        """made: lines of the manifest of the first ECGs, more than are shown."""
        ending = f".{self._picture or 'hea'}" if self.format == "wfdb" else ""
        for line in made[:_SHOWN]:
            print(f"{self.out / line['name']}{ending}  {line['prompt']}{_numbers(line)}")
        if count > _SHOWN:
            print(f"... and {count - _SHOWN} more")
        self._tell_left_out(made, count > len(made))
        what = "WFDB records" if self.format == "wfdb" else "a prepared set"
        what += f", pictures ({self._picture})" if self._picture else ""
        made = f"{count} synthetic ECG{'s' if count > 1 else ''}"
        print(f"{made} in {self.out}: {what}, manifest.jsonl")

    def _tell_left_out(self, made: list[dict], first: bool) -> None:
        """What the lexicon does not know in different reports, of which `first` says that there are more, and what
        they state but another number stands for."""
        from ttecg.data.report_reading import read
        from ttecg.data.stated import not_followed

        lines = {line["report"]: line for line in made}
        of_all = f"of {'the first ' if first else ''}{len(lines)} reports, " if len(lines) > 1 else ""
        for what, found in (
            ("not understood, and so perhaps not shown", [read(report).unknown for report in lines]),
            ("stated, but not followed", [not_followed(report, line) for report, line in lines.items()]),
        ):
            found = [words for words in found if words]
            words = list(dict.fromkeys(itertools.chain.from_iterable(found)))
            if words:
                more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
                of = f"in {len(found)} {of_all}" if of_all else ""
                print(f"{of}{what}: {'; '.join(words[:_SHOWN])}{more}", file=sys.stderr)


def _numbers(line: dict) -> str:
    """What a line of the manifest asks for by number."""
    said = [f"{name} {line[name]:g}" for name in NUMBERS if line[name] is not None]
    return f" ({', '.join(said)})" if said else ""
