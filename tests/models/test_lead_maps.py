"""Linear maps between leads: closure, ridge against scikit-learn, transforms, and what is visible coming back."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from ttecg.ecg import DOWER, EIGHT_TO_TWELVE, INDEPENDENT, LEADS
from ttecg.models import lead_maps


@pytest.fixture
def eight():
    """(N, T, 8) of correlated leads."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(3, 400, 3)) @ DOWER.T + 0.1 * rng.normal(size=(3, 400, 8))).astype(np.float32)


def test_two_limb_leads_give_all_six():
    mask = lead_maps.visible(("aVF", "iii"))
    assert mask[:6].all() and not mask[6:].any()
    assert lead_maps.visible(("III",)).sum() == 1
    assert lead_maps.hidden(lead_maps.visible(("III", "V2"))) == ("I", "II", "V1", "V3", "V4", "V5", "V6")


@pytest.mark.parametrize(
    ("leads", "word"),
    [((), "at least one"), (("V9",), "V9"), (INDEPENDENT, "none left"), (LEADS, "none left")],
)
def test_sets_that_make_no_sense_are_refused(leads, word):
    with pytest.raises(ValueError, match=word):
        lead_maps.visible(leads)


@pytest.mark.parametrize("leads", [("I",), ("I", "II", "V2"), ("V1", "V5")])
def test_ridge_is_scikit_learns(eight, leads):
    x = eight.reshape(-1, 8)
    moment, mask = x.T @ x / len(x), lead_maps.visible(leads)
    weights = np.asarray(lead_maps.ridge(moment, mask, 1e-2))
    seen = [INDEPENDENT.index(lead) for lead in leads]
    penalty = 1e-2 * np.trace(moment) / 8 * len(x)
    theirs = Ridge(alpha=penalty, fit_intercept=False).fit(x[:, seen], x)
    twelve = x @ EIGHT_TO_TWELVE * mask
    np.testing.assert_allclose(twelve @ weights, theirs.predict(x[:, seen]), atol=1e-4)


@pytest.mark.parametrize("transform", [lead_maps.dower, lead_maps.inverse_dower, lead_maps.kors])
def test_transforms_use_what_is_visible_alone_and_know_a_dipole(transform):
    for leads in (("I", "II", "V2"), ("III", "V1", "V6")):
        mask = lead_maps.visible(leads)
        weights = transform(mask)
        assert not weights[~mask].any()
        heart = np.random.default_rng(1).normal(size=(50, 3))
        x = heart @ DOWER.T
        made = np.asarray(
            lead_maps.restore(
                (x @ EIGHT_TO_TWELVE * mask @ weights)[None], (x @ EIGHT_TO_TWELVE)[None], mask[None]
            )
        )
        hidden = np.isin(INDEPENDENT, lead_maps.hidden(mask))
        likeness = np.corrcoef(made[0][:, hidden].ravel(), x[:, hidden].ravel())[0, 1]
        # Dower's own answer is exact; the others invert his matrix, or a regression, only nearly
        assert likeness > {"dower": 0.99999, "inverse_dower": 0.98, "kors": 0.85}[transform.__name__]


@pytest.mark.parametrize("leads", [("I",), ("aVR",), ("I", "II"), ("aVL", "V3"), ("V1", "V2", "V6")])
def test_what_is_visible_comes_back(eight, leads):
    mask = lead_maps.visible(leads)
    twelve = eight @ EIGHT_TO_TWELVE.astype(np.float32)
    guess = np.random.default_rng(2).normal(size=eight.shape).astype(np.float32)
    made = np.asarray(lead_maps.restore(guess, twelve, np.broadcast_to(mask, (3, 12))))
    np.testing.assert_allclose((made @ EIGHT_TO_TWELVE)[..., mask], twelve[..., mask], atol=1e-5)
    shown = mask[lead_maps.EIGHT]
    assert (made[..., shown] == eight[..., shown]).all()
    chest = ~shown & (np.arange(8) > 1)
    assert (made[..., chest] == guess[..., chest]).all()
