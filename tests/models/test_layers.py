"""The shared layers equal their textbook definitions, and a trunk with a cache equals one without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.models import layers
from ttecg.models.functional import Functional
from ttecg.models.layers import Conv1d, RMSNorm, Upsample2
from ttecg.models.transformer import Attention, BaseBlock, LayerNorm, PaperBlock, Trunk


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("length", [9, 12])
@pytest.mark.parametrize(
    "kernel, stride, pad", [(1, 1, None), (3, 1, None), (4, 1, None), (4, 2, (1, 1)), (5, 3, (0, 2))]
)
def test_convolution_is_that_of_xla(kernel, stride, pad, length):
    conv, x = Conv1d(3, 5, kernel, stride=stride, pad=pad, rngs=nnx.Rngs(1)), normal(2, length, 3)
    wanted = jax.lax.conv_general_dilated(
        x,
        conv.kernel[...].reshape(kernel, 3, 5),
        (stride,),
        [conv.pad],
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    np.testing.assert_allclose(conv(x), wanted + conv.bias[...], atol=1e-5)
    if stride == 1:
        assert conv(x).shape[1] == length


@pytest.mark.parametrize("extra", [0, 1])
def test_upsampling_is_a_transposed_convolution(extra):
    up, x = Upsample2(3, 5, extra=extra, rngs=nnx.Rngs(1)), normal(2, 7, 3)
    wanted = np.zeros((2, 2 * 7 + 3, 5))  # place j holds output j - 1
    for i in range(7):
        for tap in range(4):
            wanted[:, 2 * i + tap] += x[:, i] @ np.asarray(up.kernel[...][tap])
    wanted = wanted[:, 1 : 1 + 2 * 7 + extra] + np.asarray(up.bias[...])
    np.testing.assert_allclose(up(x), wanted, atol=1e-5)


def test_rms_norm():
    norm, x = RMSNorm(6), 3 * normal(4, 6)
    norm.scale[...] = jnp.arange(1.0, 7)
    wanted = x / np.sqrt((x**2).mean(-1, keepdims=True)) * np.arange(1, 7)
    np.testing.assert_allclose(norm(x), wanted, rtol=1e-5)
    np.testing.assert_allclose(norm(100 * x), wanted, rtol=1e-5)
    assert norm(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_layer_norm():
    norm, x = LayerNorm(6), 3 * normal(4, 6) + 1
    norm.bias[...] = jnp.arange(6.0)
    wanted = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) + np.arange(6)
    np.testing.assert_allclose(norm(x), wanted, rtol=1e-4, atol=1e-4)


def test_rotary_attention_sees_distances_only():
    q, k = normal(1, 1, 1, 8), normal(1, 1, 1, 8, seed=1)

    def score(at_q, at_k):
        tables = (layers.rotary_table(jnp.array([p]), 8) for p in (at_q, at_k))
        a, b = (layers.rotary(x, t) for x, t in zip((q, k), tables))
        return float((a * b).sum())

    assert score(0, 0) == pytest.approx(float((q * k).sum()), rel=1e-5)
    assert score(7, 3) == pytest.approx(score(104, 100), abs=1e-4)
    assert score(7, 3) != pytest.approx(score(3, 7), abs=1e-2)
    turned = layers.rotary(q, layers.rotary_table(jnp.array([55]), 8))
    assert float(jnp.linalg.norm(turned)) == pytest.approx(float(np.linalg.norm(q)), rel=1e-5)


def test_attention_is_a_softmax_over_what_the_mask_allows():
    q, k, v = normal(2, 3, 2, 4, 8), normal(2, 3, 8, 5, seed=1), normal(2, 3, 5, 8, seed=2)
    mask = np.random.default_rng(3).random((2, 4, 5)) < 0.6
    mask[..., 0] = True
    weights = np.exp(np.einsum("bgrte,bges->bgrts", q, k) / np.sqrt(8)) * mask[:, None, None]
    wanted = np.einsum("bgrts,bgse->bgrte", weights / weights.sum(-1, keepdims=True), v)
    np.testing.assert_allclose(layers.attend(q, k, v, jnp.asarray(mask)[:, None, None]), wanted, atol=1e-5)


def test_heads_that_share_keys_and_values_are_heads_with_equal_ones():
    def attention(kv_heads):
        return Attention(16, 4, kv_heads, 6, out_bias=False, rngs=nnx.Rngs(0))

    few, many = attention(2), attention(4)
    kernel = np.asarray(few.qkv.kernel[...]).reshape(16, 4, 2, 6)  # two heads of each group, keys, values
    q = kernel[:, :2].swapaxes(1, 2).reshape(16, 1, 4, 6)
    kv = np.repeat(kernel[:, 2:], 2, axis=2)
    many.qkv.kernel[...] = jnp.asarray(np.concatenate([q, kv], 1).reshape(16, 3, 24))
    many.out.kernel[...] = few.out.kernel[...]
    x, mask = normal(3, 5, 16), jnp.broadcast_to(np.tril(np.ones((5, 5), bool)), (3, 5, 5))
    table = layers.rotary_table(jnp.arange(5), 6)
    np.testing.assert_allclose(*(a(x, table, mask, None, 0)[0] for a in (few, many)), atol=1e-6)


def test_dropout_keeps_the_mean_and_needs_a_key():
    x = jnp.ones(20_000)
    assert layers.dropout(x, 0.3, None) is x and layers.dropout(x, 0.0, jax.random.key(0)) is x
    y = layers.dropout(x, 0.3, jax.random.key(0))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.7)}
    assert float((y == 0).mean()) == pytest.approx(0.3, abs=0.02) and float(y.mean()) == pytest.approx(
        1, abs=0.02
    )


@pytest.fixture(params=[(BaseBlock, None), (BaseBlock, 2), (PaperBlock, None)])
def trunk(request):
    block, kv_heads = request.param

    def build(remat=False):
        return Trunk(block, 2, 16, 4, 8, 0.5, kv_heads=kv_heads, remat=remat, rngs=nnx.Rngs(0))

    return build


def test_a_trunk_fed_piece_by_piece_equals_the_whole(trunk):
    trunk, x = trunk(), normal(2, 7, 16)
    table = trunk.turns(jnp.arange(7) * 3)
    mask = jnp.broadcast_to(np.tril(np.ones((7, 7), bool)), (2, 7, 7))

    @jax.jit
    def both(x):
        cache, pieces = trunk.empty_cache(2, 7, jnp.float32), []
        for a, b in ((0, 3), (3, 4), (4, 7)):
            y, cache = trunk(x[:, a:b], [t[a:b] for t in table], mask[:, a:b], cache, a)
            pieces.append(y)
        return jnp.concatenate(pieces, 1), trunk(x, table, mask)[0]

    np.testing.assert_allclose(*both(x), atol=1e-5)


def test_recomputing_activations_changes_nothing_but_memory(trunk):
    x, mask, key = normal(2, 5, 16), jnp.ones((2, 5, 5), bool), jax.random.key(1)
    results = []
    for remat in (False, True):
        functional = Functional(lambda rngs, remat=remat: trunk(remat))

        def loss(params, functional=functional):
            trunk = functional.merge(params, {})
            return (trunk(x, trunk.turns(jnp.arange(5)), mask, key=key)[0] ** 2).sum()

        results.append(jax.jit(jax.value_and_grad(loss))(functional.init(jax.random.key(0))[0]))
    for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1])):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_dropout_of_a_trunk_follows_the_key(trunk):
    trunk, x, mask = trunk(), normal(1, 4, 16), jnp.ones((1, 4, 4), bool)
    call = jax.jit(lambda key: trunk(x, trunk.turns(jnp.arange(4)), mask, key=key)[0])
    a, b, c = (call(jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert float(jnp.abs(a - c).max()) > 1e-3


def test_maxima_and_their_slopes():
    x = jax.random.normal(jax.random.key(0), (2, 6, 3))
    np.testing.assert_array_equal(layers.peak(x), x.max(1))
    np.testing.assert_array_equal(layers.halved(x), x.reshape(2, 3, 2, 3).max(2))
    for made, by_max in (
        (layers.peak, lambda x: x.max(1)),
        (layers.halved, lambda x: x.reshape(2, 3, 2, 3).max(2)),
    ):
        slopes = [jax.grad(lambda x, f=f: (f(x) ** 2).sum())(x) for f in (made, by_max)]
        np.testing.assert_allclose(*slopes, rtol=1e-6)
    assert np.isfinite(jax.grad(lambda x: layers.peak(x).sum())(jnp.zeros((1, 4, 2)))).all()
