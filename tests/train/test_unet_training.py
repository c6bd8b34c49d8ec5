"""The trainer of the U-net: what it draws, what its loss looks at, and resuming."""

import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

import ttecg
from ttecg import bundle, reconstruct
from ttecg.models import lead_maps
from ttecg.train import unet
from ttecg.train.config import load_config, override

DEBUG = load_config(pathlib.Path(__file__).resolve().parents[2] / "configs" / "unet_debug.py")


@pytest.fixture(scope="module")
def straight(four_steps):
    return four_steps(unet.run, override(DEBUG, ["run.ema=0.5"]))


def test_two_steps_and_two_resumed_equal_four(straight, tmp_path):
    straight.assert_resumed_is_the_same(straight.without_last_checkpoint(tmp_path / "copy"))
    assert int(straight.state.step) == 4


def test_training_starts_from_another_run(straight, tmp_path):
    workdir = straight.workdir
    config = override(straight.config, [f"init={workdir}", "run.steps=1", "optimizer.learning_rate=0.0"])
    begun = unet.run(config, tmp_path / "more")
    for name, value in straight.state.ema.items():
        assert (np.asarray(begun.params[name]) == np.asarray(value)).all()
    with pytest.raises(ValueError, match="checkpoint|no model|none of its"):
        unet.run(override(straight.config, [f"init={tmp_path / 'nothing'}"]), tmp_path / "fails")
    wider = override(straight.config, [f"init={workdir}", f"model.widths={(*DEBUG.model.widths[:-1], 32)}"])
    with pytest.raises(ValueError, match="do not fit this model at"):
        unet.run(wider, tmp_path / "fails")
    assert not (tmp_path / "fails").exists()


def test_lead_sets_are_always_answerable():
    rng = np.random.default_rng(0)
    sets = [unet.random_leads(rng) for _ in range(500)]
    assert all(lead_maps.visible(s).any() for s in sets)
    assert {len(s) for s in sets} >= set(range(1, 8)) and ("III",) in sets


def test_voltages_put_back_are_no_input_and_only_correlate():
    x = np.random.default_rng(0).normal(size=(2, 50, 8)).astype(np.float32)
    hidden, spread = np.ones((2, 8), np.float32), np.ones(8, np.float32)
    twice = jnp.asarray(x) * 2
    for measured, wrong in ((np.ones(2), True), (np.zeros(2), False)):
        terms = unet.loss_terms(jnp.asarray(x), twice, hidden, measured.astype(np.float32), spread)
        assert float(terms["pearson"]) == pytest.approx(0, abs=1e-4)
        assert (float(terms["mse"]) > 0.1) == wrong and (float(terms["l1"]) > 0.1) == wrong


def test_a_run_becomes_a_bundle_and_several_join(straight, tmp_path):
    workdir = straight.workdir
    joined = reconstruct.join([workdir, workdir])
    one = reconstruct.load(workdir)
    x = np.random.default_rng(0).normal(size=(2, 200, 8)).astype(np.float32)
    mask = lead_maps.visible(("I", "V3"))
    np.testing.assert_allclose(joined.predict(x, mask), one.predict(x, mask), atol=1e-5)
    out = bundle.export_network(
        tmp_path / "b", "unet", joined.config, joined.params, joined.buffers, dtype="float32"
    )
    again = reconstruct.load(out)
    assert again.hash == joined.hash and again.config.members == 2
    assert type(ttecg.load(out)) is type(again) and ttecg.load("kors").name == "kors"
    assert not list(tmp_path.glob("*partial*"))
    with pytest.raises(ValueError, match="exists"):
        bundle.export_network(out, "unet", joined.config, joined.params, joined.buffers)
