"""The usual beat of one lead at the R peaks of another."""

import numpy as np
import pytest

from ttecg.data.beat_template import SPAN, cues, lay_out, lead_peaks, median_beat
from ttecg.data.simulator import simulate
from ttecg.ecg import INDEPENDENT

RATE = 100.0


def test_the_beat_of_a_periodic_lead_gives_the_lead_back():
    t = np.arange(1000)
    x = np.exp(-0.5 * (((t - 40) % 80 - 40 + 40 - 40) / 3.0) ** 2)
    peaks = np.flatnonzero(np.diff(np.sign(np.diff(x))) < 0) + 1.0
    beat = median_beat(x, peaks, RATE)
    assert len(beat) == 96 and beat.argmax() == round(SPAN[0] * RATE)
    np.testing.assert_allclose(lay_out(beat, peaks, 1000, RATE)[100:900], x[100:900], atol=1e-3)


def test_every_peak_gets_the_beat_and_time_goes_on_beyond_them():
    beat = np.zeros(96)
    beat[36] = 1.0
    laid = lay_out(beat, np.array([200.0, 270.0, 350.0]), 600, RATE)
    assert {200, 270, 350} <= set(np.flatnonzero(laid > 0.99))
    assert laid[:190].max() > 0.9 and laid[360:].max() > 0.9


def test_no_beats_no_template():
    told = cues(np.ones(300), np.ones(400), np.zeros(0), np.array([50.0]), RATE)
    assert told["template"].shape == (300, 2) and told["beats"].shape == (96, 2)
    assert not told["template"].any() and not told["beats"].any()


def test_one_beat_at_the_edge_is_enough():
    assert np.isfinite(median_beat(np.arange(30.0), np.array([5.0]), RATE)).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_it_resembles_the_lead_that_it_stands_for(seed):
    x = simulate(["sinus rhythm"], seed).select(INDEPENDENT).resample(RATE).bandpass(0.67, 40).signal
    one, two = x[:500, 0], x[500:, 1]
    told = cues(one, two, lead_peaks(one, "I", RATE), lead_peaks(two, "II", RATE), RATE)
    assert np.corrcoef(told["template"][:, 1], x[:500, 1])[0, 1] > 0.5
    assert np.corrcoef(told["template"][:, 0], one)[0, 1] > 0.5
