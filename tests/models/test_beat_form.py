"""The form of usual beats: P at one place, and back to where it was asked for."""

import numpy as np
import pytest

from ttecg.models import beat_form
from ttecg.models.beat_form import P_AT
from ttecg.models.layout import window

RATE = 250.0
BEFORE, LENGTH = window(RATE)
T = (np.arange(LENGTH) - BEFORE) / RATE


def to_form(x, *told):
    return np.asarray(beat_form.to_form(x, *map(np.float32, told), BEFORE, RATE))


def from_form(x, *told):
    return np.asarray(beat_form.from_form(x, *map(np.float32, told), BEFORE, RATE))


def bump(centre, width, height):
    return height * np.exp(-0.5 * ((T - centre) / width) ** 2)


def beat(pr_ms, qr_ms=45.0):
    """One lead of P, Q, R, S and T; P lasts 100 ms."""
    p = bump(-(pr_ms + qr_ms) / 1000 + 0.05, 0.017, 0.15)
    return (p + bump(0, 0.012, 1.2) - bump(0.03, 0.01, 0.3) + bump(0.26, 0.04, 0.3))[:, None].astype(
        np.float32
    )


@pytest.mark.parametrize("pr_ms", [110.0, 160.0, 280.0])
def test_p_comes_to_one_place_and_back(pr_ms):
    told = (pr_ms, 45.0, 380.0)
    formed = to_form(beat(pr_ms), *told)
    ahead = T < -0.05
    assert abs(T[ahead][formed[ahead, 0].argmax()] + P_AT - 0.05) < 0.012
    np.testing.assert_allclose(formed[~ahead], beat(pr_ms)[~ahead], atol=1e-3)
    np.testing.assert_allclose(from_form(formed, *told), beat(pr_ms), atol=0.02)


def test_a_beat_in_the_form_has_the_pr_it_is_asked_to_have():
    formed = to_form(beat(160.0), 160.0, 45.0, 380.0)
    np.testing.assert_allclose(from_form(formed, 260.0, 45.0, 380.0), beat(260.0), atol=0.02)


@pytest.mark.parametrize("form", [to_form, from_form])
def test_without_p_nothing_is_left_of_it(form):
    x = beat(160.0) + bump(0.6, 0.02, 0.2)[:, None]
    made = form(x, np.nan, 45.0, 400.0)
    outside = (T < -0.1) | (T > 0.39)
    assert np.ptp(made[outside]) < 1e-6
    kept = (T > -0.05) & (T < 0.3)
    np.testing.assert_allclose(made[kept], x[kept], atol=1e-6)
    endless = form(x, np.nan, 45.0, np.nan)
    np.testing.assert_allclose(endless[T > 0], x[T > 0], atol=1e-6)
