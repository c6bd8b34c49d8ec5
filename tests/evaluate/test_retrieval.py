"""Retrieval by hand-made scores."""

import numpy as np
import pytest

from ttecg.evaluate.retrieval import ranks, retrieval


def test_each_finds_its_own():
    found = retrieval(np.eye(12), np.eye(12))
    assert found["text_to_ecg_r1"] == found["ecg_to_text_r1"] == 1
    assert found["chance_r1"] == pytest.approx(1 / 12) and found["chance_r10"] == pytest.approx(10 / 12)


def test_ranks_count_the_wrong_ones_before_the_best_right_one():
    ecg = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    text = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert ranks(ecg, text)["text_to_ecg"].tolist() == [0, 1, 2]
    same = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    assert ranks(ecg, text, same)["text_to_ecg"].tolist() == [0, 0, 2]


def test_equal_scores_count_against_it():
    assert ranks(np.ones((4, 2)), np.ones((4, 2)))["text_to_ecg"].tolist() == [3, 3, 3, 3]


def test_chance_with_several_right_ones_is_what_random_order_gives():
    rng = np.random.default_rng(0)
    same = np.kron(np.eye(6, dtype=bool), np.ones((2, 2), bool))
    drawn = [
        retrieval(rng.normal(size=(12, 40)), rng.normal(size=(12, 40)), same)["text_to_ecg_r5"]
        for _ in range(400)
    ]
    assert np.mean(drawn) == pytest.approx(retrieval(np.eye(12), np.eye(12), same)["chance_r5"], abs=0.03)
