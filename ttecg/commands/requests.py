"""What a user asks `ttecg generate` for, checked: a report with conditions, RR intervals.

Every refusal is a ValueError of one line that names the argument, or the file and its line.
"""

import dataclasses
import math
import pathlib
import re

from ttecg.data.numbers import NUMBERS, asked

_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
COLUMNS = ("report", "age", "sex", *NUMBERS, "name")
_SHORTEST_S, _LONGEST_S = 0.2, 2.99
_SURELY_MS = 20.0


@dataclasses.dataclass(frozen=True)
class Request:
    """One report to make ECGs of. age in years; the numbers of `data.numbers`; None where it is left to the
    model.

    name: what the files are called, before the number of the sample."""

    report: str
    age: float | None
    sex: str | None
    name: str
    heart_rate: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    axis_deg: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that are asked for."""
        return asked(self)

    @property
    def prompt(self):
        """The `data.prompt.Prompt` that asks for it."""
        from ttecg.data.prompt import Prompt

        return Prompt(self.report, self.age, self.sex, **self.numbers)

    def with_defaults(self, values: dict) -> "Request":
        """The same with `values` where it leaves the choice open."""
        return dataclasses.replace(self, **{k: v for k, v in values.items() if getattr(self, k) is None})


def check_report(text: str, where: str) -> str:
    """The text; ValueError where it has none."""
    if not any(map(str.isalnum, text)):
        raise ValueError(f"{where} has no words: describe the ECG in words, as in 'sinus rhythm, normal ECG'")
    return text


def check_age(age: float | None, where: str) -> float | None:
    return check_range(age, where, 0, 130, "years")


def check_heart_rate(rate: float | None, where: str) -> float | None:
    return check_number("heart_rate", rate, where)


def check_number(name: str, value: float | None, where: str) -> float | None:
    return check_range(value, where, *NUMBERS[name])


def check_range(value: float | None, where: str, low: float, high: float, unit: str) -> float | None:
    """The value if it lies in [low, high] or is None; ValueError naming `where` otherwise."""
    if value is not None and not low <= value <= high:
        raise ValueError(f"{where} {value:g} is not between {low:g} and {high:g} {unit}")
    return value


def check_sex(sex: str | None, where: str) -> str | None:
    """ "female" or "male" of F, M, female, male in any case; None for None."""
    if sex is None:
        return None
    try:
        return _SEXES[sex.strip().lower()]
    except KeyError:
        raise ValueError(f"{where} {sex!r} is not one of F, M, female, male") from None


def request_of(where: str, number: int, row: dict[str, str]) -> Request:
    """The request of row `number` (from 1) of a table, {column: text}; ValueError that begins with `where`."""
    name = row.get("name") or f"ecg-{number:04d}"
    if not re.fullmatch(r"[-\w]+", name, re.ASCII):
        raise ValueError(f"{where}: name {name!r} must be of letters, digits, - and _")
    age, *numbers = (_number(row.get(column), f"{where}: {column}") for column in ("age", *NUMBERS))
    return Request(
        report=check_report(row["report"], f"{where}: report"),
        age=check_age(age, f"{where}: age"),
        sex=check_sex(row.get("sex") or None, f"{where}: sex"),
        name=name,
        **{n: check_number(n, value, f"{where}: {n}") for n, value in zip(NUMBERS, numbers)},
    )


def _number(text: str | None, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where} {text!r} is not a number") from None


def read_rr(path) -> list[float]:
    """RR intervals in seconds, from a text file of numbers apart by line ends, commas, semicolons or blanks.

    Numbers above 20 are milliseconds. Lines that start with # and a first line of words are left out.
    ValueError where an interval is not of 0.2 to 2.99 s."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; --rr takes a text file of RR intervals")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not a text file of RR intervals") from None
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    cells = [[cell for cell in re.split(r"[,;\s]+", line) if cell] for line in lines]
    if cells and not any(_is_number(cell) for cell in cells[0]):
        cells = cells[1:]
    values = [_interval(cell, path) for row in cells for cell in row]
    if not values:
        raise ValueError(f"{path}: holds no RR interval; write one per line, in seconds or milliseconds")
    scale = 1e-3 if min(values) > _SURELY_MS else 1.0
    for number, value in enumerate(values, 1):
        if not _SHORTEST_S <= value * scale <= _LONGEST_S:
            unit = "ms" if scale < 1 else "s"
            raise ValueError(
                f"{path}: interval {number} is {value:g} {unit}; RR intervals are {_SHORTEST_S:g} to "
                f"{_LONGEST_S:g} s, all in one unit"
            )
    return [value * scale for value in values]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _interval(text: str, path) -> float:
    if not _is_number(text):
        raise ValueError(f"{path}: {text!r} is not an RR interval; write numbers, in seconds or milliseconds")
    return float(text)
