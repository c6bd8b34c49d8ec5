"""What to change where a run does not fit: each change, and the memory it would take, by arithmetic.

State is known exactly from the sharding rules. Temporary memory is taken to grow with the gradients plus what the
forward pass keeps for the backward pass (found by tracing both, with no compiler), in the proportion that the compiled
program showed; tensor parallelism is taken to split all that is kept.
"""

import dataclasses
import functools
import math

import jax

from ttecg.plan.settings import at, paths
from ttecg.train.config import override
from ttecg.train.objective import batch_shapes, objective_of, program

# changes tried, in the order in which they cost least speed
_ONCE = (("fully_sharded", "True"), ("compute", "bfloat16"), ("remat", "True"))


@dataclasses.dataclass(frozen=True)
class Variant:
    """changes as --set takes them; memory in bytes per device, an estimate."""

    changes: tuple[str, ...]
    memory: float
    fits: bool


def variants(config, mesh_for, cost, limit: float) -> list[Variant]:
    """Single changes, then all together. mesh_for(config) -> the mesh over the same devices; limit in bytes."""
    estimate = functools.partial(_estimate, mesh_for=mesh_for)
    state, working = estimate(config)
    # a compiler that gave up names temporaries, or all, that it would need
    scale = (cost.temporary if cost.temporary is not None else cost.peak_memory or working) / working

    def tried(changes) -> Variant | None:
        try:
            held, grown = estimate(override(config, list(changes)))
        except ValueError:  # a batch or a mesh that cannot be split so
            return None
        memory = held + scale * grown
        return Variant(tuple(changes), memory, memory <= limit)

    once = [
        f"{path}={value}"
        for name, value in _ONCE
        for path in paths(config, name)
        if _differs(config, path, value)
    ]
    found = [tried([change]) for change in once]
    found += [_first_fitting(tried, [], options) for options in _ladders(config, mesh_for(config))]
    found += [
        _first_fitting(tried, once, options) for options in _ladders(config, mesh_for(config))[:1] if once
    ]
    return [variant for variant in found if variant]


def _ladders(config, mesh) -> list[list[str]]:
    """For accumulation, batch and tensor parallelism: their settings, gentlest first."""
    run, rows = config.run, config.run.batch // mesh.shape["data"]
    parts = [k for k in _doubled(2 * run.accumulate, rows) if rows % k == 0]
    smaller = [mesh.shape["data"] * rows // k for k in _doubled(2, rows // run.accumulate) if rows % k == 0]
    models = [k for k in _doubled(2 * run.mesh_model, mesh.size) if mesh.size % k == 0]
    ladders = [
        [f"run.accumulate={k}" for k in parts],
        [f"run.batch={k}" for k in smaller],
        [f"run.mesh_model={k}" for k in models],
    ]
    return [ladder for ladder in ladders if ladder]


def _doubled(start: int, end: int) -> list[int]:
    return [
        start * 2**i for i in range(max(0, int(math.log2(max(end / start, 0.5))) + 1)) if start * 2**i <= end
    ]


def _first_fitting(tried, base: list[str], options: list[str]):
    """The first that fits; the last where none does."""
    best = None
    for option in options:
        variant = tried([*base, option])
        best = variant or best
        if variant and variant.fits:
            break
    return best


def _differs(config, path: str, value: str) -> bool:
    return str(at(config, path)) != value


def _estimate(config, mesh_for) -> tuple[float, float]:
    """(bytes of the state, of gradients and of what the forward pass keeps) per device."""
    mesh, what = mesh_for(config), objective_of(config)
    state = program(what, config.run, mesh).state
    rows = config.run.batch // mesh.shape["data"] // config.run.accumulate
    return local_bytes(state), local_bytes(state.params) + _kept(config, what, state, rows) / mesh.shape[
        "model"
    ]


def _kept(config, what, state, rows: int) -> float:
    """Bytes that the forward pass of `rows` examples leaves for the backward pass, one recomputed block included."""
    plain = [f"{path}=False" for path in paths(config, "remat") if not _differs(config, path, "True")]
    kept = _residuals(what, state, rows)
    if not plain:
        return kept
    whole = _residuals(objective_of(override(config, plain)), state, rows)
    return kept + (whole - kept) / config.model.layers


def _residuals(what, state, rows: int) -> float:
    batch, key = batch_shapes(what, rows), jax.eval_shape(lambda: jax.random.key(0))

    def backward(params, state, batch, key):
        return jax.vjp(lambda p: what.loss(p, state, batch, key)[0], params)[1]

    return sum(
        x.size * x.dtype.itemsize
        for x in jax.tree.leaves(jax.eval_shape(backward, state.params, state, batch, key))
    )


def local_bytes(tree) -> float:
    """Bytes of shapes with shardings on one device."""
    return float(
        sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree))
    )
