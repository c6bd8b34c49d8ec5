"""A table of reports, checked once and then read from any row on; memory stays the same however long it is.

table = open_table("reports.csv")
for request in table.rows(5000, 6000): ...
"""

import array
import csv
import dataclasses
import difflib
import hashlib
import io
import pathlib
from collections.abc import Iterator

from ttecg.commands.requests import COLUMNS, Request, request_of
from ttecg.data.numbers import widened

_STRIDE = 1000  # rows from one known place in the file to the next
_SHORT = {"hr": "heart_rate", "hf": "heart_rate", "rate": "heart_rate", "pr": "pr_ms", "pq": "pr_ms", "qrs": "qrs_ms",
          "qt": "qt_ms", "axis": "axis_deg", "gender": "sex"}  # fmt: skip
_BOM = b"\xef\xbb\xbf"


@dataclasses.dataclass(frozen=True)
class RequestTable:
    """A CSV file all of whose rows are good. places: (byte, lines before it) of rows 0, 1000, ...; digest: of the
    file, hex; numbers: the least and the greatest that rows ask for, by name."""

    path: pathlib.Path
    header: tuple[str, ...]
    delimiter: str
    count: int
    places: tuple[tuple[int, int], ...]
    digest: str
    numbers: dict[str, tuple[float, float]]

    def __len__(self) -> int:
        return self.count

    def rows(self, first: int, end: int) -> Iterator[Request]:
        """Rows first ... end - 1."""
        start = first // _STRIDE * _STRIDE
        lines = _lines(self.path, self.delimiter, *self.places[first // _STRIDE])
        for number, (line, _, cells) in zip(range(start, end), lines):
            if number >= first:
                yield request_of(f"{self.path}, line {line}", number + 1, dict(zip(self.header, cells)))


def open_table(path) -> RequestTable:
    """A CSV file (UTF-8; comma, semicolon or tab) with a column report and, where wanted, the others of COLUMNS.
    Other columns are not looked at, but a misspelt one is refused; an empty cell leaves the choice to the model.
    Every row is checked: ValueError names the first bad one by its line."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; --reports takes a CSV file with a column 'report'")
    delimiter, start = _first_look(path)
    lines = _lines(path, delimiter, start, 0)
    header, place = _header(path, lines)
    count, places, names, numbers = 0, [], array.array("q"), {}
    for line, after, cells in lines:
        if len(cells) != len(header):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} cells for {len(header)} columns; put a "
                f"report that has a {delimiter!r} in it in double quotes"
            )
        request = request_of(f"{path}, line {line}", count + 1, dict(zip(header, cells)))
        if count % _STRIDE == 0:
            places.append(place)
        names.append(hash(request.name.lower()))
        numbers = widened(numbers, request.numbers)
        count, place = count + 1, after
    if not count:
        raise ValueError(f"{path}: has no report, only a line of column names")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    table = RequestTable(path, header, delimiter, count, tuple(places), digest, numbers)
    _check_names(table, names)
    return table


def _first_look(path: pathlib.Path) -> tuple[str, int]:
    """The delimiter, and the byte at which the text begins."""
    with path.open("rb") as file:
        line = file.readline().splitlines()[:1]
    delimiter = max(",;\t", key=lambda mark: line[0].count(mark.encode())) if line else ","
    return delimiter, len(_BOM) if line and line[0].startswith(_BOM) else 0


def _header(path, lines) -> tuple[tuple[str, ...], tuple[int, int]]:
    """Column names, and the place after them."""
    _, after, cells = next(lines, (0, (0, 0), []))
    header = tuple(name.lower() for name in cells)
    if "report" not in header:
        found = f"its first line has {', '.join(header)}" if header else "it is empty"
        raise ValueError(
            f"{path}: has no column 'report' ({found}); the first line names the columns, as in "
            f"{','.join(COLUMNS)}"
        )
    missing = [name for name in COLUMNS if name not in header]
    for name in header:
        if header.count(name) > 1:
            raise ValueError(f"{path}: has two columns {name!r}; leave one out")
        meant = difflib.get_close_matches(name, missing, 1, 0.85)
        if not meant and _SHORT.get(name) in missing:
            meant = [_SHORT[name]]
        if meant:
            raise ValueError(f"{path}: column {name!r} is not known; did you mean {meant[0]!r}?")
    return header, after


def _lines(path, delimiter: str, byte: int, before: int) -> Iterator[tuple[int, tuple[int, int], list[str]]]:
    """(number of its last line, (byte, lines) after it, cells) of every row that is not blank, from a place on."""
    with path.open("rb") as raw:
        raw.seek(byte)
        text = _Counted(io.TextIOWrapper(raw, encoding="utf-8", newline=""), byte)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                line = before + reader.line_num
                if any(cell.strip() for cell in cells):
                    yield line, (text.byte, line), [cell.strip() for cell in cells]
        except UnicodeDecodeError:
            raise ValueError(f"{path}: is not text in UTF-8; save it as CSV in UTF-8") from None
        except csv.Error as error:
            raise ValueError(f"{path}, line {before + reader.line_num}: is not CSV ({error})") from None


class _Counted:
    """The lines of a file, and how far they have come: `byte`."""

    def __init__(self, lines, byte: int):
        self._lines, self.byte = lines, byte

    def __iter__(self):
        for line in self._lines:
            self.byte += len(line.encode())
            yield line


def _check_names(table: RequestTable, hashes: array.array):
    """ValueError where two rows have one name. Only rows whose hashes meet are read again."""
    import numpy as np

    ordered = np.sort(np.frombuffer(hashes, np.int64))
    repeated = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not repeated:
        return
    first = {}
    lines = _lines(table.path, table.delimiter, *table.places[0])
    for number, (line, _, cells) in enumerate(lines, 1):
        request = request_of(f"{table.path}, line {line}", number, dict(zip(table.header, cells)))
        name = request.name.lower()
        if hash(name) in repeated and first.setdefault(name, line) != line:
            raise ValueError(
                f"{table.path}, line {line}: {request.name!r} is the name of line {first[name]} too"
            )
