"""Reading and writing one ECG: WFDB (.hea with .dat or .mat), CSV, NPZ. Leads go by name, signals by unit.

For example

    ecg = read_ecg("records500/00000/00001_hr")  # a WFDB record, with or without its ending
    write_ecg(ecg, "out/00001.csv")

turns a record of PTB-XL into a table.
"""

import csv
import pathlib
import re
import zipfile
import zlib

import numpy as np

from ttecg.data.checks import BrokenRecord
from ttecg.data.comments import comment_lines, parse_comments
from ttecg.data.staged import staged
from ttecg.data.wfdb_record import read_wfdb, to_millivolts
from ttecg.data.wfdb_write import fitting_gain, quantise, write_wfdb
from ttecg.ecg import ECG, LEADS, lead_name

__all__ = ["BrokenRecord", "fitting_gain", "quantise", "read_ecg", "write_ecg"]

_TIME = {"time": 1.0, "t": 1.0, "seconds": 1.0, "time_s": 1.0, "time_ms": 1e-3}


def read_ecg(path, rate: float | None = None, checksum: bool = True) -> ECG:
    """The ECG in a file, its signal (T, L) in mV with the leads in the order of the file.

    .csv: a row of lead names, then numbers; see `read_csv`. .npz: see `read_npz`. All else is a WFDB record:
    NAME.hea, NAME.dat, NAME.mat or NAME. `rate` (samples per second) is for files that do not state it.
    FileNotFoundError or BrokenRecord, a ValueError, in one line that names the file.
    """
    path = pathlib.Path(path)
    ending = path.suffix.lower()
    if ending in (".csv", ".npz") and not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if ending == ".csv":
        return read_csv(path, rate)
    ecg = read_npz(path) if ending == ".npz" else read_wfdb(path, checksum)
    if rate is not None and rate != ecg.rate:
        raise ValueError(f"{path}: the file states {ecg.rate:g} samples per second, not {rate:g}")
    return ecg


def write_ecg(ecg: ECG, path, comments=()) -> tuple[pathlib.Path, ...]:
    """Write `ecg` as CSV, NPZ or WFDB, by the ending of `path`; the paths written. A file of that name is
    replaced, whole or not at all. `comments` are further lines for the WFDB header or the head of the CSV."""
    path = pathlib.Path(path)
    writer = {".csv": _write_csv, ".npz": _write_npz}.get(path.suffix.lower())
    if writer is None:
        return write_wfdb(ecg, path, comments)
    with staged(path.parent, path.name) as folder, open(folder / path.name, "wb") as file:
        writer(ecg, file, tuple(comments))
    return (path,)


def read_csv(path, rate: float | None = None) -> ECG:
    """A table with a header row of lead names, one row per sample, separated by comma, semicolon or tab.

    Lines before it that start with # state facts: "# rate: 500", "# units: uV", "# age: 63", "# report: ...".
    A column "time" (seconds; "time_ms" for milliseconds) gives the rate too. A unit may stand behind a lead,
    as in "V1 (uV)"; without any, numbers are mV. Empty cells are NaN. Other columns are left out and named in
    info["left_out"].
    """
    lines = _text(path).splitlines()
    comments = [line.lstrip("# ").strip() for line in lines if line.lstrip().startswith("#")]
    rows = [
        (i, line) for i, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if not rows:
        raise BrokenRecord(f"{path}: no table in it; the first row names the leads: {','.join(LEADS)}")
    delimiter = max(",;\t", key=rows[0][1].count)
    header = [cell.strip() for cell in next(csv.reader([rows[0][1]], delimiter=delimiter))]
    table = _numbers(path, rows[1:], len(header), delimiter)
    stated, unit, comments = _settings(path, comments)
    columns, left_out, times = _columns(path, header, unit)
    from_time = _rate_of(path, table[:, times[0]] * times[1]) if times else None
    rate = _agreed_rate(path, rate, stated, from_time)
    facts = parse_comments(comments)
    info = {"comments": facts.pop("rest"), "left_out": left_out}
    name = next((c.split(":", 1)[1].strip() for c in comments if c.lower().startswith("id:")), path.stem)
    info["comments"] = tuple(c for c in info["comments"] if not c.lower().startswith("id:"))
    signal = np.stack([table[:, i] * scale for i, _, scale in columns], axis=1)
    return ECG(
        signal,
        tuple(n for _, n, _ in columns),
        rate,
        id=name,
        info={k: v for k, v in info.items() if v},
        **facts,
    )


def _text(path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _numbers(path, rows, width, delimiter):
    table = np.empty((len(rows), width))
    for at, ((line, _), cells) in enumerate(
        zip(rows, csv.reader((text for _, text in rows), delimiter=delimiter), strict=True)
    ):
        try:
            if delimiter != ",":  # there a comma is a decimal point
                cells = [cell.replace(",", ".") for cell in cells]
            if len(cells) != width:
                raise ValueError
            table[at] = [float(cell) if cell.strip() else np.nan for cell in cells]
        except ValueError:
            raise BrokenRecord(f"{path}: line {line} does not hold {width} numbers, one per column") from None
    if len(table) == 0:
        raise BrokenRecord(f"{path}: no samples below the row of lead names")
    return table


def _settings(path, comments):
    """(rate or None, unit, the other comments)."""
    rate, unit, rest = None, "mV", []
    for line in comments:
        key, _, value = (part.strip() for part in line.partition(":"))
        if key.lower() in ("rate", "sampling rate", "fs"):
            rate = _positive(path, value.lower().removesuffix("hz"))
        elif key.lower() in ("unit", "units"):
            unit = value
        else:
            rest.append(line)
    return rate, unit, rest


def _positive(path, text) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < np.inf:
        raise BrokenRecord(f"{path}: rate {text.strip()!r} is not a positive number of samples per second")
    return value


def _columns(path, header, unit):
    """([(column, lead, factor to mV)], names of columns left out, (time column, factor to s) or None)."""
    found, left_out, times = [], [], None
    for i, cell in enumerate(header):
        name, _, own = re.sub(r"[\])]", "", cell).replace("[", "(").partition("(")
        word = name.strip().lower()
        if lead_name(name) in LEADS:
            found.append((i, lead_name(name), to_millivolts(own or unit, f"{path}: column {cell}")))
        elif word in _TIME and times is None:
            times = (i, 1e-3 if own.strip() == "ms" else _TIME[word])
        else:
            left_out.append(cell)
    if not found:
        raise BrokenRecord(f"{path}: the first row names no lead; it should read like {','.join(LEADS)}")
    return found, tuple(left_out), times


def _rate_of(path, t):
    """Samples per second of an evenly spaced time column (seconds)."""
    if len(t) < 2 or not np.isfinite(t).all() or t[-1] <= t[0]:
        raise BrokenRecord(f"{path}: the time column does not increase")
    rate = (len(t) - 1) / (t[-1] - t[0])
    if np.abs((t - t[0]) * rate - np.arange(len(t))).max() > 0.51:
        raise BrokenRecord(f"{path}: the time column is not evenly spaced; resample it to one rate first")
    return float(round(rate)) if abs(rate - round(rate)) < 1e-3 * rate else rate


def _agreed_rate(path, *rates) -> float:
    known = [r for r in rates if r is not None]
    if not known:
        raise BrokenRecord(
            f"{path}: states no sampling rate; add a first line '# rate: 500' or a column time"
        )
    if max(known) - min(known) > 2e-3 * min(known):
        raise BrokenRecord(
            f"{path}: contradictory sampling rates: {' and '.join(f'{r:g}' for r in known)} Hz"
        )
    return float(known[0])


def _write_csv(ecg, file, comments):
    head = [f"rate: {ecg.rate:.10g}", "units: mV"] + ([f"id: {ecg.id}"] if ecg.id else [])
    lines = [f"# {line}" for line in head + comment_lines(ecg, comments)] + [",".join(ecg.leads)]
    file.write(("\n".join(lines) + "\n").encode())
    np.savetxt(file, np.asarray(ecg.signal, np.float64), fmt="%.6g", delimiter=",")


def read_npz(path) -> ECG:
    """Arrays `signal` (T, L), `leads` (L,), `rate`, and where known `units` (mV unless stated), `age`, `sex`,
    `report`, `labels`, `id`, `comments`. Nothing is unpickled."""
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            data = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        raise BrokenRecord(
            f"{path}: no readable NPZ file of plain arrays (pickled objects are refused); "
            "make it with numpy.savez"
        ) from None
    missing = [key for key in ("signal", "leads", "rate") if key not in data]
    if missing:
        raise BrokenRecord(
            f"{path}: no array {' or '.join(missing)} in it; signal, leads and rate are needed"
        )
    signal = data["signal"]
    known = {key: data[key].item() for key in ("age", "sex", "report", "id") if key in data}
    kinds = "fiu" if "units" in data else "f"  # bare integers are rarely millivolts
    if signal.ndim != 2 or signal.dtype.kind not in kinds:
        raise BrokenRecord(
            f"{path}: signal is a (T, leads) array of mV in floating point (or has an entry units), "
            f"not {signal.dtype} of shape {signal.shape}"
        )
    scale = to_millivolts(str(data.get("units", "mV")), str(path))
    return ECG(
        np.asarray(signal, np.float64) * scale,
        tuple(lead_name(str(n)) for n in data["leads"]),
        _positive(path, str(data["rate"])),
        labels=tuple(map(str, data.get("labels", ()))),
        info={"comments": tuple(map(str, data["comments"]))} if "comments" in data else {},
        **{"id": path.stem} | known,
    )


def _write_npz(ecg, file, comments):
    known = {
        key: getattr(ecg, key)
        for key in ("age", "sex", "report", "id")
        if getattr(ecg, key) not in (None, "")
    }
    if comments := (*ecg.info.get("comments", ()), *comments):
        known["comments"] = list(comments)
    np.savez_compressed(
        file,
        signal=np.asarray(ecg.signal),
        leads=list(ecg.leads),
        rate=float(ecg.rate),
        units="mV",
        labels=np.asarray(ecg.labels, dtype=str),
        **known,
    )
