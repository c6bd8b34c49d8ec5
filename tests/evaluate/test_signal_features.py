"""Plain features: each sees what it is named after."""

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.ecg import ECG, INDEPENDENT, to_twelve
from ttecg.evaluate import point_sets
from ttecg.evaluate.signal_features import BANDS, WITHIN, features, named, spectrum, spectrum_distance

_TIME = np.arange(5000) / 500


def tones(*hertz_and_height) -> ECG:
    wave = sum(height * np.sin(2 * np.pi * hertz * _TIME) for hertz, height in hertz_and_height)
    return ECG(to_twelve(np.outer(wave, np.linspace(0.5, 1.5, 8))))


@pytest.fixture(scope="module")
def heart():
    return simulate(["sinus rhythm"], 3, heart_rate=80, noise=0.3)


@pytest.mark.parametrize("band", BANDS)
def test_power_is_in_the_band_of_the_tone(band):
    power = np.exp(spectrum(tones((np.sqrt(band[0] * band[1]), 1.0)))).reshape(8, -1)
    assert (power.argmax(1) == BANDS.index(band)).all() and (power.max(1) > 0.6).all()


def test_the_spectrum_of_two_tones_and_its_distance():
    low, both = (spectrum(tones((9.0, 1.0), (26.0, height))).reshape(8, -1) for height in (0.01, 1.0))
    at = BANDS.index((7, 11)), BANDS.index((22, 30))
    np.testing.assert_allclose(np.exp(both[:, at]), 0.5, atol=0.02)  # equal power
    np.testing.assert_allclose((low[:, at[1]] - low[:, at[0]]) * 10 / np.log(10), -40, atol=1)
    same = spectrum_distance(low.reshape(1, -1), low.reshape(1, -1))
    # one number in eight lower by 8 natural units: 8 / sqrt(8) units, 4.343 dB each
    other = np.zeros((5, 8))
    other[:, 2] = 8
    assert same == 0 and spectrum_distance(np.zeros((3, 8)), other) == pytest.approx(
        4.3429 * np.sqrt(8), rel=1e-4
    )


def test_voltage_changes_the_spread_and_nothing_else(heart):
    one, twice = named(heart), named(heart.replace(signal=2 * heart.signal))
    for name in one:
        more = np.log(2) if name.startswith("log spread") else 0
        assert twice[name] == pytest.approx(one[name] + more, abs=0.02), name
    np.testing.assert_allclose(spectrum(heart), spectrum(heart.replace(signal=2 * heart.signal)), atol=0.02)


def test_beats_are_measured(heart):
    found = named(heart)
    assert found["heart rate"] == pytest.approx(80, abs=3) and 70 < found["QRS width"] < 130
    assert found["RR variation"] < 0.1 and 0.98 < found["constancy"] <= 1


@pytest.mark.parametrize("hertz, name, other", [(0.2, "wander", "noise"), (60.0, "noise", "wander")])
def test_what_lies_outside_the_band_is_told_in_the_last_columns_only(heart, hertz, name, other):
    disturbed = heart.replace(signal=heart.signal + tones((hertz, 0.1)).signal)
    before, after = named(heart), named(disturbed)
    for lead in INDEPENDENT:
        assert after[f"{name} {lead}"] > before[f"{name} {lead}"] + 0.5
        assert abs(after[f"{other} {lead}"] - before[f"{other} {lead}"]) < 0.5
    inside = [n for n in list(before)[WITHIN] if "Hz" in n or n.startswith(("log spread",))]
    np.testing.assert_allclose([after[n] for n in inside], [before[n] for n in inside], atol=0.25)
    assert [n.split()[0] for n in before][WITHIN.stop :] == ["wander"] * 8 + ["noise"] * 8


def test_leads_that_go_together_and_against_each_other():
    found = named(tones((9.0, 1.0)))
    assert found["I with V6"] == pytest.approx(1, abs=1e-4)
    opposed = tones((9.0, 1.0)).signal * np.where(np.arange(12) == 6, -1, 1)
    assert named(ECG(opposed))["I with V1"] == pytest.approx(-1, abs=1e-4)
    assert found["skewness V2"] == pytest.approx(0, abs=0.02)
    assert found["height V2"] == pytest.approx(np.sqrt(2), abs=0.05)


@pytest.mark.parametrize("rate", [100.0, 250.0, 1000.0])
def test_features_hardly_depend_on_the_sampling_rate(heart, rate):
    one, other = (np.array(list(named(e).values())) for e in (heart, heart.resample(rate)))
    off = np.abs(one - other)[WITHIN]
    names = np.array(list(named(heart)))[WITHIN]
    assert np.median(off) < 0.02
    assert off[names == "heart rate"] < 1 and off[names == "QRS width"] < 8
    assert features(heart).shape == features(heart.resample(rate)).shape


@pytest.mark.filterwarnings("error")
def test_a_flat_ecg_has_features(heart):
    flat = features(heart.replace(signal=np.zeros((5000, 12))))
    assert flat.dtype == np.float32 and flat.shape == features(heart).shape and np.isfinite(flat).all()
    one = np.array(heart.signal)
    one[:, 8] = 0.3
    assert np.isfinite(features(heart.replace(signal=one))).all()


def test_a_discriminator_knows_simulated_hearts_from_their_noisier_selves():
    ecgs = [simulate(["sinus rhythm"], seed, noise=0.2) for seed in range(48)]
    rng = np.random.default_rng(0)
    noisy = [e.replace(signal=e.signal + to_twelve(rng.normal(0, 0.1, (5000, 8)))) for e in ecgs[24:]]
    x = np.stack([features(e) for e in ecgs])
    told = point_sets.discriminator_auc(x[:24], np.stack([features(e) for e in noisy]))
    halves = point_sets.discriminator_auc(x[:24], x[24:])
    assert told["linear"] > 0.95 and halves["linear"] < 0.75


def test_halves_of_recorded_ecgs_cannot_be_told_apart(shared_data):
    """Several divisions of LUDB, one record a patient, whose mean tells the discriminators' bias from their spread."""
    from ttecg.data.files import read_ecg

    ecgs = [
        read_ecg(header.with_suffix("")) for header in sorted((shared_data / "ludb" / "data").glob("*.hea"))
    ]
    x = np.stack([features(e) for e in ecgs])
    assert len(x) == 100
    areas = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(x))
        areas.append(list(point_sets.discriminator_auc(x[order[::2]], x[order[1::2]], seed=seed).values()))
    np.testing.assert_allclose(np.mean(areas, 0), 0.5, atol=0.1)
