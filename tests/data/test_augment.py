"""Augmentations leave an ECG an ECG: turning the heart, gain, crops, and another rate of the same beats."""

import numpy as np
import pytest

from ttecg.data import augment
from ttecg.data.beats import r_peaks
from ttecg.data.simulator import simulate
from ttecg.ecg import ECG, INDEPENDENT, einthoven_residual, to_twelve

RATE = 250.0


def beats(rate: float, seconds: int = 10):
    """A clean record with one beat every 60 / rate s, P, QRS and T, at 250 Hz; and its R peaks."""
    rr = 60 / rate
    peaks = np.arange(round(0.3 * RATE), seconds * RATE, rr * RATE).round().astype(int)
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(
        height * np.exp(-0.5 * ((t[:, None] - peaks / RATE - at * min(1, rr)) / width) ** 2).sum(1)
        for at, width, height in (
            (-0.16, 0.02, 0.1),
            (0.0, 0.01, 1.0),
            (0.03, 0.01, -0.3),
            (0.25, 0.03, 0.25),
        )
    )
    return wave[:, None] * np.linspace(0.5, 1.5, 8), peaks


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    "rate, stretch", [(60, 1.0), (60, 0.85), (60, 1.2), (95, 1.15), (120, 0.9), (150, 1.2), (190, 1.2)]
)
def test_retiming_keeps_qrs_and_puts_peaks_where_it_says(rate, stretch):
    x, peaks = beats(rate)
    y, moved = augment.retime(x, peaks, RATE, 2000, rng(1), stretch)
    assert y.shape == (2000, 8) and np.isfinite(y).all() and ((moved >= 0) & (moved < 2000)).all()
    before, after = round(0.05 * RATE), round(0.09 * RATE)
    inside = moved[(moved > before) & (moved < 2000 - after)]
    assert len(inside) > 5
    template = x[peaks[3] - before : peaks[3] + after]
    for p in inside:
        window = y[p - before : p + after]
        assert np.argmax(window[:, 7]) == before
        np.testing.assert_allclose(window, template, atol=0.03)
    assert np.median(np.diff(moved)) == pytest.approx(stretch * 60 / rate * RATE, rel=0.03, abs=1.5)


def test_retiming_a_simulated_rhythm_keeps_its_irregularity():
    ecg = simulate(["atrial fibrillation"], 0, noise=0, heart_rate=90).select(INDEPENDENT).resample(RATE)
    peaks = np.asarray(ecg.info["r_peaks"]) // 2
    y, moved = augment.retime(ecg.signal, peaks, RATE, 2000, rng(), 1.1)
    found = r_peaks(ECG(y, INDEPENDENT, RATE))
    assert np.mean([np.abs(found - p).min() <= 3 for p in moved[1:-1]]) > 0.9

    def spread(p):
        return np.std(np.diff(p)) / np.mean(np.diff(p))

    assert spread(moved) == pytest.approx(spread(peaks), rel=0.5) and spread(moved) > 0.1


def test_retiming_leaves_no_step_at_the_joins():
    x, peaks = beats(70)
    x = (
        x + 0.3 * np.sin(np.arange(len(x)) / 200)[:, None]
    )  # wander, so that beats end where others do not begin
    y, _ = augment.retime(x, peaks, RATE, 2000, rng(), 1.1)
    assert np.abs(np.diff(y, axis=0)).max() <= 1.1 * np.abs(np.diff(x, axis=0)).max()


def test_retiming_without_beats_gives_the_record_back():
    x, peaks = beats(60)
    for few in (peaks[:0], peaks[:1], peaks[:3]):
        y, moved = augment.retime(x, few, RATE, 2000, rng(), 1.3)
        np.testing.assert_array_equal(y, x[:2000])
        np.testing.assert_array_equal(moved, few)


def test_retiming_is_decided_by_its_generator():
    x, peaks = beats(60)
    a, b, c = (augment.retime(x, peaks, RATE, 1000, rng(s), 1.1) for s in (0, 0, 1))
    np.testing.assert_array_equal(a[0], b[0])
    assert (a[0] != c[0]).any()


def test_turning_by_nothing_is_nothing_and_there_and_back_too():
    x, _ = beats(60)
    np.testing.assert_allclose(augment.rotate_heart(x, (0, 0, 0)), x, atol=1e-12)
    dipole = rng().normal(size=(50, 3)) @ augment.DOWER.T
    for axis in np.eye(3):
        np.testing.assert_allclose(
            augment.rotate_heart(augment.rotate_heart(dipole, 30 * axis), -30 * axis), dipole, atol=1e-9
        )
    m = augment.rotation((10, -20, 30))
    np.testing.assert_allclose(m @ m.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(m) == pytest.approx(1)


def test_turning_moves_a_dipole_and_nothing_else():
    dipole = rng().normal(size=(50, 3))
    rest = rng(1).normal(size=(50, 8))
    rest -= rest @ np.linalg.pinv(augment.DOWER).T @ augment.DOWER.T
    turned = augment.rotate_heart(dipole @ augment.DOWER.T + rest, (0, 0, 90))
    wanted = np.stack([-dipole[:, 1], dipole[:, 0], dipole[:, 2]], 1) @ augment.DOWER.T  # X goes to Y
    np.testing.assert_allclose(turned, wanted + rest, atol=1e-9)


def test_small_turns_stay_near_and_limb_leads_keep_einthoven():
    ecg = simulate(["sinus rhythm"], 1, noise=0).select(INDEPENDENT)
    y = augment.random_gain(augment.random_rotation(ecg.signal, rng()), rng())
    assert np.corrcoef(y[:, 1], ecg.signal[:, 1])[0, 1] > 0.8
    assert einthoven_residual(ECG(to_twelve(y))) < 1e-12


def test_gain_is_one_factor_and_a_little_per_chest_lead():
    for seed in range(20):
        y = augment.random_gain(np.ones((3, 8)), rng(seed))
        assert (y == y[0]).all() and y[0, 0] == y[0, 1] and 0.75 <= y[0, 0] <= 1.33
        assert (np.abs(y[0, 2:] / y[0, 0] - 1) <= 0.0701).all() and len(set(y[0, 2:])) == 6


def test_crops():
    x = np.arange(20)[:, None]
    starts = {int(augment.random_crop(x, 15, rng(s))[0, 0]) for s in range(60)}
    assert starts == set(range(6))
    y = augment.random_crop(x, 15, rng())
    np.testing.assert_array_equal(np.diff(y[:, 0]), 1)
    np.testing.assert_array_equal(augment.random_crop(x, 20, rng()), x)
    with pytest.raises(ValueError, match="a record of 20 samples is shorter than the crop of 21"):
        augment.random_crop(x, 21, rng())


def test_time_scale_keeps_the_signal_and_its_range():
    x = np.sin(np.linspace(0, 40, 1000))[:, None] * np.arange(1, 9)
    y = augment.random_time_scale(x, 512, np.random.default_rng(0))
    assert y.shape == (512, 8) and np.abs(y).max() <= np.abs(x).max()
    np.testing.assert_allclose(y / np.arange(1, 9), y[:, :1] * np.ones(8))
    with pytest.raises(ValueError, match="too short"):
        augment.random_time_scale(x[:100], 512, np.random.default_rng(0))
