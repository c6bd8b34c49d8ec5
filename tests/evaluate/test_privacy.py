"""The nearest-record measure sees copies, and the verdict can fail."""

import numpy as np

from ttecg.evaluate.privacy import nearest, verdict


def records(count, seed, samples=1000):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(count, samples, 2)), axis=1)


def test_a_shifted_scaled_copy_is_found_and_a_stranger_is_not():
    known = records(5, 0)
    copies = 1.7 * np.roll(known, -200, axis=1)
    assert nearest(copies, known).min() > 0.999
    assert nearest(records(5, 1), known).max() < 0.99


def test_it_equals_the_correlation_written_out():
    known, query = records(2, 2, 700), records(1, 3, 700)
    q = (query[0] - query[0].mean(0))[100:600]
    best = -1.0
    for record in known - known.mean(1, keepdims=True):
        for shift in range(201):
            part = record[shift : shift + 500]
            best = max(best, (part * q).sum() / np.sqrt((part**2).sum() * (q**2).sum()))
    np.testing.assert_allclose(nearest(query, known), [best], rtol=1e-6)


def row(ecgs, nearer, median):
    return {"ecgs": ecgs, "n": 100, "nearer_than_any_held_out": nearer, "median": median}


def test_the_verdict_turns():
    held_out = row("held-out", 0.0, 0.80)
    assert "PASS" in verdict([held_out, row("generated", 0.01, 0.79)])
    assert "FAIL" in verdict([held_out, row("generated", 0.30, 0.79)])
    assert "FAIL" in verdict([held_out, row("generated", 0.0, 0.95)])
