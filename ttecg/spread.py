"""One program on several devices, each with its own rows.

A device runs the very program that a lone device would run on these rows, so what a row becomes does not depend on the
number of devices.
"""

import functools
from collections.abc import Iterator

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

SMALL, MIDDLE = 8, 64  # sizes of batches for what does not fill a whole one


def rounds(count: int, batch: int, devices: int) -> Iterator[tuple[int, int, int]]:
    """(first row, rows of a device, devices that have rows) of every call that `count` rows need; the last may want
    more rows than there are. How the rows are cut into batches follows from count and batch alone."""
    first = 0
    while first < count:
        size = _size(count, count - first, batch)
        busy = max(1, min(devices, (count - first) // size))
        yield first, size, busy
        first += size * busy


def _size(count: int, left: int, batch: int) -> int:
    """Rows of the next batch of `left`, of `count` in all; a lone row is made alone."""
    if count == 1:
        return 1
    sizes = [size for size in (SMALL, MIDDLE) if size < batch] + [batch]
    return max(size for size in sizes if size <= max(left, sizes[0]))


@functools.lru_cache(maxsize=32)
def spread(run, devices: int):
    """run(params, buffers, *rows), with the first axis of every one of `rows` and results split over this process's
    first devices."""
    if devices == 1:
        return run

    def here(params, buffers, rows):
        return run(params, buffers, *rows)

    split = jax.shard_map(
        here,
        mesh=_mesh(devices),
        in_specs=(P(), P(), P("data")),
        out_specs=P("data"),
        check_vma=False,  # a loop's first carry is the same on all devices, its last is not
    )
    jitted = jax.jit(split)
    return lambda params, buffers, *rows: jitted(params, buffers, rows)


def whole_copies(tree, devices: int):
    """The arrays of a tree on each of this process's first devices."""
    return tree if devices == 1 else jax.device_put(tree, NamedSharding(_mesh(devices), P()))


def _mesh(devices: int) -> jax.sharding.Mesh:
    return jax.make_mesh(
        (devices,),
        ("data",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=jax.local_devices()[:devices],
    )
