"""The training loop on a model of twelve numbers: resuming, signals, NaN, logs, meshes.

`python test_loop.py WORKDIR` runs it slowly until it is killed, for the test that does so.
"""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.data import batches
from ttecg.models.functional import Functional
from ttecg.models.layers import Buffer
from ttecg.train.checkpoint import Checkpoints
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, shapes_of
from ttecg.train.sharding import P
from ttecg.train.state import OptimizerConfig

RUN = RunConfig(seed=3, steps=8, batch=8, log_every=1, eval_every=100, checkpoint_every=3, mesh_data=1)


class Plane(nnx.Module):
    """A linear map, and a count of the steps."""

    def __init__(self, rngs):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (6, 2)))
        self.seen = Buffer(jnp.zeros(()))

    def __call__(self, x):
        return x @ self.kernel[...]


FUNCTIONAL = Functional(Plane)


def loss(params, state, batch, key):
    """Least squares with noise from the key, so that a resumed run must have the same keys."""
    y = FUNCTIONAL.merge(params, state.buffers)(batch["x"])
    value = jnp.mean((y + 0.1 * jax.random.normal(key, y.shape) - batch["y"]) ** 2)
    return value, ({"noise": jax.random.normal(key)}, {"seen": state.buffers["seen"] + 1})


def make_row(rng):
    x = rng.normal(size=6).astype(np.float32)
    return {"x": x, "y": np.array([x.sum(), x[0]], np.float32)}


def task(batch=None, **changes) -> Task:
    batch = batch or batches.batches(make_row, RUN.seed, RUN.batch)
    rules = ((r"kernel", P(None, "model")), (r"seen", P()))
    optimizer = OptimizerConfig(learning_rate=0.1, warmup=2)
    what = Objective(FUNCTIONAL, rules, optimizer, loss, shapes_of(make_row(np.random.default_rng(0))))
    return dataclasses.replace(Task(what, batch), **changes)


def disturbed(at: int, disturb) -> Task:
    """The task, with `disturb(rows)` called when the batch of step `at` is made; what it returns is the batch."""
    make = batches.batches(make_row, RUN.seed, RUN.batch)
    return task(lambda step, shard: disturb(make(step, shard)) if step == at else make(step, shard))


def run_config(**changes) -> RunConfig:
    return dataclasses.replace(RUN, **changes)


def log_of(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]


def latest(workdir):
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.latest


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The state and the losses of a run that nothing interrupts."""
    workdir = tmp_path_factory.mktemp("straight")
    state = train(task(), RUN, workdir)
    assert state.step == RUN.steps and state.buffers["seen"] == RUN.steps
    return jax.device_get(state), [line["loss"] for line in log_of(workdir)]


def test_every_step_and_every_seed_has_a_key_of_its_own(tmp_path):
    train(task(), RUN, tmp_path / "a")
    train(task(), run_config(seed=4), tmp_path / "b")
    assert len({line["noise"] for name in "ab" for line in log_of(tmp_path / name)}) == 16


def crash(_):
    raise OSError("the disk is gone")


def test_a_run_that_crashed_and_was_resumed_equals_one_that_was_not(straight, tmp_path):
    with pytest.raises(OSError, match="the disk is gone"):
        train(disturbed(7, crash), RUN, tmp_path)
    assert latest(tmp_path) == 6
    state = train(task(), RUN, tmp_path)
    assert_same(state, straight[0])
    assert [line["step"] for line in log_of(tmp_path)] == list(range(1, 9))
    assert [line["loss"] for line in log_of(tmp_path)] == straight[1]


def test_a_crash_before_the_first_checkpoint_starts_anew(straight, tmp_path):
    with pytest.raises(OSError):
        train(disturbed(1, crash), RUN, tmp_path)
    assert latest(tmp_path) is None
    assert_same(train(task(), RUN, tmp_path), straight[0])


def terminate(rows):
    os.kill(os.getpid(), signal.SIGTERM)
    return rows


def test_sigterm_saves_and_ends_and_the_run_goes_on(straight, tmp_path, capsys):
    before = signal.getsignal(signal.SIGTERM)
    state = train(disturbed(4, terminate), RUN, tmp_path)
    assert state.step < RUN.steps and latest(tmp_path) == state.step
    assert f"saved step {int(state.step)}; go on with --resume" in "".join(capsys.readouterr())
    assert signal.getsignal(signal.SIGTERM) is before
    assert_same(train(task(), RUN, tmp_path), straight[0])


def test_sigterm_during_evaluation_saves_too(straight, tmp_path):
    def evaluate(state, step):
        if step == 4:
            terminate(None)
            time.sleep(0.01)
        return {"val": float(step)}

    state = train(task(evaluate=evaluate), run_config(eval_every=2), tmp_path)
    assert 4 <= state.step < RUN.steps and latest(tmp_path) == state.step
    assert_same(train(task(), RUN, tmp_path), straight[0])


def spoil(rows):
    return rows | {"x": rows["x"] * np.float32(np.nan)}


def test_nan_stops_with_its_step_and_is_never_saved(straight, tmp_path):
    for workdir, bad, kept in ((tmp_path / "a", 4, 3), (tmp_path / "b", 5, 3), (tmp_path / "c", 7, 6)):
        with pytest.raises(
            FloatingPointError, match=f"^step {bad + 1}: grad_norm, loss, update_norm is not finite"
        ):
            train(disturbed(bad, spoil), RUN, workdir)
        assert latest(workdir) == kept
    assert_same(train(task(), RUN, tmp_path / "b"), straight[0])


def test_a_run_that_is_done_is_done(straight, tmp_path):
    train(task(), RUN, tmp_path)
    log = log_of(tmp_path)
    assert_same(train(disturbed(0, crash), RUN, tmp_path), straight[0])
    assert log_of(tmp_path) == log


def test_the_log_forgets_what_will_be_done_again(tmp_path):
    train(task(), run_config(steps=3), tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 9}\n{"step": 5, "lo')
    train(task(), run_config(steps=5), tmp_path)
    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5] and lines[3]["loss"] != 9
    assert {"loss", "grad_norm", "update_norm", "examples_per_s", "time"} <= set(lines[0])


def test_when_what_is_called(tmp_path):
    calls = {"prepare": 0, "evaluate": [], "batch": []}
    make = batches.batches(make_row, RUN.seed, RUN.batch)

    def prepare(state):
        calls["prepare"] += 1
        return dataclasses.replace(state, buffers={"seen": jnp.float32(100)})

    def evaluate(state, step):
        assert state.step == step and state.buffers["seen"] == 100 + step
        calls["evaluate"].append(step)
        return {"val": 1.0}

    def batch(step, shard):
        assert shard == (0, 1)
        calls["batch"].append(step)
        return make(step, shard)

    whole = task(batch, prepare=prepare, evaluate=evaluate)
    for steps in (5, 8):
        train(whole, run_config(steps=steps, eval_every=2, log_every=4), tmp_path)
    assert (
        calls["prepare"] == 1
        and calls["evaluate"] == [2, 4, 5, 6, 8]
        and sorted(calls["batch"]) == list(range(8))
    )
    assert [line["step"] for line in log_of(tmp_path) if "loss" in line] == [4, 5, 8]
    assert [line["step"] for line in log_of(tmp_path) if "val" in line] == [2, 4, 5, 6, 8]


@pytest.mark.parametrize("data, model", [(8, 1), (4, 2), (2, 1)])
def test_one_device_equals_many(straight, tmp_path, data, model):
    state = train(task(), run_config(mesh_data=data, mesh_model=model), tmp_path)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(straight[0])):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose([line["loss"] for line in log_of(tmp_path)], straight[1], atol=1e-5)


def test_a_run_goes_on_on_another_mesh(straight, tmp_path):
    with pytest.raises(OSError):
        train(disturbed(4, crash), run_config(mesh_data=4, mesh_model=2), tmp_path)
    state = train(task(), run_config(mesh_data=2), tmp_path)
    assert state.step == RUN.steps and [line["step"] for line in log_of(tmp_path)] == list(range(1, 9))
    np.testing.assert_allclose(state.ema["kernel"], straight[0].ema["kernel"], atol=1e-5)


def test_a_batch_that_does_not_divide_is_named(tmp_path):
    with pytest.raises(ValueError, match="run.batch=8 cannot be split over 3 devices"):
        train(task(), run_config(mesh_data=3), tmp_path)


@pytest.mark.parametrize(
    "name, value",
    [("steps", 0), ("batch", 0), ("keep", 0), ("mesh_model", 0), ("mesh_data", -1), ("seed", -1)],
)
def test_numbers_that_make_no_run_are_named(name, value):
    with pytest.raises(ValueError, match=f"run.{name} must be at least"):
        run_config(**{name: value})


def test_an_average_that_never_moves_is_named():
    with pytest.raises(ValueError, match="run.ema must be"):
        run_config(ema=1.0)


SLOW = run_config(steps=100_000, checkpoint_every=1)


@pytest.mark.slow
def test_sigkill_at_any_moment_leaves_a_checkpoint_that_restores(tmp_path):
    """Killed twice at random moments, saving at every step; what is restored is what an undisturbed run has."""
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    for delay in np.random.default_rng().uniform(0.2, 1.5, 2):
        before = _saved(killed)
        process = subprocess.Popen([sys.executable, __file__, str(killed)], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while _saved(killed) < before + 2 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        time.sleep(delay)
        assert process.poll() is None, "the run ended by itself"
        process.kill()
        process.wait()
        assert latest(killed) >= before + 2
    step = latest(killed)
    with pytest.raises(OSError, match="the disk is gone"):
        train(disturbed(step, crash), dataclasses.replace(SLOW, checkpoint_every=step), straight)
    assert_same(_weights(killed), _weights(straight))


def _saved(workdir: pathlib.Path) -> int:
    """The newest step whose checkpoint has its final name."""
    names = [p.name for p in (workdir / "checkpoints").glob("*")]
    return max((int(n) for n in names if n.isdigit()), default=0)


def _weights(workdir):
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_weights()


if __name__ == "__main__":
    make = batches.batches(make_row, RUN.seed, RUN.batch)

    def slowly(step, shard):
        time.sleep(0.02)
        return make(step, shard)

    train(task(slowly), SLOW, pathlib.Path(sys.argv[1]))
