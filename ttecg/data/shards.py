"""Writing a prepared set in shards, by one process or several, so that work once done is never done again.

A shard's bytes follow from its items alone, and it appears under its name when it is complete: a run that was killed
goes on where it was, and ends in the same files.
"""

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from tqdm import tqdm

from ttecg.processes import workers

SHARD = 5000  # records; whoever changes it changes prepare.FORMAT too


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of a set, and beside the set a file that says what became of its items.

    `make(item)` gives (example, or None where the item is unusable, [(id, remark)])."""

    path: pathlib.Path
    notes: pathlib.Path
    items: Sequence
    make: Callable


def cut(folders, name: str, items: Sequence, make: Callable) -> list[Shard]:
    """The shards of items; folders: (where the shards go, where the notes go)."""
    count = -(-len(items) // SHARD)
    names = [f"{name}.array_record-{i:05d}-of-{count:05d}" for i in range(count)]
    return [
        Shard(folders[0] / file, folders[1] / f"{file}.json", items[i * SHARD : (i + 1) * SHARD], make)
        for i, file in enumerate(names)
    ]


def write_shards(shards: Sequence[Shard], processes: int) -> None:
    """Writes those that are not there yet."""
    due = [shard for shard in shards if not shard.path.exists()]
    total, left = (sum(len(shard.items) for shard in some) for some in (shards, due))
    with tqdm(total=total, initial=total - left, desc="prepare", unit="record", disable=None) as bar:
        with workers(processes) as run:
            for done in run(write_shard, due):
                bar.update(done)


def write_shard(shard: Shard) -> int:
    """Writes one; the number of its items."""
    said = {"bad": [], "flagged": []}
    with tempfile.TemporaryDirectory(dir=shard.path.parent.parent) as scratch:
        part, notes = pathlib.Path(scratch) / "shard", pathlib.Path(scratch) / "notes"
        said["records"] = write_file(part, _examples(shard, said))
        notes.write_text(json.dumps(said), encoding="utf-8")
        os.replace(notes, shard.notes)
        os.replace(part, shard.path)
    return len(shard.items)


def _examples(shard: Shard, said: dict) -> Iterator[dict]:
    """The examples of the items that are of use, and into `said` what became of them all."""
    for item in shard.items:
        example, remarks = shard.make(item)
        if example is None:
            said["bad"] += remarks
        else:
            said["flagged"] += remarks
            yield example


def write_file(path: pathlib.Path, examples: Iterable[dict]) -> int:
    """Writes examples (see `ttecg.data.builder.features`) as an array_record file; how many they were."""
    from array_record.python.array_record_module import ArrayRecordWriter

    from ttecg.data.builder import encode

    writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    count = 0
    for example in examples:
        writer.write(encode(example))
        count += 1
    writer.close()
    return count


def read_notes(shards: Sequence[Shard]) -> Iterator[dict]:
    """{"records": how many, "bad": [(id, reason)], "flagged": [(id, remark)]} of each shard."""
    return (json.loads(shard.notes.read_text(encoding="utf-8")) for shard in shards)
