"""Encoders: what they see, that batches and lengths change nothing, and bundles that come back the same."""

import numpy as np
import pytest

import ttecg
from ttecg import encoders
from ttecg.data.simulator import simulate
from ttecg.train import classifier, clip, wav2vec

TINY = ("run.steps=2", "run.log_every=1", "run.eval_every=2", "run.checkpoint_every=2", "run.mesh_data=1",
        "sources=('simulator:12',)")  # fmt: skip


@pytest.fixture(scope="module")
def ecgs():
    return [simulate(("sinus rhythm",), seed=i, duration=4.0 + i % 2) for i in range(5)]


@pytest.fixture(scope="module")
def runs(config_of, debug_runs, tmp_path_factory):
    root = tmp_path_factory.mktemp("encoders")
    classifier.run(config_of("classifier_debug", *TINY, "model.widths=(8,)"), root / "classifier")
    clip.run(
        config_of("clip_debug", *TINY, "model.resnet.widths=(8,)", f"text={debug_runs.text}"), root / "clip"
    )
    wav2vec.run(config_of("wav2vec_debug", *TINY), root / "encoder")
    return root


@pytest.mark.parametrize("kind", ["classifier", "clip", "encoder"])
def test_a_bundle_answers_as_its_run(runs, ecgs, kind, tmp_path):
    run = encoders.load(runs / kind)
    encoders.export(runs / kind, tmp_path / kind, dtype="float32")
    bundle = ttecg.load(tmp_path / kind)
    np.testing.assert_allclose(bundle.features(ecgs), run.features(ecgs), atol=1e-5)
    assert bundle.kind == kind and bundle.hash == run.hash
    if kind == "classifier":
        assert bundle.names == run.names and ((p := bundle.probabilities(ecgs)) > 0).all() and (p < 1).all()
    if kind == "clip":
        words = bundle.texts(["sinus rhythm", "Vorhofflimmern"])
        np.testing.assert_allclose((words**2).sum(1), 1, atol=1e-4)
        np.testing.assert_allclose((bundle.features(ecgs) ** 2).sum(1), 1, atol=1e-4)


def test_order_batches_and_gain_change_nothing(runs, ecgs, monkeypatch):
    encoder = encoders.load(runs / "encoder")
    whole = encoder.features(ecgs)
    taller = encoder.features(e.replace(signal=2 * e.signal) for e in ecgs)
    np.testing.assert_allclose(whole, taller, atol=1e-4)
    monkeypatch.setattr(encoders, "_READ_AHEAD", 2)
    np.testing.assert_allclose(encoder.features(ecgs[::-1])[::-1], whole, atol=1e-5)


def test_hidden_leads_are_not_looked_at(runs, ecgs):
    encoder = encoders.load(runs / "encoder")
    changed = [e.replace(signal=np.where(np.arange(12) > 5, 9.0 * e.signal[::-1], e.signal)) for e in ecgs]
    seen = encoder.features(ecgs, leads=("I", "II"))
    np.testing.assert_allclose(encoder.features(changed, leads=("I", "II")), seen, atol=1e-5)
    assert np.abs(encoder.features(ecgs) - seen).max() > 1e-3


def test_wrong_input(runs, ecgs, tmp_path):
    encoder = encoders.load(runs / "encoder")
    with pytest.raises(ValueError, match="at least 2 s"):
        encoder.features([ecgs[0].crop(0, 1)])
    with pytest.raises(ValueError, match="no ECGs"):
        encoder.features([])
    with pytest.raises(ValueError, match="one of classifier, clip, encoder is needed"):
        encoders.load("unet")
