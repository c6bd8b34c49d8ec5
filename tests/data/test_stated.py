"""Numbers that reports state, and what is left of the words around them."""

import pytest

from ttecg.data.reports import canonical
from ttecg.data.stated import not_followed, stated_numbers


@pytest.mark.parametrize(
    "text, rate",
    [
        ("heart rate 120", 120), ("HF 45/min", 45), ("Frequenz 72 /min", 72),
        ("ventricular rate 150 bpm", 150),
        ("V-rate<50", 45), ("rate over 100 bpm", 110), ("Herzfrequenz: 64", 64), ("60-70/min", 65),
        ("HR 88 bpm", 88),
        ("ventricular response of 98 per minute", 98), ("Puls um 55", 55), ("HR: 61.5", 61.5),
        ("sinus rhythm", None), ("VES > 5/min", None), ("PR 220 ms", None), ("QTc 480 ms", None),
        ("v4-6, 4.46", None),
        ("atrial rate 300", None), ("heart rate 900", None),
    ],
)  # fmt: skip
def test_heart_rate(text, rate):
    assert stated_numbers(text).get("heart_rate") == rate


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("PR 220 ms, QRS 150 ms, QT 420 ms, axis -40", {"pr_ms": 220, "qrs_ms": 150, "qt_ms": 420, "axis_deg": -40}),
        ("PQ-Zeit: 210 ms, QRS-Breite 0,14 s, Achse 60°", {"pr_ms": 210, "qrs_ms": 140, "axis_deg": 60}),
        ("Vent. rate 75 BPM PR interval 160 ms QRS duration 90 ms QT/QTc 400/420 ms", {
            "heart_rate": 75, "pr_ms": 160, "qrs_ms": 90, "qt_ms": 400}),
        ("prolonged pr interval (0.22 sec)", {"pr_ms": 220}),
        ("LBBB with QRS 150. QRS axis 30 degrees", {"qrs_ms": 150, "axis_deg": 30}),
        ("PR > 200 ms, QRS < 100 ms", {"pr_ms": 220, "qrs_ms": 90}), ("QRS 120-140 ms", {"qrs_ms": 130}),
        ("HR 72-bpm PR-160ms", {"heart_rate": 72, "pr_ms": 160}), ("PQ 0.22", {"pr_ms": 220}),
        ("P-R-T axes 50 -20 40", {"axis_deg": -20}), ("Herzachse -30 Grad", {"axis_deg": -30}),
        ("rate 300/min, HR 60", {"heart_rate": 60}), ("QT (0,44-0,52)", {}),
        ("QTc 480 ms", {}), ("PR 900 ms", {}), ("QRS in V1 120 mm", {}),
        ("qrs-achse 4.46", {}), ("normal axis. 45 years old", {}), ("heart rate 300", {}),
    ],
)  # fmt: skip
def test_numbers_of_the_beat(text, numbers):
    assert stated_numbers(text) == numbers


@pytest.mark.parametrize(
    "text, said",
    [
        ("sinus rhythm, PR 180 ms", "sinus rhythm"),
        ("PR prolonged at 220 ms", "first-degree av block"),
        ("sinus rhythm. prolonged pr interval (0.22 sec)", "sinus rhythm. first-degree av block"),
        ("left axis deviation (-45 degrees)", "left axis deviation"),
        ("sinus rhythm, QTc 480 ms", "sinus rhythm. qtc 480 ms"),
        ("sinus rhythm, QT/QTc 400/480 ms", "sinus rhythm. qtc 480 ms"),
    ],
)
def test_numbers_are_no_unknown_words_and_what_stands_beside_them_stays(text, said):
    assert canonical(text) == said


def test_what_is_not_followed():
    report = "rate 300/min, HR 60, PR 160 ms, PR 200 ms"
    assert not_followed(report, {"heart_rate": 60, "pr_ms": 160}) == ["rate 300/min", "PR 200 ms"]
    assert not_followed("sinus rhythm, HR 60", {"heart_rate": 60, "pr_ms": None}) == []
