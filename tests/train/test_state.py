"""One step of the optimiser: averages, schedules, clipping, weight decay."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.train.state import OptimizerConfig, TrainState, apply_gradients

PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}


def start(optimizer):
    return TrainState(jnp.int32(0), PARAMS, PARAMS, {"count": jnp.zeros(())}, optimizer.init(PARAMS))


def test_the_average_follows_fast_at_first_and_slowly_later():
    optimizer = OptimizerConfig(learning_rate=0.1, warmup=0, schedule="constant", weight_decay=0.0).create(
        100
    )
    state, ema = start(optimizer), np.ones(3)
    step = jax.jit(lambda s: apply_gradients(s, jax.tree.map(jnp.ones_like, PARAMS), optimizer, 0.9)[0])
    for i in range(100):
        state = step(state)
        decay = min(0.9, (1 + i) / (10 + i))
        ema = decay * ema + (1 - decay) * np.asarray(state.params["bias"])
    np.testing.assert_allclose(state.ema["bias"], ema, rtol=1e-4)
    assert state.step == 100 and state.params["bias"][0] < state.ema["bias"][0] < 1


@pytest.mark.parametrize(
    "schedule, rates",
    [
        ("constant", {0: 0.0, 5: 0.5, 10: 1.0, 110: 1.0}),
        ("cosine", {0: 0.0, 5: 0.5, 10: 1.0, 60: 0.55, 110: 0.1}),
        ("exponential", {5: 0.5, 10: 1.0, 29: 1.0, 30: 0.5, 50: 0.25}),
    ],
)
def test_learning_rates(schedule, rates):
    config = OptimizerConfig(1.0, 10, schedule, final_share=0.1, decay_rate=0.5, decay_steps=20)
    for step, rate in rates.items():
        assert config.rate(110)(step) == pytest.approx(rate, abs=1e-6), step
    without = dataclasses.replace(config, warmup=0)
    assert without.rate(110)(0) == 1.0


def test_unknown_schedule_is_named():
    with pytest.raises(ValueError, match="linear"):
        OptimizerConfig(schedule="linear")


def test_weight_decay_leaves_biases_alone():
    optimizer = OptimizerConfig(
        learning_rate=0.1, warmup=0, schedule="constant", weight_decay=0.5, clip=0.0
    ).create(9)
    state, norms = apply_gradients(start(optimizer), jax.tree.map(jnp.zeros_like, PARAMS), optimizer, 0.9)
    np.testing.assert_allclose(state.params["kernel"], 0.95, rtol=1e-6)
    np.testing.assert_array_equal(state.params["bias"], 1)
    assert norms["grad_norm"] == 0 and norms["update_norm"] > 0


def test_clipping_bounds_what_adam_sees():
    optimizer = OptimizerConfig(
        learning_rate=0.1, warmup=0, schedule="constant", clip=1.0, b1=0.0, b2=0.0
    ).create(9)
    huge = jax.tree.map(lambda p: 1e6 * jnp.ones_like(p), PARAMS)
    state, norms = apply_gradients(start(optimizer), huge, optimizer, 0.9)
    assert norms["grad_norm"] == pytest.approx(3e6, rel=1e-4)
    mu = state.opt_state[1][0].mu
    assert float(sum((v**2).sum() for v in mu.values())) == pytest.approx(1.0, rel=1e-4)
    assert state.buffers is not None and state.buffers["count"] == 0
