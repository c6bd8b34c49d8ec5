"""Numbers read off ECGs against the simulator's truth, and the rows that compare sets of them."""

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.ecg import ECG
from ttecg.evaluate import intervals
from ttecg.evaluate.intervals import (
    FIELDS,
    class_rows,
    condition_row,
    difference,
    interval_rows,
    measured,
    partners,
    table,
)


def against_truth(findings, rates, seeds=4):
    """{field: measured minus true} over simulated ECGs; NaN where one of both is unknown."""
    errors = []
    for rate in rates:
        for seed in range(seeds):
            ecg = simulate(findings, 100 * rate + seed, heart_rate=rate)
            true, rr = ecg.info, np.diff(ecg.info["r_peaks"]) / ecg.rate
            truth = {name: true.get(name) for name in FIELDS}
            truth |= {"rr_cv": rr.std() / rr.mean(), "qtc_ms": true["qt_ms"] / np.cbrt(np.median(rr))}
            truth |= {"heart_rate": 60 / np.median(rr)}
            seen = measured(ecg)
            errors.append([getattr(seen, n) - (np.nan if truth[n] is None else truth[n]) for n in FIELDS])
    return dict(zip(FIELDS, np.transpose(errors)))


@pytest.fixture(scope="module")
def sinus():
    return against_truth(["sinus rhythm", "normal ecg"], (52, 60, 70, 80))


@pytest.mark.parametrize(
    "field, bias, spread",
    [
        ("heart_rate", 0.2, 0.5),
        ("rr_cv", 0.001, 0.002),
        ("pr_ms", 5, 8),
        ("qrs_ms", 18, 10),  # the simulated QRS is over for the eye after it is over on paper
        ("qt_ms", 6, 10),
        ("qtc_ms", 6, 10),
        ("axis_deg", 3, 8),
    ],
)
def test_sinus_rhythm_is_measured_as_it_was_made(sinus, field, bias, spread):
    error = (sinus[field] + 180) % 360 - 180 if field == "axis_deg" else sinus[field]
    assert np.isfinite(error).all()
    assert abs(np.median(error)) <= bias and np.percentile(np.abs(error - np.median(error)), 90) <= spread


def test_fibrillation_has_a_rate_and_no_pr():
    found = against_truth(["atrial fibrillation"], (70, 90))
    assert np.isnan(found["pr_ms"]).all()
    assert np.abs(found["heart_rate"]).max() < 3 and np.abs(found["rr_cv"]).max() < 0.02
    ecg = simulate(["atrial fibrillation"], 0, heart_rate=90)
    assert np.isnan(measured(ecg).pr_ms) and measured(ecg).rr_cv > 0.1


def test_qtc_is_fridericias():
    seen = measured(simulate(["sinus rhythm"], 1, heart_rate=95))
    assert seen.qtc_ms == pytest.approx(seen.qt_ms / (60 / seen.heart_rate) ** (1 / 3))
    assert seen.qtc_ms > seen.qt_ms


def test_what_cannot_be_measured_is_nan():
    ecg = simulate(["sinus rhythm"], 1)
    missing = np.array(ecg.signal)
    missing[100, 3] = np.nan
    for signal in (np.zeros((5000, 12)), missing):
        assert all(np.isnan(v) for v in table([measured(ecg.replace(signal=signal))])[0])
    assert np.isnan(measured(ECG(ecg.signal[:, 6:8], ("V1", "V2"))).axis_deg)
    assert table([]).shape == (0, len(FIELDS))


def test_an_axis_goes_round():
    assert difference(170, -170, "axis_deg") == 20 and difference(-90, 90, "axis_deg") == 180
    assert difference(170, -170, "qt_ms") == 340
    assert np.isnan(difference(np.nan, 3.0, "axis_deg"))


def test_heart_rate_against_the_asked_one():
    made = np.array([60, 75.0, 95, np.nan, 100])
    asked = np.array([62, 75.0, 80, 70, 90])
    row = condition_row(made, asked, patients=list("abcde"))
    assert row["n"] == 5 and row["measured"] == 0.8
    assert row["mean absolute error"] == pytest.approx((2 + 0 + 15 + 10) / 4)
    assert row["within 10"] == 3 / 5  # the one without a rate has missed
    assert row["error 95 %"][0] < row["mean absolute error"] < row["error 95 %"][1]
    nothing = condition_row(np.full(3, np.nan), [60, 70, 80], list("abc"))
    assert nothing["within 10"] == 0 == nothing["measured"] and np.isnan(nothing["mean absolute error"])


def test_the_control_takes_the_rate_of_another():
    asked = np.array([40.0, 80, 120, 160])
    for seed in range(20):
        row = condition_row(asked, asked, list("abcd"), seed=seed)
        assert row["mean absolute error"] == 0 and row["within 10"] == 1
        assert row["shuffled within 10"] == 0 and row["shuffled error"] >= 40


def rows(made, real, texts=None, patients=None):
    n = len(made["qt_ms"])
    full = [
        np.stack([np.asarray(x.get(name, np.full(n, np.nan)), float) for name in FIELDS], 1)
        for x in (made, real)
    ]
    found = interval_rows(*full, texts or ["a"] * n, patients or list(range(n)), draws=200)
    return {row["measure"]: row for row in found}


def test_rows_of_means_spreads_and_what_was_measured():
    made = {"qt_ms": [380.0, 400, np.nan, 420]}
    row = rows(made, {"qt_ms": [390.0, 390, 410, 430]})["qt_ms"]
    assert (row["made"], row["recorded"]) == (400, 405) and row["difference of means"] == -5
    assert row["sd"] == pytest.approx(np.std([380, 400, 420])) and row["measured"] == 0.75
    assert row["error"] == pytest.approx((10 + 10 + 10) / 3)
    assert row["difference 95 %"][0] <= -5 <= row["difference 95 %"][1]
    assert row["floor, same text"] > 0
    empty = rows(made, made)["pr_ms"]
    assert empty["measured"] == 0 and np.isnan(empty["made"]) and np.isnan(empty["sd"])


def test_rows_of_classes_take_their_own_records():
    rng = np.random.default_rng(0)
    real = rng.normal(400, 20, (30, len(FIELDS)))
    target = np.zeros((30, 3))
    target[:20, 0], target[20:, 1], target[:7, 2] = 1, 1, 1
    target[20, 0] = np.nan  # not known
    made = real.copy()
    made[20:] += 15
    found = {
        (r["class"], r["measure"]): r for r in class_rows(made, real, target, "abc", range(30), draws=200)
    }
    assert set(found) == {(c, m) for c in "ab" for m in ("pr_ms", "qrs_ms", "qt_ms")}  # too few of the third
    assert found["a", "qt_ms"]["n"] == 20 and found["a", "qt_ms"]["difference"] == 0
    row = found["b", "qt_ms"]
    assert row["difference"] == pytest.approx(15) and row["difference 95 %"] == pytest.approx((15, 15))
    assert row["recorded"] == pytest.approx(real[20:, FIELDS.index("qt_ms")].mean())
    assert row["sd"] == pytest.approx(row["recorded sd"])
    assert row["sd difference 95 %"] == pytest.approx((0, 0), abs=1e-6)


def test_axes_on_both_sides_of_180_degrees_have_their_mean_there():
    made, real = [170.0, -175, 175, -170], [150.0, 170, 155, 165]
    row = rows({"axis_deg": made, "qt_ms": [1.0] * 4}, {"axis_deg": real})["axis_deg"]
    assert abs(row["made"]) == pytest.approx(180) and row["recorded"] == pytest.approx(160)
    assert row["difference of means"] == pytest.approx(20) and row["sd"] == pytest.approx(np.sqrt(62.5))
    low, high = row["difference 95 %"]
    assert 0 < low <= 20 <= high < 40


def test_floor_and_control_keep_to_texts_and_patients():
    texts, patients = list("aaabbc"), ["p", "p", "q", "r", "r", "s"]
    for seed in range(10):
        same, other = partners(texts, patients, np.random.default_rng(seed))
        assert same[:3].tolist() == [2, 2, same[2]] and same[2] in (0, 1)
        assert same[3:].tolist() == [-1, -1, -1]  # under b one patient alone, under c one record alone
        assert all(texts[i] != texts[j] for i, j in enumerate(other))
    assert intervals.partners(["a", "a"], [1, 2], np.random.default_rng(0))[1].max() < 2
