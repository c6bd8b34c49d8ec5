"""The classifier's trainer: resumed equals straight bit for bit, and what is not known teaches nothing."""

import dataclasses

import jax
import numpy as np
import pytest

from ttecg.models.functional import Functional
from ttecg.train import classifier
from ttecg.train.classifier import ClassifierTraining, aurocs, visible_eight, weights_of
from ttecg.train.state import OptimizerConfig, init_state

TINY = (
    "model.widths=(8,16)",
    "sources=('simulator:8',)",
    "crop=128",
)


@pytest.fixture(scope="module")
def config(config_of):
    return config_of("classifier_debug", *TINY)


@pytest.fixture(scope="module")
def functional(config):
    return Functional(config.network.create)


def batch_of(labels: int, rows: int = 4):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (rows, 128, 8)).astype(np.float32)
    return {"signal": x, "target": rng.integers(0, 2, (rows, labels)).astype(np.float32)}


def test_resumed_equals_straight(config, four_steps, tmp_path):
    straight = four_steps(classifier.run, config)
    straight.assert_resumed_is_the_same(straight.without_last_checkpoint(tmp_path / "cut"))
    assert any("val_auroc_macro" in line for line in straight.lines())


def gradient(functional, config, batch):
    state = init_state(functional, config.optimizer.create(1), jax.random.key(0))
    ones = np.ones(len(config.names), np.float32)

    def loss(params, x):
        rows = batch | {"signal": x}
        return classifier.loss(functional, config, ones, params, state, rows, jax.random.key(1))[0]

    return jax.jit(jax.value_and_grad(loss, (0, 1)))(state.params, batch["signal"])


def test_what_is_not_known_teaches_nothing(functional, config):
    batch = batch_of(5)
    batch["target"][1] = np.nan
    batch["target"][2, 3:] = np.nan
    value, (_, by_signal) = gradient(functional, config, batch)
    assert np.isfinite(value) and (np.asarray(by_signal)[1] == 0).all()
    assert all(np.abs(np.asarray(by_signal)[i]).max() > 0 for i in (0, 2, 3))
    batch["target"][:] = np.nan
    value, (by_params, _) = gradient(functional, config, batch)
    assert value == 0 and all((np.asarray(g) == 0).all() for g in by_params.values())


def test_one_batch_can_be_learned(config, learn):
    optimizer = OptimizerConfig(learning_rate=1e-2, warmup=1, schedule="constant")
    what = dataclasses.replace(classifier.objective(config), optimizer=optimizer)
    losses = [m["loss"] for _, m in learn(what, batch_of(5), 60)]
    assert losses[-1] < 0.3 * losses[0]


def test_examples(config):
    rng, x = np.random.default_rng(0), np.ones((100, 8), np.float32)
    made = classifier.augmented(x, config, rng)
    assert made.shape == (128, 8) and (made[100:] == 0).all() and (made[:100] == made[0, 0]).all()
    tall = [classifier.augmented(np.ones((300, 8)), config, rng)[0, 0] for _ in range(50)]
    assert 1 / 1.25 <= min(tall) < 0.95 and 1.05 < max(tall) <= 1.25


def test_leads_that_are_seen():
    assert visible_eight(()).all() and visible_eight(("I", "III", *(f"V{i}" for i in range(1, 7)))).all()
    assert visible_eight(("I",)).tolist() == [True] + 7 * [False]
    assert visible_eight(("aVF", "III", "V6")).tolist() == [True, True, *5 * [False], True]


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"labels": ("form",)}, "superclass"),
        ({"leads": ("V7",)}, "V7"),
        ({"leads": ("III",)}, "name one of them"),
        ({"crop": 3}, "crop"),
        ({"gain": 0.5}, "gain"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_wrong_configs(wrong, said):
    with pytest.raises(ValueError, match=said):
        ClassifierTraining(**wrong)


def test_weights_and_areas():
    target = np.array([[1, 0, np.nan], [0, 0, np.nan], [0, 0, 1], [0, 0, np.nan], [0, 1, np.nan]])
    assert np.allclose(weights_of(target), [2, 2, 1])
    got = aurocs(np.arange(15.0).reshape(5, 3), target, ("a", "b", "c"))
    assert got == {"macro": 0.5, "a": 0.0, "b": 1.0}
    assert aurocs(np.zeros((1, 1)), np.ones((1, 1)), ("a",)) == {}
