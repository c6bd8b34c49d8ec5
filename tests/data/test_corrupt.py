"""Noise: its size is what was asked, the seed decides, each kind lies where it should in frequency."""

import numpy as np
import pytest

from ttecg.data.corrupt import KINDS, corrupt, noise, training_noise


@pytest.mark.parametrize("kind", KINDS)
def test_size_and_seed(kind):
    x = np.sin(np.arange(5000) / 30)
    noisy = corrupt(x, 500.0, np.random.default_rng(3), kind, 6.0)
    snr = 10 * np.log10(np.var(x) / np.mean((noisy - x) ** 2))
    assert snr == pytest.approx(6.0, abs=1e-6)
    np.testing.assert_array_equal(noisy, corrupt(x, 500.0, np.random.default_rng(3), kind, 6.0))
    assert np.abs(noisy - corrupt(x, 500.0, np.random.default_rng(4), kind, 6.0)).max() > 0.01


def test_where_the_power_lies():
    def share(kind, low, high):
        x = np.concatenate([noise(kind, 5000, 500.0, np.random.default_rng(i)) for i in range(5)])
        power, hz = np.abs(np.fft.rfft(x)) ** 2, np.fft.rfftfreq(len(x), 1 / 500)
        return power[(hz >= low) & (hz < high)].sum() / power.sum()

    assert share("wander", 0, 1.5) > 0.9
    assert share("mains", 48, 62) > 0.8
    assert share("muscle", 5, 250) > 0.9


def test_in_training_it_is_what_the_band_lets_through():
    made = [training_noise(448, 100.0, (0.67, 40.0), np.random.default_rng(i)) for i in range(8)]
    assert all(x.shape == (448,) and np.isfinite(x).all() for x in made)
    assert not training_noise(448, 100.0, (0.67, 40.0), np.random.default_rng(0), chance=0.0).any()
    assert max(np.std(x) for x in made) > 0.05


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="got 'hum'"):
        noise("hum", 10, 100.0, np.random.default_rng(0))
