"""Checkpoints: what goes in comes out, on another mesh too; the newest are kept; half a checkpoint is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.models.functional import Functional
from ttecg.models.layers import Buffer
from ttecg.train import sharding
from ttecg.train.checkpoint import Checkpoints
from ttecg.train.sharding import P
from ttecg.train.state import OptimizerConfig, init_state


class Small(nnx.Module):
    def __init__(self, rngs):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (8, 4)))
        self.scale = Buffer(jnp.arange(8.0))


FUNCTIONAL = Functional(Small)
OPTIMIZER = OptimizerConfig().create(10)
RULES = ((r"kernel", P("model", None)), (r"scale", P("data")))


def make_state(seed: int):
    return init_state(FUNCTIONAL, OPTIMIZER, jax.random.key(seed))


def layout(data: int, model: int):
    state = jax.eval_shape(lambda: make_state(0))
    return sharding.shardings(state, sharding.make_mesh(data, model), RULES)


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture
def saved(tmp_path):
    """A work directory with the states of steps 1, 2 and 3, written from a 4 x 2 mesh; and the last of them."""
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            state = jax.device_put(make_state(step), layout(4, 2))
            checkpoints.save(step, state)
    return tmp_path, jax.device_get(state)


@pytest.mark.parametrize("mesh", [(4, 2), (1, 1), (2, 4), (8, 1)])
def test_a_state_comes_back_on_any_mesh(saved, mesh):
    workdir, state = saved
    with Checkpoints(workdir) as checkpoints:
        shapes = jax.eval_shape(lambda: make_state(0))
        wanted = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, layout(*mesh)
        )
        back = checkpoints.restore(wanted)
    assert_same(back, state)
    assert back.params["kernel"].sharding == layout(*mesh).params["kernel"]
    moments = back.opt_state[1][0].mu["kernel"]
    assert moments.sharding.shard_shape((8, 4)) == (8 // mesh[1], 4)


def test_weights_alone_come_back_on_one_device(saved):
    workdir, state = saved
    with Checkpoints(workdir) as checkpoints:
        params, buffers = checkpoints.restore_weights()
    assert_same(params, state.ema)
    assert_same(buffers, state.buffers)
    assert len(params["kernel"].devices()) == len(buffers["scale"].devices()) == 1


def test_the_newest_are_kept_and_none_is_written_twice(saved):
    workdir, state = saved
    assert {p.name for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()} == {"2", "3"}
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.latest == 3
        checkpoints.save(3, make_state(9))
    with Checkpoints(workdir) as checkpoints:
        assert_same(checkpoints.restore_weights()[0], state.ema)


def test_a_checkpoint_that_was_being_written_is_not_there(saved):
    workdir, _ = saved
    (workdir / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir()
    (workdir / "checkpoints" / "4.orbax-checkpoint-tmp" / "weights").write_bytes(b"\0" * 100)
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.latest == 3
        checkpoints.restore_weights()


def test_a_damaged_checkpoint_is_named(saved):
    workdir, _ = saved
    for file in (workdir / "checkpoints" / "3" / "weights").rglob("d/*"):
        file.write_bytes(b"")
    with Checkpoints(workdir) as checkpoints, pytest.raises(ValueError, match="3 cannot be read .*delete it"):
        checkpoints.restore_weights()


def test_no_checkpoint_is_said_so(tmp_path):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(ValueError, match="train first"):
        assert checkpoints.latest is None
        checkpoints.restore_weights()
