"""The flow of usual beats: noise comes out where the examples are, and where they are for what is asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ttecg.models.beat_flow import BeatFlow, travel
from ttecg.models.functional import Functional

SIZE = 3


def test_a_straight_way_ends_where_it_leads():
    start, end = np.zeros((2, SIZE)), np.arange(6.0).reshape(2, SIZE)
    np.testing.assert_allclose(travel(lambda x, t: end - start, start), end, atol=1e-5)


def test_noise_becomes_what_was_asked_for():
    functional = Functional(lambda rngs: BeatFlow(32, 2, 2, 2, 0.0, SIZE, rngs=rngs))
    params, buffers = functional.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    told = np.eye(2, dtype=np.float32)[rng.integers(2, size=64)]
    beats = np.stack([told[:, 0] * 2, told[:, 1] * -1, np.full(64, 0.5)], 1).astype(np.float32)
    kind, first, weight = np.zeros(64, int), np.zeros((64, SIZE), np.float32), np.ones(SIZE)
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(carry, key):
        params, state = carry
        found, slope = jax.value_and_grad(
            lambda p: functional.merge(p, buffers).loss(beats, told, kind, first, weight, key)
        )(params)
        change, state = optimizer.update(slope, state)
        return (optax.apply_updates(params, change), state), found

    (params, _), losses = jax.lax.scan(
        step, (params, optimizer.init(params)), jax.random.split(jax.random.key(1), 400)
    )
    assert losses[-50:].mean() < 0.5 * losses[:20].mean()
    flow = functional.merge(params, buffers)
    asked, n = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0), 40
    found = travel(
        lambda x, t: flow(x, jnp.full(n, t), asked, np.zeros(n, int), np.zeros((n, SIZE))),
        rng.normal(size=(n, SIZE)).astype(np.float32),
    )
    want = np.stack([asked[:, 0] * 2, asked[:, 1] * -1, np.full(n, 0.5)], 1)
    assert np.abs(found - want).mean() < 0.3
