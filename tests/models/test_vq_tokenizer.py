"""The VQ tokenizers: sizes of the paper, shapes, levels, and what a shift or a scale does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.models.functional import Functional
from ttecg.models.tokenizer import TokenizerConfig

TINY = {"width": 8, "coarse_width": 8, "blocks": 1, "codes": 8, "code_dim": 4}


def build(**changes):
    """A tiny tokenizer with codebooks set from noise, and 2 ECGs of noise that fit it."""
    config = TokenizerConfig(**TINY | changes)
    functional = Functional(config.create)
    params, buffers = functional.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(2, config.samples, config.leads)).astype(np.float32)

    @jax.jit
    def first_batch(params, buffers):
        model = functional.merge(params, buffers)
        model.vq.replace_codebooks(model(x, key=jax.random.key(1))[3])
        return functional.buffers(model)

    return functional, params, first_batch(params, buffers), x


def call(functional, params, buffers, method, *args):
    return jax.jit(lambda p, b: getattr(functional.merge(p, b), method)(*args))(params, buffers)


def test_the_paper_tokenizer_has_the_paper_s_size(config_of):
    functional = Functional(config_of("tokenizer_paper").model.create)
    assert functional.count() == 3_953_420
    assert functional.shapes["vq/vectors"] == (1, 1024, 512)
    _check_shapes(functional, 12, 5000, 312, 1)


def test_the_base_tokenizer_s_shapes(config_of):
    functional = Functional(config_of("tokenizer_base").model.create)
    assert functional.shapes["vq/vectors"] == (4, 1024, 64)
    _check_shapes(functional, 8, 2500, 312, 4)
    assert TokenizerConfig().frame_seconds == pytest.approx(0.032)


def _check_shapes(functional, leads, samples, frames, levels):
    def both(params, buffers, x):
        model = functional.merge(params, buffers)
        codes = model.codes(x)
        return codes, model.reconstruct(codes), model(x)[0]

    x = jax.ShapeDtypeStruct((2, samples, leads), jnp.float32)
    arrays = jax.eval_shape(functional.init, jax.random.key(0))
    codes, y, again = jax.eval_shape(both, *arrays, x)
    assert codes.shape == (2, frames, levels) and jnp.issubdtype(codes.dtype, jnp.integer)
    assert y.shape == again.shape == x.shape


@pytest.mark.parametrize("samples", [36, 252])
def test_base_gives_back_as_many_samples_as_it_was_given(samples):
    functional, params, buffers, x = build(samples=samples)
    codes = call(functional, params, buffers, "codes", x)
    assert codes.shape == (2, samples // 8, 4)
    assert call(functional, params, buffers, "reconstruct", codes).shape == x.shape


@pytest.mark.parametrize("samples", [64, 70, 83])
def test_paper_gives_back_as_many_samples_as_it_was_given(samples):
    functional, params, buffers, x = build(kind="paper", leads=12, samples=samples, levels=1)
    codes = call(functional, params, buffers, "codes", x)
    assert codes.shape == (2, samples // 16, 1)
    assert call(functional, params, buffers, "reconstruct", codes).shape == x.shape


@pytest.fixture(scope="module")
def tiny():
    return build(samples=132)


def test_call_is_encode_quantise_decode(tiny):
    *model, x = tiny
    y, codes, _, _ = call(*model, "__call__", x)
    np.testing.assert_array_equal(codes, call(*model, "codes", x))
    np.testing.assert_allclose(y, call(*model, "reconstruct", codes), atol=1e-5)


def test_decoding_fewer_levels_is_what_a_level_count_gives(tiny):
    *model, x = tiny
    codes = call(*model, "codes", x)
    for levels in (1, 3):
        y = call(*model, "__call__", x, jnp.full(2, levels))[0]
        np.testing.assert_allclose(y, call(*model, "reconstruct", codes[..., :levels]), atol=1e-5)


def test_codes_know_nothing_of_the_unit(tiny):
    functional, params, buffers, x = tiny
    bigger = buffers | {"scale": 4 * buffers["scale"]}
    codes = call(functional, params, buffers, "codes", x)
    np.testing.assert_array_equal(call(functional, params, bigger, "codes", 4 * x), codes)
    y, y4 = (call(functional, params, b, "reconstruct", codes) for b in (buffers, bigger))
    np.testing.assert_allclose(y4, 4 * y, rtol=1e-5, atol=1e-6)


def test_a_shift_by_one_frame_shifts_the_latents(tiny):
    *model, x = tiny
    a, b = call(*model, "encode", x), call(*model, "encode", x[:, 8:])
    np.testing.assert_allclose(a[:, 5:-4], b[:, 4:-4], atol=1e-5)


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"kind": "vqgan"}, "kind"),
        ({"leads": 3}, "leads"),
        ({"samples": 1000}, "8 N [+] 4"),
        ({"samples": 2501}, "2501"),
    ],
)
def test_wrong_sizes_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        TokenizerConfig(**wrong)
