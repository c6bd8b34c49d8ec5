"""How fast this machine trains: `ttecg bench train --config configs/generator_base.py --vary run.batch=1,4,16`.

The very step that `ttecg train` runs, on random numbers, beside a large matrix product of the same type timed in the
same run: the share of its rate that the model's matrix products reach is the model-FLOP utilisation.
"""

import dataclasses
import functools
import time
from collections.abc import Iterator

import jax

from ttecg.bench.machine import check_json, machine, peak_memory, write_json
from ttecg.bench.product import product_rate
from ttecg.evaluate import report
from ttecg.models.layers import compute_dtype
from ttecg.plan import flops
from ttecg.train import sharding
from ttecg.train.config import override
from ttecg.train.objective import Objective, batch_shapes, objective_of, program, random_batch, update
from ttecg.train.state import init_state

_LEAST = 3  # steps that are timed at least


def bench(config, vary: dict[str, list[str]], seconds: float = 10.0, json_file=None) -> list[dict]:
    """Prints and returns a row for the config as it is and one for every value of every field in `vary`
    ({"run.batch": ["1", "4"]}), all else as it is. json_file: written too."""
    check_json(json_file)
    about = machine("jax", "jaxlib") | {"device": f"{jax.device_count()} x {jax.devices()[0].device_kind}"}
    print("\n".join(f"{key}: {value}" for key, value in about.items()))
    rows = []
    for what, changed in _variants(config, vary):
        rows.append({"config": what, **measure(changed, seconds)})
        print(f"{what}: {rows[-1]['step_s']:.3g} s a step", flush=True)
    print(report.table(rows))
    write_json(json_file, about | {"rows": rows})
    return rows


def _variants(config, vary: dict[str, list[str]]) -> Iterator[tuple[str, object]]:
    yield "as it is", config
    for field, values in vary.items():
        for value in values:
            yield f"{field}={value}", override(config, [f"{field}={value}"])


def measure(config, seconds: float) -> dict:
    """One row: sizes, the time of a step (median), what follows from it, and the device's memory."""
    objective, run = objective_of(config), config.run
    mesh = sharding.make_mesh(run.mesh_data, run.mesh_model)
    devices = mesh.size
    made = program(objective, run, mesh)
    with jax.set_mesh(mesh):
        batch = sharding.to_devices(random_batch(objective, run.batch), mesh)
        state = made.init(jax.random.key(run.seed))
        state, _ = jax.block_until_ready(made.step(state, batch))
        times, end = [], time.perf_counter() + seconds
        while len(times) < _LEAST or time.perf_counter() < end:
            start = time.perf_counter()
            state, _ = jax.block_until_ready(made.step(state, batch))
            times.append(time.perf_counter() - start)
        memory = _memory()
        del state, batch
    step = sorted(times)[len(times) // 2]
    kind = str(compute_dtype(getattr(config.model, "compute", "float32")))
    work = sum(model_flops(config).values())
    return {
        "parameters_M": objective.functional.count() / 1e6,
        "batch": run.batch,
        "step_s": step,
        "examples_per_s": run.batch / step,
        "tokens_per_s": run.batch * tokens(objective) / step,
        "GFLOP_per_step": work / 1e9,
        "GFLOP_per_s": work / step / 1e9,
        "share_of_peak": work / step / (devices * product_rate(kind)),
        "compute": kind,
        "memory_MB": memory,
    }


def tokens(objective: Objective) -> int:
    """Positions of an example that a transformer sees: prompt, plan and frames; samples of a signal elsewhere."""
    shapes = objective.inputs
    if "prompt" in shapes:
        plan = shapes["plan"].shape[0] if "plan_table" in objective.functional.param_names else 0
        return shapes["prompt"].shape[0] + plan + shapes["codes"].shape[0]
    return max(size for s in shapes.values() for size in s.shape)


def model_flops(config) -> dict[str, float]:
    """{type: FLOPs} of a step's matrix products, over all devices; what remat computes a second time is not counted."""
    if getattr(config.model, "remat", False):
        config = dataclasses.replace(config, model=dataclasses.replace(config.model, remat=False))
    objective = objective_of(config)
    optimizer = objective.optimizer.create(config.run.steps)
    state = jax.eval_shape(lambda key: init_state(objective.functional, optimizer, key), jax.random.key(0))
    step = functools.partial(update, objective, config.run)
    traced = jax.make_jaxpr(step)(state, batch_shapes(objective, config.run.batch), jax.random.key(0))
    return flops.count(traced)


def _memory() -> float:
    """MB: the most that a device has held so far, or on a CPU that the process has."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats["peak_bytes_in_use"] / 1e6 if "peak_bytes_in_use" in stats else peak_memory()
