"""How fast a prepared set is read: `ttecg bench data --data data/simulator-100`.

Batches are drawn from all over the set, read, decoded and put together as for training, in a thread that reads ahead.
"""

import concurrent.futures
import itertools
import time
from collections.abc import Iterator

from ttecg.bench.machine import check_json, machine, peak_memory, write_json
from ttecg.data.dataset import Dataset, drawn_batch, open_dataset
from ttecg.evaluate import report

_WARM_UP = 8  # batches that are not timed
_AHEAD = 2  # batches


def bench(data, batch: int = 256, seconds: float = 10.0, json_file=None) -> dict:
    """Prints and returns one row: what was read how fast, and the memory before and after. json_file: written too."""
    check_json(json_file)
    records = open_dataset(data, "all")
    stream = _batches(records, batch)
    shape = [next(stream)["signal"].shape[1:] for _ in range(_WARM_UP)][0]
    before, start, count = peak_memory(), time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        count += len(next(stream)["signal"])
    taken = time.perf_counter() - start
    stream.close()
    row = {
        "records": len(records),
        "shape": "x".join(map(str, shape)),
        "batch": batch,
        "records/s": round(count / taken),
        "MB/s": round(count / taken * records.bytes_per_record / 1e6),
        "MB before": round(before),
        "MB after": round(peak_memory()),
    }
    about = machine("numpy", "array-record", "tensorflow-datasets")
    print("\n".join((*(f"{key}: {value}" for key, value in about.items()), report.table([row]))))
    write_json(json_file, about | row)
    return row


def _batches(records: Dataset, size: int) -> Iterator[dict]:
    """The batches of steps 0, 1, 2 ..., read ahead in a thread; more threads would wait for one another."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(drawn_batch, records, 0, size, step) for step in range(_AHEAD)]
        for step in itertools.count(_AHEAD):
            yield ahead.pop(0).result()
            ahead.append(pool.submit(drawn_batch, records, 0, size, step))
