"""Any folder of WFDB records, with its subfolders and an optional table: see `ttecg.data.folder`."""

import pathlib
import re

from ttecg.data.builder import RecordBuilder
from ttecg.data.comments import parse_age, parse_sex
from ttecg.data.ptbxl.ptbxl_dataset_builder import parse_codes
from ttecg.data.rows import Row, hashed_fold, parse_fold, read_table
from ttecg.data.wfdb_record import record_base

_NAMES = {
    "record": ("record", "filename", "file", "path", "study_id", "ecg_id", "id"),
    "report": ("report", "text"),
    "age": ("age",),
    "sex": ("sex", "gender"),
    "labels": ("labels", "label", "dx", "scp_codes"),
    "patient_id": ("patient_id", "patient", "subject_id"),
    "fold": ("fold", "strat_fold"),
    "split": ("split",),
}
_FOLD_OF_SPLIT = {"train": 1, "training": 1, "validation": 9, "valid": 9, "val": 9, "dev": 9, "test": 10}


OWN_TABLE = "records.csv"  # taken from the folder itself where no table is named; `write_folder` writes it


class Builder(RecordBuilder):
    """A folder of WFDB records."""


def rows(source, rate: float | None = None, table=None) -> tuple[list[Row], list[tuple[str, str]], dict]:
    """(rows, [(record, reason)] of unusable lines of the table, counts to note) of a folder."""
    source = pathlib.Path(source)
    records = _records(source)
    if not records:
        raise ValueError(f"{source}: no WFDB record (NAME.hea with NAME.dat or NAME.mat) in it or below it")
    if table is None and (source / OWN_TABLE).is_file():
        table = source / OWN_TABLE
    if table is None:
        return [Row(path, name, hashed_fold(name)) for name, path in records.items()], [], {}
    lines = read_table(table)
    columns = _columns(table, lines[0])
    find, good, bad = _Finder(records), {}, []
    for number, line in enumerate(lines, 2):
        wanted = line[columns["record"]]
        try:
            name = find(wanted)
            if name in good:
                raise ValueError("a second line for the same record")
            good[name] = _row(name, records[name], line, columns)
        except ValueError as error:
            bad.append((wanted or f"line {number}", f"{pathlib.Path(table).name}, line {number}: {error}"))
    ordered = [good[name] for name in records if name in good]
    return ordered, bad, {"not_in_table": len(records) - len(good)}


def _records(source) -> dict[str, pathlib.Path]:
    """{path within the folder, without ending: path}, sorted. A .dat without .hea is kept, to be named."""
    found = {record_base(path) for end in ("hea", "dat") for path in source.rglob(f"*.{end}")}
    names = {path.relative_to(source).as_posix(): path for path in found}
    return {name: names[name] for name in sorted(names) if not re.search(r"(^|/)\.", name)}


def _columns(table, line) -> dict:
    """Which column of the table holds what; "reports" lists report_0, report_1 ... in order."""
    spelled = {name.lower(): name for name in line}
    columns = {
        what: next((spelled[n] for n in names if n in spelled), None) for what, names in _NAMES.items()
    }
    if columns["record"] is None:
        raise ValueError(
            f"{table}: no column names the record; call one of them {', '.join(_NAMES['record'])}"
        )
    numbered = [n for n in spelled if re.fullmatch(r"report_\d+", n)]
    columns["reports"] = [spelled[n] for n in sorted(numbered, key=lambda n: int(n[7:]))]
    return columns


class _Finder:
    """From what a table calls a record to the record's path in the folder."""

    def __init__(self, records):
        self.records, self.by_stem = records, {}
        for name in records:
            self.by_stem.setdefault(name.rsplit("/", 1)[-1], []).append(name)

    def __call__(self, wanted: str) -> str:
        if not wanted:
            raise ValueError("the record is not named")
        name = record_base(wanted).as_posix().removeprefix("./")
        if name in self.records:
            return name
        same = self.by_stem.get(name, [])
        if len(same) == 1:
            return same[0]
        raise ValueError(
            f"{len(same)} records of that name; write the path within the folder"
            if same
            else "no such record in the folder"
        )


def _row(name, path, line, columns) -> Row:
    cell = {what: line.get(column, "") for what, column in columns.items() if isinstance(column, str)}
    reports = [line[c] for c in columns["reports"] if line[c]]
    labels, likelihoods = _labels(cell.get("labels", ""))
    return Row(
        path,
        name,
        _fold(name, cell),
        cell.get("patient_id", ""),
        parse_age(cell.get("age", "")),
        parse_sex(cell.get("sex", "")),
        cell.get("report") or ". ".join(reports) or None,
        labels,
        likelihoods,
    )


def _fold(name, cell) -> int:
    if cell.get("fold"):
        return parse_fold(cell["fold"])
    if cell.get("split"):
        try:
            return _FOLD_OF_SPLIT[cell["split"].lower()]
        except KeyError:
            raise ValueError(f"split {cell['split']!r} is not train, validation or test") from None
    return hashed_fold(cell.get("patient_id") or name)


def _labels(text: str):
    """(labels, likelihoods), or (None, None) where the cell is empty."""
    if text.startswith("{"):
        codes = parse_codes(text)
        return tuple(codes), tuple(codes.values())
    labels = tuple(part.strip() for part in re.split(r"[;,|]", text) if part.strip())
    return (labels, None) if labels else (None, None)
