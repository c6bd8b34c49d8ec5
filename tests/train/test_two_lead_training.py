"""The two-lead trainer: windows that lie apart, a run that resumes to the same bits with every loss term on."""

import dataclasses

import numpy as np
import pytest

from ttecg.data import batches
from ttecg.train import two_lead

TINY = (
    "sources=('simulator:8',)",
    "model.widths=(8,)",
    "crop=208",
    "validation=2",
)


@pytest.fixture(scope="module")
def straight(config_of, four_steps):
    return four_steps(two_lead.run, config_of("two_lead_debug", *TINY))


def test_two_steps_and_two_resumed_equal_four(straight, tmp_path):
    straight.assert_resumed_is_the_same(straight.without_last_checkpoint(tmp_path / "copy"))


def test_every_term_is_logged_and_finite(straight):
    lines, state = straight.lines(), straight.state
    steps = [line for line in lines if "loss" in line]
    terms = {"mse", "pearson", "adversarial", "judge", "style_reconstruction", "cycle", "diversity"}
    assert len(steps) == 4 and terms <= set(steps[0])
    assert all(np.isfinite(v) for line in steps for v in line.values())
    assert {"val_r_V", "val_r_II", "val_rmse_V"} <= {k for line in lines for k in line}
    assert {name.split("/")[0] for name in state.params} == {"net", "judge"}
    moment = state.buffers["net/moment"]
    assert moment.shape == (10, 10) and np.linalg.eigvalsh(moment).min() > -1e-6 and moment.max() > 1e-3


def test_arrays_of_the_model_alone(straight):
    config, state = straight.config, straight.state
    params, buffers = two_lead.net_arrays(state.params, state.buffers)
    assert set(params | buffers) == set(two_lead.functional_of(config.model).shapes)
    assert two_lead.net_arrays(params, buffers) == (params, buffers)


@pytest.mark.parametrize("seed", range(8))
def test_windows_lie_apart_where_they_can(seed):
    rng = np.random.default_rng(seed)
    scale, a, b = two_lead.windows(1000, 448, rng)
    span = scale * 447
    assert abs(a - b) >= span - 1e-6 and min(a, b) >= 0 and max(a, b) + span <= 999 + 1e-6
    scale, a, b = two_lead.windows(500, 448, rng)
    assert 0.85 <= scale and max(a, b) + scale * 447 <= 499 + 1e-6
    assert two_lead.windows(1000, 448, rng, scaled=False)[0] == 1.0
    with pytest.raises(ValueError, match="too short for windows"):
        two_lead.windows(200, 448, rng)


def test_lead_i_and_target_are_of_one_time_and_lead_ii_is_not(config_of):
    config = config_of("two_lead_debug", *TINY, "noisy=0.0", "no_template=0.0")
    sources, mixture = batches.open_sources(config.sources, "train")
    row = two_lead._row_maker(config, sources, mixture, 1)
    one = row(np.random.default_rng(5))
    np.testing.assert_array_equal(one["one"], one["target"][:, 0])
    assert np.abs(one["two"] - one["target"][:, 1]).max() > 0.05
    for name, value in row(np.random.default_rng(5)).items():
        np.testing.assert_array_equal(value, one[name])
    noisy = two_lead._row_maker(dataclasses.replace(config, noisy=1.0), sources, mixture, 1)
    moved = [noisy(np.random.default_rng(i)) for i in range(6)]
    assert max(np.abs(r["one"] - r["target"][:, 0]).max() for r in moved) > 0.05


def test_wrong_configs_are_named(config_of):
    with pytest.raises(ValueError, match="diversity=0.01 needs a random vector"):
        config_of("two_lead_debug", "model.latent=0")
    with pytest.raises(ValueError, match="crop must be at least two seconds"):
        config_of("two_lead_debug", "crop=100")
