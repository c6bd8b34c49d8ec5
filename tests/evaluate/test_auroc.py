"""Areas and their bootstrap against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ttecg.evaluate.auroc import interval, patient_draws, weighted_auroc


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_areas_are_those_of_scikit_learn(ties):
    rng = np.random.default_rng(0)
    score, target = rng.normal(size=60), (rng.random(60) < 0.3).astype(float)
    score = np.round(score) if ties else score
    weight = rng.integers(0, 4, (20, 60))
    mine = weighted_auroc(score, target, weight)
    theirs = [roc_auc_score(target, score, sample_weight=w) for w in weight]
    assert np.allclose(mine, theirs)


def test_a_weight_is_a_repetition_and_nan_is_left_out():
    score, target = np.array([0.1, 0.4, 0.3, 0.9, 5.0]), np.array([0, 0, 1, 1, np.nan])
    whole = weighted_auroc(score, target, np.array([[1, 2, 1, 3, 7]]))
    assert whole[0] == pytest.approx(
        roc_auc_score([0, 0, 0, 1, 1, 1, 1], [0.1, 0.4, 0.4, 0.3, 0.9, 0.9, 0.9])
    )


def test_one_kind_alone_has_no_area():
    assert np.isnan(weighted_auroc([1, 2], [1, 1], [[1, 1]])).all()
    assert np.isnan(weighted_auroc([1, 2], [np.nan, np.nan], [[1, 1]])).all()
    assert np.isnan(weighted_auroc([1, 2], [0, 1], [[1, 0]])).all()
    assert np.isnan(interval([np.nan])).all()


def test_a_patient_is_drawn_as_a_whole():
    patients = ["a", "b", "a", "c", "b", "d"]
    draws = patient_draws(patients, 50, seed=1)
    assert draws.shape == (50, 6)
    assert (draws[:, 0] == draws[:, 2]).all() and (draws[:, 1] == draws[:, 4]).all()
    assert (draws[:, [0, 1, 3, 5]].sum(1) == 4).all() and len(np.unique(draws, axis=0)) > 10
    assert (draws == patient_draws(patients, 50, seed=1)).all()
