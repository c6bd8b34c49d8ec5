"""The self-supervised encoder: what is hidden is not seen, leads that are not there do not matter, targets are what
their numbers say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.models.functional import Functional
from ttecg.models.wav2vec import Wav2VecConfig

TINY = {
    "stem_width": 16, "width": 16, "layers": 2, "heads": 2, "vectors": 4, "compared": 8, "features": 12,
    "compute": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return Wav2VecConfig(**TINY).create(nnx.Rngs(0))


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(0, 0.3, (3, 128, 8)).astype(np.float32)


@pytest.fixture
def hidden():
    """(3, 16) bool, spans that differ from row to row."""
    rows = np.zeros((3, 16), bool)
    for row, start in zip(rows, (0, 5, 12)):
        row[start : start + 4] = True
    return rows


def test_recordings_of_any_length(model, x):
    for samples, frames in ((128, 16), (121, 16), (120, 15), (9, 2)):
        assert jax.eval_shape(model.frames, x[:, :samples]).shape == (3, frames, 16)
        assert jax.eval_shape(model.features, x[:, :samples]).shape == (3, 12)
    made = jax.jit(model.features)(x[:, :121])
    assert made.dtype == jnp.float32 and np.isfinite(made).all()


def test_hidden_frames_are_not_seen(model, x, hidden):
    frames = model.frames(x)
    slope = np.asarray(jax.jit(jax.grad(lambda f: (model.context(f, hidden) ** 2)[..., :3].sum()))(frames))
    assert (slope[hidden] == 0).all() and (np.abs(slope[~hidden]).max(-1) > 0).all()
    other = jnp.where(hidden[..., None], 7.0, frames)
    context = jax.jit(model.context)
    assert np.array_equal(context(frames, hidden), context(other, hidden))


def test_every_frame_looks_both_ways_and_knows_its_place(model, x):
    frames = model.frames(x)
    slope = np.asarray(jax.jit(jax.grad(lambda f: model.context(f)[0, 8, 0]))(frames))
    assert (np.abs(slope[0]).max(-1) > 0).all() and (slope[1:] == 0).all()
    turned = model.context(frames[:, ::-1])[:, ::-1]
    assert np.abs(turned - model.context(frames)).max() > 1e-3


def test_leads_that_are_not_there_do_not_matter(model, x):
    without = x.copy()
    without[..., [1, 4, 7]] = 0
    flat = without.copy()
    flat[..., 4] = 0.5
    there = np.asarray(model.features(without))
    assert np.allclose(model.features(flat), there, atol=1e-5)
    assert np.abs(model.features(x) - there).max() > 1e-3
    alone = np.zeros_like(x)
    alone[..., 2] = x[..., 2]
    assert np.isfinite(model.features(alone)).all() and np.isfinite(model.features(np.zeros_like(x))).all()


def test_voltages_are_not_needed(model, x):
    tall = np.array([1000, 0.01, 1, 5, 0.3, 7, 2, 1], np.float32)
    assert np.allclose(model.features(x), model.features(x * tall + 1), atol=1e-3)


def test_equal_recordings_have_equal_features_whatever_lies_beside(model, x):
    twice = np.asarray(model.features(x[[0, 1, 0]]))
    assert np.array_equal(twice[0], twice[2]) and np.abs(twice[0] - twice[1]).max() > 1e-4
    assert np.allclose(model.features(x)[1], model.features(x[1:2])[0], atol=1e-5)


def test_targets_are_what_their_numbers_say(model, x):
    for key in (None, jax.random.key(0)):
        target, codes, likely = (np.asarray(v) for v in model.quantised(model.frames(x), 0.7, key))
        assert target.shape == (3, 16, 8) and codes.shape == (3, 16, 2) and likely.shape == (3, 16, 2, 4)
        assert np.allclose(likely.sum(-1), 1, atol=1e-5)
        entries = np.stack([np.asarray(model.book[...])[g][codes[..., g]] for g in range(2)], 2)
        assert np.allclose(target, model.target(entries.reshape(3, 16, 8)), atol=1e-5)
        assert np.array_equal(codes, likely.argmax(-1)) == (key is None)


def test_vectors_are_drawn_by_their_probabilities(model, x):
    frames = model.frames(x[:1])[:, :2]
    draw = jax.jit(jax.vmap(lambda key: model.quantised(frames, 2.0, key)[1]))
    codes = np.asarray(draw(jax.random.split(jax.random.key(1), 4000)))
    shares = (codes[..., None] == np.arange(4)).mean(0)
    assert np.allclose(shares, model.quantised(frames, 2.0, None)[2], atol=0.04)


def test_the_choice_learns_through_the_hard_vectors(model, x):
    """The gradient is that of the soft mixture, though the value is one entry's."""
    graph, params = nnx.split(model)
    frames, c = model.frames(x), model.config

    def value(params, hard):
        m = nnx.merge(graph, params)
        if hard:
            return (m.quantised(frames, 0.7, None)[0] * weights).sum()
        logits = m.choose(frames).reshape(3, 16, c.groups, c.vectors)
        soft = jnp.einsum("bngv,gvd->bngd", jax.nn.softmax(logits / 0.7, -1), m.book[...])
        return (m.target(soft.reshape(3, 16, -1)) * weights).sum()

    weights = np.random.default_rng(1).normal(size=(3, 16, 8))
    hard, soft = (jax.grad(value)(params, hard).choose.kernel.get_value() for hard in (True, False))
    assert np.allclose(hard, soft, rtol=1e-3, atol=1e-4) and np.abs(hard).max() > 0.01


def test_dropout_is_for_training_only(model, x):
    frames = model.frames(x)
    assert np.array_equal(model.context(frames), model.context(frames))
    assert np.abs(model.context(frames, key=jax.random.key(0)) - model.context(frames)).max() > 1e-3


def test_every_part_learns(model, x, hidden):
    graph, params = nnx.split(model)

    def loss(params):
        m = nnx.merge(graph, params)
        frames = m.frames(x)
        context = m.context(frames, hidden)
        target = m.quantised(frames, 1.0, None)[0]
        return ((m.guesses(context) - target) ** 2).sum() + (m.pooled(context) ** 2).sum()

    for path, g in nnx.to_flat_state(jax.jit(jax.grad(loss))(params)):
        assert np.abs(g.get_value()).max() > 0, path


def test_sizes_of_the_configs(config_of):
    base, paper = config_of("wav2vec_base").model, config_of("wav2vec_paper").model
    assert 2 * Functional(base.create).count() < 2.5e6 and base.features == 64  # bytes as float16
    assert paper.stride == 16 and paper.rate == 500
    assert 80e6 < Functional(paper.create).count() < 100e6


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"heads": 0}, "heads"),
        ({"width": 18, "heads": 4}, "width"),
        ({"width": 12, "heads": 4}, "width"),
        ({"groups": 3}, "compared"),
        ({"compared": 0}, "compared"),
        ({"stem_layers": 0}, "stem_layers"),
        ({"vectors": 0}, "vectors"),
        ({"dropout": 1.0}, "dropout"),
        ({"compute": "float8"}, "compute"),
    ],
)
def test_wrong_sizes(wrong, said):
    with pytest.raises(ValueError, match=said):
        Wav2VecConfig(**TINY | wrong)
