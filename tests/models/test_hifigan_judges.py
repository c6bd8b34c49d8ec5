"""The judges of HiFi-GAN: the paper's sizes, what they see, losses with known answers, and whom the losses move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.models.functional import Functional
from ttecg.models.hifigan_judges import Judges, JudgesConfig, average_by_two, fold, fool_losses, judge_loss

SMALL = JudgesConfig(
    periods=(2, 3), period_widths=(8, 8), scales=2, scale_widths=(8, 8), scale_kernels=(5, 5),
    scale_strides=(1, 2), scale_groups=(1, 2),
)  # fmt: skip


class Constant(nnx.Module):
    """Two judges whose opinion is the mean of what they see, times `factor`, after one layer that passes it on."""

    def __init__(self, factor: float = 1.0):
        self.factor = nnx.Param(jnp.float32(factor))

    def __call__(self, x):
        return [[x, self.factor[...] * x.mean((1, 2), keepdims=True)]] * 2


def ones(value: float):
    return np.full((3, 16, 2), value, np.float32)


def test_the_paper_s_sizes():
    functional = Functional(lambda rngs: Judges(JudgesConfig(), 12, rngs=rngs))
    found = {"by_period": 0, "by_scale": 0}
    for name in functional.param_names:
        found[name.split("/")[0]] += np.prod(functional.shapes[name])
    assert found["by_period"] == pytest.approx(41.3e6, rel=0.01)
    assert found["by_scale"] == pytest.approx(29.8e6, rel=0.01)


def test_a_fold_holds_every_pth_sample():
    x = np.arange(14, dtype=np.float32).reshape(1, 7, 2)
    y = np.asarray(fold(x, 3))
    assert y.shape == (3, 3, 2)
    np.testing.assert_array_equal(y[0, :, 0] / 2, [0, 3, 6])
    np.testing.assert_array_equal(y[1, :, 0] / 2, [1, 4, 5])  # 7 is missing: reflected about 6
    np.testing.assert_array_equal(y[2, :, 0] / 2, [2, 5, 4])


def test_the_average_is_over_four_samples_two_apart():
    x = np.random.default_rng(0).normal(size=(1, 10, 2)).astype(np.float32)
    y = np.asarray(average_by_two(x))
    assert y.shape == (1, 6, 2)
    np.testing.assert_allclose(y[:, 1:-1], [[x[0, i : i + 4].mean(0) for i in range(0, 7, 2)]], rtol=1e-5)
    np.testing.assert_allclose(y[:, 0], x[:, :2].sum(1) / 4, rtol=1e-5)


@pytest.mark.parametrize("real, made, wanted", [(1, 0, 0.0), (0, 1, 4.0), (0.5, 0.5, 1.0), (1, 1, 2.0)])
def test_known_losses_of_two_judges(real, made, wanted):
    assert judge_loss(Constant(), ones(real), ones(made)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "real, made, fooled, alike", [(1, 1, 0, 0), (1, 0, 2, 4), (0.5, 0, 2, 2), (3, 2, 2, 4)]
)
def test_known_losses_of_a_generator(real, made, fooled, alike):
    got = fool_losses(Constant(), ones(real), ones(made))
    np.testing.assert_allclose(got, (fooled, alike), rtol=1e-6)


def test_neither_loss_moves_the_other_s_weights():
    functional = Functional(lambda rngs: Judges(SMALL, 2, rngs=rngs))
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    real, made = (rng.normal(size=(2, 50, 2)).astype(np.float32) for _ in range(2))

    def slopes(loss):
        return jax.jit(jax.grad(lambda p, y: loss(functional.merge(p, buffers), real, y), (0, 1)))(
            params, made
        )

    judge, maker = slopes(judge_loss)
    assert not np.any(maker) and all(np.any(v) for v in judge.values())
    for number in range(2):
        judge, maker = slopes(lambda *x, number=number: fool_losses(*x)[number])
        assert not any(np.any(v) for v in judge.values()) and np.abs(maker).min(-1).any(1).all()


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="give as many of each"):
        JudgesConfig(scale_widths=(8,))
    with pytest.raises(ValueError, match="there is no judge"):
        JudgesConfig(periods=(), scales=0)
