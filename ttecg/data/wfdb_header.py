"""The text of a WFDB header, NAME.hea: what the record is said to hold, checked before any sample is read.

wfdb reads the samples. The header is read here as well, because wfdb drops non-ASCII letters (which turns the
unit µV into V), takes 250 for a missing sampling rate and 200 for a missing gain, and overlooks lost lines.
"""

import dataclasses
import pathlib
import re

from ttecg.data.checks import BrokenRecord

_RECORD = re.compile(r"(\S+?)(/\d+)?\s+(\d+)(?:\s+([\d.eE+]+)\S*(?:\s+(\d+))?)?")
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::\d+)?(?:\+(\d+))?$")
_GAIN = re.compile(r"([-+\d.eE]+)(?:\(-?\d+\))?(?:/(\S+))?$")
_BYTES_PER_SAMPLE = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2, "212": 1.5}


@dataclasses.dataclass(frozen=True)
class Signal:
    """One lead as the header describes it. gain: units per `unit`, 0 where not calibrated."""

    file: str
    format: str
    offset: int
    gain: float
    unit: str
    checksum: int
    name: str


@dataclasses.dataclass(frozen=True)
class Header:
    """rate: samples per second. length: samples per lead, None where not stated. comments: without the #."""

    rate: float
    length: int | None
    signals: tuple[Signal, ...]
    comments: tuple[str, ...]


def read_header(base) -> Header:
    """The header of the record NAME at `base`. FileNotFoundError or BrokenRecord, saying what to do."""
    path = base.with_name(base.name + ".hea")
    if not path.is_file():
        raise FileNotFoundError(
            f"{base}: no {path.name}; a WFDB record is NAME.hea with NAME.dat or NAME.mat"
        )
    lines = [line.strip() for line in _text(path).splitlines()]
    comments = tuple(line.lstrip("#").strip() for line in lines if line.startswith("#"))
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise BrokenRecord(f"{base}: {path.name} is empty; copy the record again")
    first = _RECORD.match(lines[0])
    if not first:
        raise BrokenRecord(f"{base}: {path.name} is no WFDB header (its first line reads {lines[0][:40]!r})")
    _, segments, count, rate, length = first.groups()
    if segments:
        raise BrokenRecord(f"{base}: a record of several segments; join them into one first")
    if int(count) == 0 or int(count) != len(lines) - 1:
        raise BrokenRecord(
            f"{base}: {path.name} announces {count} leads and describes {len(lines) - 1}; copy it again"
        )
    signals = tuple(_signal(base, path.name, line) for line in lines[1:])
    return Header(_rate(base, path.name, rate), int(length) if length else None, signals, comments)


def _text(path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _rate(base, name, text) -> float:
    try:
        rate = float(text or 0)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e6:
        raise BrokenRecord(f"{base}: {name} states no sampling rate; write it behind the number of leads")
    return rate


def _signal(base, header, line) -> Signal:
    fields = line.split(maxsplit=8)
    kind = _FORMAT.match(fields[1]) if len(fields) > 1 else None
    if not kind:
        raise BrokenRecord(f"{base}: {header} describes no lead in the line {line[:40]!r}")
    if len(fields) < 9:
        raise BrokenRecord(
            f"{base}: {header} does not name its leads; write I, II ... V6 at the end of their lines"
        )
    if int(kind.group(2) or 1) != 1:
        raise BrokenRecord(
            f"{base}: leads of different sampling rates in one record; resample them to one first"
        )
    gain = _GAIN.match(fields[2])
    try:
        return Signal(
            fields[0],
            kind.group(1),
            int(kind.group(3) or 0),
            float(gain.group(1)) if gain else 0.0,
            gain.group(2) or "mV" if gain else "mV",
            int(fields[6]),
            fields[8],
        )
    except ValueError:
        raise BrokenRecord(
            f"{base}: {header} has no number where one belongs in the line {line[:40]!r}"
        ) from None


def check_files(base, header: Header):
    """FileNotFoundError or BrokenRecord if a file of samples is missing or shorter than the header says."""
    for name in sorted({signal.file for signal in header.signals}):
        if name != pathlib.PurePath(name).name:
            raise BrokenRecord(f"{base}: the header puts the samples outside of its folder, into {name!r}")
        path = base.with_name(name)
        if not path.is_file():
            raise FileNotFoundError(
                f"{base}: {name} is missing, which {base.name}.hea says holds the samples; copy both files"
            )
        inside = [signal for signal in header.signals if signal.file == name]
        size = _BYTES_PER_SAMPLE.get(inside[0].format)
        there = int((path.stat().st_size - inside[0].offset) / size / len(inside)) if size else header.length
        if header.length and there < header.length:
            raise BrokenRecord(
                f"{base}: {name} is truncated: {max(0, there)} samples of the {header.length} that the "
                "header states; copy it again"
            )
