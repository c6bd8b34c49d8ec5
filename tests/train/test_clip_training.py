"""The CLIP pair's trainer: resumed equals straight bit for bit, equal texts do not repel, and what the texts hold."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.data.batches import row_rng
from ttecg.data.prompt import BOS, TEXT
from ttecg.data.reports import NOTHING
from ttecg.ecg import ECG
from ttecg.models.clip import LARGEST_LOG_SCALE
from ttecg.models.functional import Functional
from ttecg.train import clip
from ttecg.train.clip import ClipTraining, contrastive, fewer, label_loss, number, shown, spoken
from ttecg.train.state import OptimizerConfig

TINY = (
    "model.resnet.widths=(8,16)",
    "model.length=16",
    "sources=('simulator:8',)",
    "crop=128",
    "validation=4",
)


@pytest.fixture(scope="module")
def config(config_of, debug_runs):
    return config_of("clip_debug", *TINY, f"text={debug_runs.text}")


@pytest.fixture(scope="module")
def functional(config_of):
    return Functional(
        config_of("clip_debug", *TINY, f"model.vocab={TEXT + 9}", "model.labels=2").model.create
    )


def batch_of(rows: int = 4):
    rng = np.random.default_rng(0)
    ids = rng.integers(TEXT, TEXT + 9, (rows, 16)).astype(np.int32)
    ids[:, 0] = BOS
    return {
        "signal": rng.normal(0, 0.3, (rows, 128, 8)).astype(np.float32),
        "ids": ids,
        "said": np.arange(1, rows + 1, dtype=np.int32),
        "target": rng.integers(0, 2, (rows, 2)).astype(np.float32),
    }


def test_resumed_equals_straight(config, four_steps, tmp_path):
    straight = four_steps(clip.run, config)
    cut = straight.without_last_checkpoint(tmp_path / "cut")
    (cut / "text.model").unlink()
    straight.assert_resumed_is_the_same(cut)
    assert (cut / "text.model").read_bytes() == (straight.workdir / "text.model").read_bytes()
    scores = next(line for line in straight.lines() if "val_own_text_to_ecg_r10" in line)
    assert scores["val_own_chance_r1"] == 0.25 <= scores["val_chance_r1"]


def test_contrastive_against_a_plain_loop():
    rng = np.random.default_rng(1)
    ecg, text = rng.normal(size=(2, 5, 3)).astype(np.float32)
    said, total = np.array([7, 3, 0, 7, 9]), 0.0
    there = [i for i in range(5) if said[i]]
    for a, b in ((ecg, text), (text, ecg)):
        for i in there:
            weight = np.exp(2 * b[there] @ a[i])
            right = said[there] == said[i]
            total -= np.log(weight / weight.sum())[right].mean() / 2
    assert float(contrastive(ecg, text, 2.0, said)) == pytest.approx(total / len(there), rel=1e-5)


def test_equal_texts_do_not_repel():
    ecg = jnp.asarray([[1.0, 0], [0.6, 0.8], [-1, 0]])
    pull = jax.grad(lambda text, said: contrastive(ecg, text, 5.0, said))
    text = jnp.asarray([[1.0, 0], [0.6, 0.8], [-1, 0]])
    alike, apart = pull(text, jnp.array([1, 1, 3])), pull(text, jnp.array([1, 2, 3]))
    # how far a step down the slope takes text 0 towards ECG 1
    assert -alike[0] @ ecg[1] > 0.01 and -apart[0] @ ecg[1] < -0.01
    assert contrastive(ecg, text, 5.0, jnp.array([1, 2, 3])) != contrastive(
        ecg, text, 5.0, jnp.array([1, 1, 3])
    )


def test_rows_without_text_only_tell_labels(functional, config):
    params, buffers = functional.init(jax.random.key(0))

    def loss(signal, said, weight):
        model = functional.merge(params, buffers)
        batch = batch_of()
        ecg, text = model.ecg(signal), model.text(batch["ids"])
        return contrastive(ecg, text, model.scale(), said) + weight * label_loss(
            model.logits(ecg), batch["target"]
        )

    slope = jax.jit(jax.grad(loss))
    said = np.array([1, 0, 2, 3])
    alone = np.abs(slope(batch_of()["signal"], said, 0.0)).max((1, 2))
    assert alone[1] == 0 and (alone[[0, 2, 3]] > 0).all()
    assert (np.abs(slope(batch_of()["signal"], said, 1.0)).max((1, 2)) > 0).all()
    assert (np.asarray(slope(batch_of()["signal"], np.zeros(4, int), 0.0)) == 0).all()


def test_labels_that_are_not_known_teach_nothing():
    logits, target = np.array([[2.0, -1], [0.5, 3]]), np.array([[1.0, np.nan], [np.nan, 0]])
    expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(3.0))) / 2
    assert float(label_loss(logits, target)) == pytest.approx(expected, rel=1e-5)
    assert (np.asarray(jax.grad(label_loss)(logits, target))[[0, 1], [1, 0]] == 0).all()
    assert float(label_loss(logits, np.full((2, 2), np.nan))) == 0


def test_one_batch_can_be_learned_and_the_scale_is_held(config, functional, learn):
    high = jnp.float32(LARGEST_LOG_SCALE)
    what = dataclasses.replace(
        clip.objective(config),
        functional=functional,
        loss=functools.partial(clip.loss, functional, config),
        optimizer=OptimizerConfig(learning_rate=1e-2, warmup=1, schedule="constant"),
    )
    made = learn(what, batch_of(), 60, lambda state: state.params.update(log_scale=high + 1))
    losses = [m["loss"] for _, m in made]
    scales = [float(state.params["log_scale"]) for state, _ in made]
    assert losses[-1] < 0.3 * losses[0]
    assert max(scales) <= high and min(scales) < high - 0.01  # held there, and free to come back


def test_texts_hold_findings_only():
    said = spoken("Sinusrhythmus 75/min, 63 year old male patient, Linksschenkelblock")
    assert said == "sinus rhythm. left bundle branch block"
    assert spoken(said) == said
    assert spoken("woman, aged 45") == NOTHING
    assert spoken("") == spoken(" -. ") == spoken(None) == ""


def test_rows_are_a_function_of_their_random_numbers(config, debug_runs):
    from ttecg.data.batches import open_sources
    from ttecg.data.prompt import PromptEncoder

    encoder = PromptEncoder((debug_runs.text / "text.model").read_bytes(), (), config.model.length)
    sources, mixture = open_sources(config.sources, "train")
    make = clip._row_maker(config, encoder, ("NORM", "MI"), sources, mixture)
    one, again, other = (make(row_rng(0, 5, row)) for row in (1, 1, 2))
    assert {k: v.shape for k, v in one.items()} == {
        "signal": (128, 8),
        "ids": (16,),
        "said": (),
        "target": (2,),
    }
    assert all(np.array_equal(one[k], again[k], equal_nan=k == "target") for k in one)
    assert not np.array_equal(one["signal"], other["signal"]) and one["said"] > 0 and one["ids"][0] == BOS


def test_phrases_are_left_out_but_never_all():
    text, rng = "sinus rhythm. normal axis. low voltage", np.random.default_rng(0)
    made = [fewer(text, rng) for _ in range(200)]
    assert all(set(m.split(". ")) <= set(text.split(". ")) for m in made)
    assert 0.05 < np.mean([m.count(". ") < 2 for m in made]) < 0.6 and text in made
    assert fewer("sinus rhythm", rng) == "sinus rhythm"
    assert number(text) == number(text[:]) != number("sinus rhythm") and number("") == 0


def test_signals(config):
    rng = np.random.default_rng(0)
    short = shown(np.ones((100, 8)), config, rng)
    assert short.shape == (128, 8) and (short[100:] == 0).all() and short[:100].max() == 1
    hidden = [1 - shown(np.ones((300, 8)), config, rng)[0].mean() for _ in range(300)]
    assert np.mean(hidden) == pytest.approx(config.hide, abs=0.03) and max(hidden) < 1


def test_validation_needs_reports(config, monkeypatch):
    silent = [ECG(signal=np.ones((5000, 12)), rate=500.0, labels=("NORM",))] * 3
    with pytest.raises(ValueError, match="have a report"):
        clip._held_out([silent], config)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"labels": ("form",)}, "superclass"),
        ({"crop": 3}, "crop"),
        ({"noise": -1.0}, "noise"),
        ({"hide": 1.0}, "hide"),
        ({"omit": 1.5}, "omit"),
        ({"label_loss": float("nan")}, "label_loss"),
        ({"validation": 1}, "validation"),
    ],
)
def test_wrong_configs(wrong, said):
    with pytest.raises(ValueError, match=said):
        ClipTraining(**wrong)
