"""One classifier trained for several seeds at once on recordings that lie in a file; only batches are in memory.

The recipe is fixed (steps, schedule, averaged weights at the end), nothing is chosen by looking at scores.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data import batches
from ttecg.models.functional import Functional
from ttecg.train.classifier import (
    ClassifierTraining,
    augmented,
    mixed,
    objective,
    predict,
    visible_eight,
    weights_of,
)
from ttecg.train.objective import update
from ttecg.train.state import init_state

_MICROVOLT = np.float32(1e-3)  # mV
_TEST_BATCH = 64


def fit_and_score(
    config: ClassifierTraining, functional, signal_NxTx8, target_NxL, train, test, seeds, tick=None
):
    """Logits (S, len(test), L) of a network per seed, trained on records `train`.

    signal: int16 microvolts, an array or a memory map, of which config.leads are seen; train, test: record numbers.
    tick(step) is told of progress.
    FloatingPointError where training diverges."""
    weights = tuple(map(float, _weights(config, target_NxL[train])))
    # the leads seen change nothing in the programs, so that all rows of a study share them
    start, step = _programs(functional, dataclasses.replace(config, leads=(), mixup=0.0), weights)
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.uint32))
    state = start(keys)
    for number in range(config.run.steps):
        rows = [_batch(config, signal_NxTx8, target_NxL, train, seed, number) for seed in seeds]
        state, metrics = step(state, {k: np.stack([r[k] for r in rows]) for k in rows[0]}, keys)
        if tick:
            tick(number)
    if not np.isfinite(jax.device_get(metrics["loss"])).all():
        raise FloatingPointError("training diverged: the loss is not finite; lower the learning rate")
    return np.stack(
        [
            _logits(functional, config, {k: v[i] for k, v in state.ema.items()}, signal_NxTx8, test)
            for i in range(len(seeds))
        ]
    )


def _weights(config: ClassifierTraining, target_NxL) -> np.ndarray:
    return weights_of(target_NxL) if config.class_weights else np.ones(target_NxL.shape[1])


@functools.lru_cache(maxsize=32)
def _programs(functional: Functional, config: ClassifierTraining, weights: tuple[float, ...]):
    """(start(keys), step(state, batch, keys)), compiled for all rows of a study alike."""
    optimizer, what = (
        config.optimizer.create(config.run.steps),
        objective(config, np.array(weights, np.float32)),
    )

    def one(state, batch, key):
        return update(what, config.run, state, batch, jax.random.fold_in(key, state.step))

    def step(state, batch, keys):
        if (
            jax.default_backend() == "cpu"
        ):  # one after the other: batched products of matrices are slower here
            return jax.lax.map(lambda args: one(*args), (state, batch, keys))
        return jax.vmap(one)(state, batch, keys)

    return jax.jit(jax.vmap(lambda key: init_state(functional, optimizer, key))), jax.jit(
        step, donate_argnums=0
    )


def _batch(config: ClassifierTraining, signal, target, train, seed: int, step: int) -> dict:
    """A pure function of (seed, step): the same for every row of a study."""

    seen = visible_eight(config.leads) * _MICROVOLT

    def row(rng):
        record = train[int(rng.integers(len(train)))]
        x = signal[record] * seen
        return {"signal": augmented(x, config, rng), "target": target[record]}

    return batches.batch(functools.partial(mixed, row, config.mixup), seed, config.run.batch, step)


def _logits(functional, config: ClassifierTraining, params, signal, test) -> np.ndarray:
    made, seen = [], visible_eight(config.leads) * _MICROVOLT
    for i in range(0, len(test), _TEST_BATCH):
        part = test[i : i + _TEST_BATCH]
        x = np.zeros((_TEST_BATCH, *signal.shape[1:]), np.float32)  # one shape, compiled once
        x[: len(part)] = signal[part] * seen
        made.append(np.asarray(predict(functional, params, {}, x))[: len(part)])
    return np.concatenate(made)
