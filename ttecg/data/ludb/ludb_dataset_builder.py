"""LUDB from its official folder: data/NUMBER.hea and .dat. Age, sex and diagnoses are in the headers."""

import pathlib

from ttecg.data.builder import RecordBuilder
from ttecg.data.rows import Row


class Builder(RecordBuilder):
    """LUDB 1.0.1 (PhysioNet), one record per patient, folds by number: 8 train, 1 validation, 1 test."""

    HOMEPAGE = "https://physionet.org/content/ludb/1.0.1/"
    CITATION = (
        "Kalyakulina et al., LUDB: a new open-access validation tool for delineation, IEEE Access 8 (2020)"
    )


def rows(source, rate: float | None = 500, table=None) -> tuple[list[Row], list[tuple[str, str]], dict]:
    """(rows, [], {}) of the folder of LUDB, or of its data/ folder."""
    if table is not None:
        raise ValueError(
            "--table is for `ttecg data prepare folder`; LUDB states its diagnoses in the headers"
        )
    folder = pathlib.Path(source) / "data"
    folder = folder if folder.is_dir() else pathlib.Path(source)
    numbers = sorted(
        {int(p.stem) for end in ("hea", "dat") for p in folder.glob(f"*.{end}") if p.stem.isdecimal()}
    )
    if not numbers:
        raise ValueError(f"{source}: no records data/1.hea, data/2.hea ... in it; give the folder of LUDB")
    return [Row(folder / str(n), str(n), fold(n), patient_id=str(n)) for n in numbers], [], {}


def fold(number: int) -> int:
    """1-10. Neighbours 2k, 2k+1 share one, so each fold has ten records of LUDB's even half."""
    return number // 2 % 10 + 1
