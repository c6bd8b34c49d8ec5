"""Laying usual beats out over R peaks."""

import numpy as np

from ttecg.models.layout import lay_out_batch, window

RATE = 250.0
BEFORE, LENGTH = window(RATE)
RAMP = np.broadcast_to((np.arange(LENGTH, dtype=np.float32) - BEFORE)[:, None], (LENGTH, 2))
BEATS = np.stack([RAMP, 1000 + RAMP])[None]


def lay(peaks, kinds=(), samples=1000):
    slots = np.full((1, 6), np.inf, np.float32)
    slots[0, : len(peaks)] = peaks
    told = np.zeros((1, 6), int)
    told[0, : len(kinds)] = kinds
    return np.asarray(lay_out_batch(BEATS, slots, told, samples, RATE, BEFORE))[0]


def test_every_r_peak_is_where_it_is_asked_for():
    x = lay([0.8, 1.6, 2.4, 3.2], [0, 1, 0, 0])
    for peak, kind in zip((0.8, 1.6, 2.4, 3.2), (0, 1, 0, 0)):
        near = round(peak * RATE) + np.arange(-5, 20)
        np.testing.assert_allclose(x[near, 0], 1000 * kind + near - peak * RATE, atol=0.01)


def test_a_long_pause_holds_the_end_and_no_peak_is_silence():
    x = lay([0.5, 3.5])
    np.testing.assert_allclose(x[round(1.5 * RATE), 0], LENGTH - 1 - BEFORE)
    assert not lay([]).any()


def test_one_peak_has_neighbours_beyond_the_record():
    x = lay([2.0])
    assert np.isfinite(x).all() and abs(x[500, 0]) < 0.01
