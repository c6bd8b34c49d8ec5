"""PTB-XL from its official folder: ptbxl_database.csv with records100/ or records500/."""

import ast
import pathlib

from ttecg.data.builder import RecordBuilder
from ttecg.data.comments import parse_age
from ttecg.data.rows import Row, parse_fold, read_table

_COLUMN = {100: "filename_lr", 500: "filename_hr"}
_SEX = {"0": "male", "1": "female", "": None}


class Builder(RecordBuilder):
    """PTB-XL 1.0.3 (PhysioNet), official folds: 1-8 train, 9 validation, 10 test; microvolts, lossless."""

    HOMEPAGE = "https://physionet.org/content/ptb-xl/1.0.3/"
    CITATION = (
        "Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Sci Data 7:154 (2020)"
    )


def rows(source, rate: float | None = 500, table=None) -> tuple[list[Row], list[tuple[str, str]], dict]:
    """(rows, [(record, reason)] of unusable lines, {}) of a folder that holds PTB-XL in its official layout.

    Ages of 300 (over 89) become 90; labels are all SCP codes, with likelihoods in per cent (0 for rhythm
    and form statements). ValueError where the folder, the table or the rate is wrong."""
    if table is not None:
        raise ValueError(
            "--table is for `ttecg data prepare folder`; PTB-XL brings its own ptbxl_database.csv"
        )
    rate = 500 if rate is None else rate
    if rate not in _COLUMN:
        raise ValueError(f"PTB-XL is there at 100 and 500 Hz, not at {rate:g}: give --rate 100 or --rate 500")
    source = pathlib.Path(source)
    name = source / "ptbxl_database.csv"
    if not name.is_file():
        raise ValueError(
            f"{source}: no ptbxl_database.csv in it; give the folder of PTB-XL that holds it and "
            "records100/ or records500/"
        )
    column, records = _COLUMN[int(rate)], source / f"records{rate:g}"
    if not records.is_dir():
        raise ValueError(
            f"{source}: no {records.name}/ in it, which holds the recordings at {rate:g} Hz; copy it there, "
            "give the other --rate, or add --download"
        )
    lines = read_table(
        name, ("ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold", column)
    )
    good, bad, seen = [], [], set()
    for number, line in enumerate(lines, 2):
        key = line["ecg_id"] or f"line {number}"
        try:
            if key in seen:
                raise ValueError("ecg_id occurs twice")
            seen.add(key)
            good.append(_row(source, line, column))
        except ValueError as error:
            bad.append((key, f"{name.name}, line {number}: {error}"))
    return good, bad, {}


def _row(source, line, column) -> Row:
    if not line["ecg_id"] or not line[column]:
        raise ValueError(f"no {column if line['ecg_id'] else 'ecg_id'}")
    if line["sex"] not in _SEX:
        raise ValueError(f"sex {line['sex']!r} is neither 0 (male) nor 1 (female)")
    codes = parse_codes(line["scp_codes"])
    return Row(
        source / line[column],
        line["ecg_id"],
        parse_fold(line["strat_fold"]),
        line["patient_id"].removesuffix(".0"),
        parse_age(line["age"]),
        _SEX[line["sex"]],
        line["report"],
        tuple(codes),
        tuple(codes.values()),
    )


def parse_codes(text: str) -> dict[str, float]:
    """ "{'NORM': 100.0, 'SR': 0.0}" as a dictionary; literals only, nothing is evaluated."""
    try:
        codes = ast.literal_eval(text)
        return {str(code): float(likelihood) for code, likelihood in codes.items()}
    except (ValueError, SyntaxError, AttributeError, TypeError, RecursionError, MemoryError):
        raise ValueError(f"scp_codes {text[:40]!r} is not of the form {{'NORM': 100.0, 'SR': 0.0}}") from None
