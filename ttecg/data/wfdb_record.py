"""Reading WFDB records, the format of PhysioNet: NAME.hea with NAME.dat, or NAME.mat as in its challenges.

Header comments that state age, sex, report or diagnoses become fields of the ECG; the others are kept in
info["comments"], and one that says that a model made the record sets info["synthetic"]. A file that is missing,
truncated, altered or not understood is refused by name.
"""

import pathlib

import numpy as np

from ttecg.data.checks import BrokenRecord
from ttecg.data.comments import parse_comments
from ttecg.data.wfdb_header import check_files, read_header
from ttecg.ecg import ECG, LEADS, lead_name

MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}
_ENDINGS = (".hea", ".dat", ".mat")
_SYNTHETIC = ("SYNTHETIC", "PARTLY SYNTHETIC")  # how comments of what a model made begin


def to_millivolts(unit: str, what: str) -> float:
    """The factor that turns `unit` into millivolts; BrokenRecord naming `what` where it is no voltage."""
    try:
        return MILLIVOLTS[unit.strip().lower()]
    except KeyError:
        raise BrokenRecord(
            f"{what}: unit {unit!r} is none of mV, uV, V; write the right one into the file"
        ) from None


def record_base(path) -> pathlib.Path:
    """NAME of NAME, NAME.hea, NAME.dat or NAME.mat."""
    path = pathlib.Path(path)
    return path.with_suffix("") if path.suffix.lower() in _ENDINGS else path


def read_wfdb(path, checksum: bool = True) -> ECG:
    """The ECG of a WFDB record, leads in the order of the file, mV, float64. All standard leads are read, and
    other signals if they are voltages; the rest is named in info["left_out"].

    `checksum=False` accepts samples that do not add up to the header's checksums. FileNotFoundError where a
    file is missing; BrokenRecord, a ValueError, where one is damaged or cannot be understood.
    LUDB's gains stretch each lead on its own (see `_is_ludb`); such a record is read as digital value / 1000.
    """
    base = record_base(path)
    header = read_header(base)
    check_files(base, header)
    record = _digital(base, header)
    if checksum:
        _check_sums(base, header, record.d_signal)
    names = [lead_name(signal.name) for signal in header.signals]
    keep = [
        i
        for i, signal in enumerate(header.signals)
        if names[i] in LEADS or signal.unit.strip().lower() in MILLIVOLTS
    ]
    if not keep:
        raise BrokenRecord(f"{base}: none of its signals is an ECG lead: {', '.join(names)}")
    x = record.dac(return_res=64)  # invalid samples become NaN
    if _is_ludb(header, record.d_signal):
        x = np.where(np.isnan(x), np.nan, record.d_signal / 1000.0)
    else:
        x *= [_scale(base, header.signals[i]) if i in keep else 1.0 for i in range(len(names))]
    facts = parse_comments(header.comments)
    info = {
        "comments": facts.pop("rest"),
        "left_out": tuple(n for i, n in enumerate(names) if i not in keep),
        "synthetic": any(line.startswith(_SYNTHETIC) for line in header.comments),
    }
    return ECG(
        x[:, keep],
        tuple(names[i] for i in keep),
        header.rate,
        id=base.name,
        info={k: v for k, v in info.items() if v},
        **facts,
    )


def _digital(base, header):
    """wfdb's record, with the digital values d_signal (T, L)."""
    import wfdb

    try:
        record = wfdb.rdrecord(str(base), physical=False)
    except Exception as error:  # wfdb raises whatever its parser meets
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise BrokenRecord(f"{base}: the samples cannot be read ({reason})") from None
    if (
        record.d_signal is None
        or record.d_signal.shape[0] == 0
        or record.d_signal.shape[1] != len(header.signals)
    ):
        raise BrokenRecord(f"{base}: no samples in it")
    return record


def _check_sums(base, header, d_TL):
    sums = d_TL.astype(np.int64).sum(axis=0)
    for signal, found in zip(header.signals, sums, strict=True):
        if (signal.checksum - int(found)) % 65536:
            raise BrokenRecord(
                f"{base}: wrong checksum in lead {signal.name} (header {signal.checksum % 65536}, samples "
                f"{found % 65536}): the file is damaged; copy it again"
            )


def _scale(base, signal) -> float:
    """mV per unit of the header."""
    if signal.gain == 0:
        raise BrokenRecord(
            f"{base}: lead {signal.name} has no gain, so its voltage is not known; write the gain "
            "(units per mV) into the header"
        )
    return to_millivolts(signal.unit, f"{base}: lead {signal.name}")


def _is_ludb(header, d_TL) -> bool:
    """A record of LUDB, whose header gains stretch each lead to a range of 1 and so are no voltages.

    Told by three things together: leads named i, ii, iii ... in lower case with gains that differ, a comment
    "<diagnoses>:", and limb leads whose digital values satisfy III = II - I to one unit, which values on
    different scales cannot."""
    if [signal.name for signal in header.signals] != [name.lower() for name in LEADS]:
        return False
    if len({signal.gain for signal in header.signals}) == 1:
        return False
    if not any(line.lower().startswith("<diagnoses>") for line in header.comments):
        return False
    d = d_TL.astype(np.int64)
    return int(np.abs(d[:, 2] - (d[:, 1] - d[:, 0])).max()) <= 1
