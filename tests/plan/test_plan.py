"""Whole plans of tiny runs: eight CPU devices here, a TPU slice where libtpu is installed."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from ttecg.plan import topology
from ttecg.plan.plan import plan
from ttecg.plan.report import text

TINY = ("model.layers=1", "model.width=32", "model.heads=2", "run.batch=16")


@pytest.fixture(scope="module")
def planned(config_of):
    config = config_of("generator_debug", *TINY)
    return plan(config, topology.parse("cpu:8"), records=1000, sample_batch=1, say=lambda line: None)


def test_state_is_that_of_the_training_run(planned):
    size = 4 * planned["parameters"]
    assert planned["state"]["parameters"] == planned["state"]["average"] == size
    assert 2 * size <= planned["state"]["optimizer"] <= 2 * size + 100


def test_memory_holds_state_batch_and_activations(planned):
    train = planned["train"]
    assert train["arguments"] >= sum(planned["state"].values())
    assert train["peak_memory"] >= train["arguments"] + train["temporary"]
    assert planned["fits"] and planned["changes"] == []


def test_gradients_are_summed_over_the_devices(planned):
    sums = [c for c in planned["train"]["collectives"] if c["kind"] == "all-reduce"]
    assert sums[0]["size"] >= 4 * planned["parameters"] * 0.9


def test_times_follow_from_the_figures(planned):
    train = planned["train"]
    line = train["roofline"]
    assert line["seconds"] == max(line["compute"], line["memory"], line["links"]) > 0
    assert train["examples_per_s"] == pytest.approx(16 / line["seconds"])
    assert planned["hours_per_epoch"] == pytest.approx(1000 / train["examples_per_s"] / 3600)
    assert 0 < line["share"] <= 1


def test_sampling_runs_through_its_loops(planned):
    sample = planned["sample"]
    assert sample["loops_bounded"] and sample["fits"]
    assert sum(sample["flops"].values()) > sample["xla_flops"]


def test_report_and_json(planned):
    words = text(json.loads(json.dumps(planned)))
    for part in (
        "parameters",
        "optimizer",
        "activations",
        "all-reduce",
        "per epoch of 1,000 records",
        "FITS",
    ):
        assert part in words


@pytest.mark.slow
def test_splitting_the_state_makes_it_smaller(config_of, planned):
    config = config_of("generator_debug", *TINY, "run.fully_sharded=True")
    split = plan(config, topology.parse("cpu:8"), records=1000, sample_batch=1, say=lambda line: None)
    assert split["state"]["optimizer"] < 0.5 * planned["state"]["optimizer"]
    assert any(c["kind"] == "all-gather" for c in split["train"]["collectives"])


@pytest.mark.slow
def test_what_cannot_fit_says_why_and_what_would_help(config_of, monkeypatch):
    small = dataclasses.replace(topology.cpu(8), usable=2**21, memory=2**21)
    monkeypatch.setattr(topology, "cpu", lambda count: small)
    config = config_of("generator_debug", *TINY)
    result = plan(config, topology.parse("cpu:8"), records=1000, sample_batch=1, say=lambda line: None)
    assert not result["fits"]
    words = text(result)
    assert "DOES NOT FIT" in words and "run.fully_sharded=True" in words and "model.remat=True" in words
    memory = {" ".join(c["changes"]): c["memory"] for c in result["changes"]}
    assert all(size < result["train"]["peak_memory"] for size in memory.values())


@pytest.mark.slow
def test_command_in_its_own_process(config_of, tmp_path):
    config = tmp_path / "tiny.py"
    config.write_text("from ttecg.train.unet import UNetTraining\n\nconfig = UNetTraining()\n")
    out = tmp_path / "plan.json"
    words = ["plan", "--config", config, "--topology", "h200x8", "--json", out]
    words += ["--set", "run.batch=8", "--set", "model.widths=(8,16)"]
    done = subprocess.run(
        [sys.executable, "-m", "ttecg", *map(str, words)], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert "the CPU compiler's partitioning" in done.stdout and "FITS" in done.stdout
    assert json.loads(out.read_text())["devices"] == 8


@pytest.mark.slow
def test_tpu_slice(config_of):
    pytest.importorskip("libtpu", reason="the plan extra is not installed")
    config = config_of("generator_debug", *TINY, "run.fully_sharded=True")
    result = plan(config, topology.parse("v5e:2x2"), records=1000, sample_batch=1, say=lambda line: None)
    assert result["devices"] == 4 and result["fits"]
    assert set(result["train"]["flops"]) >= {"bfloat16"}
