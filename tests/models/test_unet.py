"""The U-net starts at ridge regression, looks at nothing hidden, and takes any length."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from ttecg.ecg import to_twelve
from ttecg.models import lead_maps
from ttecg.models.functional import Functional
from ttecg.models.unet import UNetConfig

TINY = UNetConfig(widths=(8, 16), kernel=3)
SETS = [("I",), ("III",), ("I", "II"), ("V1", "V4"), ("I", "II", "V2")]


@pytest.fixture(scope="module")
def net():
    functional = Functional(TINY.create)
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 8)) * 0.2
    return functional, params, buffers | {"moment": (root @ root.T).astype(np.float32)}


@functools.partial(jax.jit, static_argnums=0)
def answers(functional, params, buffers, x, masks):
    """What the network says, compiled as a whole."""
    return functional.merge(params, buffers)(x, masks)


def signals(samples=60, seed=0):
    return np.random.default_rng(seed).normal(size=(len(SETS), samples, 8)).astype(np.float32)


MASKS = np.stack([lead_maps.visible(s) for s in SETS])


def shaken(params):
    """Weights as after training: no layer is zero any more."""
    return {
        k: v + 0.05 * np.random.default_rng(1).normal(size=v.shape).astype(np.float32)
        for k, v in params.items()
    }


def test_at_the_start_it_is_ridge_regression(net):
    functional, params, buffers = net
    x = to_twelve(signals())
    ridge = Functional(UNetConfig(members=0).create)
    assert ridge.count() == 0
    alone = answers(ridge, {}, {"moment": buffers["moment"]}, x, MASKS)
    np.testing.assert_allclose(answers(functional, params, buffers, x, MASKS), alone, atol=1e-6)
    trained = answers(functional, shaken(params), buffers, x, MASKS)
    assert np.abs(np.asarray(trained) - np.asarray(alone)).max() > 1e-3


@pytest.mark.parametrize("samples", [40, 41, 63])
def test_hidden_leads_are_not_looked_at_and_visible_ones_come_back(net, samples):
    functional, params, buffers = net
    params, x = shaken(params), to_twelve(signals(samples))
    other = np.where(MASKS[:, None], x, to_twelve(signals(samples, seed=5)))
    y = np.asarray(answers(functional, params, buffers, x, MASKS))
    assert y.shape == (len(SETS), samples, 8)
    assert (y == np.asarray(answers(functional, params, buffers, other, MASKS))).all()
    np.testing.assert_allclose(
        to_twelve(y)[MASKS[:, None].repeat(samples, 1)], x[MASKS[:, None].repeat(samples, 1)], atol=1e-5
    )


def test_neighbours_in_the_batch_do_not_matter(net):
    functional, params, buffers = net
    params, x = shaken(params), to_twelve(signals())
    together = answers(functional, params, buffers, x, MASKS)
    rows = [answers(functional, params, buffers, x[[i]], MASKS[[i]]) for i in range(len(SETS))]
    alone = np.concatenate(rows)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_members_answer_with_their_mean(net):
    functional, params, buffers = net
    two = Functional(dataclasses.replace(TINY, members=2).create)
    other = shaken(params)
    both = params | {k.replace("nets/0/", "nets/1/"): v for k, v in other.items()}
    x = to_twelve(signals())
    mean = sum(np.asarray(answers(functional, p, buffers, x, MASKS)) for p in (params, other)) / 2
    np.testing.assert_allclose(answers(two, both, buffers, x, MASKS), mean, atol=1e-5)


def test_wrong_sizes_are_refused():
    for wrong in (
        {"widths": (12,)},
        {"widths": ()},
        {"members": -1},
        {"leads": ("V9",)},
        {"compute": "float8"},
    ):
        with pytest.raises(ValueError):
            UNetConfig(**wrong)
