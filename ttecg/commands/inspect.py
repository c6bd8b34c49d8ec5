"""`ttecg data inspect`: what a recording, a folder of recordings or a prepared set holds."""

import collections
import csv
import dataclasses
import pathlib
from typing import Annotated

from ttecg.commands import positional

_LABELS, _REMARKS = 15, 10
_DETECTOR = "quality"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspect:
    """Says what a recording, a folder of recordings or a prepared set holds, and what is wrong with it.

    Intervals are measured from the signal. With --quality, two detectors say how noisy recordings are: the share of
    training records that are less noisy, and whether what the R peaks say is noise (0 to 1).
    """

    examples = (
        "ttecg data inspect out/lbbb/ecg-0001",
        "ttecg data inspect out/lbbb --quality",
    )

    # a WFDB record, a .csv or .npz file, a folder of WFDB records, or a prepared set
    path: Annotated[pathlib.Path, *positional("PATH")]
    # say how noisy recordings are
    quality: bool = False
    # noise detectors, by a bundle's name or folder
    detector: str = _DETECTOR

    def run(self) -> None:
        if self.detector != _DETECTOR and not self.quality:
            raise ValueError("--detector goes with --quality; give both, or leave it out")
        scores = _scorer(self.detector) if self.quality else None
        if (self.path / "ttecg.json").is_file():
            lines = _prepared(self.path, scores)
        elif self.path.is_dir():
            lines = _folder(self.path, scores)
        else:
            from ttecg.data.files import read_ecg

            lines = _record(read_ecg(self.path), scores)
        for line in lines:
            print(line, flush=True)


def _scorer(name: str):
    """A function from an ECG to what the noise detectors say of it."""
    from ttecg.quality import NOISY, load
    from ttecg.runtime import keep_compiled_programs

    keep_compiled_programs()
    detector = load(name)

    def scores(ecg) -> str:
        try:
            found = detector.scores(ecg)
        except ValueError as error:
            return f"cannot be judged: {error}"
        worst = max(zip(found["lead"], found["leads"]))
        word = "NOISY, " if found["record"] >= NOISY else ""
        return (
            f"{word}noisier than {found['record']:.0%} of training records, by R peaks {found['hrv']:.2f}; "
            f"noisiest lead {worst[1]} ({worst[0]:.0%})"
        )

    return scores


def _record(ecg, scores):
    from ttecg.data.checks import problems

    yield f"{ecg.id}: {_size(ecg)}"
    age = f"{ecg.age:g} years" if ecg.age is not None else ""
    yield _field("patient", ", ".join(filter(None, (age, ecg.sex))) or "not stated")
    if ecg.report:
        from ttecg.data.reports import understood

        yield _field("report", ecg.report)
        yield _field("prompt", understood(ecg.report))
    if ecg.labels:
        yield _field("labels", "; ".join(ecg.labels))
    for comment in ecg.info.get("comments", ()):
        yield _field("comment", comment)
    yield _field("measured", _measured(ecg))
    yield _field("problems", "; ".join(problems(ecg)) or "none")
    if scores:
        yield _field("quality", scores(ecg))


def _field(name: str, text: str) -> str:
    from ttecg.data.comments import plain

    return f"  {name:11}{plain(text)}"


def _size(ecg) -> str:
    return f"{len(ecg.leads)} leads ({' '.join(ecg.leads)}), {ecg.rate:g} Hz, {ecg.duration:.1f} s"


def _measured(ecg) -> str:
    from ttecg.data.beats import intervals

    found = intervals(ecg)
    kinds = (
        ("heart_rate", "rate {:.0f}/min"),
        ("rr_cv", "RR variation {:.2f}"),
        ("pr_ms", "PR {:.0f} ms"),
        ("qrs_ms", "QRS {:.0f} ms"),
        ("qt_ms", "QT {:.0f} ms"),
        ("axis_deg", "axis {:.0f}°"),
    )
    known = [form.format(found[name]) for name, form in kinds if found[name] is not None]
    return ", ".join(known) or "no beats found"


def _folder(path: pathlib.Path, scores):
    from ttecg.data.checks import problems
    from ttecg.data.files import read_ecg

    records = sorted(path.rglob("*.hea"))
    if not records:
        raise ValueError(f"{path}: no WFDB record (NAME.hea) in it or below it, and it is no prepared set")
    sound = 0
    for record in records:
        name = record.relative_to(path).with_suffix("").as_posix()
        try:
            ecg = read_ecg(record)
        except (ValueError, OSError) as error:
            yield f"{name}: BROKEN, {' '.join(str(error).split())}"
            continue
        found = problems(ecg)
        sound += not found
        size = f"{len(ecg.leads)} leads, {ecg.rate:g} Hz, {ecg.duration:.1f} s"
        judged = [scores(ecg)] if scores else []
        yield "; ".join(
            (f"{name}: {size}, {_measured(ecg)}", *judged, *(f"PROBLEM {problem}" for problem in found))
        )
    yield f"{len(records)} records, {sound} without problems"


def _prepared(path: pathlib.Path, scores):
    from ttecg.data.dataset import describe, open_dataset

    about = describe(path)
    rate = "as recorded" if about["rate"] is None else f"{about['rate']:g} Hz"
    yield f"{path}: prepared from {about['name']}, {rate}"
    for split, count in about["records"].items():
        yield _field(split, f"{count} records")
    records = open_dataset(path, "all")
    labels, sexes, ages, reports, patients = collections.Counter(), collections.Counter(), [], 0, set()
    for ecg in records:
        labels.update(ecg.labels)
        sexes[ecg.sex or "unknown"] += 1
        ages += [] if ecg.age is None else [ecg.age]
        reports += bool(ecg.report)
        patients.add(ecg.info["patient_id"] or ecg.id)
    yield _field("patients", str(len(patients)))
    yield _field("sex", ", ".join(f"{n} records {sex}" for sex, n in sexes.most_common()))
    if ages:
        ages.sort()
        spread = f"{ages[0]:g} to {ages[-1]:g} years, median {ages[len(ages) // 2]:g}"
        yield _field("age", f"{spread}, of {len(ages)} records")
    yield _field("reports", f"{reports} records have one")
    yield _field("labels", ", ".join(f"{label} {n}" for label, n in labels.most_common(_LABELS)) or "none")
    if scores:
        judged = [(ecg.id, scores(ecg)) for ecg in records]
        noisy = [f"{name}: {said}" for name, said in judged if said.startswith("NOISY")]
        yield _field("quality", f"{len(noisy)} of {len(judged)} records are noisy")
        yield from (_field("", line) for line in noisy[:_REMARKS])
    for kind in ("skipped", "flagged"):
        yield _field(kind, f"{about[kind]} remarks" if about[kind] else "none")
        yield from _remarks(path / f"{kind}.csv")


def _remarks(table: pathlib.Path):
    with table.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))[1:]
    for name, reason in lines[:_REMARKS]:
        yield _field("", f"{name}: {' '.join(reason.split())}")
    if len(lines) > _REMARKS:
        yield _field("", f"... all {len(lines)} are in {table}")
