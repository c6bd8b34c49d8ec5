"""What `ttecg.generate_sharded` makes, cut into shards, and the making of one."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

from ttecg.export import origin_of
from ttecg.shard_files import ArrayRecord, Wfdb


@dataclasses.dataclass(frozen=True)
class Order:
    """What is asked for. table: has rows(first, end) of reports, count and digest. num: ECGs of each row; row k uses
    seed + k. defaults: age, sex, numbers where a row has none. rr: intervals in seconds or None. sampling: settings,
    None for the model's own. model: name or folder; decoder: "vq" or "hifigan". form: "wfdb" or "array_record".
    picture: ending or None."""

    table: object
    num: int
    seed: int
    defaults: dict
    rr: tuple[float, ...] | None
    sampling: dict
    model: str
    decoder: str
    form: str
    picture: str | None

    @property
    def count(self) -> int:
        return self.table.count * self.num

    def requests(self, first: int, end: int) -> Iterator[tuple]:
        """(request, seed, index) of ECGs first ... end - 1."""
        row = first // self.num
        for request in self.table.rows(row, -(-end // self.num)):
            for index in range(self.num):
                if first <= row * self.num + index < end:
                    yield request.with_defaults(self.defaults), self.seed + row, index
            row += 1


@dataclasses.dataclass(frozen=True)
class Work:
    """The hidden folder of what is not complete. size: ECGs of a shard; batch: those that a device makes at a time."""

    order: Order
    folder: pathlib.Path
    size: int
    batch: int

    @property
    def shards(self) -> int:
        return -(-self.order.count // self.size)

    @property
    def form(self) -> Wfdb | ArrayRecord:
        """How a shard is written."""
        return (
            ArrayRecord() if self.order.form == "array_record" else Wfdb(self.order.count, self.order.picture)
        )

    def span(self, shard: int) -> tuple[int, int]:
        """Its first ECG, and the one after its last."""
        return shard * self.size, min((shard + 1) * self.size, self.order.count)

    def files(self, shard: int) -> pathlib.Path:
        """The folder of a shard's files."""
        return self.folder / f"{shard:06d}"

    def part(self, shard: int) -> pathlib.Path:
        """Its part of the manifest, which is there when all of its files are."""
        return self.folder / f"{shard:06d}.jsonl"


_worker: dict = {}  # what `start` gave this process


def start(work: Work, model, progress):
    """Gives this process its work, and the model where it has none yet; progress is called with numbers of ECGs."""
    from ttecg.generate import load
    from ttecg.runtime import keep_compiled_programs

    keep_compiled_programs()
    model = model or load(work.order.model).with_decoder(work.order.decoder)
    _worker.update(work=work, model=model, progress=progress or (lambda count: None))


def make_shard(shard: int) -> int:
    """Makes one shard's ECGs and writes them; the shard."""
    work, model = _worker["work"], _worker["model"]
    order = work.order
    asked = list(order.requests(*work.span(shard)))
    made = model.generate_many(
        ((r.prompt, (seed, index)) for r, seed, index in asked),
        model.sampling(**order.sampling),
        rr=order.rr,
        batch=work.batch,
    )
    pairs = (
        (origin_of(request, ecg, drawn, order.rr, order.sampling, model), ecg)
        for (request, *drawn), ecg in zip(asked, _counted(made))
    )
    work.files(shard).mkdir()
    lines = work.form.write(work, shard, pairs)
    scratch = work.part(shard).with_suffix(".tmp")
    scratch.write_text("".join(lines), encoding="utf-8", newline="\n")
    os.replace(scratch, work.part(shard))
    return shard


def _counted(ecgs) -> Iterator:
    for ecg in ecgs:
        yield ecg
        _worker["progress"](1)
