"""The verbs of the command line, a frozen dataclass each: fields are the arguments, `run()` does the work.

A comment above a field is its help; the docstring and `examples`, commands that work as they are, are the
verb's.

Modules here import nothing slow until a verb runs, so that `--help` and wrong arguments answer at once.
"""

from typing import Annotated, TypeVar

import tyro

_T = TypeVar("_T")

# an argument that may be left out, without "(default: None)" in its help
Optional = Annotated[_T | None, tyro.conf.arg(help_behavior_hint="")]
# several values, none unless given
Several = Annotated[tuple[_T, ...], tyro.conf.arg(help_behavior_hint="")]


def positional(metavar: str) -> tuple:
    """Marks an argument that has no name, shown as `metavar`: `Annotated[str, *positional("RECORD")]`."""
    return tyro.conf.Positional, tyro.conf.arg(metavar=metavar, help_behavior_hint="")
