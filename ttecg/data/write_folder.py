"""Many ECGs as a folder of WFDB records with a table, the form that `ttecg data prepare folder` reads."""

import csv
import pathlib
from collections.abc import Iterable

from tqdm import tqdm

from ttecg.data.files import write_ecg
from ttecg.data.staged import staged_folder
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
    with staged_folder(out) as scratch, (scratch / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for number, ecg in enumerate(tqdm(ecgs, total=total, unit="ECG")):
            record = f"{number // _PER_FOLDER:03d}/{ecg.id}"
            write_ecg(ecg, scratch / record)
            table.writerow(
                [
                    record,
                    ecg.report or "",
                    "" if ecg.age is None else f"{ecg.age:g}",
                    ecg.sex or "",
                    ";".join(ecg.labels),
                    ecg.info.get("patient_id", ecg.id),
                    ecg.info.get("fold", ""),
                ]
            )
    return out
