"""The classifier's network: what it may look at, and what it must not care about."""

import jax
import numpy as np
import pytest
from flax import nnx

from ttecg.models.resnet import ResNetConfig, inputs

TINY = {"widths": (8, 16), "outputs": 3, "compute": "float32"}


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(0, 0.3, (2, 128, 8)).astype(np.float32)


def logits(x, **changes):
    model = ResNetConfig(**TINY | changes).create(nnx.Rngs(0))
    return np.asarray(jax.jit(model.__call__)(x))


def test_without_amplitude_each_lead_may_be_as_tall_as_it_likes(x):
    scale = np.array([1000, 0.01, 1, 5, 0.3, 7, 2, 1], np.float32)
    offset = np.arange(8, dtype=np.float32)
    assert np.allclose(logits(x), logits(x * scale), atol=1e-3)
    assert np.allclose(logits(x), logits(x + offset), atol=1e-3)


def test_with_amplitude_nothing_is_lost(x):
    assert np.abs(logits(x, amplitude=True) - logits(3 * x, amplitude=True)).max() > 1e-3
    shape, tall = np.split(np.asarray(inputs(x, True)), 2, -1)
    assert np.allclose(shape * np.exp(tall) * 0.15, x - x.mean(1, keepdims=True), atol=1e-5)


def test_a_flat_lead_is_a_hidden_one(x):
    flat, hidden = x.copy(), x.copy()
    flat[..., 3], hidden[..., 3] = 0.7, 0
    for amplitude in (True, False):
        assert (logits(flat, amplitude=amplitude) == logits(hidden, amplitude=amplitude)).all()
    assert np.isfinite(logits(np.zeros_like(x))).all()


@pytest.mark.parametrize("length", [1, 5, 127, 130])
@pytest.mark.parametrize("kernel, stride", [(3, 4), (4, 3)])
def test_any_length(length, kernel, stride, x):
    made = logits(x[:, :1].repeat(length, 1), kernel=kernel, stem_stride=stride, depth=2)
    assert made.shape == (2, 3) and np.isfinite(made).all()


def test_records_of_a_batch_do_not_see_each_other(x):
    assert np.allclose(logits(x)[1], logits(x[1:])[0], atol=1e-5)


def test_every_part_learns(x):
    graph, params = nnx.split(ResNetConfig(**TINY).create(nnx.Rngs(0)))
    grads = jax.jit(jax.grad(lambda p: (nnx.merge(graph, p)(x) ** 2).sum()))(params)
    for path, g in nnx.to_flat_state(grads):
        assert np.abs(g.get_value()).max() > 0, path


@pytest.mark.parametrize(
    "wrong", [{"widths": ()}, {"widths": (12,)}, {"kernel": 0}, {"squeeze": 2.0}, {"dropout": 1.0}]
)
def test_wrong_sizes(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ResNetConfig(**wrong)
