"""The decoder's trainer: a run that resumes to the same bits, a spectral loss that teaches, examples that fit."""

import dataclasses

import jax
import numpy as np
import pytest

from ttecg.bundle import load_tokenizer
from ttecg.data import batches
from ttecg.ecg import to_twelve
from ttecg.models.losses import linear_stft
from ttecg.train import decoder
from ttecg.train.loop import RunConfig
from ttecg.train.objective import batch_shapes, update
from ttecg.train.state import init_state

TINY = (
    "model.width=16",
    "model.kernels=(3,)",
    "model.dilations=(1,)",
    "sources=('simulator:4',)",
    "crop=16",
    "validation=2",
)


@pytest.fixture(scope="module")
def config(config_of, debug_runs):
    return config_of("decoder_debug", *TINY, f"tokenizer={debug_runs.tokenizer}")


@pytest.fixture(scope="module")
def straight(config, four_steps):
    return four_steps(decoder.run, config)


@pytest.fixture(scope="module")
def row(config):
    """A function of a generator: one example."""
    tokenizer = load_tokenizer(config.tokenizer)
    sources, mixture = batches.open_sources(config.sources, "train")
    codes = [np.arange(4 * 2 * 312 * 2).reshape(4, 2, 312, 2) % 32]
    return decoder._row_maker(config, tokenizer, sources, mixture, codes)


def test_two_steps_and_two_resumed_equal_four(straight, tmp_path):
    straight.assert_resumed_is_the_same(straight.without_last_checkpoint(tmp_path / "copy"))


def test_every_term_is_logged_and_finite(straight):
    lines = straight.lines()
    steps, scores = ([line for line in lines if name in line] for name in ("loss", "val_r"))
    assert len(steps) == 4 and len(scores) == 1
    assert {"l1", "spectral", "adversarial", "features", "judge"} <= set(steps[0])
    assert {"val_r", "val_rmse_mv", "val_prd", "val_spectral"} <= set(scores[0])
    assert all(np.isfinite(v) for line in steps + scores for v in line.values())
    assert list(straight.workdir.glob("decoded-*.png"))
    assert len(list(straight.workdir.glob("codes-*.npz"))) == 1


def test_vectors_and_scale_are_the_tokenizer_s(config, straight):
    tokenizer, buffers = load_tokenizer(config.tokenizer), straight.state.buffers
    np.testing.assert_array_equal(buffers["net/scale"], tokenizer.buffers["scale"])
    ratio = buffers["net/vectors"] / tokenizer.code_vectors
    assert np.nanstd(ratio) < 1e-4 * np.nanmean(ratio)


def test_the_spectral_loss_moves_every_parameter_of_the_generator(config, row):
    batch = batches.batch(row, 0, 4, 0)
    functional = dataclasses.replace(config, adversarial=0.0).functional
    params, buffers = jax.jit(functional.init)(jax.random.key(0))
    buffers = buffers | {"net/vectors": jax.random.normal(jax.random.key(1), buffers["net/vectors"].shape)}

    def spectral(params):
        return linear_stft(batch["signal"], functional.merge(params, buffers).net(batch["codes"]))

    slopes = jax.jit(jax.grad(spectral))(params)
    assert all(np.isfinite(v).all() and np.any(v) for v in slopes.values()) and len(slopes) > 20


def test_the_paper_s_loss_can_be_laid_out(config_of):
    config = config_of("decoder_paper")
    what = decoder.objective(config)
    assert what.inputs["signal"].shape == (5000, 12) and what.inputs["codes"].shape == (312, 1)
    state = jax.eval_shape(
        lambda k: init_state(what.functional, what.optimizer.create(1), k), jax.random.key(0)
    )
    value, (terms, buffers) = jax.eval_shape(
        lambda s, b: what.loss(s.params, s, b, None), state, batch_shapes(what, 2)
    )
    assert value.shape == () and set(terms) == {"l1", "spectral", "adversarial", "features", "judge"}
    assert set(buffers) == set(state.buffers) == {"net/scale"}


def test_one_batch_is_learned(config, row):
    run = RunConfig(steps=60, batch=4)
    config = dataclasses.replace(
        config, adversarial=0.0, run=run, optimizer=dataclasses.replace(config.optimizer, learning_rate=1e-2)
    )
    what, batch, key = decoder.objective(config), batches.batch(row, 0, 4, 0), jax.random.key(0)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: ((4, *v.shape), v.dtype) for k, v in what.inputs.items()
    }
    state = jax.jit(lambda k: init_state(what.functional, what.optimizer.create(60), k))(key)
    vectors = jax.random.normal(key, state.buffers["net/vectors"].shape)
    state = dataclasses.replace(state, buffers=state.buffers | {"net/vectors": vectors})
    step = jax.jit(lambda s: update(what, run, s, batch, key))
    values = []
    for _ in range(60):
        state, told = step(state)
        values.append(float(told["spectral"]))
    assert values[-1] < 0.6 * values[0], values


def test_codes_and_signal_of_an_example_are_of_one_place(config, row):
    config = dataclasses.replace(config, variants=1)
    tokenizer = load_tokenizer(config.tokenizer)
    sources, mixture = batches.open_sources(config.sources, "train")
    whole = np.arange(4 * 312 * 2).reshape(4, 1, 312, 2)
    make = decoder._row_maker(config, tokenizer, sources, mixture, [whole])
    for seed in range(4):
        example = make(np.random.default_rng(seed))
        record, start = divmod(int(example["codes"][0, 0]) // 2, 312)
        signal = decoder.prepare_signal(sources[0][record], tokenizer.config)
        np.testing.assert_array_equal(example["signal"], signal[8 * start : 8 * start + 8 * 16 + 4])
        again = make(np.random.default_rng(seed))
        np.testing.assert_array_equal(example["signal"], again["signal"])


def test_variants_differ_and_keep_einthoven():
    x12 = to_twelve(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32))
    assert decoder.varied(x12, 0, 1, 0) is x12
    one, two = (decoder.varied(x12, 0, 1, v) for v in (1, 2))
    assert np.abs(one - two).max() > 0.01 and one.dtype == np.float32
    np.testing.assert_allclose(one[:, 2], one[:, 1] - one[:, 0], atol=1e-5)


def test_a_run_with_judges_starts_from_one_without(config, straight, tmp_path):
    run = dataclasses.replace(straight.config.run, steps=1)
    plain = dataclasses.replace(config, adversarial=0.0, run=run)
    first = jax.device_get(decoder.run(plain, tmp_path / "plain"))
    assert not any(name.startswith("judges/") for name in first.params)
    state = init_state(
        config.functional, config.optimizer.create(4), jax.random.key(0)
    )  # as the loop makes it, before what comes from data
    after = dataclasses.replace(config, init=str(tmp_path / "plain"))
    codes = [np.zeros((1, 1, 312, 2), int)]
    begun = decoder._start(after, load_tokenizer(config.tokenizer), codes, state)
    for name, value in begun.params.items():
        wanted = first.ema[name] if name.startswith("net/") else state.params[name]
        np.testing.assert_array_equal(value, wanted)
    wider = dataclasses.replace(after, model=dataclasses.replace(config.model, width=32))
    state = init_state(wider.functional, config.optimizer.create(4), jax.random.key(0))
    with pytest.raises(ValueError, match="do not fit this model at net/"):
        decoder._start(wider, load_tokenizer(config.tokenizer), codes, state)


def test_what_does_not_fit_is_named_before_anything_is_written(config, tmp_path):
    wrong = dataclasses.replace(config, model=dataclasses.replace(config.model, levels=4))
    with pytest.raises(ValueError, match="the tokenizer has levels 2, the decoder's config 4"):
        decoder.run(wrong, tmp_path / "new")
    with pytest.raises(ValueError, match="no tokenizer at"):
        decoder.run(dataclasses.replace(config, tokenizer=str(tmp_path / "none")), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="crop must be 1 to 312"):
        dataclasses.replace(config, crop=400)
    with pytest.raises(ValueError, match="variants must be at least 1"):
        dataclasses.replace(config, variants=0)
