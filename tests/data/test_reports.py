"""Report text to canonical English: equalities, paraphrases, negation, order, and the real reports."""

import csv
import pathlib
import time

import pytest

from ttecg.data import lexicon, reports
from ttecg.data.findings import FINDINGS, PHRASE_OF_SCP

SAME = [
    ("sinusrhythmus, linksschenkelblock", "sinus rhythm. left bundle branch block", "Sinus rhythm with LBBB"),
    (
        "Vorhofflimmern",
        "VHF",
        "AFib",
        "AF",
        "absolute Arrhythmie",
        "atrial fibrillation.",
        "possible atrial fibrillation",
    ),
    ("Ischämie inferior", "inferiore Ischaemie", "inferior ischemia", "INFERIORE ISCHÄMIE möglich"),
    (
        "av-block i. grades",
        "AV Block 1. Grades",
        "first degree AV block",
        "1st-degree heart block",
        "AVB I",
        "PR verlängert",
    ),
    ("RSB kompl.", "Rechtsschenkelblock", "complete RBBB", "right bundle-branch block"),
    (
        "unvollständiger Rechtsschenkelblock",
        "inkompletter RSB",
        "incomplete RBBB",
        "Schenkelblock rechts, inkomplett",
    ),
    ("linksanteriorer Hemiblock", "LAHB", "LAH", "left anterior hemiblock", "left anterior fascicular block"),
    ("überdrehter Linkstyp", "ueberdrehter linkstyp", "left axis deviation", "LAD"),
    ("Indifferenztyp", "Lagetyp normal", "normal axis", "axis is normal", "Mittellagetyp"),
    ("Steiltyp", "vertical axis", "Steillagetyp"),
    (
        "ventrikuläre Extrasystole(n)",
        "VES",
        "premature ventricular contraction(s)",
        "PVCs",
        "ventricular extrasystoles",
    ),
    ("sinusrhythmus", "sinusrythmus", "Sinusrhytmus", "NSR", "SR", "regular sinus rhythm"),
    ("alter Hinterwandinfarkt", "old inferior MI", "inferior infarct, age undetermined", "Infarkt inferior"),
    (
        "akuter Vorderwandinfarkt",
        "anterior STEMI",
        "acute anterior ST elevation myocardial infarction",
        "Hebungsinfarkt der Vorderwand",
    ),
]


@pytest.mark.parametrize("texts", SAME, ids=lambda texts: texts[0])
def test_wordings_of_one_thing_give_one_prompt(texts):
    assert len({reports.canonical(text) for text in texts}) == 1, [reports.canonical(t) for t in texts]


def wordings() -> dict[str, list[str]]:
    """How people may word a finding: report_wordings.csv, written by hand, not taken from a data set."""
    found: dict[str, list[str]] = {}
    with pathlib.Path(__file__).with_name("report_wordings.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["phrase"], []).append(row["wording"])
    return found


@pytest.mark.parametrize("phrase, texts", wordings().items(), ids=wordings())
def test_a_users_own_words_hit(phrase, texts):
    assert {text: reports.canonical(text) for text in texts} == dict.fromkeys(texts, phrase)


def test_a_long_p_is_not_a_long_pq():
    assert reports.phrases("sinusrytm a-v block i p förlängd") == (
        "sinus rhythm",
        "first-degree av block",
        "left atrial enlargement",
    )
    assert reports.phrases("PQ förlängd") == ("first-degree av block",)


@pytest.mark.parametrize(
    "text, kept",
    [
        ("Sinusrhythmus, kein Vorhofflimmern", "sinus rhythm"),
        ("no evidence of ischaemia or infarction. Sinus rhythm.", "sinus rhythm"),
        ("sinus rhythm without ST elevation, T wave inversion or LVH", "sinus rhythm"),
        ("keine Ischämie, Sinusrhythmus", "sinus rhythm"),
        ("sinus rhythm, LBBB is not present", "sinus rhythm"),
        ("Sinusrhythmus ohne Hinweis auf Infarkt oder Ischämie", "sinus rhythm"),
        ("no acute infarction, atrial flutter", "atrial flutter"),
        ("Sinusrhythmus. Infarkt ausgeschlossen.", "sinus rhythm"),
        ("sinus rhythm, not AF", "sinus rhythm"),
        ("no block and normal axis", "normal axis"),
        ("no LVH. LBBB", "left bundle branch block"),
        ("sinusrhythmus keine ischaemie linkstyp", "sinus rhythm. horizontal axis"),
        ("kein normales EKG", "abnormal ecg"),
        ("kein Vorhofflimmern", reports.NOTHING),
        ("no change, LBBB", "left bundle branch block"),
        ("keine ES, LSB", "left bundle branch block"),
        ("no ST elevation, no LVH, no AV block", reports.NOTHING),
        ("neither LBBB nor RBBB", reports.NOTHING),
        ("no LBBB, AF or flutter", reports.NOTHING),
        ("Ausschluss Myokardinfarkt, Sinusrhythmus", "sinus rhythm"),
        ("no chest pain, LBBB", "left bundle branch block. no. pain"),
    ],
)
def test_negated_findings_are_left_out(text, kept):
    assert reports.canonical(text) == kept


DOUBTS = ["possible {}", "v. a. {}", "{} möglich", "cannot rule out {}", "Verdacht auf {}", "probable {}",
          "{} nicht auszuschließen", "{} cannot be excluded", "mögl. {}"]  # fmt: skip


@pytest.mark.parametrize("doubt", DOUBTS)
def test_doubt_keeps_the_finding_and_is_not_said(doubt):
    assert reports.canonical(doubt.format("LVH")) == "left ventricular hypertrophy"


@pytest.mark.parametrize("phrase", FINDINGS)
def test_each_finding_means_itself(phrase):
    assert reports.canonical(phrase) == phrase
    assert reports.phrases(phrase.upper()) == (phrase,)


def test_every_phrase_of_the_lexicon_is_a_fixed_point():
    meant = {p for _, phrase, _ in lexicon.lexicon().rows for p in phrase.split(". ") if p and p[0].isalpha()}
    for phrase in sorted(meant - {"not>"}):
        once = reports.canonical(phrase)
        assert reports.canonical(once) == once
        assert once == phrase or phrase == "acute"


def test_order_does_not_depend_on_the_order_of_the_report():
    parts = [
        "left bundle branch block",
        "first-degree av block",
        "poor r wave progression",
        "sinus rhythm",
        "normal axis",
    ]
    expected = (
        "sinus rhythm. first-degree av block. left bundle branch block. normal axis. poor r wave progression"
    )
    assert reports.canonical(". ".join(parts)) == reports.canonical(", ".join(parts[::-1])) == expected


def test_unknown_words_are_kept_in_their_order():
    assert (
        reports.canonical("Purple ELEPHANTS, sinusrhythmus dancing")
        == "sinus rhythm. purple elephants. dancing"
    )
    assert reports.canonical("no evidence of tamponade") == "no evidence of tamponade"
    assert reports.canonical("Grüße") == "grüsse"


def test_findings_that_mean_something_together():
    read = reports.canonical
    assert read("sinus rhythm. bradycardia") == read("sinusbradykardie") == "sinus bradycardia"
    assert read("atrial flutter, heart rate 150 bpm") == "atrial flutter. rapid ventricular response"
    assert read("sves bigeminus") == "atrial premature beats. atrial bigeminy"
    assert read("VES, bigeminus") == "ventricular bigeminy"
    assert read("anteroseptaler infarkt möglicherweise akut  inferiorer infarkt wahrscheinlich alt") == (
        "inferior myocardial infarction. acute anterior st elevation"
    )
    assert read("LBBB, otherwise normal ECG") == "left bundle branch block"
    assert read("sinus tachycardia, otherwise normal ecg") == "sinus tachycardia. normal ecg"


def test_lead_lists_become_territories():
    read = reports.canonical
    assert (
        read("t neg in ii, iii, avf")
        == read("T waves are inverted in II,III & aVF")
        == "t wave inversion. inferior leads"
    )
    assert (
        read("ST-Senkung V4-6")
        == read("st segments are depressed in v4,5,6")
        == "st depression. lateral leads"
    )
    assert read("q waves in V1-V3 consistent with old anteroseptal infarct") == (
        "anteroseptal myocardial infarction. pathological q waves"
    )
    assert lexicon.lead_set("v1-3") == {"v1", "v2", "v3"} and lexicon.lead_set("i, l, v5,6") == {
        "i",
        "avl",
        "v5",
        "v6",
    }


def test_boilerplate_says_nothing():
    assert (
        reports.canonical("sinusrhythmus 4.46                          unbestätigter bericht")
        == "sinus rhythm"
    )
    assert reports.canonical("sinus rhythm. Unconfirmed report. Edit: NORM 100, (NDT)") == "sinus rhythm"
    assert reports.canonical("trace only requested.") == reports.NOTHING
    assert reports.phrases("trace only requested.") == ()


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_report_is_refused(text):
    with pytest.raises(ValueError, match="report is empty"):
        reports.canonical(text)


def test_text_from_scp_codes():
    assert (
        reports.from_scp({"NORM": 100.0, "LVOLT": 0.0, "SR": 0.0}) == "sinus rhythm. low voltage. normal ecg"
    )
    assert reports.from_scp(["CLBBB", "AFIB"]) == "atrial fibrillation. left bundle branch block"
    assert reports.from_scp({"IMI": 10.0, "LVH": 0.0, "SBRAD": 0.0}) == "sinus bradycardia"
    assert reports.from_scp({"SVARR": 0.0}) == "supraventricular arrhythmia"
    assert reports.from_scp({"LVH": 10.0}) == reports.from_scp({}) == reports.NOTHING
    for code in PHRASE_OF_SCP:
        assert reports.canonical(reports.from_scp([code])) == reports.from_scp([code]) != reports.NOTHING
    with pytest.raises(ValueError, match="'XYZ'"):
        reports.from_scp({"XYZ": 100.0})
    with pytest.raises(ValueError, match="list or a mapping"):
        reports.from_scp("NORM")


def test_the_lexicon_file_is_sane():
    rows = lexicon.lexicon().rows
    terms = [term for term, _, _ in rows]
    assert len(set(terms)) == len(terms)
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert all(phrase == phrase.lower().strip() and term.strip() == term for term, phrase, _ in rows)
    assert {language for _, _, language in rows} <= {"de", "en", "sv", "any"}
    with pytest.raises(ValueError, match="means 'x' and 'y'"):
        lexicon.Lexicon([("a (b|)", "x", "en"), ("a", "y", "en")])
    with pytest.raises(ValueError, match="brackets"):
        lexicon.Lexicon([("a (b", "x", "en")])


def test_slips_of_the_pen_are_forgiven_in_long_words_only():
    spelling = lexicon.lexicon().spelling
    assert (
        spelling("vorhofflimern") == "vorhofflimmern"
        and spelling("rechtschenkelblock") == "rechtsschenkelblock"
    )
    for word in (
        "arterial",
        "hypertension",
        "monitor",
        "thrombosis",
        "particularly",
        "normel",
        "brachycardia",
    ):
        assert spelling(word) == word
    assert lexicon.slips("abcd", "abdc") == 1 and lexicon.slips("kitten", "sitting") == 3
    assert lexicon.slips("inferioren", "inferior", stem=True) == 0


def test_coverage_counts_words():
    result = reports.coverage(["sinus rhythm and zebra", "", "trace only requested", "HF 45/min"])
    assert (result.reports, result.words) == (3, 9)
    assert result.uncovered == (("zebra", 1),)
    assert result.covered == pytest.approx(8 / 9) and result.mapped + result.dropped == pytest.approx(
        result.covered
    )
    assert result.with_phrase == result.fully_covered == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="no report"):
        reports.coverage([" "])


def table(shared_data, folds) -> list[dict]:
    path = pathlib.Path(shared_data) / "ptbxl_metadata" / "reports_12245.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return [
            row for row in csv.DictReader(file) if int(row["strat_fold"]) in folds and row["report"].strip()
        ]


def test_real_reports_of_held_out_folds_are_covered(shared_data):
    result = reports.coverage(row["report"] for row in table(shared_data, (9, 10)))
    assert result.covered > 0.97 and result.mapped > 0.6 and result.with_phrase > 0.97


def test_real_reports_keep_their_words_and_come_to_rest(shared_data):
    start = time.perf_counter()
    prompts = [reports.canonical(row["report"]) for row in table(shared_data, (10,))]
    assert len(prompts) / (time.perf_counter() - start) > 500
    assert all(reports.canonical(prompt) == prompt for prompt in prompts)


FLOORS = {"AFIB": (0.97, 0.97), "SBRAD": (0.9, 0.97), "STACH": (0.93, 0.97), "SR": (0.97, 0.97),
          "CLBBB": (0.75, 0.8), "CRBBB": (0.75, 0.8), "PVC": (0.8, 0.8), "1AVB": (0.7, 0.7),
          "PACE": (0.9, 0.85), "NORM": (0.8, 0.45)}  # fmt: skip


def test_real_reports_agree_with_their_codes(shared_data):
    scores = reports.agreement(table(shared_data, (9, 10)))
    low = {
        code: scores[code] for code, (p, r) in FLOORS.items() if scores[code][0] < p or scores[code][1] < r
    }
    assert not low


def test_the_module_prints_coverage(shared_data, capsys):
    path = str(shared_data / "ptbxl_metadata" / "reports_12245.csv")
    reports.main(["coverage", path, "--folds", "10"])
    assert "of words covered" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        reports.main(["coverage", str(shared_data / "README.md")])


def test_what_is_understood_is_phrases_or_all_words_or_nothing():
    assert reports.understood("sinus rhythm with wibbly curves") == "sinus rhythm"
    assert reports.understood("wibbly curves") == reports.canonical("wibbly curves")
    assert reports.understood(" ") == ""
