"""Scores of readers by known answers, and forms as spreadsheets of several countries write them."""

import json

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.evaluate.reader_study_answers import read_answers, read_key
from ttecg.evaluate.reader_study_score import kappa, score, wilson

TRUTH = [True, False] * 10  # generated or not, pages 2 to 21


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.csv"
    lines = (f"{page},{'generated' if made else 'recorded'},NORM" for page, made in enumerate(TRUTH, 2))
    path.write_text("\n".join(["page,origin,label", *lines]) + "\n")
    return path


def form(path, said, confidence=None, matches=None, sep=",", encoding="utf-8"):
    """A form of these verdicts (True: synthetic), one per page."""
    lines = [sep.join(("page", "real_or_synthetic", "confidence", "main_findings", "matches_report"))]
    for i, synthetic in enumerate(said):
        cells = (i + 2, "Synthetic" if synthetic else "real ", (confidence or [3] * 99)[i], "Übliches",
                 (matches or ["yes"] * 99)[i])  # fmt: skip
        lines.append(sep.join(map(str, cells)))
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def test_a_reader_who_knows_and_one_who_says_real(key, tmp_path, capsys):
    knows, trusts = form(tmp_path / "a.csv", TRUTH), form(tmp_path / "b.csv", [False] * 20)
    found = score([knows, trusts], key, tmp_path / "out")
    a, b, mean = found["readers"]
    assert a["accuracy"] == a["sensitivity"] == a["specificity"] == a["AUC"] == 1
    assert (b["accuracy"], b["sensitivity"], b["specificity"], b["AUC"]) == (0.5, 0, 1, 0.5)
    assert mean["accuracy"] == 0.75 and mean["AUC"] == 0.75 and mean["specificity"] == 1
    assert mean["accuracy 95 %"][0] < 0.75 < mean["accuracy 95 %"][1]
    (agreement,) = found["agreement"]
    assert agreement["same"] == 0.5 and agreement["kappa"] == 0
    assert (
        json.loads((tmp_path / "out" / "reader-study.json").read_text())["pages"][0]["called synthetic"] == 1
    )
    assert "sensitivity" in capsys.readouterr().out


def test_confidence_makes_the_area(key, tmp_path):
    """Wrong answers that were guesses and right ones that were certain give a larger area than the verdicts alone."""
    said = [not t if i < 4 else t for i, t in enumerate(TRUTH)]
    sure = form(tmp_path / "a.csv", said, [1 if i < 4 else 5 for i in range(20)])
    unsure = form(tmp_path / "b.csv", said)
    areas = [score([file], key)["readers"][0]["AUC"] for file in (sure, unsure)]
    # ratings of generated: -1 twice, 5 eight times; of recorded: 1 twice, -5 eight times
    assert areas == [pytest.approx(1 - 4 / 100), pytest.approx(0.8)]


def test_reports_are_counted_for_each_kind(key, tmp_path):
    matches = ["no" if t else "yes" for t in TRUTH]
    matches[:3] = ["", "partly", "partly"]
    recorded, generated = score([form(tmp_path / "a.csv", TRUTH, matches=matches)], key)["text"]
    assert recorded["answers"] == 10 and recorded["partly"] == 0.1
    assert generated["answers"] == 9 and generated["no"] == pytest.approx(8 / 9)
    nobody = score([form(tmp_path / "b.csv", TRUTH, matches=[""] * 20)], key)
    assert nobody["text"] == []


def test_known_intervals_and_kappa():
    np.testing.assert_allclose(wilson([1] * 8 + [0] * 2), (0.4902, 0.9433), atol=1e-4)
    np.testing.assert_allclose(wilson([0] * 10), (0, 0.2775), atol=1e-4)
    a, b = (np.array([c == "1" for c in text]) for text in ("1111100000", "1110110000"))
    once = np.ones((1, 10))
    assert kappa(a, a, once)[0] == pytest.approx(1) and kappa(a, ~a, once)[0] == pytest.approx(-1)
    assert kappa(a, b, once)[0] == pytest.approx((0.8 - 0.5) / 0.5)
    assert np.isnan(kappa(a | True, a | True, once)[0])


@pytest.mark.parametrize(("sep", "encoding"), [(",", "utf-8"), (";", "latin-1"), ("\t", "utf-8-sig")])
def test_forms_of_any_spreadsheet_are_read(sep, encoding, key, tmp_path):
    answers = read_answers(form(tmp_path / "a.csv", TRUTH, sep=sep, encoding=encoding), read_key(key))
    assert answers.synthetic.tolist() == TRUTH and set(answers.rating) == {-3, 3}


def test_wrong_forms_and_keys_are_one_line(key, tmp_path, capsys):
    whole = form(tmp_path / "a.csv", TRUTH).read_text().splitlines()
    cases = {
        "page 3, 5 of the key has no line": [*whole[:2], whole[3], *whole[5:]],
        "page 99 is not in the key": [*whole, "99,real,1,,yes"],
        "page 4 has two lines": [*whole, whole[3]],
        "page 'x' is not a number": [*whole, "x,real,1,,"],
        "page 2: real_or_synthetic is empty; write real or synthetic": [whole[0], "2,,1,,yes", *whole[2:]],
        "page 2: confidence is '6'; write 1, 2, 3, 4 or 5": [whole[0], "2,real,6,,yes", *whole[2:]],
        "page 2: matches_report is 'maybe'": [whole[0], "2,real,1,,maybe", *whole[2:]],
        "no column real_or_synthetic, confidence": key.read_text().splitlines(),
        "is this the form?": [],
    }
    for words, lines in cases.items():
        (tmp_path / "bad.csv").write_text("\n".join(lines))
        assert (
            main(["evaluate", "reader-study", "--score", str(tmp_path / "bad.csv"), "--key", str(key)]) == 2
        )
        error = capsys.readouterr().err.strip()
        assert words in error and "\n" not in error, error
    for words, k in {"no column origin": tmp_path / "a.csv", "no such table": tmp_path / "none.csv"}.items():
        assert main(["evaluate", "reader-study", "--score", str(tmp_path / "a.csv"), "--key", str(k)]) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "k.csv").write_text("page,origin,label\n2,recorded,\n3,simulated,\n")
    assert (
        main(
            ["evaluate", "reader-study", "--score", str(tmp_path / "a.csv"), "--key", str(tmp_path / "k.csv")]
        )
        == 2
    )
    assert "must hold recorded and generated" in capsys.readouterr().err
