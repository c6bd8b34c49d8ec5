"""The noise detectors' trainer: resumed equals straight with both second stages, and noise is what it claims to be."""

import dataclasses

import jax
import numpy as np
import pytest

from ttecg import quality
from ttecg.data.simulated import Simulated
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models.functional import Functional
from ttecg.models.noise_detector import LEVELS, NoiseDetectorConfig
from ttecg.train import noise_detector
from ttecg.train.noise_detector import KINDS, NoiseDetectorTraining, noised, residual
from ttecg.train.state import OptimizerConfig, init_state

TINY = (
    "sources=('simulator:20',)",
    "validation=2",
    "run.steps=4",
    "run.eval_every=4",
    "run.checkpoint_every=2",
    "run.mesh_data=1",
)


def test_resumed_equals_straight(config_of, tmp_path):
    config = config_of("noise_detector_debug", *TINY)
    straight = noise_detector.run(config, tmp_path / "straight")
    cut = tmp_path / "cut"
    (cut / "checkpoints").mkdir(parents=True)
    (cut / "config.json").write_bytes((tmp_path / "straight" / "config.json").read_bytes())
    (tmp_path / "straight" / "checkpoints" / "2").rename(cut / "checkpoints" / "2")
    with pytest.raises(ValueError, match="--resume"):
        quality.load(cut)
    resumed = noise_detector.run(config, cut, resume=True)
    jax.tree.map(np.testing.assert_array_equal, straight, resumed)
    one, other = (tmp_path / folder / quality.FITTED for folder in ("straight", "cut"))
    assert one.read_bytes() == other.read_bytes()
    detector = quality.load(cut)
    assert np.ptp(detector.buffers["record_quantiles"]) > 0 and np.any(detector.buffers["hrv_weight"] != 0)
    assert "val_error" in (cut / "log.jsonl").read_text()


def test_a_run_that_was_asked_to_stop_fits_nothing(config_of, tmp_path, monkeypatch):
    config = config_of("noise_detector_debug", *TINY)
    functional = Functional(config.model.create)
    early = init_state(functional, config.optimizer.create(4), jax.random.key(0))
    monkeypatch.setattr(noise_detector, "train", lambda *a, **k: early)
    noise_detector.run(config, tmp_path / "run")
    assert not (tmp_path / "run" / quality.FITTED).exists()


def test_one_batch_can_be_learned(config_of, learn):
    config = config_of("noise_detector_debug", "model.widths=(8,16)", "model.code=4")
    optimizer = OptimizerConfig(learning_rate=1e-2, warmup=1, schedule="constant")
    t = np.arange(config.model.piece) / config.model.rate
    batch = {"piece": np.sin(2 * np.pi * np.array([[1.0], [2.0], [3.0]]) * t).astype(np.float32)}
    what = dataclasses.replace(noise_detector.objective(config), optimizer=optimizer)
    losses = [m["loss"] for _, m in learn(what, batch, 150)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_the_ratio_asked_for(kind):
    ecg, other = Simulated(2)[0], Simulated(2)[1].resample(250.0)
    for snr in (0.0, 10.0):
        noisy = noised(ecg, kind, snr, np.random.default_rng(3), other)
        clean = ecg.select(INDEPENDENT).signal
        assert noisy.leads == INDEPENDENT and noisy.rate == ecg.rate
        ratio = 20 * np.log10(clean.std(0) / (noisy.signal - clean).std(0))
        np.testing.assert_allclose(ratio, snr, atol=1e-6)


def test_noise_goes_to_the_leads_that_are_there():
    ecg = Simulated(1)[0].select(("V5", "II"))
    noisy = noised(ecg, "recording", 0.0, np.random.default_rng(0), ecg)
    assert noisy.leads == ("II", "V5")


def test_residual_is_the_noise_and_not_the_beats():
    rate, rng = 500.0, np.random.default_rng(0)
    t = np.arange(10 * int(rate)) / rate
    beat = np.exp(-0.5 * ((t % 1.0 - 0.5) / 0.015) ** 2) + 0.2 * np.exp(-0.5 * ((t % 1.0 - 0.75) / 0.04) ** 2)
    noise = rng.normal(0, 0.02, (len(t), 8))
    x = np.outer(beat, rng.uniform(0.5, 1.5, 8))
    still = residual(ECG(x, INDEPENDENT, rate))
    assert still.std() < 0.15 * x.std()
    rest = residual(ECG(x + noise, INDEPENDENT, rate))
    middle = slice(1000, 4000)
    assert np.corrcoef(rest[middle].ravel(), noise[middle].ravel())[0, 1] > 0.8


def test_distance_counts_what_lies_above_in_spreads():
    rng, config = np.random.default_rng(0), NoiseDetectorConfig(widths=(8,), code=1, clusters=2)
    side = rng.integers(0, 2, 4000)
    features = rng.normal(0, (1, 1, 2, 3, 4), (4000, 5)) + np.outer(side, (20, 0, 0, 5, 0))
    found = noise_detector.clusters(features, 2, 0)
    functional = Functional(config.create)
    params, buffers = functional.init(jax.random.key(0))
    buffers |= {k: np.asarray(v, np.float32) for k, v in found.items()}
    model = functional.merge(params, buffers)

    def away(feature):
        object.__setattr__(model, "features", lambda *_: np.asarray([feature], np.float32))
        return float(model.distances(None, None)[0])

    assert away((0, 0, 0, 0, 0)) < 0.2 and away((20, 0, 0, 5, 0)) < 0.2
    assert away((0, 0, 6, 0, 0)) == pytest.approx(3, rel=0.1)  # 3 of its own spreads
    assert away((0, 0, 0, 9, 0)) == pytest.approx(3, rel=0.1)
    assert away((20, 0, 0, 9, 0)) == pytest.approx(4 / 3, rel=0.1)  # the other cluster is used to more
    assert away((0, 0, -6, -9, -12)) < 0.2  # quieter is not noisy
    assert away((0, 50, 0, 0, 0)) < 0.2  # the code chooses the cluster and counts for nothing else
    assert len(found["level_centres"][0]) == LEVELS


@pytest.mark.parametrize(
    "wrong, said",
    [({"snr": (3.0,)}, "snr"), ({"snr": (3.0, 0.0)}, "snr"), ({"fitted": 3}, "fitted")],
)
def test_wrong_trainings(wrong, said):
    with pytest.raises(ValueError, match=said):
        NoiseDetectorTraining(**wrong)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"piece": 100}, "multiple"),
        ({"widths": ()}, "multiple"),
        ({"piece": 512}, "3 s"),
        ({"code": 0}, "code"),
        ({"clusters": 0}, "clusters"),
        ({"band": (0.5, 60.0)}, "band"),
        ({"fast_band": (90.0, 40.0)}, "fast_band"),
    ],
)
def test_wrong_models(wrong, said):
    with pytest.raises(ValueError, match=said):
        NoiseDetectorConfig(**wrong)
