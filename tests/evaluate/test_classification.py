"""The study of made leads and classifiers: from end to end on simulated records, resumed, and refused."""

import dataclasses
import json

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.data.dataset import describe
from ttecg.data.simulated import Simulated
from ttecg.data.write_folder import write_folder
from ttecg.evaluate import classification
from ttecg.evaluate.classification import BASE, REAL, evaluate
from ttecg.evaluate.classifier_fit import fit_and_score
from ttecg.evaluate.classifier_signals import Maker, Recordings, split
from ttecg.models.functional import Functional
from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.loop import RunConfig

TINY = ClassifierTraining(
    model=ResNetConfig(widths=(8,), stem_stride=8, amplitude=True), crop=128, run=RunConfig(steps=3, batch=8)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared set of 40 records of 20 patients in ten folds."""
    root = tmp_path_factory.mktemp("classification")
    ecgs = []
    for i, ecg in enumerate(Simulated(40, rate=100.0)[n] for n in range(40)):
        ecgs.append(ecg.replace(id=f"r{i}", info={"patient_id": f"p{i // 2}", "fold": 1 + i // 2 % 10}))
    write_folder(ecgs, root / "records")
    assert (
        main(["data", "prepare", "folder", "--source", str(root / "records"), "--out", str(root / "set")])
        == 0
    )
    assert set(describe(root / "set")["records"]) >= {"train", "test"}
    return root / "set"


def copies(x):
    """Stands for a reconstructor: real I and II, and chest leads that are copies of them."""
    return np.concatenate([x[..., :2], np.repeat(x[..., 1:2], 6, -1)], -1)


@pytest.fixture
def copier(monkeypatch):
    monkeypatch.setattr(
        classification, "reconstructor", lambda name: Maker(name, f"hash-{name}", 50.0, (0.67, 20.0), copies)
    )


@pytest.fixture(scope="module")
def records(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    return Recordings(folder, data, (), ("NORM", "MI", "arrhythmia"), TINY.model)


def study(data, out, **changes):
    return evaluate(data, out, **{"recipe": TINY, "seeds": (0, 1)} | changes)


def test_from_end_to_end_and_on_from_where_it_was(data, copier, tmp_path, capsys):
    rows = study(data, tmp_path / "s", models=("ridge", "copier"))
    assert [r["leads"] for r in rows] == ["I", BASE, f"{BASE} + ridge", f"{BASE} + copier", REAL]
    said = capsys.readouterr().out
    assert "control" in said and "Beware" not in said and REAL in said
    for row in rows:
        for what, f in row.items():
            if what != "leads":
                assert 0 <= f["auroc"] <= 1 and not f["low"] > f["high"]
    assert all(v["gain"] == 0 for k, v in rows[1].items() if k != "leads")
    stored = json.loads((tmp_path / "s" / "classification.json").read_text())
    assert stored["rows"][0]["leads"] == "I" and (tmp_path / "s" / "classification.png").stat().st_size > 5000
    lines = (tmp_path / "s" / "results.jsonl").read_text()
    assert len(lines.splitlines()) == 10
    # cut in the middle of the last line: that network alone is trained again, to the same scores
    (tmp_path / "s" / "results.jsonl").write_text(lines[:-20])
    again = study(data, tmp_path / "s", models=("ridge", "copier"))
    once_more = (tmp_path / "s" / "results.jsonl").read_text()
    assert once_more.splitlines()[:9] == lines.splitlines()[:9] and len(once_more.splitlines()) == 10
    assert again[0] == rows[0]
    before, after = (np.array(json.loads(t.splitlines()[9])["scores"]) for t in (lines, once_more))
    assert np.allclose(before, after, atol=1e-4)


def test_cross_validation_tests_everybody_once(data, copier, tmp_path, capsys):
    study(data, tmp_path / "s", models=("copier",), cross_validate=2, seeds=(0,), labels=("subset",))
    said = capsys.readouterr().out
    assert "Beware: I, II + copier" in said and "cross-validated in 2 groups" in said
    lines = (tmp_path / "s" / "results.jsonl").read_text().splitlines()
    assert {json.loads(line)["group"] for line in lines} == {0, 1}


def test_nobody_is_in_training_and_test(records):
    for groups in (0, 2, 5, 10):
        parts = split(records, groups)
        assert len(parts) == (groups or 1)
        for g in parts:
            assert not set(records.patient[g.train]) & set(records.patient[g.test])
        if groups:
            assert sorted(np.concatenate([g.test for g in parts])) == list(range(len(records)))


def test_further_sets_join_the_training_alone(data, tmp_path):
    both = Recordings(tmp_path / "both", data, (data,), ("MI", "arrhythmia"), TINY.model)
    only = Recordings(tmp_path / "only", data, (), ("MI", "arrhythmia"), TINY.model)
    (g,), (h,) = split(both, 0), split(only, 0)
    assert (g.test == h.test).all() and len(g.train) == 2 * len(h.train)
    assert len(both.real()) == len(both) and not set(both.patient[g.train]) & set(both.patient[g.test])


def test_signals_are_stored_to_a_microvolt(records, data):
    from ttecg.data.dataset import open_dataset
    from ttecg.train.classifier import prepare_signal

    stored = records.real()
    assert stored.dtype == np.int16 and stored.shape == (len(records), 1000, 8)
    ecg = next(e for e in open_dataset(data, "train") if e.id == records.id[0])
    assert np.abs(stored[0] / 1000 - prepare_signal(ecg, TINY.model)).max() <= 0.00051


def test_ridge_sees_training_records_alone(records):
    maker = records.ridge(np.arange(10), "ten")
    x = records.real()[:3] / np.float32(1000)
    made = maker.make(x)
    assert (made[..., :2] == x[..., :2]).all()
    hidden = x.copy()
    hidden[..., 2:] = 7
    assert np.allclose(maker.make(hidden), made), "chest leads are not looked at"
    weights = np.linalg.lstsq(x[0, :, :2], made[0, :, 2:], rcond=None)[0]
    assert np.allclose(x[0, :, :2] @ weights, made[0, :, 2:], atol=1e-4), "one linear map"


def test_hidden_leads_are_not_looked_at(records):
    recipe = dataclasses.replace(TINY, leads=("I",), labels=("subset",))
    functional = Functional(recipe.network.create)
    signal, target = np.array(records.real()), records.target[:, 1:]
    train, test = np.arange(20), np.arange(20, 30)
    seen = fit_and_score(recipe, functional, signal, target, train, test, (0, 1))
    signal[..., 1:] = 500
    assert (fit_and_score(recipe, functional, signal, target, train, test, (0, 1)) == seen).all()
    assert seen.shape == (2, 10, 2) and not np.allclose(seen[0], seen[1])


def test_wrong_arguments_get_one_line(data, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    base = ["evaluate", "classification", "--data", str(data), "--models", "ridge", "--steps", "2"]
    cases = {
        "is not a prepared set": ["--data", str(tmp_path)],
        "superclass, subset": ["--labels", "form"],
        "--seeds 0 0": ["--seeds", "0", "0"],
        "--cross-validate 1": ["--cross-validate", "1"],
        "too few for --cross-validate 11": ["--cross-validate", "11"],
        "--steps 0": ["--steps", "0"],
        "ridge twice": ["--models", "ridge", "ridge"],
        "is not empty": ["--out", str(tmp_path / "full")],
        "is a file": ["--out", str(tmp_path / "full" / "x")],
    }
    for number, (said, words) in enumerate(cases.items()):
        assert main([*base, "--out", str(tmp_path / f"o{number}"), *words]) == 2, said
        lines = capsys.readouterr().err.strip().splitlines()
        assert said in lines[-1], lines


def test_another_study_is_not_gone_on_with(data, tmp_path):
    study(data, tmp_path / "s", models=(), seeds=(0,))
    with pytest.raises(ValueError, match="another recipe"):
        study(data, tmp_path / "s", models=(), seeds=(0,), recipe=dataclasses.replace(TINY, noise=0.2))
    with pytest.raises(ValueError, match="another cross_validate"):
        study(data, tmp_path / "s", models=(), seeds=(0,), cross_validate=2)
