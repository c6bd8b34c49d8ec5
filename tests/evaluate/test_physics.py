"""What every ECG obeys: simulated ones do, and each violation that is planted is seen by its own measure."""

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.evaluate.physics import Physics, beat_constancy, physics, rr_distance


@pytest.fixture(scope="module")
def heart():
    return simulate(["sinus rhythm"], 1, heart_rate=75, noise=0.3)


def changed(ecg, lead, change):
    x = np.array(ecg.signal)
    x[:, lead] = change(x[:, lead])
    return ecg.replace(signal=x)


def test_a_simulated_heart_obeys(heart):
    found = physics(heart)
    assert found.residual < 1e-12 and found.faults == ()
    assert found.jitter < 12 and 0.98 < found.constancy <= 1
    true = np.diff(heart.info["r_peaks"]) / heart.rate
    np.testing.assert_allclose(found.rr, true, atol=0.006)


@pytest.mark.parametrize("lead", [2, 3, 4, 5])
def test_the_residual_is_what_was_added_to_a_limb_lead(heart, lead):
    """0.2 mV of a square wave in one of four leads: 0.2 / sqrt 4."""
    wave = 0.2 * np.where(np.arange(5000) % 6 < 3, 1, -1)
    assert physics(changed(heart, lead, lambda x: x + wave)).residual == pytest.approx(0.1)


def test_leads_that_beat_at_other_times_jitter(heart):
    """Four of eight leads late by d, the rest on time, as the same wave: the standard deviation is d / 2."""
    together = heart.replace(signal=np.tile(heart.signal[:, [1]], (1, 12)))
    assert physics(together).jitter < 0.1
    for late in (4, 8, 16):  # samples, 2 ms each
        apart = together
        for lead in (6, 7, 8, 9):
            apart = changed(apart, lead, lambda x, late=late: np.roll(x, late))
        assert physics(apart).jitter == pytest.approx(late, abs=1.2)


def test_a_small_lead_says_nothing_of_time(heart):
    together = heart.replace(signal=np.tile(heart.signal[:, [1]], (1, 12)))
    small = changed(together, 8, lambda x: 0.1 * np.roll(x, 20))
    assert physics(small).jitter < 0.1 < physics(changed(together, 8, lambda x: np.roll(x, 20))).jitter


def test_beats_of_ever_other_shape_are_not_constant(heart):
    assert beat_constancy(heart) == physics(heart).constancy
    rng = np.random.default_rng(0)
    x = np.array(heart.signal)
    for peak in heart.info["r_peaks"]:  # T waves and ST segments that come and go
        part = slice(peak + 50, peak + 180)
        x[part] += rng.normal(0, 0.5, 12) * np.hanning(130)[: len(x[part]), None]
    assert beat_constancy(heart.replace(signal=x)) < beat_constancy(heart) - 0.05
    assert beat_constancy(heart) > 0.98
    assert np.isnan(beat_constancy(heart.crop(0, 2)))


def test_one_early_beat_leaves_the_rest_alike():
    ecg = simulate(["sinus rhythm", "ventricular premature beats"], 3)
    assert beat_constancy(ecg) > 0.9


@pytest.mark.parametrize(
    "name, change",
    [
        ("flat", lambda x: np.where(np.arange(5000) > 2400, 0.1, x)),
        ("clipped", lambda x: np.clip(x, -0.1, 0.1)),
        ("clipped", lambda x: 20 * x),
        ("Einthoven", lambda x: x + 0.3),
    ],
)
def test_faults_are_those_of_adherence(heart, name, change):
    assert physics(changed(heart, 2 if name == "Einthoven" else 8, change)).faults == (name,)


def test_samples_that_are_no_numbers_are_a_fault_and_nothing_else(heart):
    found = physics(changed(heart, 8, lambda x: np.where(np.arange(5000) == 7, np.nan, x)))
    assert found.faults == ("NaN",) and found.rr == ()
    assert np.isnan([found.residual, found.jitter, found.constancy]).all()


@pytest.mark.filterwarnings("error")
def test_a_flat_ecg_has_no_beats(heart):
    found = physics(heart.replace(signal=np.zeros((5000, 12))))
    assert found.faults[0] == "flat" and found.rr == () and np.isnan(found.jitter)


def of_rr(*rr):
    return Physics(0.0, 0.0, 1.0, rr, ())


def test_rr_distance_by_hand():
    real = [of_rr(0.8, 0.9), of_rr(1.0)]
    assert rr_distance(real, real) == 0
    assert rr_distance(real, [of_rr(0.85, 0.95, 1.05)]) == pytest.approx(50)
    assert rr_distance(real, [of_rr(1.0, 0.9), of_rr(), of_rr(1.1)]) == pytest.approx(100)
    # half of the mass moves from 0.8 to 1.0 s
    assert rr_distance([of_rr(0.8, 0.8)], [of_rr(0.8, 1.0)]) == pytest.approx(100)
    assert np.isnan(rr_distance(real, [of_rr()]))


def test_slower_hearts_are_farther():
    at = {
        rate: [physics(simulate(["sinus rhythm"], s, heart_rate=rate)) for s in range(3)] for rate in (60, 80)
    }
    assert rr_distance(at[60], at[80]) == pytest.approx(250, abs=25)
