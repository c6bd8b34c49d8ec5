"""Nearness sees copies, and the verdict turns when copies are planted."""

import numpy as np
import pytest

from ttecg.evaluate import privacy
from ttecg.evaluate import privacy_measures as measures
from ttecg.evaluate.privacy_measures import aligned, longest_runs, suspicious, two_nearest, unshifted


def records(count, seed, samples=1000):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(count, samples, 2)), axis=1)


def test_a_shifted_scaled_copy_is_found_and_a_stranger_is_not():
    known = records(5, 0)
    copies = 1.7 * np.roll(known, -200, axis=1)
    assert aligned(copies, known, 100.0).min() > 0.999
    assert aligned(records(5, 1), known, 100.0).max() < 0.99


def test_it_equals_the_correlation_written_out():
    known, query = records(2, 2, 700), records(1, 3, 700)
    q = (query[0] - query[0].mean(0))[100:600]
    best = -1.0
    for record in known - known.mean(1, keepdims=True):
        for shift in range(201):
            part = record[shift : shift + 500]
            best = max(best, (part * q).sum() / np.sqrt((part**2).sum() * (q**2).sum()))
    np.testing.assert_allclose(aligned(query, known, 100.0), [best], rtol=1e-6)


def test_unshifted_sees_only_what_lies_alike():
    known = records(4, 0)
    np.testing.assert_allclose(unshifted(known * 3, known), 1)
    assert unshifted(np.roll(known, 300, axis=1), known).max() < 0.99


def brute_run(a, b):
    best = 0
    for i in range(len(a)):
        for j in range(len(b)):
            n = 0
            while i + n < len(a) and j + n < len(b) and a[i + n] == b[j + n]:
                n += 1
            best = max(best, n)
    return best


def test_the_longest_run_is_that_found_by_looking_everywhere():
    rng = np.random.default_rng(0)
    known, queries = rng.integers(0, 3, (4, 40)), rng.integers(0, 3, (6, 40))
    queries[0, 5:31] = known[2, 9:35]
    queries[1] = 7
    expected = [max(brute_run(q, k) for k in known) for q in queries]
    assert longest_runs(queries, known).tolist() == expected
    assert expected[0] >= 26 and expected[1] == 0


def test_one_patient_stands_out():
    rng = np.random.default_rng(0)
    known, patients = rng.normal(size=(30, 8)), np.repeat(np.arange(15), 2)
    distance, ratio = two_nearest(known[:3] + 1e-3, known, patients)
    assert (distance < 0.01).all() and (ratio < 0.01).all()
    assert two_nearest(rng.normal(size=(3, 8)), known, patients)[1].min() > 0.3


def test_membership_is_half_for_strangers_and_one_for_copies():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=100), rng.normal(size=80)
    area, (low, high) = measures.membership(a, b, range(100), range(80))
    assert low < 0.5 < high and 0.4 < area < 0.6
    assert measures.membership(a + 100, b, range(100), range(80))[0] == 1


def test_chance_is_not_suspicious_and_copies_are():
    rng = np.random.default_rng(1)
    held_out, made = rng.uniform(0.1, 1, 150), rng.uniform(0.1, 1, 150)
    assert not suspicious(measures.compare(held_out, made), 150, 150)
    made[:3] = 0.001
    assert "3 at under half" in suspicious(measures.compare(held_out, made), 150, 150)
    made[:20] = 0.09
    assert "nearer than every" in suspicious(measures.compare(held_out, made), 150, 150)


def group(signals, seed, ids):
    """What `judge` compares, of made-up signals: features and codes follow from the signal."""
    rng = np.random.default_rng(0)
    map_ = rng.normal(size=(40, 6)) / 40
    parts = signals[:, :1000:50].reshape(len(signals), -1)
    features = (parts - parts.mean(1, keepdims=True)) @ map_
    codes = (signals[:, ::20, 0] * 10).astype(int) % 64
    return {"signal": signals, "features": features, "a": features, "b": features, "codes": codes, "ids": ids}


@pytest.fixture(scope="module")
def sets():
    known = group(records(60, 0), 0, [f"t{i}" for i in range(60)])
    people = group(records(40, 1), 1, [f"h{i}" for i in range(40)])
    copies = group(known["signal"][:20], 0, [f"c{i}" for i in range(20)])
    return known, people, copies


def test_held_out_people_pass(sets):
    known, people, copies = sets
    others = group(records(40, 5), 2, [f"g{i}" for i in range(40)])
    line = privacy.verdict(privacy.judge(known, people, {"generated": others}, copies))
    assert line.startswith("verdict: PASS") and "were caught" in line


@pytest.mark.parametrize("change", ["as they are", "moved and taller"])
def test_planted_copies_turn_the_verdict(sets, change):
    known, people, copies = sets
    made = records(40, 6)
    made[:4] = known["signal"][:4] if change == "as they are" else 1.3 * np.roll(known["signal"][:4], 150, 1)
    found = privacy.judge(known, people, {"generated": group(made, 3, list(range(40)))}, copies)
    assert privacy.verdict(found).startswith("verdict: FAIL: generated")
    figure = privacy._plot(found)
    assert len(figure.axes) == len(privacy.MEASURES) + 1
