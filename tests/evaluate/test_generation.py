"""The evaluation of generated ECGs from end to end with tiny networks, and its parts by known answers."""

import functools
import json

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.data.dataset import open_dataset
from ttecg.evaluate import fidelity, generation, text_adherence
from ttecg.evaluate.generation import match, measure
from ttecg.evaluate.generation_report import faults_of, publish
from ttecg.evaluate.html_report import Page
from ttecg.evaluate.seen import look


@pytest.fixture(scope="module")
def real(reported_set, eyes):
    records = open_dataset(reported_set, "all")
    return look((records[i] for i in range(len(records))), eyes, len(records), "recorded", 2)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(fidelity, "fidelity_rows", functools.partial(fidelity.fidelity_rows, draws=4))


def test_a_set_against_itself_has_no_faults(real, eyes, tmp_path, capsys):
    sections = measure(real, real, np.arange(len(real)), eyes)
    named = {s.name: s.rows for s in sections}
    assert {"fidelity", "diversity", "text", "intervals", "physics"} <= set(named)
    for row in named["fidelity"]:
        if row["metric"].startswith(("FID", "spectrum")):
            assert row["made"] == pytest.approx(row["floor"], rel=1e-3)  # the very same records
    assert [r for r in named["text"] if r["metric"].startswith("CLIP score over")][0][
        "made"
    ] == pytest.approx(1)
    assert all(r["error"] == 0 for r in named["intervals"] if r["measured"])
    about = {"model": "self", "hash": "h", "data": "d", "split": "s", "seed": 0, "recorded": 60, "patients": 30,
             "generated": 60, "looked at by": {}}  # fmt: skip
    publish(about, sections, real, real, tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "generation.json").read_text())
    assert stored["model"] == "self" and len(stored["fidelity"]) == len(named["fidelity"])
    page = (tmp_path / "out" / "generation.html").read_text()
    assert page.count("<img") >= 7 and "://" not in page.split("<body>")[1]  # a colon is no base64
    assert "what looks bad" in capsys.readouterr().out


def test_noise_looks_bad(real, eyes, reported_set):
    records, rng = open_dataset(reported_set, "all"), np.random.default_rng(0)
    noise = (
        e.replace(signal=rng.normal(0, 0.3, e.signal.shape))
        for e in (records[i] for i in range(len(records)))
    )
    made = look(noise, eyes, len(records), "noise")
    sections = measure(made, real, np.arange(len(real)), eyes)
    bad = " ".join(faults_of(sections))
    assert "spectrum" in bad and "discriminator" in bad


def test_halves_share_no_patient_and_made_ones_follow_their_records(real):
    rng = np.random.default_rng(0)
    a, b = fidelity.halves(real.patients, rng)
    assert not set(real.patients[a]) & set(real.patients[b])
    assert sorted([*a, *b]) == list(range(len(real)))
    record = np.array([3, 3, 5, 7, -1, -1])
    chosen = fidelity.made_of(record, np.array([3, 5, 9]), rng)
    linked = [record[c] for c in chosen if record[c] >= 0]
    assert sorted(linked) == [3, 5] and len(chosen) == 3


def test_matching_finds_a_record_of_the_same_text():
    found = match(["a", "b", "x"], np.array(["b", "a", "a"], object), np.random.default_rng(0))
    assert found[0] in (1, 2) and found[1] == 0 and found[2] == -1


def test_clip_rows_know_a_perfect_fit_and_a_shuffled_one():
    x = np.eye(12)
    texts = [f"text {i}" for i in range(12)]
    rows = {r["metric"]: r for r in text_adherence.clip_rows(x, x, x, texts, range(12))}
    assert rows["CLIP score"]["made"] == 1 and rows["CLIP score"]["shuffled"] == 0
    assert rows["R@1, report finds ECG"]["made"] == 1


def test_classifier_rows_are_one_for_perfect_scores_and_half_for_mixed_ones():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, (200, 2)).astype(float)
    rows = {
        r["metric"]: r for r in text_adherence.classifier_rows(target, target, target, ("A", "B"), range(200))
    }
    assert rows["classifier AUROC, A"]["made"] == 1 == rows["classifier AUROC, mean"]["recorded"]
    assert 0.35 < rows["classifier AUROC, mean"]["shuffled"] < 0.65


def test_all_reports_alike_cannot_be_shuffled():
    with pytest.raises(ValueError, match="several reports"):
        text_adherence.others(["sinus rhythm"] * 3, np.random.default_rng(0))


def test_edits_count_what_cannot_be_measured_as_failed():
    edit = text_adherence.Edit("faster", "slow", "fast", "rate", 10)
    values = {"slow": 60.0, "fast": 90.0}

    class Seen:
        def __init__(self, rate):
            self.rate = rate

    def make(prompts, seeds):
        return [np.nan if p == "fast" and s[1] == 0 else values[p] for p, s in zip(prompts, seeds)]

    (row,) = text_adherence.edit_rows(make, Seen, 4, edits=(edit,))
    assert (
        row["share"] == 0.75 and row["share without edit"] == 0 and row["measured"] == pytest.approx(11 / 12)
    )


def test_a_page_holds_everything_and_escapes():
    page = Page("a <b>").text("x & y").table([{"k": 1.23456, "n": None}])
    page.items(["<i>"]).code("ttecg").heading("h")
    text = "".join(page._parts)
    assert "<b>" not in text and "x &amp; y" in text and "1.235" in text and "&lt;i&gt;" in text


def test_wrong_input_is_one_line(reported_set, tmp_path, capsys, debug_bundle, monkeypatch, eyes):
    base = ["evaluate", "generation", "--data", str(reported_set)]
    cases = {
        "is not a prepared set": ["evaluate", "generation", "--data", str(tmp_path)],
        "there is no such folder": [*base, "--generated", str(tmp_path / "none")],
        "must be 0 or more": [*base, "--num", "-1"],
        "--edits -1": [*base, "--edits", "-1"],
        "--seed -1": [*base, "--seed", "-1"],
        "is a file": [*base, "--out", __file__],
        "of kind 'clip'": [*base, "--classifier", "clip"],
        "--leads is for": ["evaluate", "encoder", "--model", "classifier", "--leads", "I", *base[2:]],
        "--data: name": ["evaluate", "encoder", "--model", "classifier", "--data"],
        "--snrs": ["evaluate", "quality", "--snrs", "nan", *base[2:]],
        "no model": [*base, "--classifier", "nothing"],
    }
    for words, argv in cases.items():
        assert main(argv) == 2
        error = capsys.readouterr().err.strip()
        assert words in error and "\n" not in error
    monkeypatch.setattr(generation, "open_eyes", lambda *a: eyes)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([*base, "--generated", str(empty)]) == 2
    assert "no prepared set and no WFDB record" in capsys.readouterr().err
    assert main([*base, "--model", "unet"]) == 2
    assert "makes no ECGs from reports" in capsys.readouterr().err


def test_it_generates_and_judges(reported_set, eyes, debug_bundle, monkeypatch, tmp_path):
    monkeypatch.setattr(generation, "open_eyes", lambda *a: eyes)
    two = functools.partial(text_adherence.edit_rows, edits=text_adherence.EDITS[:2])
    monkeypatch.setattr(text_adherence, "edit_rows", two)
    found = generation.evaluate(debug_bundle, reported_set, "all", num=32, edits=1, out=tmp_path / "out")
    assert found["generated"] == 32 and len(found["edits"]) == 2
    assert (tmp_path / "out" / "generation.html").stat().st_size > 100_000
