"""The residual quantiser: straight-through gradients, nearest codes, moving averages, revival, level dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.models.functional import Functional
from ttecg.models.vq import ResidualVQ, codebook_use, nearest

LEVELS, SIZE, DIM = 3, 6, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def quantise(vq, z, levels=None, key=None):
    """`vq(z, levels, key)`, compiled as one program."""
    return jax.jit(lambda z: vq(z, levels, key))(z)


@pytest.fixture
def vq():
    """Random books, finer from level to level, in use."""
    vq = ResidualVQ(LEVELS, SIZE, DIM, decay=0.9, dead_share=0.1)
    vq.vectors[...] = (
        jnp.asarray(normal(LEVELS, SIZE, DIM, seed=5)) * 0.5 ** jnp.arange(LEVELS)[:, None, None]
    )
    vq.counts[...] = jnp.full((LEVELS, SIZE), 4.0)
    return vq


def test_nearest_is_nearest():
    x, book = normal(2, 50, DIM), normal(SIZE, DIM, seed=1)
    wanted = ((x[:, :, None] - book) ** 2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(nearest(x, book), wanted)


def test_gradients_pass_straight_through(vq):
    z, weights = normal(2, 5, DIM), normal(2, 5, DIM, seed=1)
    for key in (None, jax.random.key(0)):
        grads = jax.jit(jax.grad(lambda z, key=key: (weights * vq(z, key=key)[0]).sum()))(z)
        np.testing.assert_array_equal(grads, weights)


def test_output_is_the_sum_of_the_chosen_vectors(vq):
    z = normal(2, 5, DIM)
    quantised, codes, _, _ = quantise(vq, z)
    assert codes.shape == (2, 5, LEVELS)
    books = np.asarray(vq.vectors[...])
    rest = z.copy()
    for level in range(LEVELS):
        np.testing.assert_array_equal(codes[..., level], nearest(rest, books[level]))
        rest -= books[level][codes[..., level]]
    np.testing.assert_allclose(quantised, z - rest, atol=1e-6)
    np.testing.assert_allclose(vq.lookup(codes), quantised, atol=1e-6)


def test_commitment_pulls_towards_the_codes(vq):
    z = normal(2, 5, DIM)
    commit, grads = jax.jit(jax.value_and_grad(lambda z: vq(z)[2]))(z)
    codes, books = quantise(vq, z)[1], np.asarray(vq.vectors[...])
    gaps = z - np.cumsum([books[q][codes[..., q]] for q in range(LEVELS)], axis=0)
    assert commit == pytest.approx((gaps**2).mean(), rel=1e-5)
    np.testing.assert_allclose(grads, 2 * gaps.mean(0) / z.size, atol=1e-6)
    assert quantise(vq, z - 0.5 * z.size * grads)[2] < commit


def test_fewer_levels_use_only_those(vq):
    z = normal(4, 5, DIM)
    quantised, codes, commit, _ = quantise(vq, z, jnp.array([1, 2, 3, 3]))
    for row, levels in enumerate((1, 2, 3)):
        alone = quantise(vq, z[row : row + 1])
        np.testing.assert_allclose(quantised[row], vq.lookup(alone[1][..., :levels])[0], atol=1e-6)
        np.testing.assert_array_equal(codes[row, :, :levels], alone[1][0, :, :levels])
    one = quantise(vq, z, jnp.ones(4, int))[2]
    chosen = np.asarray(vq.vectors[...])[0][codes[..., 0]]
    assert one == pytest.approx(((z - chosen) ** 2).mean(), rel=1e-5)
    assert commit > 0


def test_moving_averages_equal_a_numpy_reference(vq):
    z, levels = normal(3, 20, DIM), np.array([1, 2, 3])
    _, codes, _, (vectors, counts) = quantise(vq, z, jnp.asarray(levels), key=jax.random.key(0))
    rest = z.copy()
    for level in range(LEVELS):
        book, used = np.asarray(vq.vectors[...][level]), levels > level
        wanted, hits = book.copy(), np.zeros(SIZE)
        for k in range(SIZE):
            mine = rest[used][np.asarray(codes[..., level])[used] == k]
            hits[k] = 0.9 * 4 + 0.1 * len(mine)
            wanted[k] = (0.9 * 4 * book[k] + 0.1 * mine.sum(0)) / hits[k]
        np.testing.assert_allclose(vectors[level], wanted, atol=1e-5)
        np.testing.assert_allclose(counts[level], hits, rtol=1e-5)
        rest -= used[:, None, None] * book[np.asarray(codes[..., level])]


def test_without_a_key_nothing_moves(vq):
    _, _, _, (vectors, counts) = quantise(vq, normal(2, 5, DIM))
    np.testing.assert_array_equal(vectors, vq.vectors[...])
    np.testing.assert_array_equal(counts, vq.counts[...])


def test_dead_codes_are_put_onto_the_data_and_counted_at_the_mean(vq):
    counts = jnp.full((LEVELS, SIZE), 10.0).at[0, 2].set(0.5)
    vq.counts[...] = counts
    z = 50 + normal(2, 30, DIM)  # far from every code, so only a revived one is near
    _, codes, _, (vectors, after) = quantise(vq, z, key=jax.random.key(3))
    assert (codes[..., 0] == 2).all()
    mean = float(counts[0].mean())
    assert after[0, 2] == pytest.approx(0.9 * mean + 0.1 * 60, rel=1e-5)
    landed = (vectors[0, 2] * after[0, 2] - 0.1 * z.sum((0, 1))) / (
        0.9 * mean
    )  # where it stood before it moved
    assert np.abs(z.reshape(-1, DIM) - landed).max(-1).min() < 1e-3
    np.testing.assert_array_equal(vectors[0, 3], vq.vectors[...][0, 3])  # the living stay


def test_the_first_batch_initialises_the_books():
    vq = ResidualVQ(2, SIZE, DIM)
    z = 7 + normal(2, 30, DIM)
    quantised, codes, commit, codebooks = quantise(vq, z, key=jax.random.key(0))
    assert np.abs(quantised - z).mean() < 1 and commit < 3
    vq.replace_codebooks(codebooks)
    assert np.abs(vq.vectors[...][0] - 7).max() < 5  # codes lie among the data, none is left at the origin
    assert len(np.unique(codes[..., 0])) > SIZE // 2


def test_trained_levels_each_reduce_the_error():
    functional = Functional(lambda rngs: ResidualVQ(4, 16, DIM, decay=0.8))
    z, buffers = normal(8, 64, DIM), functional.init(jax.random.key(0))[1]

    @jax.jit
    def step(buffers, key):
        vectors, counts = functional.merge({}, buffers)(z, key=key)[3]
        return {"vectors": vectors, "counts": counts}

    for i in range(30):
        buffers = step(buffers, jax.random.key(i))
    vq = functional.merge({}, buffers)
    codes = quantise(vq, z)[1]
    errors = [float(((z - vq.lookup(codes[..., :q])) ** 2).mean()) for q in range(1, 5)]
    assert errors[0] < 0.7 and all(b < 0.8 * a for a, b in zip(errors, errors[1:])), errors


def test_codebook_use():
    codes = np.stack([np.arange(8) % 4, np.zeros(8, int)], -1)[None]
    perplexity, used = codebook_use(codes, 8)
    np.testing.assert_allclose(perplexity, [4, 1], rtol=1e-5)
    np.testing.assert_allclose(used, [0.5, 1 / 8])
