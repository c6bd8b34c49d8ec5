"""A waveform decoder loaded from where it was trained and from a bundle, and evaluated beside the tokenizer's own."""

import dataclasses
import json

import numpy as np
import pytest

from ttecg import bundle, cli, decoder, generate
from ttecg.data.files import read_ecg
from ttecg.evaluate import decoder as evaluation
from ttecg.train import decoder as training


@pytest.fixture(scope="module")
def trained(config_of, debug_bundle, tmp_path_factory):
    """Work directory of two steps on the codes of the debug bundle."""
    changes = (
        "run.steps=2",
        "run.mesh_data=1",
        "run.log_every=1",
        "validation=2",
        "sources=('simulator:4',)",
    )
    config = config_of("decoder_debug", *changes, f"tokenizer={debug_bundle}")
    workdir = tmp_path_factory.mktemp("runs") / "decoder"
    training.run(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "both"
    decoder.export(trained, out, dtype="float32")
    return out


def test_a_bundle_decodes_as_the_work_directory_does(trained, exported, debug_bundle):
    codes = np.random.default_rng(0).integers(32, size=(2, 312, 2))
    one, two = decoder.load(trained), decoder.load(exported)
    assert one.decode(codes).shape == (2, 2500, 8) and one.hash == two.hash
    np.testing.assert_array_equal(one.decode(codes), two.decode(codes))
    assert not any("judge" in name for name in two.params)


def test_the_bundle_is_the_one_of_its_codes_with_a_decoder(exported, debug_bundle):
    mine, before = (json.loads((path / "config.json").read_text()) for path in (exported, debug_bundle))
    assert mine == before | {"name": "both", "decoder": mine["decoder"]}
    files = {path.name for path in exported.iterdir()}
    assert files == {path.name for path in debug_bundle.iterdir()} | {decoder.DECODER}
    assert "HiFi-GAN" in (exported / bundle.CARD).read_text()
    assert generate.load(exported).tokenizer.hash == generate.load(debug_bundle).tokenizer.hash


def test_what_is_no_decoder_is_named(trained, exported, debug_bundle, debug_runs, config_of, tmp_path):
    with pytest.raises(ValueError, match="has no HiFi-GAN"):
        decoder.load(debug_bundle)
    with pytest.raises(ValueError, match="a DecoderTraining run is needed"):
        decoder.load(debug_runs.tokenizer)
    with pytest.raises(ValueError, match="give another --out"):
        decoder.export(trained, exported)
    config = json.loads((trained / "config.json").read_text()) | {"tokenizer": str(debug_runs.tokenizer)}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="was trained on the work directory"):
        decoder.export(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_generate_takes_either_decoder(exported, debug_bundle, tmp_path, capsys):
    model = generate.load(exported)
    other = model.with_decoder("hifigan")
    vq, hifigan, again = (
        m.generate("sinus rhythm", num=1, seed=3)[0].signal
        for m in (model, other, model.with_decoder("hifigan"))
    )
    assert vq.shape == hifigan.shape == (5000, 12) and np.abs(vq - hifigan).max() > 0.01
    np.testing.assert_array_equal(hifigan, again)
    assert other.hash != model.hash and model.decoder is model.tokenizer
    argv = ["generate", "sinus rhythm", "--seed", "3", "--decoder", "hifigan", "--no-pictures"]
    assert cli.main([*argv, "--model", str(exported), "--out", str(tmp_path / "made")]) == 0
    written = read_ecg(tmp_path / "made" / "ecg-0001").signal
    np.testing.assert_allclose(written, hifigan, atol=0.0016)
    assert cli.main([*argv, "--model", str(debug_bundle), "--out", str(tmp_path / "none")]) == 2
    assert "has no HiFi-GAN" in capsys.readouterr().err and not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A prepared set of 20 records of ten patients, of simulated ECGs with reports."""
    from ttecg.data.prepare import prepare
    from ttecg.data.simulated import Simulated
    from ttecg.data.write_folder import write_folder

    root, made = tmp_path_factory.mktemp("simulated"), Simulated(20, rate=100.0)
    ecgs = (
        ecg.replace(id=f"r{i}", info={"patient_id": f"p{i // 2}", "fold": 10})
        for i, ecg in enumerate(made[n] for n in range(20))
    )
    write_folder(list(ecgs), root / "records")
    return prepare("folder", root / "records", root / "set")


def test_both_decoders_are_scored(trained, debug_bundle, simulated, tmp_path, capsys):
    rows = evaluation.evaluate(debug_bundle, trained, simulated, out=tmp_path / "out")
    assert [row["decoder"] for row in rows] == ["vq", "hifigan", "difference", "recorded"]
    vq, hifigan, difference, recorded = rows
    for row in (vq, hifigan):
        numbers = [row[k] for k in (*evaluation._SCORES, "seconds_1", "seconds_16", *evaluation.BANDS)]
        assert np.isfinite(numbers).all() and -1 <= row["r"] <= 1
        assert all(len(row[k]) == 3 and min(row[k]) >= 0 for k in ("fid_decoded", "fid_generated"))
    assert difference["prd"][0] == pytest.approx(hifigan["prd"] - vq["prd"])
    assert recorded["fid_decoded"][0] > 0 and recorded["fid_generated"] is None
    stored = json.loads((tmp_path / "out" / "decoder.json").read_text())
    assert stored["records"] == 20 and len(stored["rows"]) == 4
    assert (tmp_path / "out" / "curves-decoder.png").is_file()
    assert "hifigan" in capsys.readouterr().out


def test_a_decoder_of_other_codes_and_too_few_records_are_named(
    trained, debug_bundle, simulated, monkeypatch
):
    with pytest.raises(ValueError, match="at least 16 are needed"):
        monkeypatch.setattr(evaluation, "with_reports", lambda records: [records[0]])
        evaluation.evaluate(debug_bundle, trained, simulated)
    loaded = decoder.load(trained)
    other = dataclasses.replace(loaded, config=dataclasses.replace(loaded.config, codes=64))
    monkeypatch.setattr(decoder, "load", lambda name: other)
    with pytest.raises(ValueError, match="the tokenizer has codes 32"):
        evaluation.evaluate(debug_bundle, trained, simulated)


def test_spectral_distance_in_decibels():
    x = np.random.default_rng(0).normal(size=(5000, 3))
    assert evaluation.spectral_distance(x, x, 500.0, (0.5, 45.0)) == 0
    assert evaluation.spectral_distance(x, 10 * x, 500.0, (0.5, 45.0)) == pytest.approx(20, abs=0.01)
    slow = np.sin(np.arange(5000) / 500 * 2 * np.pi * 10)[:, None]
    hum = slow + 0.1 * np.sin(np.arange(5000) / 500 * 2 * np.pi * 60)[:, None]
    inside, above = (evaluation.spectral_distance(slow, hum, 500.0, b) for b in evaluation.BANDS.values())
    assert above > 10 * inside


def test_the_floor_of_sets_and_a_shift():
    x = np.random.default_rng(0).normal(size=(40, 3))
    patients = np.arange(40) // 2
    floor, low, high = evaluation.set_distance(x, x, patients)
    assert low <= floor <= high
    assert evaluation.set_distance(x, x + 3, patients)[0] > floor + 20
