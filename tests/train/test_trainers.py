"""The two trainers: resumed equals straight bit for bit, one device equals eight, one batch can be learned."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from ttecg.bundle import load_fitting, load_tokenizer
from ttecg.data.prompt import PromptEncoder
from ttecg.models import beat_plan
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.train import codes, generator, tokenizer
from ttecg.train.checkpoint import Checkpoints

TINY_TOKENIZER = (
    "model.width=8",
    "model.coarse_width=8",
    "stft=0",
    "sources=('simulator:8',)",
    "validation=2",
)
TINY_GENERATOR = (
    "model.layers=1",
    "model.width=16",
    "prompt_length=16",
    "sources=('simulator:8',)",
    "validation=2",
    "variants=1",
)


@pytest.fixture(scope="module", params=["tokenizer", "generator"])
def trainer(request, config_of, debug_runs):
    """(run, config) of each trainer."""
    if request.param == "tokenizer":
        return tokenizer.run, config_of("tokenizer_debug", *TINY_TOKENIZER)
    there = (f"tokenizer={debug_runs.tokenizer}", f"text={debug_runs.text}")
    return generator.run, config_of("generator_debug", *TINY_GENERATOR, *there)


@pytest.fixture(scope="module")
def straight(trainer, four_steps):
    return four_steps(*trainer)


def losses(workdir) -> np.ndarray:
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return np.array([line["loss"] for line in lines if "loss" in line])


def test_two_steps_and_two_resumed_equal_four(straight, tmp_path):
    copy = straight.without_last_checkpoint(tmp_path / "copy")
    straight.assert_resumed_is_the_same(copy)
    np.testing.assert_array_equal(losses(copy), losses(straight.workdir))
    assert len(losses(copy)) == 4


def test_one_device_equals_eight_from_a_checkpoint_on(straight, tmp_path):
    run, config = straight.run, straight.config
    copy = straight.without_last_checkpoint(tmp_path / "copy")
    parallel = 1 if run is tokenizer.run else 2  # a generator is split over 'model' too
    mesh = dataclasses.replace(config.run, mesh_data=8 // parallel, mesh_model=parallel)
    state = run(dataclasses.replace(config, run=mesh), copy, resume=True)
    np.testing.assert_allclose(losses(copy), losses(straight.workdir), atol=1e-5, rtol=1e-5)
    assert {len(x.sharding.device_set) for x in jax.tree.leaves(state)} == {8}
    for a, b in zip(jax.tree.leaves(state.ema), jax.tree.leaves(straight.state.ema), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_run_is_not_overwritten_and_not_changed(straight):
    run, config = straight.run, straight.config
    with pytest.raises(ValueError, match="holds a run already"):
        run(config, straight.workdir)
    with pytest.raises(ValueError, match="another optimizer.learning_rate"):
        other = dataclasses.replace(config.optimizer, learning_rate=0.5)
        run(dataclasses.replace(config, optimizer=other), straight.workdir, resume=True)


def test_validation_is_logged(straight):
    scores = next(line for line in straight.lines() if any(k.startswith("val_") for k in line))
    assert scores["step"] == 4 and all(np.isfinite(v) for v in scores.values())


def test_a_source_without_records_is_named_before_anything_is_written(trainer, tmp_path):
    run, config = trainer
    with pytest.raises(ValueError):
        run(dataclasses.replace(config, sources=("simulator:none",)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_tokenizer_learns_one_batch(config_of, learn):
    config = config_of("tokenizer_debug", *TINY_TOKENIZER, "optimizer.learning_rate=5e-3")
    t = np.arange(252)[None, :, None] / 250
    wave = np.sin(
        2 * np.pi * np.array([1.0, 1.5, 2.5, 3.5])[:, None, None] * t + np.linspace(0, 3, 8)
    ).astype(np.float32)
    batch = {"signal": wave, "levels": np.full(4, 2)}
    values = [m["loss"] for _, m in learn(tokenizer.objective(config), batch, 40)]
    assert values[-1] < 0.5 * values[1], values


def test_what_comes_from_data_is_in_the_state(straight):
    buffers = straight.state.buffers
    if "vq/vectors" in buffers:
        assert buffers["vq/counts"].sum() > 0 and np.abs(buffers["vq/vectors"]).max() > 0
        assert len(buffers["scale"]) == 8 and (buffers["scale"] != 1).all()
    else:
        assert (np.abs(buffers["code_vectors"]).max((1, 2)) > 0).all()


def test_a_generator_takes_sizes_from_the_tokenizers(debug_runs, config_of):
    vq, encoder = load_tokenizer(debug_runs.tokenizer), PromptEncoder.load(debug_runs.text / "text.model")
    model = generator.resolve(config_of("generator_debug").model, vq.config, encoder)
    assert (model.codes, model.code_dim, model.frame_seconds) == (
        32,
        8,
        pytest.approx(0.032),
    ) and model.vocab == encoder.vocab
    paper = PaperGeneratorConfig(frames=312, vocab=3104)
    with pytest.raises(ValueError, match="312 frames of 2 codes; the generator's config says 312 of 1"):
        generator.resolve(paper, vq.config, encoder)
    with pytest.raises(ValueError, match="level_loss has 2 weights for 1 levels"):
        config_of("generator_debug", "model.levels=1")


def test_a_generator_starts_from_what_fits_of_another(debug_runs, config_of, capsys):
    with Checkpoints(debug_runs.generator) as checkpoints:
        stored, _ = checkpoints.restore_weights()
    fresh = {name: np.full(value.shape, 7, np.float32) for name, value in stored.items()}
    fresh |= {"plan_table": np.zeros((5, 5), np.float32), "new": np.zeros(3, np.float32)}
    params, afresh = load_fitting(debug_runs.generator, fresh)
    assert afresh == ["new", "plan_table"] and set(params) == set(fresh)
    for name, value in params.items():
        np.testing.assert_array_equal(value, fresh[name] if name in afresh else stored[name])
    with pytest.raises(ValueError, match="none of its weights fits"):
        load_fitting(debug_runs.tokenizer, fresh)


def test_a_recording_whose_finding_is_too_rare_is_left_out():
    reports = np.array(
        ["sinus rhythm"] * 6 + ["sinus rhythm. ventricular paced rhythm"] * 2 + ["sinus rhythm. vaens"]
    )
    empty = np.zeros(len(reports))
    simulated = np.arange(len(reports)) == 7
    made = codes.Examples(empty, empty, reports, np.full(len(reports), ""), empty, empty, empty, simulated)
    assert (made.rarity(0.5) > 0).all()
    assert np.flatnonzero(made.rarity(0.5, least=2) == 0).tolist() == [6]  # the other one is simulated


def test_early_frames_and_rare_findings_are_set_by_the_config(debug_runs, config_of, tmp_path):
    config, vq = config_of("generator_debug", "early=5"), load_tokenizer(debug_runs.tokenizer)
    encoder = PromptEncoder.load(debug_runs.text / "text.model")
    examples = generator.codes.extract("simulator:4", "validation", vq, 1, 0, tmp_path)
    row = generator._row(encoder, config, examples, 2, examples.prompt(2))
    peaks = beat_plan.decode(examples.plans[2])
    before = (np.arange(312) + 0.5) * 0.032 < peaks[1]
    np.testing.assert_array_equal(row["weights"], np.where(before, 5, 1))
    assert row["prompt"].shape == (config.prompt_length,) and row["codes"].shape == (312, 2)
    weights = examples.rarity(0.5)
    assert weights.min() == 1 and weights.max() <= 4 and (examples.rarity(0.0) == 1).all()
    again = generator.codes.extract("simulator:4", "validation", vq, 1, 0, tmp_path)  # from the cache
    for field in dataclasses.fields(examples):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(examples, field.name))
    assert len(list(tmp_path.iterdir())) == 1


def test_code_vectors_have_unit_spread(debug_runs):
    vectors = load_tokenizer(debug_runs.tokenizer).code_vectors
    for cached in debug_runs.generator.glob("codes-*.npz"):
        with np.load(cached) as examples:
            codes = examples["codes"]
        assert codes.shape[1:] == (312, 2) and codes.max() < 32
        unit = np.asarray(generator.codes.normalised_code_vectors(vectors, codes))
        sums = sum(unit[q][codes[..., q].astype(int)] for q in range(2))
        assert np.mean(sums**2) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("crop", [250, 1000])
def test_a_crop_that_no_tokenizer_can_give_back_is_named(config_of, crop):
    with pytest.raises(ValueError, match=r"crop must be 8 N \+ 4"):
        config_of("tokenizer_base", f"crop={crop}")
    assert config_of("tokenizer_base", "crop=0").crop == 0


def test_no_tokenizer_and_no_text_are_said_so(config_of, debug_runs, tmp_path):
    with pytest.raises(ValueError, match="no tokenizer at .*train one"):
        generator.run(config_of("generator_debug", f"tokenizer={tmp_path / 'none'}"), tmp_path / "new")
    with pytest.raises(ValueError, match="no text tokenizer at"):
        there = (f"tokenizer={debug_runs.tokenizer}", f"text={tmp_path / 'none'}")
        generator.run(config_of("generator_debug", *there), tmp_path / "new")
    with pytest.raises(ValueError, match="a TokenizerTraining run is needed"):
        generator.run(config_of("generator_debug", f"tokenizer={debug_runs.generator}"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
