"""What a trainer teaches: a loss of parameters and a batch, and the step of gradient descent that follows from it.

A trainer's `objective(config)` needs no data and no files, so that the step it leads to can also be compiled for a
machine that is not there (`ttecg plan`), timed on random numbers (`ttecg bench train`) and laid over any mesh in tests.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.models.functional import Functional
from ttecg.models.layers import attention_by
from ttecg.train import sharding
from ttecg.train.state import OptimizerConfig, TrainState, apply_gradients, init_state


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is compiled of a training run.

    loss(params, state, batch, key) -> (value, (metrics, buffers)): scalars in both, and the buffers after this batch.
    inputs: {name: jax.ShapeDtypeStruct} of one example. project(params) puts parameters back into bounds after a step.
    """

    functional: Functional
    rules: sharding.Rules
    optimizer: OptimizerConfig
    loss: Callable
    inputs: dict
    project: Callable = lambda params: params


def objective_of(config) -> Objective:
    """The objective of any training config. ValueError for one whose training is no gradient descent."""
    module = importlib.import_module(type(config).__module__)
    if not hasattr(module, "objective"):
        raise ValueError(f"a {type(config).__name__} is not trained by steps of gradient descent")
    return module.objective(config)


def shapes_of(row: dict) -> dict:
    """The `inputs` of an objective whose examples look like this one."""
    row = {name: np.asarray(value) for name, value in row.items()}
    return {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in row.items()}


def floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.float32)


def integers(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.int32)


def batch_shapes(objective: Objective, size: int) -> dict:
    """Shapes and types of a batch of `size` examples."""
    return {k: jax.ShapeDtypeStruct((size, *v.shape), v.dtype) for k, v in objective.inputs.items()}


def random_batch(objective: Objective, size: int, seed: int = 0) -> dict:
    """A batch of examples that look like nothing: numbers from 0 to 1, integers and booleans that are 0 or 1."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.random(s.shape) if np.issubdtype(s.dtype, np.floating) else rng.integers(2, size=s.shape)
        ).astype(s.dtype)
        for name, s in batch_shapes(objective, size).items()
    }


def update(objective: Objective, run, state: TrainState, batch: dict, key) -> tuple[TrainState, dict]:
    """The state after one step, and scalars to log; run: RunConfig.

    With run.accumulate > 1 the gradient is the mean over that many parts of the batch, made one after the other;
    codebooks and the like follow each part, and losses that compare examples compare them within a part.
    """
    (value, (terms, buffers)), grads = _gradients(objective, run.accumulate, state, batch, key)
    optimizer = objective.optimizer.create(run.steps)
    state, norms = apply_gradients(state, grads, optimizer, run.ema, buffers)
    state = dataclasses.replace(state, params=objective.project(state.params))
    rate = objective.optimizer.rate(run.steps)(state.step - 1)
    return state, {"loss": value, **terms, **norms, "learning_rate": rate}


def _gradients(objective: Objective, parts: int, state: TrainState, batch: dict, key):
    """((loss, (metrics, buffers)), gradients) of a batch, in `parts`."""
    gradient = jax.value_and_grad(objective.loss, has_aux=True)
    if parts == 1:
        return gradient(state.params, state, batch, key)
    # every part takes each device's rows in turn, so that no row moves to another device
    split = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch)

    def add(carry, part):
        grads, buffers = carry
        number, rows = part
        now = dataclasses.replace(state, buffers=buffers)
        (value, (terms, buffers)), new = gradient(state.params, now, rows, jax.random.fold_in(key, number))
        return (jax.tree.map(jnp.add, grads, new), buffers), (value, terms)

    start = jax.tree.map(jnp.zeros_like, state.params)
    (grads, buffers), scalars = jax.lax.scan(add, (start, state.buffers), (jnp.arange(parts), split))
    value, terms = jax.tree.map(lambda x: x.mean(0), scalars)
    return (value, (terms, buffers)), jax.tree.map(lambda g: g / parts, grads)


@dataclasses.dataclass(frozen=True)
class Program:
    """A training step over a mesh: init(key) -> state, step(state, batch) -> (state, metrics), both jitted, the state
    donated; and the shapes of the state with their shardings."""

    init: Callable
    step: Callable
    state: TrainState

    @property
    def layout(self) -> TrainState:
        return jax.tree.map(lambda x: x.sharding, self.state)


def program(objective: Objective, run, mesh) -> Program:
    """The step that `train` runs, jitted for a mesh. ValueError where the batch cannot be split over it, and for cuDNN
    without a GPU."""
    sharding.check_run(run, mesh)
    init = functools.partial(init_state, objective.functional, objective.optimizer.create(run.steps))
    shapes = jax.eval_shape(init, jax.random.key(run.seed))
    layout = sharding.shardings(shapes, mesh, objective.rules, run.fully_sharded)

    def step(state, batch):
        key = jax.random.fold_in(jax.random.key(run.seed), state.step)
        with attention_by(run.attention):
            return update(objective, run, state, batch, key)

    return Program(
        jax.jit(init, out_shardings=layout),
        jax.jit(
            step,
            donate_argnums=0,
            in_shardings=(layout, sharding.batch_sharding(mesh)),
            out_shardings=(layout, None),
        ),
        jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, layout),
    )
