"""Metrics on signals whose answer is known."""

import numpy as np
import pytest

from ttecg import metrics

RNG = np.random.default_rng(0)


def test_pearson():
    x = RNG.normal(size=(100, 4))
    y = np.stack([2 * x[:, 0] + 3, -x[:, 1], np.ones(100), x[:, 3] + RNG.normal(size=100)], 1)
    r = metrics.pearson(x, y)
    np.testing.assert_allclose(r[:3], [1, -1, 0], atol=1e-12)
    assert r[3] == pytest.approx(np.corrcoef(x[:, 3], y[:, 3])[0, 1])


def test_rmse_and_prd():
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 3.0], [-1.0, 3.0]]) + 5
    assert metrics.rmse(x, x) == metrics.prd(x, x) == 0
    assert metrics.rmse(x, x + 0.5) == pytest.approx(0.5)
    assert metrics.prd(x, x + 0.5) == pytest.approx(
        100 * np.sqrt(8 * 0.25 / (4 * 1 + 4 * 2.25))
    )  # mean removed
    assert metrics.prd(x + 7, x + 7.5) == pytest.approx(metrics.prd(x, x + 0.5))


def test_windows_leave_out_what_does_not_fit():
    x = np.arange(20.0)[:, None]
    w = metrics.windows(x, [1, 5, 16, 18], 10.0, (-0.2, 0.3))
    assert w.shape == (2, 5, 1)
    np.testing.assert_array_equal(w[:, :, 0], [[3, 4, 5, 6, 7], [14, 15, 16, 17, 18]])
    assert metrics.windows(x, [], 10.0, (-0.2, 0.3)).shape == (0, 5, 1)


def record(p_height=0.1, r_height=1.0, offset=0.0):
    t, peaks = np.arange(1000) / 100, np.arange(50, 1000, 100)
    waves = [(-0.15, 0.02, p_height), (0.0, 0.01, r_height), (0.3, 0.04, 0.3)]
    x = sum(h * np.exp(-0.5 * ((t[:, None] - peaks / 100 - at) / w) ** 2).sum(1) for at, w, h in waves)
    return x[:, None] * [1.0, 0.5] + offset, peaks


def test_p_waves():
    x, peaks = record()
    flat, _ = record(p_height=0.0)
    turned, _ = record(p_height=-0.1)
    assert metrics.p_wave_correlation(x, 3 * x + 2, peaks, 100.0) == pytest.approx(1)
    assert metrics.p_wave_correlation(x, turned, peaks, 100.0) < -0.9
    assert abs(metrics.p_wave_correlation(x, flat, peaks, 100.0)) < 0.5
    assert np.isnan(metrics.p_wave_correlation(x, x, [], 100.0))


def test_qrs_amplitudes():
    x, peaks = record()
    assert metrics.qrs_amplitude_ratio(x, x + 9, peaks, 100.0) == pytest.approx(1)
    assert metrics.qrs_amplitude_ratio(x, 0.7 * x, peaks, 100.0) == pytest.approx(0.7)
    assert metrics.qrs_amplitude_ratio(x, record(p_height=0.5)[0], peaks, 100.0) == pytest.approx(1, abs=0.01)
    assert np.isnan(metrics.qrs_amplitude_ratio(x, x, [], 100.0))
