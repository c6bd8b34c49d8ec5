"""Metrics of rebuilt leads, the evaluation, and the study of leads."""

import itertools
import json

import numpy as np
import pytest

from ttecg.data.simulated import Simulated
from ttecg.ecg import INDEPENDENT
from ttecg.evaluate import leads as study
from ttecg.evaluate import reconstruction as evaluation
from ttecg.evaluate import reconstruction_metrics as m
from ttecg.models import lead_maps


@pytest.fixture(scope="module")
def ecgs():
    records = Simulated(6, "train")
    return [records[i].replace(id=str(i), info={"patient_id": str(i // 2)}) for i in range(6)]


@pytest.fixture
def opened(monkeypatch, ecgs):
    monkeypatch.setattr(evaluation, "open_dataset", lambda data, split: ecgs)


def test_a_perfect_answer_has_no_error(ecgs):
    x = evaluation.signal_of(ecgs[0], 100.0, (0.67, 40.0))
    numbers = m.wave_metrics(x[None], x[None])
    assert (
        np.allclose(numbers["r"], 1) and np.allclose(numbers["rmse_mv"], 0) and np.allclose(numbers["r2"], 1)
    )
    beats = m.beat_metrics(x, x, 100.0, *m.landmarks(ecgs[0]))
    assert np.allclose(beats["r_time_ms"], 0) and np.allclose(beats["pp_ratio"], 1)
    assert np.allclose(beats["r_found"], 1) and np.allclose(beats["st_error_mv"], 0)


def test_what_is_late_and_low_is_measured_as_such(ecgs):
    x = evaluation.signal_of(ecgs[0], 500.0, (0.67, 40.0)).astype(float)
    late = 0.8 * np.roll(x, 10, axis=0)
    beats = m.beat_metrics(x, late, 500.0, *m.landmarks(ecgs[0]))
    assert np.median(beats["r_time_ms"]) == pytest.approx(20, abs=2)
    assert np.median(beats["r_amplitude_error_pct"]) == pytest.approx(20, abs=2)
    assert np.median(beats["pp_ratio"]) == pytest.approx(0.8, abs=0.03)


def test_the_formulas():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 90, 3))
    got = m.wave_metrics(x, y)
    e = x[1, :, 2] - y[1, :, 2]
    assert got["r"][1, 2] == pytest.approx(np.corrcoef(x[1, :, 2], y[1, :, 2])[0, 1])
    assert got["snr_db"][1, 2] == pytest.approx(10 * np.log10((x[1, :, 2] ** 2).sum() / (e**2).sum()))
    assert got["nrmse"][1, 2] == pytest.approx(np.sqrt((e**2).mean() / (x[1, :, 2] ** 2).mean()))
    assert m.wave_metrics(x, 0 * y)["r"].max() == 0


def test_patients_are_drawn_with_all_their_records():
    same = m.mean_interval([0, 0, 1, 1], ["a", "a", "b", "b"])
    apart = m.mean_interval([0, 0, 1, 1], ["a", "b", "c", "d"])
    assert same[0] == apart[0] == 0.5 and same[2] - same[1] > apart[2] - apart[1] - 1e-9 and same[2] == 1
    assert np.isnan(m.mean_interval([np.nan], ["a"])).all()


def test_falling_back_to_the_mean_shows_in_the_fifths():
    true = np.linspace(0.5, 2, 50)
    ratios = m.quintile_ratios(true, 1.2 / true)
    assert ratios[0] > 1 > ratios[-1] and ratios == sorted(ratios, reverse=True)


def test_the_evaluation_scores_hidden_leads_only(opened, tmp_path, capsys):
    rows = evaluation.evaluate(
        "dower", "set", sets=(("I",), ("I", "II", "V2")), against=("kors",), out=tmp_path
    )
    assert [r["model"] for r in rows] == ["dower", "kors"] * 2
    assert set(rows[-1]["by_lead"]) == set(INDEPENDENT) - {"I", "II", "V2"}
    assert set(rows[0]["by_lead"]) == set(INDEPENDENT) - {"I"}
    chest = [v for k, v in rows[0]["by_lead"].items() if k.startswith("V")]
    assert rows[0]["r"] == pytest.approx(np.mean([v["r"]["mean"] for v in chest]))
    stored = json.loads((tmp_path / "reconstruction.json").read_text())
    assert (
        stored["records"] == 6
        and stored["patients"] == 3
        and (tmp_path / "reconstruction.png").stat().st_size > 1e4
    )
    assert "3 patients" in capsys.readouterr().out


def test_shapley_values_share_out_the_whole():
    rng = np.random.default_rng(0)
    leads = "ABCD"
    error = {frozenset(s): rng.random() for k in range(5) for s in itertools.combinations(leads, k)}
    values = study.shapley(error, leads)
    assert sum(values.values()) == pytest.approx(error[frozenset()] - error[frozenset(leads)])
    alone = {s: 1 - 0.5 * ("A" in s) - 0.1 * ("B" in s) for s in error}
    assert study.shapley(alone, leads) == pytest.approx({"A": 0.5, "B": 0.1, "C": 0, "D": 0})


def test_the_study_goes_on_where_it_stopped(opened, tmp_path, capsys):
    sets = (("I",), ("I", "II"), ("V2", "V5"))
    first = study.ablate("dower", "set", sets=sets[:2], out=tmp_path, beside="kors")
    lines = (tmp_path / study.FILE).read_text().splitlines()
    assert len(lines) == 4 and "V3 worst" in capsys.readouterr().out
    with open(tmp_path / study.FILE, "a") as file:
        file.write('{"torn')
    both = study.ablate("dower", "set", sets=sets, out=tmp_path, beside="kors")
    assert both["I"] == first["I"] and list(both) == ["I", "I,II", "V2,V5"]
    assert len((tmp_path / study.FILE).read_text().splitlines()) == 6
    assert (tmp_path / "leads.png").is_file() and json.loads((tmp_path / "leads.json").read_text())


def test_all_subsets_give_information(opened, tmp_path):
    study.ablate("dower", "set", sets=study.ALL_SETS, out=tmp_path, beside="kors")
    stored = json.loads((tmp_path / "leads.json").read_text())
    assert len(study.ALL_SETS) == 254
    assert sum(stored["model"]["shapley"].values()) == pytest.approx(1)
    assert [len(b["leads"]) for b in stored["model"]["best"]] == list(range(1, 8))


def test_the_papers_sets():
    assert len(study.PAPER_SETS) == 25
    assert all(lead_maps.visible(s).any() for s in study.PAPER_SETS)
