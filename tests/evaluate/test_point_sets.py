"""Distances of sets: closed forms, points laid by hand, and loops that do what the definitions say."""

import tracemalloc

import numpy as np
import pytest

from ttecg.evaluate import point_sets


def normal(count, mean, covariance, seed=0):
    """Vectors whose sample mean and covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def test_frechet_of_normals_that_share_their_axes():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    a, b = np.array([1.0, 4, 9]), np.array([4.0, 1, 16])
    x = normal(50, [0, 0, 0], turn @ np.diag(a) @ turn.T, 0)
    y = normal(80, [1, 2, 3], turn @ np.diag(b) @ turn.T, 1)
    # |mean|² + sum (sqrt a - sqrt b)² = 14 + 1 + 1 + 1
    assert point_sets.frechet(x, y) == pytest.approx(17)
    assert point_sets.frechet(y, x) == pytest.approx(17)


def test_frechet_of_normals_in_the_plane_whose_axes_differ():
    cx, cy = np.array([[2.0, 0.9], [0.9, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    # the trace of a root of a 2 x 2 matrix is sqrt(trace + 2 sqrt(determinant))
    root = np.sqrt(np.trace(cx @ cy) + 2 * np.sqrt(np.linalg.det(cx @ cy)))
    found = point_sets.frechet(normal(40, [0, 0], cx, 0), normal(60, [3, 4], cy, 1))
    assert found == pytest.approx(25 + np.trace(cx) + np.trace(cy) - 2 * root)


def test_frechet_holds_for_fewer_vectors_than_features():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 64))
    assert point_sets.frechet(x, x) < 1e-5
    assert point_sets.frechet(x, x + 0.5) == pytest.approx(64 * 0.25, abs=1e-5)
    assert point_sets.frechet(x, 3 * x - 2 * x.mean(0)) == pytest.approx(4 * x.var(0, ddof=1).sum(), rel=1e-6)


def test_small_sets_of_one_distribution_lie_farther_apart():
    rng = np.random.default_rng(0)
    few, many = (point_sets.frechet(*rng.normal(size=(2, n, 8))) for n in (20, 2000))
    assert few > 10 * many > 0


def test_kid_is_the_double_sum():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 5)), rng.normal(0.3, 1.2, size=(270, 5))

    def kernel(a, b):
        return (a @ b / 5 + 1) ** 3

    own = [
        np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)
    ]
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert point_sets.kid(x, y) == pytest.approx(sum(own) - 2 * across, rel=1e-9)


def test_kid_has_no_bias():
    rng = np.random.default_rng(0)
    draws = [point_sets.kid(*rng.normal(size=(2, 15, 4))) for _ in range(400)]
    assert min(draws) < 0 and abs(np.mean(draws)) < 3 * np.std(draws) / 20


def test_balls_laid_by_hand():
    real = np.array([[0.0], [1.0], [3.0], [10.0]])
    made = np.array([[0.5], [3.5], [4.9], [30.0]])
    # to the nearest other: real 1, 1, 2, 7; made 3, 1.4, 1.4, 25.1
    assert point_sets.precision_recall(real, made, 1) == (0.75, 1.0)
    # made .5 lies in two balls of real ones, 3.5 in those of 3 and 10, 4.9 in both too, 30 in none
    assert point_sets.density_coverage(real, made, 1) == (6 / 4, 1.0)
    assert point_sets.precision_recall(real, made[:2] + 100, 1) == (0.0, 0.0)
    assert point_sets.density_coverage(real, made[:2] + 100, 1) == (0.0, 0.0)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_balls_equal_those_of_the_definitions(k, monkeypatch):
    monkeypatch.setattr(point_sets, "_BLOCK", 16)
    rng = np.random.default_rng(k)
    real, made = rng.normal(size=(70, 3)), rng.normal(0.8, 0.7, size=(45, 3))

    def far(a, b):
        return np.linalg.norm(a - b)

    def ball(s):
        return [sorted(far(a, b) for j, b in enumerate(s) if j != i)[k - 1] for i, a in enumerate(s)]

    real_ball, made_ball = ball(real), ball(made)
    inside = np.array([[far(m, r) < size for r, size in zip(real, real_ball)] for m in made])
    recalled = [any(far(r, m) <= size for m, size in zip(made, made_ball)) for r in real]
    assert point_sets.precision_recall(real, made, k) == (inside.any(1).mean(), np.mean(recalled))
    density, coverage = point_sets.density_coverage(real, made, k)
    assert density == pytest.approx(inside.sum() / (k * len(made))) and coverage == inside.any(0).mean()
    assert 0 < coverage < 1


def test_what_all_features_share_costs_no_digits():
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(60, 8)), rng.normal(size=(50, 8))
    for score in (point_sets.precision_recall, point_sets.density_coverage):
        np.testing.assert_allclose(score(real + 1e6, made + 1e6, 3), score(real, made, 3))
    np.testing.assert_allclose(
        point_sets.nearest(made + 1e6, real + 1e6), point_sets.nearest(made, real), rtol=1e-6
    )


def test_nearest():
    x = np.array([[0.0, 0], [3, 4], [10, 0]])
    assert point_sets.nearest(x[:2], x[2:]).tolist() == pytest.approx([10, np.sqrt(65)])
    assert point_sets.nearest(x, x).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert point_sets.nearest(x, x, skip_self=True).tolist() == pytest.approx([5, 5, np.sqrt(65)])


def test_no_table_of_all_pairs_is_held():
    x, y = np.random.default_rng(0).normal(size=(2, 2500, 4))
    tracemalloc.start()
    try:
        point_sets.precision_recall(x, y, 3)
        point_sets.density_coverage(x, y, 3)
        point_sets.kid(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.75 * 2500 * 2500 * 8


def test_halves_of_one_set_cannot_be_told_apart_and_strangers_can():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6))
    halves = point_sets.discriminator_auc(x[:200], x[200:])
    assert set(halves) == {"linear", "trees"} and all(0.4 < v < 0.6 for v in halves.values())
    assert min(point_sets.discriminator_auc(x[:200], x[200:] + 3).values()) > 0.98
    wider = point_sets.discriminator_auc(x[:200], 4 * x[200:])
    assert wider["linear"] < 0.65 and wider["trees"] > 0.9


def test_patients_are_not_told_apart_when_they_are_groups():
    """20 patients with ten like ECGs each, ten patients in either set: without groups the trees know them again."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 10)
    x = rng.normal(size=(20, 6))[patient] + 0.05 * rng.normal(size=(200, 6))
    real, made = patient < 10, patient >= 10
    leaked = point_sets.discriminator_auc(x[real], x[made])["trees"]
    held_out = point_sets.discriminator_auc(x[real], x[made], patient[real], patient[made])["trees"]
    assert leaked > 0.95 and held_out < 0.75


def test_wrong_inputs_are_told():
    x = np.random.default_rng(0).normal(size=(10, 3))
    for call in (
        lambda: point_sets.frechet(x[:1], x),
        lambda: point_sets.precision_recall(x[:3], x, 3),
        lambda: point_sets.density_coverage(x, x[:5], 5),
    ):
        with pytest.raises(ValueError, match="too small"):
            call()
    for groups, words in (
        ((range(10), None), "both or for neither"),
        ((range(10), range(9)), "one for each"),
        ((["p"] * 10, ["p"] * 10), "at least two groups"),
    ):
        with pytest.raises(ValueError, match=words):
            point_sets.discriminator_auc(x, x, *groups)
