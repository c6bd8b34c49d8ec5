"""The two-lead model: where it starts, what the style encoder cannot see, and the discriminator's losses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.models.functional import Functional
from ttecg.models.two_lead import TwoLeadConfig
from ttecg.models.two_lead_adversary import WithAdversary, fool_loss, judge_loss

TINY = TwoLeadConfig(widths=(8, 16), style_width=8, condition=16, style=8, latent=3)
TIMES, B = 128, 2


@pytest.fixture(scope="module")
def tiny():
    functional = Functional(TINY.create)
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (500, 10))
    x[:, 4:] += x[:, 2:3] - x[:, 1:2]
    return *made(functional), params, buffers | {"moment": jnp.asarray(x.T @ x / 500, jnp.float32)}


def shaken(params):
    """The same parameters, none of them zero."""
    rng = np.random.default_rng(1)
    return {
        n: np.asarray(p) + 0.1 * rng.normal(size=p.shape).astype(np.float32)
        for n, p in sorted(params.items())
    }


def made(functional):
    """(predict, styles) of (parameters, buffers, input), compiled."""
    return (
        jax.jit(lambda p, b, x: functional.merge(p, b)(x)),
        jax.jit(lambda p, b, x, z=None: functional.merge(p, b).styles(x, None, z)),
    )


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(1)
    sizes = {"one": (B, TIMES), "two": (B, 96), "template": (B, TIMES, 2), "beats": (B, TINY.beat_samples, 2)}
    return {k: jnp.asarray(rng.normal(0, 0.4, s), jnp.float32) for k, s in sizes.items()}


def test_it_starts_as_the_ridge_regression(tiny, x):
    predict, styles, params, buffers = tiny
    moment = np.asarray(buffers["moment"], float)
    penalty = TINY.ridge * np.trace(moment) / 10
    for inputs, seen in (([2, 0, 1], x), ([2], x | {"template": jnp.zeros_like(x["template"])})):
        weights = np.linalg.solve(
            moment[np.ix_(inputs, inputs)] + penalty * np.eye(len(inputs)), moment[inputs, 2:]
        )
        both = np.concatenate([seen["one"][..., None], seen["template"]], -1)[..., : len(inputs)]
        np.testing.assert_allclose(predict(params, buffers, seen), both @ weights, atol=2e-4)


@pytest.mark.parametrize("shift", [1, 7, 50])
def test_styles_do_not_know_when_lead_ii_was(tiny, x, shift):
    predict, styles, params, buffers = tiny
    params = shaken(params)
    turned = x | {"two": jnp.roll(x["two"], shift, 1)}
    np.testing.assert_allclose(styles(params, buffers, turned), styles(params, buffers, x), atol=1e-5)
    np.testing.assert_allclose(predict(params, buffers, turned), predict(params, buffers, x), atol=1e-4)
    other = x | {"two": x["two"][:, ::-1] * jnp.linspace(0.2, 2, 96)}
    assert np.abs(styles(params, buffers, other) - styles(params, buffers, x)).max() > 1e-3


def test_any_lengths(tiny, x):
    predict, styles, params, buffers = tiny
    params = shaken(params)
    for t, s in ((65, 33), (128, 300)):
        seen = x | {"one": jnp.ones((B, t)), "two": jnp.ones((B, s)), "template": jnp.ones((B, t, 2))}
        assert (
            predict(params, buffers, seen).shape == (B, t, 8)
            and np.isfinite(predict(params, buffers, seen)).all()
        )


def test_twice_as_tall_is_answered_nearly_twice_as_tall(tiny, x):
    predict, styles, params, buffers = tiny
    tall = predict(params, buffers, jax.tree.map(lambda a: 2 * a, x))
    np.testing.assert_allclose(tall, 2 * predict(params, buffers, x), rtol=1e-4, atol=1e-4)


def test_without_a_template_it_is_not_looked_at(x):
    functional = Functional(dataclasses.replace(TINY, template=False).create)
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    predict, _ = made(functional)
    params = shaken(params)
    blind = x | {"template": x["template"] + 1, "beats": x["beats"] + 1}
    np.testing.assert_array_equal(predict(params, buffers, x), predict(params, buffers, blind))


def test_latents_move_the_styles(tiny, x):
    predict, styles, params, buffers = tiny
    a, b = (styles(params, buffers, x, jnp.full((B, 3), v)) for v in (0.5, -2.0))
    assert np.abs(a - b).max() > 1e-3
    without = Functional(dataclasses.replace(TINY, latent=0).create)
    assert without.count() < Functional(TINY.create).count()


def test_gradients_of_the_two_losses_flow_only_where_they_should(x):
    functional = Functional(lambda rngs: WithAdversary(TINY, rngs=rngs))
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    params = shaken(params)
    lead, real = jnp.array([1, 5]), jnp.ones((B, TIMES)) * jnp.sin(jnp.arange(TIMES) / 5)

    def judged(params):
        both = functional.merge(params, buffers)
        return judge_loss(both.judge, real, both.net(x)[..., 2], lead, 1.0)

    def fooling(params):
        both = functional.merge(params, buffers)
        return fool_loss(both.judge, both.net(x)[..., 2], lead)

    for loss, mine in ((judged, "judge/"), (fooling, "net/")):
        value, grads = jax.jit(jax.value_and_grad(loss))(params)
        assert np.isfinite(value) and value > 0
        sizes = {name: float(jnp.abs(g).max()) for name, g in grads.items()}
        assert all(np.isfinite(list(sizes.values())))
        assert max(v for name, v in sizes.items() if name.startswith(mine)) > 0
        assert all(v == 0 for name, v in sizes.items() if not name.startswith(mine))


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="multiples of 8"):
        TwoLeadConfig(widths=(12,))
    with pytest.raises(ValueError, match="latent must be 0"):
        TwoLeadConfig(latent=-1)
