"""Meshes, and which axis of which array lies along which axis of the mesh.

The mesh has the axes ('data', 'model'). One table of (regex, PartitionSpec) per model family says how
parameters are split; the optimiser's moments follow their parameter. A parameter that no rule matches is an error.
"""

import re

import jax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

Rules = tuple[tuple[str, P], ...]

REPLICATED: Rules = ((r".*", P()),)


def make_mesh(data: int = 0, model: int = 1) -> jax.sharding.Mesh:
    """A mesh of data x model devices; data=0 takes all devices there are."""
    count = jax.device_count()
    data = data or max(1, count // model)
    if data * model > count:
        raise ValueError(f"mesh {data} x {model} needs {data * model} devices; there are {count}")
    devices = jax.devices()[: data * model]
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def spec(name: str, shape: tuple[int, ...], rules: Rules) -> P:
    """The PartitionSpec of one parameter. Scalars are replicated. ValueError if no rule matches."""
    if not shape:
        return P()
    for pattern, partition in rules:
        if re.search(pattern, name):
            if len(partition) > len(shape):
                raise ValueError(
                    f"rule {pattern!r} splits {len(partition)} axes of {name}, which has {len(shape)}"
                )
            return partition
    raise ValueError(f"no sharding rule matches parameter {name} {shape}; add one to the table")


def shardings(tree, mesh, rules: Rules):
    """NamedShardings for a state: arrays inside a dictionary keyed by parameter name follow the rules,
    everything else (step, optimiser counters) is replicated."""

    def one(path, leaf):
        names = [k.key for k in path if isinstance(k, jax.tree_util.DictKey)]
        return NamedSharding(mesh, spec(names[-1], leaf.shape, rules) if names else P())

    return jax.tree_util.tree_map_with_path(one, tree)


def batch_sharding(mesh) -> NamedSharding:
    """First axis over 'data'."""
    return NamedSharding(mesh, P("data"))


def to_devices(batch: dict, mesh) -> dict:
    """This process's part of a batch (NumPy arrays) as global arrays split over 'data'."""
    sharding = batch_sharding(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
