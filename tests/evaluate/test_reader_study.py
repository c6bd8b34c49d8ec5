"""A reader study from end to end with a tiny model: pages tell nothing but the signal, and the key is whole."""

import csv
import dataclasses

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.data.dataset import open_dataset
from ttecg.data.prompt import Prompt
from ttecg.ecg import einthoven_residual
from ttecg.evaluate import reader_study
from ttecg.evaluate.reader_study import Candidate, as_seen, candidates, make, pairs, shuffled
from ttecg.evaluate.reader_study_answers import GENERATED, KEY, RECORDED
from ttecg.evaluate.reader_study_pages import draw


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def study(reported_set, debug_bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    make(debug_bundle, reported_set, out, "all", num=4, seed=3)
    return out


def test_everything_is_there_and_the_key_fits(study, reported_set):
    assert sorted(p.name for p in study.iterdir()) == ["answers.csv", "key.csv", "study.pdf"]
    key, form = rows(study / "key.csv"), rows(study / "answers.csv")
    assert tuple(key[0]) == KEY and [r["page"] for r in key] == [r["page"] for r in form] == list("2345")
    assert not any(value for row in form for name, value in row.items() if name != "page")
    assert sorted(r["origin"] for r in key) == 2 * [GENERATED] + 2 * [RECORDED]
    records = {e.id: e for e in open_dataset(reported_set, "all")}
    assert len({records[r["record_id"]].info["patient_id"] for r in key}) == 4
    by_origin = [sorted(r["label"] for r in key if r["origin"] == o) for o in (RECORDED, GENERATED)]
    assert by_origin[0] == by_origin[1]
    for row in key:
        assert row["report"] == records[row["record_id"]].report
        assert bool(row["seed"]) == bool(row["model"]) == (row["origin"] == GENERATED)
    assert (study / "study.pdf").read_bytes().count(b"/Type /Page ") == 5


def test_same_command_same_bytes(study, reported_set, debug_bundle, tmp_path):
    make(debug_bundle, reported_set, tmp_path / "out", "all", num=4, seed=3)
    for name in ("study.pdf", "key.csv", "answers.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (study / name).read_bytes()


def test_an_ecg_of_the_key_can_be_made_again(study, debug_model):
    row = next(r for r in rows(study / "key.csv") if r["origin"] == GENERATED)
    prompt = Prompt(row["report"], float(row["age"]) if row["age"] else None, row["sex"] or None)
    (ecg,) = debug_model.generate_many([(prompt, (int(row["seed"]), int(row["index"])))])
    assert row["prompt"] == ecg.info["prompt"] and row["model"].endswith(ecg.info["model_hash"])


def test_what_is_seen_has_nothing_of_its_own_but_the_signal(reported_set, debug_model):
    prompt = Prompt("Sinusrhythmus", 63, "female")
    config = dataclasses.replace(debug_model.tokenizer.config, band=(0.5, 40.0))
    (made,) = debug_model.generate_many([(prompt, (0, 0))])
    recorded = next(iter(open_dataset(reported_set, "all")))
    a, b = (as_seen(ecg, config, prompt, "prompt") for ecg in (made, recorded))
    for f in dataclasses.fields(a):
        if f.name != "signal":
            assert getattr(a, f.name) == getattr(b, f.name)
    assert a.signal.shape == b.signal.shape and not a.id and not a.info and a.report == "sinus rhythm"
    assert max(einthoven_residual(e) for e in (a, b)) < 1e-9
    assert as_seen(made, config, prompt, "report").report == "Sinusrhythmus"
    assert as_seen(made, config, prompt, "none").report is None


def test_a_flat_end_of_the_recording_is_not_seen(reported_set, debug_model):
    """PTB-XL's recordings have one."""
    ecg = next(iter(open_dataset(reported_set, "all"))).resample(500)
    x = ecg.signal.copy()
    x[-50:] = x[-51]
    seen = as_seen(ecg.replace(signal=x), debug_model.tokenizer.config, Prompt("x"), "none")
    assert np.abs(np.diff(seen.signal[-25:], axis=0)).max() > 1e-4


def test_pages_say_page_age_sex_scale_and_report_alone(study, debug_model, reported_set):
    prompt = Prompt("sinus rhythm", 63, "female")
    recorded = next(iter(open_dataset(reported_set, "all")))
    seen = as_seen(recorded, debug_model.tokenizer.config, prompt, "prompt")
    first, page = draw([(2, seen)], 1, (0.5, 40.0), "3x4", "prompt")
    words = [t.get_text() for t in page.axes[0].texts]
    assert {"Page 2", "63 years · female · 25 mm/s, 10 mm/mV, 0.5-40 Hz", "Report: sinus rhythm"} <= set(
        words
    )
    assert len(words) == 13 + 4  # leads, and title, two lines, footer
    on_first = " ".join(t.get_text() for t in first.axes[0].texts)
    assert "real_or_synthetic" in on_first and "matches_report" in on_first
    silent, page = draw([(2, seen.replace(report=None, age=None))], 1, None, "12x1", "none")
    assert "matches_report" not in " ".join(t.get_text() for t in silent.axes[0].texts)
    assert "female · 25 mm/s, 10 mm/mV" in [t.get_text() for t in page.axes[0].texts]


def test_pairs_are_of_one_class_and_of_different_patients():
    found = [Candidate(i, f"p{i // 2}", "ABC"[i % 3]) for i in range(60)]
    couples = pairs(found, np.random.default_rng(0))
    flat = [c for pair in couples for c in pair]
    assert len({c.patient for c in flat}) == len(flat) >= 26
    assert all(a.label == b.label for a, b in couples)
    pages = shuffled(couples, 7, np.random.default_rng(1))
    assert [p.number for p in pages] == list(range(2, 2 + len(flat)))
    assert {p.record for p in pages} == {c.number for c in flat}
    assert len({p.drawn for p in pages if p.drawn}) == len(couples)
    assert pages != shuffled(couples, 7, np.random.default_rng(2))


def test_short_recordings_and_reports_without_findings_are_left_out(reported_set, monkeypatch):
    ecgs = list(open_dataset(reported_set, "all"))[:4]
    ecgs[1] = ecgs[1].replace(signal=ecgs[1].signal[:500])
    ecgs[2] = ecgs[2].replace(report="trace only requested")
    assert [c.number for c in candidates(ecgs, 10.0)] == [0, 3]


def test_an_interrupted_study_leaves_nothing(reported_set, debug_bundle, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reader_study, "draw", stop)
    with pytest.raises(KeyboardInterrupt):
        make(debug_bundle, reported_set, tmp_path / "out", "all", num=2)
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_is_one_line(reported_set, debug_bundle, study, tmp_path, capsys):
    base = ["evaluate", "reader-study", "--out", str(tmp_path / "out")]
    full = [*base, "--data", str(reported_set), "--model", str(debug_bundle)]
    cases = {
        "give --data and --out": base,
        "must be an even number": [*full, "--num", "39"],
        "is not between 0 and": [*full, "--seed", "-1"],
        "is not empty": [*full, "--out", str(study)],
        "is not a prepared set": [*base, "--data", str(tmp_path)],
        "makes no ECGs from reports": [*full, "--model", "unet"],
        "pairs of patients": [*full, "--num", "1000"],
        "go together": ["evaluate", "reader-study", "--key", str(study / "key.csv")],
        "takes no --data": ["evaluate", "reader-study", "--score", "a", "--key", "b", "--data", "c"],
    }
    for words, argv in cases.items():
        assert main(argv) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert words in error
    assert list(tmp_path.iterdir()) == []


def test_a_set_without_held_out_folds_is_refused(reported_set, debug_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(reader_study, "describe", lambda path: {"records": {"train": 60}})
    with pytest.raises(ValueError, match="held out of training in folds 9 and 10"):
        make(debug_bundle, reported_set, tmp_path / "out")
