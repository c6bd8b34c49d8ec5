"""Meshes, and which axis of which array lies along which axis of the mesh.

The mesh has the axes ('data', 'model'). One table of (regex, PartitionSpec) per model family says how
parameters are split over 'model'; the optimiser's moments follow their parameter. A parameter that no rule matches is
an error. An axis that the mesh does not divide stays whole.
"""

import math
import re

import jax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

Rules = tuple[tuple[str, P], ...]

# networks of convolutions and dense layers, by their output channels; the input is gathered before each
CHANNELS: Rules = (
    (r"(^|/)kernel$", P(None, "model")),
    (r"(^|/)(bias)$", P("model")),
    (r"norms?(_\w+)?(/\d+)?/(scale|bias)$", P()),
)
# transformer blocks: heads and the inner width of the feed-forward; one sum over 'model' per branch
BLOCKS: Rules = (
    (r"blocks/\d+/(attention/qkv|wide)/kernel$", P(None, None, "model")),
    (r"blocks/\d+/wide/bias$", P(None, "model")),
    (r"blocks/\d+/(attention/out|narrow)/kernel$", P("model", None)),
    (r"blocks/\d+/(attention/out|narrow)/bias$", P()),
    (r"blocks/\d+/(norm_[af]/(scale|bias)|scale_[af])$", P()),
)
SMALL = 4096  # elements of an array that is not worth splitting over 'data'


def mesh_sizes(count: int, data: int, model: int, where: str) -> tuple[int, int]:
    """How many of `count` devices lie along 'data' and 'model'; data=0 takes all. ValueError where there are too few,
    or where some would be left over; where: whose devices they are."""
    asked = f"a mesh of {data or 'all'} x {model} (run.mesh_data x run.mesh_model)"
    if not data and model < count and count % model:
        raise ValueError(
            f"{asked} leaves some of the {count} devices of {where} idle; choose a divisor of {count}"
        )
    data = data or max(1, count // model)
    if data * model > count:
        raise ValueError(f"{asked} needs {data * model} devices; {where} has {count}")
    return data, model


def make_mesh(data: int = 0, model: int = 1) -> jax.sharding.Mesh:
    """A mesh of data x model devices; data=0 takes all devices there are."""
    return mesh_over(jax.devices(), data, model, "this machine" if jax.process_count() == 1 else "the job")


def mesh_over(devices, data: int, model: int, where: str) -> jax.sharding.Mesh:
    """The mesh of a run's mesh_data and mesh_model over the first of these devices."""
    sizes = mesh_sizes(len(devices), data, model, where)
    some = devices[: sizes[0] * sizes[1]]
    return jax.make_mesh(sizes, ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=some)


def check_run(run, mesh):
    """ValueError where a run's batch cannot be split over the mesh, and for cuDNN without a GPU."""
    if run.attention == "cudnn" and jax.default_backend() != "gpu":
        raise ValueError("run.attention='cudnn' needs an NVIDIA GPU; leave it 'xla' here")
    if run.batch % (mesh.shape["data"] * run.accumulate):
        raise ValueError(
            f"run.batch={run.batch} cannot be split over {mesh.shape['data']} devices"
            + (f" x {run.accumulate} parts (run.accumulate)" if run.accumulate > 1 else "")
            + "; choose a multiple"
        )


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


def fitted(partition: P, shape: tuple[int, ...], mesh, fully: bool) -> P:
    """The spec with axes that the mesh does not divide left whole. fully: the longest axis that 'data' divides and
    'model' does not take is split over 'data', unless the array is small."""
    axes = [*partition, *[None] * (len(shape) - len(partition))]
    axes = [a if a and size % mesh.shape[a] == 0 else None for a, size in zip(axes, shape)]
    free = [i for i, a in enumerate(axes) if a is None and shape[i] % mesh.shape["data"] == 0]
    if fully and free and math.prod(shape) >= SMALL:
        axes[max(free, key=lambda i: shape[i])] = "data"
    while axes and axes[-1] is None:
        axes.pop()
    return P(*axes)


def shardings(tree, mesh, rules: Rules, fully: bool = False):
    """NamedShardings for a state: arrays inside a dictionary keyed by parameter name follow the rules,
    everything else (step, optimiser counters) is replicated."""

    def one(path, leaf):
        names = [k.key for k in path if isinstance(k, jax.tree_util.DictKey)]
        if not names:
            return NamedSharding(mesh, P())
        return NamedSharding(mesh, fitted(spec(names[-1], leaf.shape, rules), leaf.shape, mesh, fully))

    return jax.tree_util.tree_map_with_path(one, tree)


def batch_sharding(mesh) -> NamedSharding:
    """First axis over 'data'."""
    return NamedSharding(mesh, P("data"))


def to_devices(batch: dict, mesh) -> dict:
    """This process's part of a batch (NumPy arrays) as global arrays split over 'data'."""
    sharding = batch_sharding(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
