"""The loop that every trainer runs: batches, steps, logging, evaluation, checkpoints, resuming.

A batch is a pure function of the step, so a resumed run needs nothing but the state. Metrics of a step are
fetched after the next one has been dispatched. SIGTERM saves and ends; SIGKILL costs the steps since the last save.
Several processes (train.distributed) run it together; what is not a batch, a step or a checkpoint the main one does.
"""

import concurrent.futures
import dataclasses
import math
import os
import pathlib
import signal
import time
from collections.abc import Callable

import jax

from ttecg.train import distributed, sharding
from ttecg.train.checkpoint import Checkpoints
from ttecg.train.config import at_least
from ttecg.train.log import Log
from ttecg.train.objective import Objective, program
from ttecg.train.state import TrainState


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What every training run has, whatever it trains."""

    # seed of initialisation, batches, augmentation and dropout
    seed: int = 0
    # optimiser steps, and examples per step over all devices
    steps: int = 1000
    batch: int = 16
    # in steps
    log_every: int = 10
    eval_every: int = 250
    checkpoint_every: int = 250
    # checkpoints kept
    keep: int = 2
    # decay of the running average of the parameters, which is what is evaluated and exported
    ema: float = 0.999
    # mesh: data = 0 takes all devices that `model` leaves; over `model` single arrays are split (tensor parallelism)
    mesh_data: int = 0
    mesh_model: int = 1
    # parameters, their averages and the optimiser's moments are split over `data` too, and gathered as they are used
    fully_sharded: bool = False
    # parts that a batch is worked through in, one after the other: memory of one part, gradient of the whole
    accumulate: int = 1
    # who computes attention: "xla", or "cudnn" on NVIDIA GPUs in bfloat16
    attention: str = "xla"
    # wandb project; empty for none (WANDB_MODE=offline works)
    wandb: str = ""

    def __post_init__(self):
        counts = (
            "steps",
            "batch",
            "log_every",
            "eval_every",
            "checkpoint_every",
            "keep",
            "mesh_model",
            "accumulate",
        )
        at_least(self, "run.", **dict.fromkeys(counts, 1), seed=0, mesh_data=0)
        if not 0 <= self.ema < 1:
            raise ValueError(f"run.ema must be from 0 up to, but not, 1, got {self.ema}")
        if self.attention not in ("xla", "cudnn"):
            raise ValueError(f"run.attention is 'xla' or 'cudnn', got {self.attention!r}")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a trainer hands to the loop.

    batch(step, shard) -> dict of NumPy arrays, this process's rows. evaluate(state, step) -> dict of scalars, run on
    the averaged parameters by the main process. prepare(state) -> state sets buffers that come from data, once, before
    the first step.
    """

    objective: Objective
    batch: Callable
    evaluate: Callable | None = None
    prepare: Callable | None = None


def train(task: Task, run: RunConfig, workdir, *, describe: dict | None = None) -> TrainState:
    """Trains to `run.steps`, going on from the newest checkpoint. FloatingPointError on NaN, with the step."""
    workdir = pathlib.Path(workdir)
    mesh = sharding.make_mesh(run.mesh_data, run.mesh_model)
    compiled = program(task.objective, run, mesh)
    with jax.set_mesh(mesh), Checkpoints(workdir, run.keep) as checkpoints, _Terminate() as terminate:
        if checkpoints.latest is None:
            state = compiled.init(jax.random.key(run.seed))
            if task.prepare:
                state = distributed.laid_out(task.prepare(state), compiled.layout)
        else:
            state = checkpoints.restore(compiled.state)
        start = int(state.step)
        log = Log(workdir, start=start, steps=run.steps, wandb_project=run.wandb, config=describe)
        try:
            return _loop(task, run, mesh, compiled.step, state, start, checkpoints, log, terminate)
        finally:
            log.close()


def _loop(task, run, mesh, step_fn, state, start, checkpoints, log, terminate):
    pending, clock = None, _Clock(run.batch)
    for step, batch in _prefetch(task.batch, mesh, start, run.steps):
        state, metrics = step_fn(state, batch)
        if pending:
            _report(log, run, clock, *pending)
        pending = (step + 1, metrics)
        stop = terminate.asked(
            step
        )  # once: a signal that comes later in this turn ends the next, after its save
        done = stop or step + 1 == run.steps
        if done or (step + 1) % run.checkpoint_every == 0:
            _report(log, run, clock, *pending)  # a state that is not finite is never saved
            pending = None
            checkpoints.save(step + 1, state)
        if task.evaluate and (done or (step + 1) % run.eval_every == 0) and not stop:
            _evaluate(task.evaluate, state, step + 1, log)
            clock.restart()
        if stop:
            log.message(f"asked to stop: saved step {step + 1}; go on with --resume")
            break
    return state


def _evaluate(evaluate, state, step, log):
    """Logs what the main process finds; where there are others, on whole arrays and on a device of its own."""
    if jax.process_count() == 1:
        _log_scores(evaluate(state, step), step, log)
        return
    whole = dataclasses.replace(
        state, ema=distributed.gathered(state.ema), buffers=distributed.gathered(state.buffers)
    )

    def score():
        with jax.set_mesh(distributed.own_mesh()):
            _log_scores(evaluate(whole, step), step, log)

    distributed.by_main(score)


def _log_scores(scores, step, log):
    log.write(step, scores)
    log.message(f"step {step}: " + ", ".join(f"{k} {v:.4g}" for k, v in scores.items()))


def _report(log, run, clock, step, metrics):
    values = {k: float(v) for k, v in jax.device_get(metrics).items()}
    if not all(math.isfinite(v) for v in values.values()):
        bad = ", ".join(k for k, v in values.items() if not math.isfinite(v))
        raise FloatingPointError(
            f"step {step}: {bad} is not finite; lower the learning rate or look at the batch"
        )
    log.advance()
    if step % run.log_every == 0 or step == run.steps:
        log.step(step, values | {"examples_per_s": clock.rate(step)})


class _Clock:
    def __init__(self, batch: int):
        self._batch, self._mark = batch, None

    def restart(self):
        self._mark = None

    def rate(self, step: int) -> float:
        now, before = time.perf_counter(), self._mark
        self._mark = (step, now)
        return round((step - before[0]) * self._batch / (now - before[1]), 2) if before else 0.0


def _prefetch(batch_fn, mesh, start: int, steps: int, ahead: int = 3):
    """Batches in order, made in threads while the device works (NumPy and SciPy release the lock)."""
    shard = distributed.share(mesh)
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(ahead, os.cpu_count() or 1)) as pool:
        queue = [pool.submit(batch_fn, s, shard) for s in range(start, min(start + ahead, steps))]
        for step in range(start, steps):
            rows = queue.pop(0).result()
            if step + ahead < steps:
                queue.append(pool.submit(batch_fn, step + ahead, shard))
            yield step, sharding.to_devices(rows, mesh)


class _Terminate:
    """Notes SIGTERM instead of dying of it. Among several processes JAX notes it, of which all hear."""

    def __init__(self):
        self._noted, self._before = False, None

    def asked(self, step: int) -> bool:
        """Whether this step, which has been dispatched, is to be the last: the same for all processes."""
        return self._noted if jax.process_count() == 1 else distributed.asked_to_stop(step)

    def __enter__(self):
        if jax.process_count() > 1:
            return self
        try:
            self._before = signal.signal(signal.SIGTERM, self._note)
        except ValueError:  # not the main thread: nobody can send us a signal that we could catch
            pass
        return self

    def _note(self, *_):
        self._noted = True

    def __exit__(self, *_):
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
