"""The CLIP pair: unit vectors that padding, units and neighbours do not change, in a size that can ship."""

import jax
import numpy as np
import pytest
from flax import nnx

from ttecg.data.prompt import BOS, PAD, TEXT
from ttecg.models.clip import ClipConfig
from ttecg.models.functional import Functional
from ttecg.models.resnet import ResNetConfig

TINY = {
    "resnet": ResNetConfig(widths=(8, 16), outputs=12, compute="float32"),
    "vocab": TEXT + 40, "text_width": 16, "layers": 2, "heads": 2, "labels": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def clip():
    return ClipConfig(**TINY).create(nnx.Rngs(0))


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(0, 0.3, (3, 128, 8)).astype(np.float32)


@pytest.fixture
def ids():
    """(3, 10), of 8, 5 and 1 ids."""
    rows = np.random.default_rng(1).integers(TEXT, TEXT + 40, (3, 10))
    rows[:, 0] = BOS
    for row, there in zip(rows, (8, 5, 1)):
        row[there:] = PAD
    return rows.astype(np.int32)


def test_both_sides_give_unit_vectors_of_one_width(clip, x, ids):
    for made in (clip.ecg(x), clip.text(ids)):
        assert made.shape == (3, 12) and np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert clip.logits(clip.ecg(x)).shape == (3, 3)


def test_padding_is_not_looked_at(clip, ids):
    vectors = np.asarray(clip.text(ids))
    longer = np.pad(ids, ((0, 0), (0, 7)), constant_values=PAD)
    text = jax.jit(clip.text)
    assert np.allclose(text(longer), vectors, atol=1e-5)
    assert np.allclose(text(ids[1:2, :5]), vectors[1:2], atol=1e-5)


def test_every_id_of_a_text_counts_and_so_does_its_place(clip, ids):
    vector = np.asarray(clip.text(ids[:1]))
    for place in range(1, 8):
        other = ids[:1].copy()
        other[0, place] = TEXT + (other[0, place] - TEXT + 1) % 40
        assert np.abs(clip.text(other) - vector).max() > 1e-4, place
    turned = ids[:1].copy()
    turned[0, 1:8] = turned[0, 7:0:-1]
    assert np.abs(clip.text(turned) - vector).max() > 1e-4


def test_rows_of_a_batch_do_not_see_each_other(clip, x, ids):
    assert np.allclose(clip.ecg(x)[1], clip.ecg(x[1:2])[0], atol=1e-5)
    assert np.allclose(clip.text(ids)[0], clip.text(ids[:1])[0], atol=1e-5)


def test_voltages_are_not_needed(clip, x):
    tall = np.array([1000, 0.01, 1, 5, 0.3, 7, 2, 1], np.float32)
    assert np.allclose(clip.ecg(x), clip.ecg(x * tall + 1), atol=1e-3)


def test_dropout_is_for_training_only(clip, x, ids):
    for side, what in ((clip.ecg, x), (clip.text, ids)):
        assert (np.asarray(side(what)) == np.asarray(side(what))).all()
        assert np.abs(side(what, jax.random.key(0)) - side(what)).max() > 1e-3


def test_every_part_learns(clip, x, ids):
    graph, params = nnx.split(clip)

    def loss(params):
        model = nnx.merge(graph, params)
        ecg = model.ecg(x)
        away = model.scale() * ecg @ model.text(ids).T
        return (jax.nn.log_softmax(away, -1) ** 2).sum() + (model.logits(ecg) ** 2).sum()

    for path, g in nnx.to_flat_state(jax.jit(jax.grad(loss))(params)):
        assert np.abs(g.get_value()).max() > 0, path


def test_scale_is_one_over_the_temperature():
    for temperature in (0.01, 0.07, 1.0):
        made = ClipConfig(**TINY | {"temperature": temperature}).create(nnx.Rngs(0))
        assert float(made.scale()) == pytest.approx(1 / temperature, rel=1e-5)


def test_the_base_pair_is_small(config_of):
    config = config_of("clip_base", f"model.vocab={TEXT + 1000}", "model.labels=76").model
    assert 2 * Functional(config.create).count() < 3e6  # bytes as float16


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"text_width": 18, "heads": 4}, "text_width"),
        ({"text_width": 12, "heads": 4}, "text_width"),
        ({"temperature": 0.001}, "temperature"),
        ({"length": 0}, "length"),
        ({"heads": 0}, "heads"),
        ({"labels": -1}, "labels"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_wrong_sizes(wrong, said):
    with pytest.raises(ValueError, match=said):
        ClipConfig(**wrong)
