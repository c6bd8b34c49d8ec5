"""ECGs of a long table of reports, made in shards by all devices, processes and hosts; any of them may be killed.

A shard's content follows from (plan, shard) alone: which rows it has, and the batches they are made in. It is made in a
hidden folder inside `out` and is complete when its part of the manifest is there. When all are, they move into `out`,
then the manifest, and the plan last. So the same command goes on where a killed one was, and the files are the same,
bit for bit, whoever made them.
"""

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import shutil

from tqdm import tqdm

from ttecg.data.numbers import NUMBERS, widened
from ttecg.export import MANIFEST, check_out
from ttecg.generate_shards import Order, Work, make_shard, start
from ttecg.processes import workers
from ttecg.train.config import write_text

_ROUNDS = 4  # batches of all devices in a shard, at most; while one is written, the next is made
PLAN, WORK = "generate.json", ".partial"


def generate_sharded(order: Order, out, *, batch: int = 0, processes: int = 1) -> bool:
    """Makes the ECGs of an order in the folder `out`; whether there was anything left to make.

    batch: ECGs that a device makes at a time, 0 for what fits its memory. processes: side by side on this machine.
    ValueError where `out` holds something else, OSError where a process dies."""
    import jax

    from ttecg.train.distributed import by_main, wait

    out, plan, model = pathlib.Path(out), *_plan(order)
    if (out / PLAN).is_file():
        _check_same(out, _read(out / PLAN), plan, batch)
        shutil.rmtree(out / WORK, ignore_errors=True)
        return False
    if processes > 1 and jax.default_backend() != "cpu":
        raise ValueError(
            f"--processes {processes}: one process drives all {jax.default_backend()} devices here; leave it out"
        )
    by_main(lambda: _begin(out, lambda: plan | _sizes(model, order, batch, processes)))
    found = _read(out / WORK / PLAN)
    _check_same(out, found, plan, batch)
    work = Work(order, out / WORK, found["shard"], found["batch"])
    with _locked(work):
        _make(work, processes, range(jax.process_index(), work.shards, jax.process_count()), model)
        if jax.process_count() > 1:
            wait()
        by_main(lambda: _publish(work, out))
    return True


def _plan(order: Order) -> tuple[dict, object]:
    """What decides on the files, but for the batch, and the model, loaded. ValueError for settings it cannot take."""
    import ttecg
    from ttecg.generate import load

    model = load(order.model).with_decoder(order.decoder)
    model.sampling(**order.sampling)
    model.beat_plan(order.rr)
    defaults = {name: order.defaults[name] for name in NUMBERS if order.defaults.get(name) is not None}
    model.check_numbers(widened(order.table.numbers, defaults))
    settings = {
        name: value for name, value in vars(order).items() if name not in ("table", "defaults", "sampling")
    }
    about = {"reports": order.table.digest, "rows": order.table.count, "ttecg": ttecg.__version__}
    plan = about | settings | order.defaults | order.sampling | {"model": [model.name, model.hash]}
    return json.loads(json.dumps(plan)), model


def _sizes(model, order: Order, batch: int, processes: int) -> dict:
    """ECGs that a device makes at a time, and those of a shard; every process has a shard where there are enough."""
    import jax

    from ttecg.batch_size import fitting

    devices, each = jax.local_device_count(), -(-order.count // (jax.process_count() * processes))
    batch = batch or fitting(model, model.sampling(**order.sampling), each // devices, processes)
    return {"batch": batch, "shard": batch * devices * min(_ROUNDS, max(1, each // (batch * devices)))}


def _read(file: pathlib.Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def _check_same(out, found: dict, plan: dict, batch: int):
    """ValueError where a folder's plan is not this one; batch: 0 for any."""
    wanted = plan | ({"batch": batch} if batch else {})
    for name, value in wanted.items():
        if found.get(name) != value:
            option = {"form": "format"}.get(name, name.replace("_", "-"))
            shown = f"{found.get(name)}, not {value}" if len(f"{value}") < 40 else "another"
            raise ValueError(
                f"--out {out} was made or begun with --{option} {shown}; give another --out, or "
                "delete it to start anew"
            )


def _begin(out: pathlib.Path, plan):
    """The hidden folder in `out`, with the plan() of the first run."""
    work = out / WORK
    if not work.is_dir():
        check_out(out)
    if not (work / PLAN).is_file():
        text = json.dumps(plan(), indent=1) + "\n"
        work.mkdir(parents=True, exist_ok=True)
        write_text(work / PLAN, text)


@contextlib.contextmanager
def _locked(work: Work):
    """While this host is at work no other process does the same; a killed one leaves no lock. A failure before
    anything is complete leaves nothing."""
    import jax

    with open(work.folder / f"lock.{jax.process_index()}", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"--out {work.folder.parent}: another process is writing it now; wait for it, then try again"
            ) from None
        try:
            yield
        except BaseException:
            if not any(work.folder.glob("*.jsonl")):
                shutil.rmtree(work.folder, ignore_errors=True)
                with contextlib.suppress(OSError):
                    work.folder.parent.rmdir()
            raise


def _make(work: Work, processes: int, mine: range, model):
    """The shards of this host that are not there yet."""
    todo = [shard for shard in mine if not work.part(shard).is_file()]
    for shard in todo:
        shutil.rmtree(work.files(shard), ignore_errors=True)
    sizes = {shard: end - first for shard in mine for first, end in [work.span(shard)]}
    total, left = sum(sizes.values()), sum(sizes[shard] for shard in todo)
    with tqdm(total=total, initial=total - left, unit="ECG", disable=None) as bar:
        alone = processes == 1
        given = (work, model, bar.update) if alone else (work, None, None)
        with workers(processes, start, given) as run:
            for shard in run(make_shard, todo):
                bar.update(0 if alone else sizes[shard])


def _publish(work: Work, out: pathlib.Path):
    """Moves what is complete into `out`; killed on the way, it is done again from where it was."""
    for shard in range(work.shards):
        _move(work.files(shard), out)
    work.form.finish(work, out)
    plan = _read(work.folder / PLAN)
    del plan["shard"]  # the files do not depend on it
    write_text(work.folder / "done.json", json.dumps(plan, indent=1) + "\n")
    os.replace(work.folder / "done.json", out / PLAN)
    shutil.rmtree(work.folder)


def _move(folder: pathlib.Path, out: pathlib.Path):
    """All files below a folder to the same places below `out`."""
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        to = out / file.relative_to(folder)
        to.parent.mkdir(exist_ok=True)
        os.replace(file, to)


def manifest_lines(out, count: int) -> list[dict]:
    """The first lines of a finished folder's manifest."""
    with (pathlib.Path(out) / MANIFEST).open(encoding="utf-8") as file:
        return [json.loads(line) for line in itertools.islice(file, count)]
