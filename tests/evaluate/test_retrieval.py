"""Retrieval against orders made by hand, and chance against orders drawn at random."""

import numpy as np
import pytest

from ttecg.evaluate.retrieval import AMONG, ranks, retrieval


def on_a_circle(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def test_what_lies_together_is_found_at_once():
    found = retrieval(np.eye(12), np.eye(12))
    assert all(found[f"{way}_r{k}"] == 1 for way in ("text_to_ecg", "ecg_to_text") for k in AMONG)
    assert [found[f"chance_r{k}"] for k in AMONG] == pytest.approx([1 / 12, 5 / 12, 10 / 12])


def test_an_order_made_by_hand():
    ecg, text = on_a_circle(0, 20, 90), on_a_circle(15, 80, 85)
    found = ranks(ecg, text)
    # text 0 at 15: ECGs by distance 5 (1), 15 (0), 75 (2); text 1 at 80: 10 (2), 60 (1), 80 (0)
    assert found["text_to_ecg"].tolist() == [1, 1, 0]
    # ECG 1 at 20: texts by distance 5 (0), 60 (1), 65 (2)
    assert found["ecg_to_text"].tolist() == [0, 1, 0]
    shares = retrieval(ecg, text)
    assert shares["text_to_ecg_r1"] == pytest.approx(1 / 3) and shares["text_to_ecg_r5"] == 1
    assert shares["ecg_to_text_r1"] == pytest.approx(2 / 3) and shares["chance_r5"] == 1


def test_what_says_the_same_is_as_right():
    ecg, text = on_a_circle(0, 20, 90), on_a_circle(15, 80, 85)
    same = np.eye(3, dtype=bool)
    same[0, 1] = same[1, 0] = True
    found = ranks(ecg, text, same)
    assert found["text_to_ecg"].tolist() == [0, 1, 0] and found["ecg_to_text"].tolist() == [0, 0, 0]
    assert found["chance_r1"] == pytest.approx((2 + 2 + 1) / 9)


def test_vectors_that_all_agree_find_nothing():
    found = ranks(np.ones((20, 3)), np.ones((20, 3)))
    assert (found["text_to_ecg"] == 19).all() and (found["ecg_to_text"] == 19).all()
    assert all(retrieval(np.ones((20, 3)), np.ones((20, 3)))[f"text_to_ecg_r{k}"] == 0 for k in AMONG)


def test_chance_is_what_vectors_at_random_get():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 8, 40)
    drawn = [
        retrieval(rng.normal(size=(40, 16)), rng.normal(size=(40, 16)), kind[:, None] == kind)
        for _ in range(300)
    ]
    for k in AMONG:
        for way in ("text_to_ecg", "ecg_to_text"):
            assert np.mean([d[f"{way}_r{k}"] for d in drawn]) == pytest.approx(
                drawn[0][f"chance_r{k}"], abs=0.015
            )


def test_the_order_of_the_records_does_not_matter():
    rng = np.random.default_rng(1)
    ecg, text, kind = rng.normal(size=(15, 4)), rng.normal(size=(15, 4)), rng.integers(0, 5, 15)
    there = retrieval(ecg, text, kind[:, None] == kind)
    other = rng.permutation(15)
    assert retrieval(ecg[other], text[other], kind[other][:, None] == kind[other]) == pytest.approx(there)


def test_wrong_vectors():
    broken = np.eye(3)
    broken[1, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        retrieval(broken, np.eye(3))
    for ecg, text, same in (
        (np.eye(3), np.eye(4), None),
        (np.eye(3), np.eye(3), np.eye(2)),
        (np.zeros((0, 3)), np.zeros((0, 3)), None),
    ):
        with pytest.raises(ValueError, match="for each"):
            retrieval(ecg, text, same)
