"""The verbs of the command line, a frozen dataclass each: fields are the arguments, `run()` does the work.

A comment above a field is its help; the docstring and `examples`, commands that work as they are, are the
verb's.

Modules here import nothing slow until a verb runs, so that `--help` and wrong arguments answer at once.
"""

import pathlib
from typing import Annotated, TypeVar

import tyro

_T = TypeVar("_T")
LARGEST_SEED = 2_000_000_000  # below 2**31 with room for the rows of a table

# an argument that may be left out, without "(default: None)" in its help
Optional = Annotated[_T | None, tyro.conf.arg(help_behavior_hint="")]
# several values, none unless given
Several = Annotated[tuple[_T, ...], tyro.conf.arg(help_behavior_hint="")]
# fields of a config to change, as in run.steps=200; may be given several times: see `assignments`
Assignments = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(metavar="FIELD.PATH=VALUE", help_behavior_hint=""),
]


def assignments(given: tuple[tuple[str, ...], ...]) -> list[str]:
    """The words of `Assignments` in their order."""
    return [word for some in given for word in some]


def positional(metavar: str) -> tuple:
    """Marks an argument that has no name, shown as `metavar`: `Annotated[str, *positional("RECORD")]`."""
    return tyro.conf.Positional, tyro.conf.arg(metavar=metavar, help_behavior_hint="")


def check_least(low: float, **values: float | None) -> None:
    """ValueError that names the first of the arguments, by their fields, that is less than `low`."""
    for name, value in values.items():
        if value is not None and not value >= low:
            raise ValueError(f"--{name.replace('_', '-')} {value:g} must be {low:g} or more")


def check_seed(seed: int) -> None:
    """ValueError where it is no seed."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"--seed {seed} is not between 0 and {LARGEST_SEED}")


def check_results(out: pathlib.Path | None) -> None:
    """ValueError where --out cannot be a folder to write results into; it may hold something."""
    if out is not None:
        from ttecg.export import check_folder

        check_folder(out)


def record_name(text: str) -> str:
    """A name that a WFDB record may have, as near to the text as can be."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in text) or "ecg"
