"""Components of usual beats: what they keep, and bins."""

import numpy as np
import pytest

from ttecg.models import beat_basis

T, RNG = np.linspace(-0.35, 0.69, 100), np.random.default_rng(0)


def beats(count, rng):
    """(N, 100, 2) of a tall sharp and a low broad wave whose heights, widths and places differ."""
    tall, low = rng.normal(1, 0.3, (2, count, 1, 1))
    place, width = rng.normal(0.3, 0.02, (count, 1, 1)), rng.normal(0.06, 0.01, (count, 1, 1))
    t = T[None, :, None] * np.ones(2)
    other = rng.normal(1, 0.2, (count, 1, 2))
    return (
        tall * np.exp(-0.5 * (t / 0.02) ** 2) + 0.1 * low * np.exp(-0.5 * ((t - place) / width) ** 2)
    ) * other


BASIS = beat_basis.fit(beats(500, RNG))


def test_beats_come_back():
    new = beats(50, np.random.default_rng(1))
    back = BASIS.decode(BASIS.encode(new))
    assert np.sqrt(((back - new) ** 2).mean() / (new**2).mean()) < 0.08
    low = slice(50, 84)  # where only the low wave is
    assert np.corrcoef(back[:, low].ravel(), new[:, low].ravel())[0, 1] > 0.98


def test_bins_are_ordered_and_hold_their_values():
    bins = np.arange(beat_basis.BINS)
    values = beat_basis.to_values(beat_basis.coordinates(bins))
    assert (np.diff(values) > 0).all() and values[beat_basis.BINS // 2] == 0
    np.testing.assert_array_equal(beat_basis.to_bins(values), bins)
    assert beat_basis.to_bins(np.array([-1e6, 1e6])).tolist() == [0, beat_basis.BINS - 1]


def test_components_are_in_units_of_their_spread():
    values = beat_basis.to_values(beat_basis.coordinates(BASIS.encode(beats(500, np.random.default_rng(2)))))
    assert (np.abs(values[:, :4].std(0) - 1) < 0.25).all()


def test_few_beats():
    with pytest.raises(ValueError, match="too few"):
        beat_basis.fit(beats(10, RNG))
