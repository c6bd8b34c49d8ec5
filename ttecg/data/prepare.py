"""Make a prepared set: a folder of recordings, checked, as array_record with train, validation and test.

    path = prepare("ptbxl", source="ptbxl/1.0.3", rate=500)

does what the command `ttecg data prepare ptbxl --source ptbxl/1.0.3 --rate 500` does.

The set is complete or absent: it is built in a hidden folder beside its place and moved there at the end.
"""

import contextlib
import csv
import hashlib
import importlib
import io
import json
import os
import pathlib
import shutil
import sys

from tqdm import tqdm

from ttecg.data.staged import staged_folder

NAMES = ("ptbxl", "ludb", "folder")
SPEC = "ttecg.json"
FORMAT = 2
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
    if rate is not None and not 50 <= rate <= 5000:
        raise ValueError(f"--rate {rate:g}: give between 50 and 5000 samples per second")
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
        print(f"{out}: this set is there already, complete", file=sys.stderr)
        return out
    with staged_folder(out) as folder:
        builder, held = _build(module.Builder, rows, bad, folder, rate, checksum, skip_bad, source)
        _write_csv(folder / "skipped.csv", builder.bad)
        _write_csv(folder / "flagged.csv", builder.flagged)
        found = {"skipped": len(builder.bad), "flagged": len(builder.flagged)}
        summary = spec | {"records": held["records"]} | found | notes | {"files": held["files"]}
        (folder / SPEC).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return out


def _fingerprint(rows, source) -> str:
    """What the rows say, whatever the place of the source on this machine."""
    text = "\n".join(repr((os.path.relpath(row.path, source), *list(vars(row).values())[1:])) for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def damaged_files(path, about: dict) -> list[str]:
    """Names of the files of a prepared set that are missing or have not the size they were made with."""
    sizes = {name: (path / name).stat().st_size for name in about["files"] if (path / name).is_file()}
    return [name for name, size in about["files"].items() if sizes.get(name) != size]


def _already_there(out, spec) -> bool:
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
    return True


def _build(cls, rows, bad, folder, rate, checksum, skip_bad, source):
    """Run the TFDS builder and leave its files directly in `folder`; the builder, and what `collect` says."""
    with tqdm(total=len(rows), desc="prepare", unit="record", disable=None) as bar:
        builder = cls(
            rows=tuple(rows), rate=rate, checksum=checksum, progress=bar.update, data_dir=folder / "tfds"
        )
        builder.bad += bad
        try:
            run(builder)
        except AssertionError:  # TFDS refuses a split without examples
            if not builder.bad:
                raise
            raise _bad_records(source, builder.bad, len(rows) + len(bad)) from None
    if builder.bad and not skip_bad:
        raise _bad_records(source, builder.bad, len(rows) + len(bad))
    return builder, collect(builder, folder)


def run(builder) -> None:
    """Lets a `RecordBuilder` write its files."""
    from unittest import mock

    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    from ttecg.data.builder import tfds

    def serialise(self, example):  # TFDS leaves the order of features to chance: it differs between processes
        return self.get_tf_example(example).SerializeToString(deterministic=True)

    try:
        tfds.disable_progress_bar()
        # TFDS announces a folder that is about to move
        with (
            mock.patch.object(ExampleSerializer, "serialize_example", serialise),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(compute_stats="skip", try_download_gcs=False)
            )
    finally:
        tfds.enable_progress_bar()


def collect(builder, folder: pathlib.Path) -> dict:
    """Moves a builder's files from folder/tfds into `folder`. What the set says of itself: records of each split, and
    the sizes of its files."""
    for path in pathlib.Path(builder.data_dir).iterdir():
        os.replace(path, folder / path.name)
    shutil.rmtree(folder / "tfds")
    return {
        "records": {split: info.num_examples for split, info in builder.info.splits.items()},
        "files": {path.name: path.stat().st_size for path in sorted(folder.glob("*.array_record*"))},
    }


def _bad_records(source, bad, total) -> ValueError:
    shown = "\n".join(f"  {key}: {' '.join(reason.split())}" for key, reason in bad[:_SHOWN])
    more = f"\n  and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return ValueError(
        f"{source}: {len(bad)} of {total} records cannot be used; mend them or give --skip-bad to leave "
        f"them out\n{shown}{more}"
    )


def _write_csv(path, lines):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "reason"), *lines])
