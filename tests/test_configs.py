"""Every config of the repository loads, builds, and can be written down and read again."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest

from ttecg.bundle import describe_generator, generator_config
from ttecg.models.functional import Functional
from ttecg.train.beat_basis import BeatBasisTraining
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.clip import ClipTraining
from ttecg.train.config import from_dict, load_config, to_dict
from ttecg.train.decoder import DecoderTraining
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig
from ttecg.train.noise_detector import NoiseDetectorTraining
from ttecg.train.recorder import RecorderTraining
from ttecg.train.state import init_state
from ttecg.train.text_tokenizer import TextTokenizerTraining
from ttecg.train.tokenizer import TokenizerTraining
from ttecg.train.two_lead import TwoLeadTraining
from ttecg.train.unet import UNetTraining
from ttecg.train.wav2vec import Wav2VecTraining

FILES = sorted((pathlib.Path(__file__).resolve().parents[1] / "configs").glob("*.py"))


@pytest.fixture(params=FILES, ids=lambda f: f.stem)
def config(request):
    return load_config(request.param)


def test_there_are_configs_for_every_stage():
    names = {f.stem for f in FILES}
    assert names >= {"text_tokenizer"} | {
        f"{s}_{k}" for s in ("tokenizer", "generator") for k in ("base", "paper", "debug")
    }


def test_it_builds(config):
    if not hasattr(config, "optimizer"):  # what is learned without gradients
        return
    functional, optimizer = Functional(config.model.create), config.optimizer.create(config.run.steps)
    state = jax.eval_shape(lambda key: init_state(functional, optimizer, key), jax.random.key(0))
    assert {k: v.shape for k, v in (state.params | state.buffers).items()} == functional.shapes
    assert functional.count() > 1000
    assert config.run.batch % 8 == 0, "a batch should split over eight devices"


def test_it_survives_json(config):
    stored = json.loads(json.dumps(to_dict(config)))
    if isinstance(config, GeneratorTraining):
        assert (
            generator_config(json.loads(json.dumps(describe_generator(config.model))), "here") == config.model
        )
        assert from_dict(RunConfig, stored["run"]) == config.run
    else:
        assert from_dict(type(config), stored) == config


def test_it_says_how_it_is_run(config, request):
    file = next(f for f in FILES if f.stem in request.node.name)
    assert file.read_text().startswith('"""')


def test_generators_fit_their_tokenizers(config_of):
    for kind in ("base", "paper", "debug"):
        vq, generator = config_of(f"tokenizer_{kind}").model, config_of(f"generator_{kind}").model
        assert (vq.frames, vq.levels) == (generator.frames, generator.levels)
        assert vq.frame_seconds == pytest.approx(0.032) and vq.samples / vq.rate == pytest.approx(10)


def test_decoders_fit_their_tokenizers(config_of):
    for kind in ("base", "paper", "debug"):
        vq, decoder = config_of(f"tokenizer_{kind}").model, config_of(f"decoder_{kind}").model
        for name in ("leads", "rate", "frames", "levels", "codes", "code_dim", "frame_samples"):
            assert getattr(vq, name) == getattr(decoder, name)
        assert decoder.samples(vq.frames) == vq.samples


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_run_scores_something(file):
    config = load_config(file)
    if hasattr(config, "optimizer"):
        with pytest.raises(ValueError, match="validation"):
            dataclasses.replace(config, validation=0)


def test_debug_configs_are_for_seconds(config_of):
    for name in ("tokenizer_debug", "generator_debug"):
        config = config_of(name)
        assert config.run.steps == 20 and config.sources[0].startswith("simulator")
        assert Functional(config.model.create).count() < 500_000


def test_debug_runs_train(debug_runs):
    for workdir in (debug_runs.tokenizer, debug_runs.generator):
        lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines if "loss" in line]
        assert len(losses) == 4 and np.isfinite(losses).all() and losses[-1] < losses[0]
        assert any("val_r" in line or "val_plan" in line for line in lines)
    assert list(debug_runs.tokenizer.glob("reconstruction-*.png"))


def test_kinds_of_configs():
    kinds = {type(load_config(f)) for f in FILES}
    assert kinds == {
        TextTokenizerTraining,
        BeatBasisTraining,
        RecorderTraining,
        TokenizerTraining,
        GeneratorTraining,
        UNetTraining,
        TwoLeadTraining,
        ClassifierTraining,
        ClipTraining,
        Wav2VecTraining,
        NoiseDetectorTraining,
        DecoderTraining,
    }
