"""A run of four steps, for the tests of every trainer."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable

import jax
import numpy as np
import pytest

from ttecg.train.config import override
from ttecg.train.state import TrainState

_FOUR = ("run.steps=4", "run.log_every=1", "run.eval_every=4", "run.checkpoint_every=2", "run.mesh_data=1")


@dataclasses.dataclass(frozen=True)
class Straight:
    """What four steps on one device came to that nothing interrupted: each is logged, the second and fourth saved."""

    run: Callable
    config: object
    workdir: pathlib.Path
    state: TrainState

    def lines(self) -> list[dict]:
        """Of the log."""
        return [json.loads(line) for line in (self.workdir / "log.jsonl").read_text().splitlines()]

    def without_last_checkpoint(self, copy: pathlib.Path) -> pathlib.Path:
        """A copy of the work directory as it was before the last save."""
        shutil.copytree(self.workdir, copy)
        shutil.rmtree(copy / "checkpoints" / "4")
        return copy

    def assert_resumed_is_the_same(self, copy: pathlib.Path):
        """Two steps and two resumed, in a copy without the last checkpoint, equal the four bit for bit."""
        resumed = self.run(self.config, copy, resume=True)
        for a, b in zip(jax.tree.leaves(resumed), jax.tree.leaves(self.state), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def four_steps(tmp_path_factory):
    """four_steps(run of a trainer, config) -> Straight."""

    def begin(run, config) -> Straight:
        config, workdir = override(config, list(_FOUR)), tmp_path_factory.mktemp("runs") / "straight"
        return Straight(run, config, workdir, jax.device_get(run(config, workdir)))

    return begin
