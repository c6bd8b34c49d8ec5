"""The plan of a run: its training step, and a generator's sampling step, compiled and weighed for a topology."""

import dataclasses
import functools

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ttecg.plan import flops
from ttecg.plan.analytic import training_flops
from ttecg.plan.cost import Cost, measure
from ttecg.plan.roofline import roofline
from ttecg.plan.settings import on, paths
from ttecg.plan.topology import Topology, mesh_of
from ttecg.plan.variants import local_bytes, variants
from ttecg.train.config import override, to_dict
from ttecg.train.objective import batch_shapes, objective_of, program


def plan(config, topology: Topology, *, records: int, sample_batch: int, say=print) -> dict:
    """Plain data of all that the report prints; sizes in bytes per device. say(line) tells what is being done."""
    if not hasattr(config, "run"):
        raise ValueError(f"a {type(config).__name__} is not trained by steps of gradient descent")
    config = on(config, topology)
    mesh_for = functools.lru_cache(lambda data, model: mesh_of(topology, data, model))

    def mesh_of_config(config):
        return mesh_for(config.run.mesh_data, config.run.mesh_model)

    mesh, what = mesh_of_config(config), objective_of(config)
    chip = topology.each
    step = program(what, config.run, mesh)
    say(f"compiling the training step for {mesh.size} x {topology.chip} ...")
    cost = measure(step.step, (step.state, batch_shapes(what, config.run.batch)), mesh)
    useful = _useful(config, mesh)
    fits = not cost.refusal and cost.peak_memory <= chip.usable
    result = {
        "topology": topology.name,
        "devices": mesh.size,
        "mesh": dict(mesh.shape),
        "compiler": topology.compiler,
        "config": {"task": type(config).__name__, **to_dict(config)},
        "chip": dataclasses.asdict(chip),
        "parameters": what.functional.count(),
        "state": _state(step.state),
        "fits": fits,
        "train": _described(cost, useful, chip, mesh.size, config.run.batch),
        "formula_flops": training_flops(config, what.functional.shapes),
        "changes": []
        if fits
        else [dataclasses.asdict(v) for v in variants(config, mesh_of_config, cost, chip.usable)],
    }
    speed = result["train"]["examples_per_s"]
    result |= {"records": records, "hours_per_epoch": records / speed / 3600 if speed else None}
    if "plan" in what.inputs:
        say(f"compiling the sampling step, {sample_batch} ECGs per device ...")
        result["sample"] = _sampling(config, mesh, chip, sample_batch)
    return result


def _state(state) -> dict:
    """Bytes per device of the parts of a training state."""
    parts = {
        "parameters": state.params,
        "average": state.ema,
        "optimizer": state.opt_state,
        "buffers": state.buffers,
    }
    return {name: local_bytes(part) for name, part in parts.items()}


def _useful(config, mesh) -> dict:
    """FLOPs per device that the model needs for a step: as counted without recomputation."""
    config = override(config, [f"{path}=False" for path in paths(config, "remat")])
    what = objective_of(config)
    step = program(what, config.run, mesh)
    with jax.set_mesh(mesh):
        traced = step.step.trace(step.state, batch_shapes(what, config.run.batch))
    return {kind: n / mesh.size for kind, n in flops.count(traced.jaxpr).items()}


def _described(cost: Cost, useful: dict, chip, count: int, examples: int) -> dict:
    line = roofline(cost, useful, chip, count)
    return {
        **dataclasses.asdict(cost),
        "useful_flops": useful,
        "roofline": {**dataclasses.asdict(line), "seconds": line.seconds, "bound": line.bound}
        if line
        else None,
        "examples": examples,
        "examples_per_s": examples / line.seconds if line else None,
    }


def _sampling(config, mesh, chip, each: int) -> dict:
    """The cost of drawing `each` ECGs per device, weights whole on every device, rows over all of them."""
    from ttecg.models.sampling import SamplingPolicy, compiled, sampled

    functional, rows = sampled(config.model), NamedSharding(mesh, P(("data", "model")))
    whole = NamedSharding(mesh, P())
    count = each * mesh.size
    prompt = jax.ShapeDtypeStruct((count, config.prompt_length), np.int32, sharding=rows)
    keys = jax.ShapeDtypeStruct((count,), jax.eval_shape(lambda: jax.random.key(0)).dtype, sharding=rows)
    params, buffers = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole),
        jax.eval_shape(functional.init, jax.random.key(0)),
    )
    function = compiled(functional, SamplingPolicy(), False)
    cost = measure(function, (params, buffers, prompt, prompt, keys, None), mesh)
    fits = not cost.refusal and cost.peak_memory <= chip.usable
    return {"fits": fits, **_described(cost, cost.flops, chip, mesh.size, count)}
