"""The HiFi-GAN generator: the paper's size, the lengths it writes, how far a code reaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.models.functional import Functional
from ttecg.models.hifigan import HifiGanConfig

TINY = HifiGanConfig(frames=40, levels=2, codes=16, code_dim=4, width=16, kernels=(3,), dilations=(1, 2))


@pytest.fixture(scope="module")
def tiny():
    """(function of codes, code vectors) of a small generator with random vectors."""
    functional = Functional(TINY.create)
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    buffers = buffers | {"vectors": jax.random.normal(jax.random.key(1), (2, 16, 4))}
    return jax.jit(lambda codes, scale=1.0: functional.merge(
        params, buffers | {"scale": scale * jnp.ones(8)})(codes))  # fmt: skip


def test_the_paper_s_has_14_million_parameters(config_of):
    count = Functional(config_of("decoder_paper").model.create).count()
    assert count == pytest.approx(14.05e6, rel=0.01)
    assert 1e6 < Functional(config_of("decoder_base").model.create).count() < 2e6


def test_312_frames_give_an_ecg(config_of):
    for name, samples in (("decoder_base", 2500), ("decoder_paper", 5000)):
        model = config_of(name).model
        codes = jax.ShapeDtypeStruct((1, 312, model.levels), np.int32)
        functional = Functional(model.create)
        arrays = jax.eval_shape(functional.init, jax.random.key(0))
        y = jax.eval_shape(lambda p, b, c, f=functional: f.merge(p, b)(c), *arrays, codes)
        assert y.shape == (1, samples, model.leads) and model.samples(312) == samples


@pytest.mark.parametrize("frames", [8, 13])
def test_any_number_of_frames_gives_half_a_frame_more(tiny, frames):
    assert tiny(np.zeros((2, frames, 2), int)).shape == (2, 8 * frames + 4, 8)


def test_a_code_is_heard_where_it_stands(tiny):
    codes = np.zeros((1, 40, 2), int)
    other = codes.copy()
    other[0, 20, 1] = 5
    gap = np.abs(tiny(codes) - tiny(other)).max((0, 2))
    assert gap[8 * 20 : 8 * 21].min() > 0 and (gap[: 8 * 10] == 0).all() and (gap[8 * 31 :] == 0).all()


def test_millivolts_follow_the_scale_without_a_bound(tiny):
    codes = np.random.default_rng(0).integers(16, size=(1, 8, 2))
    np.testing.assert_allclose(tiny(codes, 1000.0), 1000 * tiny(codes), rtol=1e-5)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="width must be a multiple"):
        HifiGanConfig(width=100)
    with pytest.raises(ValueError, match="8 or 12 leads"):
        HifiGanConfig(leads=3)
