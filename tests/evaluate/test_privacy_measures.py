"""Nearness: equal to what is written out, blind to what copies change, sure of copies and unsure of strangers."""

import numpy as np
import pytest

from ttecg.evaluate import privacy_measures as measures


def records(count, seed, samples=1000):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(count, samples, 2)), axis=1)


def test_a_shifted_scaled_noisy_copy_is_found_and_a_stranger_is_not():
    known = records(5, 0)
    copies = 1.7 * np.roll(known, -200, axis=1)
    assert measures.aligned(copies, known, 100.0).min(1).max() < 0.001
    assert (measures.aligned(copies, known, 100.0).argmin(1) == np.arange(5)).all()
    noisy = copies + np.random.default_rng(1).normal(size=copies.shape)
    assert measures.aligned(noisy, known, 100.0).min(1).max() < 0.1
    assert measures.aligned(records(5, 1), known, 100.0).min() > 0.01


def test_aligned_equals_the_correlation_written_out():
    known, query = records(2, 2, 700), records(1, 3, 700)
    q = (query[0] - query[0].mean(0))[100:600]
    for record, found in zip(known - known.mean(1, keepdims=True), measures.aligned(query, known, 100.0)[0]):
        parts = [record[shift : shift + 500] for shift in range(201)]
        best = max((part * q).sum() / np.sqrt((part**2).sum() * (q**2).sum()) for part in parts)
        np.testing.assert_allclose(found, 1 - best, rtol=1e-5)


def test_aligned_is_the_same_however_many_records_are_looked_at_together(monkeypatch):
    known, queries = records(7, 0), records(3, 1)
    whole = measures.aligned(queries, known, 100.0)
    monkeypatch.setattr(measures, "_BLOCK", 2)
    np.testing.assert_allclose(measures.aligned(queries, known, 100.0), whole)


def test_unshifted_sees_only_what_lies_alike():
    known = records(4, 0)
    np.testing.assert_allclose(np.diag(measures.unshifted(known * 3, known)), 0, atol=1e-6)
    assert measures.unshifted(np.roll(known, 300, axis=1), known).min() > 0.01


def test_a_flat_signal_is_no_copy_of_anything():
    flat = np.zeros((1, 1000, 2))
    assert (measures.aligned(flat, records(3, 0), 100.0) == 1).all()
    assert (measures.unshifted(flat, records(3, 0)) == 1).all()


def test_distances_equal_those_written_out():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(600, 5)), rng.normal(size=(7, 5))
    expected = np.linalg.norm(a[:, None] - b, axis=-1)
    np.testing.assert_allclose(measures.distances(a, b), expected, rtol=1e-5)


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
    queries[2] = known[3]
    expected = [max(brute_run(q, k) for k in known) for q in queries]
    assert measures.longest_runs(queries, known).tolist() == expected
    assert expected[0] >= 26 and expected[1] == 0 and expected[2] == 40


def test_one_patient_stands_out_and_two_records_of_one_patient_do_not_hide_it():
    rng = np.random.default_rng(0)
    known, patients = rng.normal(size=(30, 8)), np.repeat(np.arange(15), 2)
    known[1::2] = known[::2] + 1e-4
    copies, strangers = known[:3] + 1e-3, rng.normal(size=(3, 8))
    assert measures.patient_ratio(measures.distances(copies, known), patients).max() < 0.01
    assert measures.patient_ratio(measures.distances(strangers, known), patients).min() > 0.3


def test_membership_is_half_for_strangers_and_one_for_copies():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=100), rng.normal(size=80)
    area, (low, high) = measures.membership(a, b, range(100), range(80))
    assert low < 0.5 < high and 0.4 < area < 0.6
    assert measures.membership(a - 100, b, range(100), range(80)) == (1, (1, 1))


@pytest.mark.parametrize("sizes", [(60, 60), (300, 60)])
def test_the_nearest_is_a_training_record_by_chance_or_because_it_was_copied(sizes):
    rng = np.random.default_rng(0)
    known, people = (rng.normal(size=(n, 6)) for n in sizes)
    patients = np.arange(sizes[0]), np.arange(sizes[1])

    def side(made):
        return measures.nearest_side(
            measures.distances(made, known), measures.distances(made, people), *patients
        )

    strangers, copies = side(rng.normal(size=(100, 6))), side(known[:50] + 0.01)
    np.testing.assert_allclose(strangers["by chance"], sizes[0] / sum(sizes), atol=0.02)
    assert strangers["p"] > 0.01 and strangers["95 %"][0] < strangers["training"] < strangers["95 %"][1]
    assert copies["training"] == 1 and copies["p"] == 0.001 and copies["ratio"] < 0.1


def test_people_are_recognised_where_features_know_them_and_only_there():
    rng = np.random.default_rng(0)
    person, patients = rng.normal(size=(40, 8)), np.arange(40)
    assert measures.recognised(person, person + 0.01, patients) == 1
    assert measures.recognised(person, rng.normal(size=(40, 8)), patients) < 0.2
    two = np.concatenate([person, person[:10] + 0.01])
    assert measures.recognised_again(two, [*range(40), *range(10)]) == (20, 1.0)
    n, share = measures.recognised_again(person, patients)
    assert n == 0 and np.isnan(share)


def test_the_share_under_a_percentile_is_that_percentile_for_groups_that_are_alike():
    rng = np.random.default_rng(0)
    held, made = rng.uniform(size=2000), rng.uniform(size=2000)
    share, (low, high) = measures.share_under(made, held, range(2000), range(2000), percent=5)
    assert low < 0.05 < high and low < share < high and high - low < 0.05
    share, (low, _) = measures.share_under(made / 10, held, range(2000), range(2000), percent=5)
    assert share > low > 0.3


def test_fewer_patients_mean_a_wider_interval():
    rng = np.random.default_rng(0)
    held, made = rng.uniform(size=400), np.repeat(rng.uniform(size=20), 20)
    alone, together = (
        measures.share_under(made, held, patients, range(400), percent=20)[1]
        for patients in (range(400), np.repeat(np.arange(20), 20))
    )
    assert np.diff(together) > 2 * np.diff(alone)


def test_chance_is_not_suspicious_and_copies_are():
    rng = np.random.default_rng(1)
    held_out, made = rng.uniform(0.1, 1, 150), rng.uniform(0.1, 1, 150)

    def why(made, under=(0.0, 0.03)):
        found = measures.compare(held_out, made, held_out)
        return measures.suspicious(found | {"under p1 of held-out": under[1], "95 %": under}, 150, 150)

    assert not why(made)
    assert not why(made, (0.06, 0.07)) and "nearest 1 %" in why(made, (0.06, 0.2))
    made[:2] = 0.001
    assert "2 at under half" in why(made)
    made[:20] = 0.09
    assert "nearer than every" in why(made)


def test_half_of_a_distance_is_of_the_least_of_real_ecgs():
    held_out, made = np.linspace(0.2, 1, 50), np.full(10, 0.04)
    others = np.linspace(0.05, 1, 1000)
    assert measures.compare(held_out, made, held_out)["copies"] == 10
    assert measures.compare(held_out, made, others)["copies"] == 0
    others[:5] = 0  # recordings that are stored twice do not hide copies
    assert measures.compare(held_out, made / 10, others)["copies"] == 10


@pytest.mark.parametrize("place", [1, 3])
def test_chance_is_that_of_a_random_order(place):
    rng = np.random.default_rng(0)
    made = (
        np.array([rng.permutation(30) for _ in range(20000)]) < 12
    )  # 12 made, 18 held out, from the nearest on
    before = np.array([np.flatnonzero(~row)[place - 1] - (place - 1) for row in made])
    for count in (0, 1, 3, 5):
        np.testing.assert_allclose(
            measures.chance(count, 12, 18, place), (before >= count).mean(), atol=0.015
        )
