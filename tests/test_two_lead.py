"""Twelve leads from two: any length and rate, Einthoven in what is written, what wrong inputs are told."""

import json
import pathlib

import jax
import numpy as np
import pytest

from ttecg import bundle, cli
from ttecg.data.files import read_ecg, write_ecg
from ttecg.data.simulator import simulate
from ttecg.ecg import ECG, LEADS, einthoven_residual
from ttecg.evaluate import two_lead as evaluation
from ttecg.models.two_lead import TwoLeadConfig
from ttecg.train.two_lead import functional_of
from ttecg.two_lead import TwoLeadModel, load

CONFIG = TwoLeadConfig(widths=(8, 16), style_width=8, condition=16, style=8)


@pytest.fixture(scope="module")
def model():
    functional, rng = functional_of(CONFIG), np.random.default_rng(0)
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    params = {
        k: np.asarray(v) + 0.02 * rng.normal(size=v.shape).astype(np.float32) for k, v in params.items()
    }
    return TwoLeadModel("tiny", CONFIG, functional, params, buffers)


@pytest.fixture(scope="module")
def records():
    """Lead I at 250 Hz for 6.3 s, lead II at 500 Hz for 4 s, of one simulated heart."""
    ecg = simulate(["sinus rhythm"], 7)
    return ecg.crop(0, 6.3).select(("I",)).resample(250), ecg.crop(5, 4).select(("II",))


@pytest.fixture
def shipped(model, tmp_path):
    """The model as a bundle."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    stored = {"name": "tiny", "kind": "two-lead", "model": bundle.dataclasses.asdict(CONFIG)}
    (folder / "config.json").write_text(json.dumps(stored))
    bundle.save_arrays(folder / "model.safetensors", model.params, model.buffers, "float32")
    return folder


def test_lead_i_gives_length_and_rate(model, records):
    for seconds, rate in ((2.5, 500.0), (6.3, 128.0), (23.0, 250.0)):
        whole = (
            simulate(["sinus rhythm"], 3, duration=30.0) if seconds > 10 else simulate(["sinus rhythm"], 3)
        )
        lead_i = whole.crop(0, seconds).select(("I",)).resample(rate)
        made = model.reconstruct(lead_i, records[1])
        assert made.leads == LEADS and made.rate == rate and made.signal.shape == (len(lead_i.signal), 12)
        assert np.isfinite(made.signal).all() and einthoven_residual(made) < 1e-6


def test_windows_of_a_long_lead_join_without_a_step(model, records):
    long = simulate(["sinus rhythm"], 3, duration=30.0)
    y = model.predict(model.prepare(long.lead("I"), 500.0), model.prepare(records[1].signal[:, 0], 500.0))
    assert y.shape == (3000, 8)
    assert np.abs(np.diff(y, axis=0)).max() < 3 * np.abs(y).max()
    assert np.all(np.abs(y).reshape(30, 100, 8).max(1) > 0)


def test_lead_i_is_kept_where_asked(model, records):
    cleaned, kept = (model.reconstruct(*records, keep_input=k) for k in (False, True))
    np.testing.assert_array_equal(kept.lead("I"), records[0].signal[:, 0])
    assert np.abs(cleaned.lead("I") - kept.lead("I")).max() > 1e-4
    np.testing.assert_allclose(kept.lead("III"), kept.lead("II") - kept.lead("I"), atol=1e-6)


def test_lead_ii_is_as_tall_as_it_was_recorded(model):
    x = simulate(["sinus rhythm"], 4).select(evaluation.INDEPENDENT).resample(100).bandpass(0.67, 40).signal
    blunt = x * np.where(np.arange(8) == 1, 0.7, 1.0)
    made = model._as_tall(blunt, x[:, 0], x[:, 1])
    row = evaluation.scores(x, made, 100.0)
    assert evaluation.scores(x, blunt, 100.0)["R_II_amplitude_%"] > 25 and row["R_II_amplitude_%"] < 6
    np.testing.assert_array_equal(made[:, 2:], x[:, 2:])
    np.testing.assert_array_equal(model._as_tall(blunt, 0 * x[:, 0], x[:, 1]), blunt)


def test_a_bundle_is_the_model(model, shipped, records):
    loaded = load(shipped)
    assert loaded.name == "tiny" and loaded.hash == model.hash
    np.testing.assert_array_equal(loaded.reconstruct(*records).signal, model.reconstruct(*records).signal)


def test_the_command_writes_record_picture_and_manifest(shipped, records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ttecg.runtime.keep_compiled_programs", lambda: None)
    write_ecg(simulate(["sinus rhythm"], 7), "whole")
    write_ecg(records[1].replace(leads=("ECG",)), "second")
    words = ["two-lead", "--lead-i", "whole", "--lead-ii", "second", "--model", str(shipped), "--out", "out"]
    assert cli.main(words) == 0, capsys.readouterr().err
    names = ["manifest.jsonl", "whole-original.png", "whole.dat", "whole.hea", "whole.png"]
    assert sorted(p.name for p in pathlib.Path("out").iterdir()) == names
    ecg = read_ecg("out/whole")
    assert ecg.leads == LEADS and ecg.signal.shape == (5000, 12) and einthoven_residual(ecg) < 0.00151
    header = pathlib.Path("out/whole.hea").read_text()
    assert "SYNTHETIC" in header and "Not for diagnosis" in header
    line = json.loads(pathlib.Path("out/manifest.jsonl").read_text())
    assert line["lead_ii"] == "second" and line["model"] == "tiny" and line["lead_i_kept"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.replace(leads=("V1",)), "has no lead I, only V1"),
        (lambda e: e.replace(signal=e.signal[:3]), "at least 2.5 s are needed"),
        (
            lambda e: e.replace(signal=np.where(np.arange(len(e.signal))[:, None] == 5, np.nan, e.signal)),
            "NaN",
        ),
        (lambda e: e.replace(signal=0 * e.signal), "not connected"),
    ],
)
def test_wrong_inputs_are_one_line(model, records, change, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wrong = change(records[0])
    with pytest.raises(ValueError, match=message):
        model.reconstruct(wrong, records[1])
    write_ecg(wrong, "i.csv"), write_ecg(records[1], "ii.csv")
    assert cli.main(["two-lead", "--lead-i", "i.csv", "--lead-ii", "ii.csv", "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and message in said and not pathlib.Path("out").exists()


def test_what_is_no_two_lead_model_is_said_so(tmp_path):
    with pytest.raises(ValueError, match="no model"):
        load(tmp_path)
    with pytest.raises(ValueError, match="no two-lead model"):
        load("demo")


# ---- evaluation ----------------------------------------------------------------------------------


def test_a_perfect_answer_has_no_error_and_a_late_one_is_as_late_as_it_is():
    x = simulate(["sinus rhythm"], 4).select(evaluation.INDEPENDENT).resample(100).bandpass(0.67, 40).signal
    row = evaluation.scores(x, x, 100.0)
    assert row["r_V"] == pytest.approx(1) and row["timing_ms"] == row["missed"] == row["R_II_ms"] == 0
    late = evaluation.scores(x, np.roll(1.2 * x, 2, axis=0), 100.0)
    assert late["timing_ms"] == pytest.approx(20, abs=4) and late["R_II_ms"] == pytest.approx(20, abs=2.1)
    assert late["R_II_amplitude_%"] == pytest.approx(20, abs=1)
    assert np.isnan(evaluation.scores(x, x, 100.0, seen_ii=True)["r_II"])


def test_peaks_are_matched_one_to_one():
    assert evaluation.peak_timing([100, 500], [105, 110, 900], 500.0) == (10.0, 0.5)
    assert np.isnan(evaluation.peak_timing([], [1], 500.0)[0])


def test_it_scores_a_set(model, shipped, tmp_path, monkeypatch, capsys):
    class Records(list):
        pass

    records = Records(simulate(["sinus rhythm"], i).replace(info={"patient_id": str(i)}) for i in range(2))
    monkeypatch.setattr(evaluation, "open_dataset", lambda data, split: records)
    monkeypatch.setattr(evaluation, "OFFSETS", (0, 5))
    monkeypatch.setattr(evaluation, "SNRS", (6,))
    results = evaluation.evaluate(shipped, "set", against=(), out=tmp_path / "scores")
    assert [row["offset_s"] for row in results["offsets"]] == [0, 5] and len(results["noise"]) == 3
    stored = json.loads((tmp_path / "scores" / "two_lead.json").read_text())
    assert stored["records"] == 2 and stored["rows"][0]["r_V"] == results["systems"][0]["r_V"]
    assert (
        tmp_path / "scores" / "two_lead.png"
    ).is_file() and "two-lead, 5 s apart" in capsys.readouterr().out
    assert isinstance(records[0], ECG)
