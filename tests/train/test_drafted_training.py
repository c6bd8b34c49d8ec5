"""The drafting generator from the simulator to a bundle that writes ECGs."""

import dataclasses

import numpy as np
import pytest

import ttecg
from ttecg import bundle
from ttecg.data.simulator import simulate
from ttecg.data.usual_beats import usual_beats
from ttecg.ecg import INDEPENDENT
from ttecg.models import beat_basis, measures
from ttecg.models.layout import window
from ttecg.train import beat_basis as basis_run
from ttecg.train import codes, generator, recorder


@pytest.fixture(scope="module")
def basis(config_of, debug_runs, tmp_path_factory):
    there = tmp_path_factory.mktemp("basis") / "basis"
    basis_run.run(
        config_of("beat_basis", f"tokenizer={debug_runs.tokenizer}", 'sources=["simulator:170"]'), there
    )
    return there


@pytest.fixture(scope="module")
def straight(four_steps, config_of, debug_runs, basis):
    there = (f"text={debug_runs.text}", f"tokenizer={debug_runs.tokenizer}", f"basis={basis}")
    return four_steps(generator.run, config_of("drafted_debug", *there))


def test_a_resumed_run_is_the_same(straight, tmp_path):
    copy = straight.without_last_checkpoint(tmp_path / "copy")
    straight.assert_resumed_is_the_same(copy)
    last = straight.lines()[-1]
    assert {"val_measures", "val_plan", "val_kinds", "val_usual", "val_code_1", "val_code_2"} <= set(last)


def test_the_basis_in_the_file_rebuilds_beats(basis):
    before, length = window(250.0)
    ecgs = [simulate(["sinus rhythm"], seed, rate=250.0) for seed in range(900, 912)]
    beats = [
        usual_beats(
            e.select(INDEPENDENT).bandpass(0.5, 40.0).signal, e.info["r_peaks"], 250.0, before, length
        )
        for e in ecgs
    ]
    beats = np.stack([usual[0] for usual, _ in beats])
    found = basis_run.load(basis)
    assert np.corrcoef(found.decode(found.encode(beats)).ravel(), beats.ravel())[0, 1] > 0.95


def test_what_is_extracted(debug_runs, basis, tmp_path):
    tokenizer, found = bundle.load_tokenizer(debug_runs.tokenizer), basis_run.load(basis)
    extract = (("simulator:12", "train", tokenizer, 2, 0, tmp_path), {"basis": found})
    made = codes.extract(*extract[0], **extract[1])
    assert made.usual.shape == (12, 2, beat_basis.COMPONENTS) and made.draft.shape == made.codes.shape
    assert made.measures.shape == (12, len(measures.MEASURES)) and (made.measures < measures.BINS).all()
    rate = np.array([60 / np.median(np.diff(p[np.isfinite(p)])) for p in made.peaks])
    bins = made.measures[:, measures.NAMES.index("heart_rate")]
    assert (np.abs([measures.MEASURES[0].bin(r) for r in rate] - bins.astype(int)) <= 1).all()
    again = codes.extract(*extract[0], **extract[1])
    np.testing.assert_array_equal(made.draft, again.draft)
    assert codes.extract(*extract[0]).usual is None  # without a basis nothing is drafted


def test_a_bundle_of_it_writes_what_is_asked_for(straight, tmp_path):
    model = ttecg.load(bundle.export(straight.workdir, tmp_path / "drafted"))
    ecgs = model.generate("sinus rhythm", num=2, seed=1, rr=[0.8], guidance=1.5)
    assert len(ecgs) == 2 and ecgs[0].signal.shape == (5000, 12) and np.isfinite(ecgs[0].signal).all()
    np.testing.assert_allclose(np.diff(ecgs[0].info["planned_peaks"]), 0.8, atol=0.011)
    again = model.generate("sinus rhythm", num=1, seed=1, rr=[0.8], guidance=1.5)
    np.testing.assert_allclose(again[0].signal, ecgs[0].signal, atol=1e-3)


def test_a_recorder_in_the_bundle_is_heard_unless_it_is_muted(straight, config_of, tmp_path):
    config = config_of("recorder", f"tokenizer={straight.config.tokenizer}", 'sources=["simulator:16"]')
    recorder.run(config, tmp_path / "recorder")
    model = ttecg.load(bundle.export(straight.workdir, tmp_path / "drafted", recorder=tmp_path / "recorder"))
    loud, quiet = (model.generate("sinus rhythm", seed=1, noise=n)[0].signal for n in (1.0, 0.0))
    plain = ttecg.load(bundle.export(straight.workdir, tmp_path / "plain")).generate("sinus rhythm", seed=1)
    np.testing.assert_array_equal(quiet, plain[0].signal)
    assert np.abs(loud - quiet).max() > 0.01
    np.testing.assert_allclose(loud[:, 2], loud[:, 1] - loud[:, 0], atol=1e-9)


def test_wrong_inputs(straight, config_of, tmp_path):
    missing = dataclasses.replace(straight.config, basis=str(tmp_path / "none"))
    with pytest.raises(ValueError, match="ttecg train beat-basis"):
        generator.run(missing, tmp_path / "run")
    with pytest.raises(ValueError, match="holds no recorder.safetensors"):
        bundle.export(straight.workdir, tmp_path / "out", recorder=tmp_path)
    assert not (tmp_path / "run").exists() and not (tmp_path / "out").exists()
    few = config_of("recorder", f"tokenizer={straight.config.tokenizer}", 'sources=["simulator:4"]')
    with pytest.raises(ValueError, match="at least 8"):
        recorder.run(few, tmp_path / "few-recordings")
    few = config_of("beat_basis", f"tokenizer={straight.config.tokenizer}", 'sources=["simulator:4"]')
    with pytest.raises(ValueError, match="too few"):
        basis_run.run(few, tmp_path / "few")
