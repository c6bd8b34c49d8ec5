"""Make a prepared set: a folder of recordings, checked, as array_record with train, validation and test.

    path = prepare("ptbxl", source="ptbxl/1.0.3", rate=500)
    path = prepare_simulated(1_000_000, rate=100, processes=4)

do what the commands `ttecg data prepare ptbxl --source ptbxl/1.0.3 --rate 500` and
`ttecg data prepare simulator --count 1000000 --rate 100 --processes 4` do.

The set is complete or absent: it is built in a hidden folder beside its place and moved there at the end. The same
command goes on where a killed one was, and the files are the same for any number of processes.
"""

import csv
import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence

from ttecg.data.rows import SPLITS, Row, load
from ttecg.data.shards import cut, read_notes, write_shards
from ttecg.data.staged import clear_leftover, resumable_folder

NAMES = ("ptbxl", "ludb", "folder")
SPEC = "ttecg.json"
FORMAT = 3
READABLE = (2, 3)  # 2 had its signals compressed
_SHOWN = 20


def default_out(name: str, rate: float | None) -> pathlib.Path:
    """data/ptbxl-500 for ("ptbxl", 500); below the current folder."""
    return pathlib.Path("data") / (name if rate is None else f"{name}-{rate:g}")


def prepare(
    name: str,
    source,
    out=None,
    rate: float | None = None,
    *,
    table=None,
    skip_bad: bool = False,
    checksum: bool = True,
    download: bool = False,
    processes: int = 1,
) -> pathlib.Path:
    """Prepare `source` as the set `out` and return its path.

    name: "ptbxl" (rate 100 or 500; 500 unless given), "ludb", or "folder" (any folder of WFDB records, with
    `table`, a CSV file, where there is one; see `ttecg.data.folder`). rate: samples per second; None keeps
    what the files have. download: first fetch into `source` what is missing or damaged there (ptbxl, ludb).
    A record that cannot be used stops the preparation with a ValueError that names it; `skip_bad` leaves such
    records out and names them in skipped.csv of the set. What is suspect but usable is in flagged.csv.
    `checksum=False` accepts records whose samples contradict the checksums in their headers.
    Where `out` is this set already, made from the same rows with the same options, it is left as it is
    (delete it to prepare mended files anew); where it is anything else, ValueError.
    """
    if name not in NAMES:
        raise ValueError(f"no data set {name!r}: choose one of {', '.join(NAMES)}")
    _check_rate(rate)
    rate = 500 if rate is None and name == "ptbxl" else rate
    source = pathlib.Path(source)
    if download:
        from ttecg.data.download import download as fetch

        fetch(name, source, rate)
    if not source.is_dir():
        raise FileNotFoundError(
            f"{source}: there is no such folder; --source is where the recordings of {name} are"
        )
    out = pathlib.Path(out) if out is not None else default_out(name, rate)
    module = importlib.import_module(f"ttecg.data.{name}.{name}_dataset_builder")
    rows, bad, notes = module.rows(source, rate, table)
    if not rows:
        raise _bad_records(source, bad, len(bad))
    spec = {
        "format": FORMAT,
        "name": name,
        "rate": rate,
        "skip_bad": skip_bad,
        "checksum": checksum,
        "rows": _fingerprint(rows, source),
    }
    if _already_there(out, spec):
        return out
    parts = {split: [row for row in rows if row.split == split] for split in SPLITS}
    makes = dict.fromkeys(SPLITS, functools.partial(_recorded, rate=rate, checksum=checksum))
    with resumable_folder(out, json.dumps(spec)) as folders:
        held = _write(folders, module.Builder, name, parts, makes, processes)
        held["bad"] = bad + held["bad"]
        if held["bad"] and not skip_bad:
            raise _bad_records(source, held["bad"], len(rows) + len(bad))
        if emptied := [split for split in SPLITS if parts[split] and not held["records"][split]]:
            raise ValueError(
                f"{source}: no record of the split {emptied[0]} can be used; mend one, or give others its fold"
                f"\n{_reasons(held['bad'])}"
            )
        _describe(folders[0], spec, held, notes)
    return out


def prepare_simulated(count: int, out=None, rate: float | None = None, *, processes: int = 1) -> pathlib.Path:
    """Prepare `count` simulated ECGs as the set `out` and return its path; `rate` is 500 unless given.

    A tenth of them each is for validation and for test. They are the ECGs of `ttecg.data.simulated`, so none is in
    another split of a set of another count."""
    _check_rate(rate)
    rate = 500.0 if rate is None else float(rate)
    from ttecg.data import simulated_dataset_builder as simulated

    parts = simulated.parts(count)
    out = pathlib.Path(out) if out is not None else default_out("simulator", rate)
    made = f"{importlib.metadata.version('ttecg')} {count}"
    spec = {"format": FORMAT, "name": "simulator", "rate": rate, "rows": _hash(made)}
    if _already_there(out, spec):
        return out
    makes = {split: functools.partial(simulated.example, split=split, rate=rate) for split in parts}
    with resumable_folder(out, json.dumps(spec)) as folders:
        held = _write(folders, simulated.Builder, "simulator", parts, makes, processes)
        _describe(folders[0], spec, held, {})
    return out


def _check_rate(rate):
    if rate is not None and not 50 <= rate <= 5000:
        raise ValueError(f"--rate {rate:g}: give between 50 and 5000 samples per second")


def _recorded(row: Row, rate: float | None, checksum: bool) -> tuple[dict | None, list[tuple[str, str]]]:
    """(example, remarks) of a recording; (None, [why]) where it cannot be used."""
    try:
        example, notes = load(row, rate, checksum)
    except (ValueError, OSError) as error:
        return None, [(row.id, str(error))]
    return example, [(row.id, note) for note in notes]


def _fingerprint(rows, source) -> str:
    """What the rows say, whatever the place of the source on this machine."""
    text = "\n".join(repr((os.path.relpath(row.path, source), *list(vars(row).values())[1:])) for row in rows)
    return _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def damaged_files(path, about: dict) -> list[str]:
    """Names of the files of a prepared set that are missing or have not the size they were made with; by the first two
    TFDS knows the set."""
    missing = [name for name in ("dataset_info.json", "features.json") if not (path / name).is_file()]
    sizes = {name: (path / name).stat().st_size for name in about["files"] if (path / name).is_file()}
    return missing + [name for name, size in about["files"].items() if sizes.get(name) != size]


def _already_there(out, spec) -> bool:
    """Whether `out` is this very set; ValueError where it is anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        there = dict(json.loads((out / SPEC).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ValueError(f"{out}: exists and is no prepared set; give another --out") from None
    for key, value in spec.items():
        if there.get(key) != value:
            what = "is of other records" if key == "rows" else f"has {key} {there.get(key)}, not {value}"
            raise ValueError(f"{out}: is a prepared set already, but {what}; give another --out or delete it")
    if damaged_files(out, there):
        raise ValueError(f"{out}: is this set, but damaged; delete it and prepare it again")
    clear_leftover(out)
    print(f"{out}: this set is there already, complete", file=sys.stderr)
    return True


def _write(
    folders, builder, name: str, parts: dict[str, Sequence], makes: dict[str, Callable], processes: int
) -> dict:
    """Writes the shards of each split, by its `makes`, and what TFDS wants to know; what became of the items."""
    from ttecg.data.builder import write_info

    shards = {
        split: cut(folders, f"{name}-{split}", items, makes[split]) for split, items in parts.items() if items
    }
    write_shards([shard for some in shards.values() for shard in some], processes)
    notes = {split: list(read_notes(some)) for split, some in shards.items()}
    lengths = {split: [note["records"] for note in some] for split, some in notes.items()}
    write_info(builder, folders[0], name, lengths)
    said = [note for some in notes.values() for note in some]
    return {
        "records": {split: sum(counts) for split, counts in lengths.items()},
        "bad": [tuple(line) for note in said for line in note["bad"]],
        "flagged": [tuple(line) for note in said for line in note["flagged"]],
    }


def _describe(folder, spec: dict, held: dict, notes: dict):
    """Writes what the set says of itself."""
    _write_csv(folder / "skipped.csv", held["bad"])
    _write_csv(folder / "flagged.csv", held["flagged"])
    found = {"records": held["records"], "skipped": len(held["bad"]), "flagged": len(held["flagged"])}
    files = {path.name: path.stat().st_size for path in sorted(folder.glob("*.array_record*"))}
    (folder / SPEC).write_text(
        json.dumps(spec | found | notes | {"files": files}, indent=1) + "\n", encoding="utf-8"
    )


def _bad_records(source, bad, total) -> ValueError:
    return ValueError(
        f"{source}: {len(bad)} of {total} records cannot be used; mend them or give --skip-bad to leave "
        f"them out\n{_reasons(bad)}"
    )


def _reasons(bad) -> str:
    shown = "\n".join(f"  {key}: {' '.join(reason.split())}" for key, reason in bad[:_SHOWN])
    return shown + (f"\n  and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else "")


def _write_csv(path, lines):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "reason"), *lines])
