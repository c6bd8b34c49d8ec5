"""The self-supervised encoder's trainer: resumed equals straight bit for bit, no right answer is among the wrong ones,
and segments, hidden leads and hidden frames are what the config says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.data.batches import open_sources, row_rng
from ttecg.models.functional import Functional
from ttecg.train import wav2vec
from ttecg.train.state import OptimizerConfig
from ttecg.train.wav2vec import Wav2VecTraining, masked_loss, segment_loss, wrong_frames

TINY = (
    "model.stem_width=8",
    "sources=('simulator:16',)",
    "segment=128",
    "span=4",
)


@pytest.fixture(scope="module")
def config(config_of):
    return config_of("wav2vec_debug", *TINY)


@pytest.fixture(scope="module")
def functional(config):
    return Functional(config.model.create)


@pytest.fixture(scope="module")
def straight(config, four_steps):
    return four_steps(wav2vec.run, config)


def batch_of(config, rows: int = 4):
    rng = np.random.default_rng(0)
    waves = np.cumsum(rng.normal(0, 0.1, (rows, 256, 8)), 1)
    return {
        "signal": np.stack([wav2vec.pair(x, config, rng) for x in waves]),
        "hidden": np.stack([wav2vec.hidden_frames(config, rng) for _ in waves]),
        "record": np.arange(rows, dtype=np.int32),
    }


def test_resumed_equals_straight(straight, tmp_path):
    straight.assert_resumed_is_the_same(straight.without_last_checkpoint(tmp_path / "cut"))


def test_validation_is_logged(straight):
    scores = next(x for x in straight.lines() if "val_masked_accuracy" in x)
    assert 0 <= scores["val_masked_accuracy"] <= 1 and 0 <= scores["val_segment_accuracy"] <= 1
    assert 1 <= scores["val_perplexity"] <= 8.001 and 0 <= scores["val_probe_macro"] <= 1


def test_wrong_frames_are_all_the_others():
    drawn = np.asarray(wrong_frames(jax.random.key(0), 3, 7, 400))
    for place in range(7):
        assert set(drawn[:, place].ravel()) == set(range(7)) - {place}


def test_masked_loss_against_a_plain_loop():
    rng, key = np.random.default_rng(1), jax.random.key(3)
    guess = rng.normal(size=(2, 6, 3))
    codes = rng.integers(0, 2, (2, 6, 2))
    target = np.array([[1.0, 2, 0], [-1, 0, 1], [0, 1, 3], [2, -1, 1]])[codes[..., 0] * 2 + codes[..., 1]]
    hidden = rng.random((2, 6)) < 0.5
    wrong, values, right = np.asarray(wrong_frames(key, 2, 6, 5)), [], []
    cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
    for b, n in zip(*np.nonzero(hidden)):
        others = [m for m in wrong[b, n] if (codes[b, m] != codes[b, n]).any()]
        logits = np.array([cosine(guess[b, n], target[b, m]) for m in (n, *others)]) / 0.2
        values.append(np.log(np.exp(logits).sum()) - logits[0])
        right.append(logits.argmax() == 0)
    loss, accuracy = masked_loss(guess, target, codes, hidden, 0.2, 5, key)
    assert len(values) > 3 and float(loss) == pytest.approx(np.mean(values), rel=1e-4)
    assert float(accuracy) == pytest.approx(np.mean(right))


def test_only_hidden_frames_are_guessed():
    rng = np.random.default_rng(1)
    guess, target = rng.normal(size=(2, 2, 8, 3))
    codes, hidden = np.arange(32).reshape(2, 8, 2), np.arange(16).reshape(2, 8) % 3 == 0
    slope = jax.grad(lambda g: masked_loss(g, target, codes, hidden, 0.2, 4, jax.random.key(0))[0])(guess)
    assert (np.asarray(slope)[~hidden] == 0).all() and (np.abs(slope[hidden]).max(-1) > 0).all()


def test_equal_targets_do_not_repel():
    """Where every frame has the same vector there is nothing to tell apart: no loss, and no gradient that is NaN."""
    guess, target = np.random.default_rng(0).normal(size=(1, 6, 3)), np.ones((1, 6, 3))
    codes, hidden = np.ones((1, 6, 2), int), np.ones((1, 6), bool)
    value, slope = jax.value_and_grad(
        lambda g: masked_loss(g, target, codes, hidden, 0.2, 4, jax.random.key(0))[0]
    )(guess)
    assert value == 0 and (np.asarray(slope) == 0).all()


def test_segment_loss_against_a_plain_loop():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 5, 4))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second)]
    record, total, found = [3, 8, 3, 1, 9], 0.0, []
    for a, b in (unit, unit[::-1]):
        for i in range(5):
            among = [j for j in range(5) if j == i or record[j] != record[i]]
            logits = b[among] @ a[i] / 0.5
            total += (np.log(np.exp(logits).sum()) - logits[among.index(i)]) / 10
            found.append(among[logits.argmax()] == i)
    loss, accuracy = segment_loss(first, second, jnp.array(record), 0.5)
    assert float(loss) == pytest.approx(total, rel=1e-4) and float(accuracy) == np.mean(found[:5])
    loss, accuracy = segment_loss(first, first, jnp.arange(5), 0.05)
    assert accuracy == 1 and loss < 0.1


def test_a_recording_is_no_wrong_answer_to_itself():
    first, second = np.random.default_rng(0).normal(size=(2, 3, 4))
    slope = jax.jit(jax.grad(lambda s, record: segment_loss(first, s, record, 0.5)[0]))
    assert (np.asarray(slope(second, jnp.array([4, 4, 4]))) == 0).all()
    assert np.abs(slope(second, jnp.array([4, 5, 6]))).max() > 0.01


def test_two_segments_that_touch(config):
    rng, config = np.random.default_rng(0), dataclasses.replace(config, hide_lead=0.0)
    x = np.repeat(np.arange(1.0, 1001)[:, None], 8, 1)
    starts = set()
    for _ in range(50):
        made = wav2vec.pair(x, config, rng)
        assert made.shape == (2, 128, 8) and (np.diff(np.concatenate(made)[:, 0]) == 1).all()
        starts.add(made[0, 0, 0])
    assert len(starts) > 20
    short = wav2vec.pair(x[:200], config, rng)[..., 0]
    assert short[0].tolist() == x[:128, 0].tolist() and short[1].tolist() == x[72:200, 0].tolist()
    with pytest.raises(ValueError, match="shorter segment"):
        wav2vec.pair(x[:127], config, rng)


def test_whole_leads_are_hidden_but_never_all(config):
    rng, x = np.random.default_rng(0), np.ones((300, 8))
    made = np.stack([wav2vec.pair(x, config, rng) for _ in range(500)])
    assert np.isin(made, (0, 1)).all() and (made == made[:, :, :1]).all()
    seen = made[:, :, 0]
    assert seen.sum(-1).min() >= 1 and seen.mean() == pytest.approx(0.5 + 0.5 / 8, abs=0.03)
    assert not np.array_equal(seen[:, 0], seen[:, 1])
    alone = wav2vec.pair(x, dataclasses.replace(config, hide_lead=1.0), rng)
    assert (alone[:, 0].sum(-1) == 1).all()


@pytest.mark.parametrize("share, span", [(0.4, 4), (0.9, 1), (0.05, 8)])
def test_hidden_frames_are_spans(config, share, span):
    config, rng = dataclasses.replace(config, hidden=share, span=span), np.random.default_rng(0)
    made = np.stack([wav2vec.hidden_frames(config, rng) for _ in range(200)])
    assert made.shape == (200, 2, 16)
    assert made.mean(-1).min() >= share and made.sum(-1).max() < share * 16 + span
    assert 0 < made.mean((0, 1)).min(), "every frame is hidden sometimes"
    for row in made.reshape(-1, 16):
        edges = np.flatnonzero(np.diff(np.pad(row.astype(int), 1)))
        assert (edges[1::2] - edges[::2]).min() >= span


def test_rows_are_a_function_of_their_random_numbers(config):
    sources, mixture = open_sources(("simulator:16", "simulator:4"), "train")
    make = wav2vec._row_maker(config, sources, mixture)
    one, again, other = (make(row_rng(0, 5, row)) for row in (1, 1, 2))
    assert one["signal"].shape == (2, 128, 8) and one["hidden"].shape == (2, 16)
    assert all(np.array_equal(one[k], again[k]) for k in one)
    assert not np.array_equal(one["signal"], other["signal"])
    assert {int(make(row_rng(0, 0, row))["record"]) for row in range(300)} == set(range(20))


def test_noise_is_a_share_of_each_lead_and_hidden_leads_get_none():
    x = np.random.default_rng(0).normal(0, [[[0.0, 0.1, 3.0]]], (4, 500, 3))
    added = np.asarray(wav2vec.noisy(x, 0.2, jax.random.key(0))) - x
    assert (added[..., 0] == 0).all()
    assert added.std((0, 1))[1:] == pytest.approx([0.02, 0.6], rel=0.1)


def test_training_is_noisy_and_validation_is_not(functional, config):
    model, batch = functional.merge(*functional.init(jax.random.key(0))), batch_of(config)
    terms = jax.jit(lambda noise, key: wav2vec.loss_terms(
        model, dataclasses.replace(config, noise=noise), batch, 1.0, key)["segments"],
        static_argnums=0,
    )  # fmt: skip
    assert terms(0.5, jax.random.key(0)) != terms(0.1, jax.random.key(0)) != terms(0.1, jax.random.key(1))
    assert terms(0.5, None) == terms(0.1, None)


def test_one_batch_can_be_learned(config, learn):
    optimizer = OptimizerConfig(learning_rate=1e-2, warmup=1, schedule="constant")
    what = dataclasses.replace(wav2vec.objective(config), optimizer=optimizer)
    made = learn(what, batch_of(config), 60)
    segments, masked = ([m[name] for _, m in made] for name in ("segments", "masked"))
    assert np.mean(segments[-5:]) < 0.5 * segments[0]
    assert np.mean(masked[-5:]) < 0.9 * np.mean(masked[:5])


def test_the_gumbel_temperature_falls(config):
    config = dataclasses.replace(config, gumbel=(2.0, 0.99, 0.5))
    at = [float(wav2vec.gumbel_temperature(config, step)) for step in (0, 1, 100, 10_000)]
    assert at == pytest.approx([2.0, 1.98, 2 * 0.99**100, 0.5], rel=1e-4)


def test_probe_against_a_known_answer():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 6)), rng.normal(size=(50, 6))
    target = np.stack([x[:, 1] > 0, np.ones(200), x[:, 2] < 0], 1).astype(float)
    target[:150, 2] = np.nan
    scores = wav2vec.probe(x, target, y)
    assert ((scores[:, 0] > 0) == (y[:, 1] > 0)).mean() > 0.9
    assert (scores[:, 1] == 0).all() and ((scores[:, 2] > 0) == (y[:, 2] < 0)).mean() > 0.8


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"segment": 100}, "segment"),
        ({"segment": 64}, "segment"),
        ({"hidden": 1.0}, "hidden"),
        ({"span": 31}, "span"),
        ({"gumbel": (1.0, 0.0, 0.5)}, "gumbel"),
        ({"hide_lead": 1.5}, "hide_lead"),
        ({"temperature": 0.0}, "temperature"),
        ({"negatives": 0}, "negatives"),
        ({"noise": float("nan")}, "noise"),
        ({"validation": 1}, "validation"),
    ],
)
def test_wrong_configs(wrong, said):
    with pytest.raises(ValueError, match=said):
        Wav2VecTraining(**wrong)
