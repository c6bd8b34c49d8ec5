"""Many ECGs as a folder of WFDB records with a table, the form that `ttecg data prepare folder` reads."""

import csv
import os
import pathlib
import shutil
from collections.abc import Iterable

from tqdm import tqdm

from ttecg.data.files import write_ecg
from ttecg.ecg import ECG

TABLE = "records.csv"
_COLUMNS = ("record", "report", "age", "sex", "labels", "patient_id", "fold")
_PER_FOLDER = 1000


def write_folder(ecgs: Iterable[ECG], out, total: int | None = None) -> pathlib.Path:
    """Writes NAME.hea and NAME.dat for every ECG (a thousand to a subfolder) and records.csv, complete or absent.

    Folds come from ecg.info["fold"] where it is known. ValueError if `out` exists.
    """
    out = pathlib.Path(out)
    if out.exists():
        raise ValueError(f"{out} exists; give another --out")
    scratch = out.with_name(f".{out.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with (scratch / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for number, ecg in enumerate(tqdm(ecgs, total=total, unit="ECG")):
            record = f"{number // _PER_FOLDER:03d}/{ecg.id}"
            write_ecg(ecg, scratch / record)
            table.writerow([record, ecg.report or "", "" if ecg.age is None else f"{ecg.age:g}", ecg.sex or "",
                            ";".join(ecg.labels), ecg.info.get("patient_id", ecg.id), ecg.info.get("fold", "")])
    os.replace(scratch, out)
    return out
