"""Scores of signal quality: noise raises them, each lead answers for itself, and what is no noise changes nothing."""

import jax
import numpy as np
import pytest

from ttecg import bundle, quality
from ttecg.data.simulated import Simulated
from ttecg.ecg import ECG, INDEPENDENT, LEADS
from ttecg.models.functional import Functional
from ttecg.models.noise_detector import NoiseDetectorConfig
from ttecg.train.noise_detector import NoiseDetectorTraining, fit, noised

SMALL = NoiseDetectorConfig(widths=(8, 8), code=2, clusters=2)


@pytest.fixture(scope="module")
def detector():
    """An autoencoder that has learned nothing, with second stages fitted to simulated recordings."""
    functional = Functional(SMALL.create)
    params, _ = functional.init(jax.random.key(0))
    buffers = fit(functional, params, Simulated(24), NoiseDetectorTraining(model=SMALL))
    return quality.NoiseDetector("small", SMALL, functional, params, buffers)


@pytest.fixture(scope="module")
def ecg():
    return Simulated(4, "test")[0]


def test_noise_raises_the_scores(detector):
    records = Simulated(6, "test")
    for i in range(6):
        clean, other = records[i], records[(i + 1) % 6]
        before = detector.scores(clean)
        after = detector.scores(noised(clean, "muscle", -3.0, np.random.default_rng(i), other))
        assert after["record"] == 1 and after["record"] > before["record"]
        assert after["hrv"] > before["hrv"] and (after["lead"] > before["lead"]).all()
        assert detector.noisy(clean) == (before["record"] >= quality.NOISY)
    assert detector.noisy(noised(clean, "muscle", -3.0, np.random.default_rng(0), other))


def test_training_records_are_spread_over_the_whole_scale(detector):
    found = [detector.scores(Simulated(24)[i])["record"] for i in range(24)]
    np.testing.assert_allclose(np.sort(found), np.linspace(0, 1, 24), atol=0.02)


def test_each_lead_answers_for_itself(detector, ecg):
    signal = ecg.signal.copy()
    before, place = detector.scores(ecg), ecg.leads.index("V2")
    signal[:, place] += np.random.default_rng(0).normal(0, 1.0, len(signal))
    after = detector.scores(ecg.replace(signal=signal))
    others = [i for i, lead in enumerate(INDEPENDENT) if lead != "V2"]
    np.testing.assert_allclose(after["lead"][others], before["lead"][others], atol=1e-6)
    assert after["leads"] == INDEPENDENT and after["lead"][INDEPENDENT.index("V2")] == 1
    assert after["record"] > before["record"]
    few = detector.scores(ecg.select(("V2", "II")))
    assert few["leads"] == ("II", "V2")
    np.testing.assert_allclose(few["lead"], before["lead"][[1, 3]], atol=1e-6)


def test_voltage_and_rate_say_nothing(detector, ecg):
    alike = ecg.replace(signal=3 * ecg.signal), ecg.replace(signal=ecg.signal + 1.0), ecg.resample(250.0)
    before = detector.distances(ecg)
    for other in alike:
        np.testing.assert_allclose(detector.distances(other), before, atol=0.1)
    slow = detector.scores(ecg.resample(100.0))  # nothing above 50 Hz: not noise
    assert slow["distance"] < before.mean() + 0.1


@pytest.mark.parametrize("what", [0.0, np.nan])
def test_a_lead_of_no_use_is_the_noisiest(detector, ecg, what):
    signal = ecg.signal.copy()
    signal[:, ecg.leads.index("V1")] = what
    found = detector.scores(ecg.replace(signal=signal))
    assert found["lead"][2] == 1 and (found["lead"][[0, 1, 3]] < 1).all()
    assert np.isfinite([found["record"], found["distance"], found["hrv"]]).all()
    nothing = detector.scores(ecg.replace(signal=np.full_like(signal, what)))
    assert nothing["record"] == 1 and detector.noisy(ecg.replace(signal=np.full_like(signal, what)))


def test_any_length(detector, ecg):
    for seconds in (3.0, 4.3, 9.99):
        found = detector.scores(ecg.crop(0, seconds))
        assert 0 <= found["record"] <= 1 and 0 <= found["hrv"] <= 1


@pytest.mark.parametrize("samples", [300, 301, 511, 512, 1000])
def test_pieces_cover_everything(samples):
    at = quality.starts(samples, 256)
    covered = np.concatenate([np.arange(a, a + 256) for a in at])
    assert set(covered) == set(range(samples))


def test_what_r_peaks_say():
    t = np.arange(4900) / 500.0
    beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.012) ** 2)
    steady = ECG(np.outer(beats, np.linspace(0.5, 1.5, 8)), INDEPENDENT, 500.0)
    found = quality.hrv_features(steady)
    assert found[0] == pytest.approx(1.25, abs=0.1) and found[1] < 0.02 and found[2] < 0.03
    alone = found[3 : 3 + (len(found) - 3) // 3]
    for k in range(len(quality._HEIGHTS)):  # each simple detector finds these beats and nothing else
        np.testing.assert_allclose(alone[4 * k : 4 * k + 4], (0, 1, 1, 0), atol=0.05)
    upside_down = quality.hrv_features(steady.replace(signal=-steady.signal))
    np.testing.assert_allclose(found, upside_down, atol=0.05)
    noise = np.random.default_rng(0).normal(0, 0.2, steady.signal.shape)
    assert quality.hrv_features(steady.replace(signal=steady.signal + noise))[3] > 0.5


@pytest.mark.parametrize(
    "wrong, said",
    [(lambda e: e.crop(0, 2.5), "3 s"), (lambda e: e.select(("III", "aVF")), "needs one of")],
)
def test_wrong_recordings(detector, ecg, wrong, said):
    with pytest.raises(ValueError, match=said):
        detector.scores(wrong(ecg))


def test_a_bundle_holds_everything(detector, ecg, tmp_path):
    bundle.export_network(tmp_path / "q", quality.KIND, SMALL, detector.params, detector.buffers)
    loaded = quality.load(tmp_path / "q")
    assert loaded.name == "q" and len(loaded.hash) == 16
    a, b = detector.scores(ecg), loaded.scores(ecg)
    assert b["distance"] == pytest.approx(a["distance"], abs=0.02) and b["hrv"] == pytest.approx(a["hrv"])
    bundle.export_network(tmp_path / "other", "unet", SMALL, detector.params, detector.buffers)
    with pytest.raises(ValueError, match="no quality model"):
        quality.load(tmp_path / "other")


def test_the_network_is_small():
    params, buffers = Functional(NoiseDetectorConfig().create).init(jax.random.key(0))
    assert 2 * sum(x.size for x in params.values()) + 4 * sum(x.size for x in buffers.values()) < 300_000


def test_all_twelve_leads_are_eight(detector, ecg):
    assert set(ecg.leads) == set(LEADS)
    np.testing.assert_allclose(
        detector.distances(ecg), detector.distances(ecg.select(INDEPENDENT)), atol=1e-5
    )
