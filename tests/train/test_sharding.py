"""Meshes and sharding tables: no parameter is forgotten, and what is split is what should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.models.functional import Functional
from ttecg.train import sharding
from ttecg.train.generator import RULES
from ttecg.train.sharding import P
from ttecg.train.state import OptimizerConfig, init_state

IN_COLUMNS = {
    "qkv/kernel",
    "wide/kernel",
    "prompt_wide/kernel",
    "frame_in/kernel",
    "prompt_table",
    "plan_table",
    "code_table",
    "prompt_positions",
    "code_positions",
    "section",
}
IN_ROWS = {"out/kernel", "narrow/kernel", "frame_mix/kernel", "query/kernel", "prompt_out/kernel"}
IN_BIAS = {"wide/bias", "prompt_wide/bias", "frame_in/bias"}


def test_meshes():
    assert dict(sharding.make_mesh().shape) == {"data": 8, "model": 1}
    assert dict(sharding.make_mesh(0, 2).shape) == {"data": 4, "model": 2}
    assert dict(sharding.make_mesh(2, 3).shape) == {"data": 2, "model": 3}
    for data, model in ((9, 1), (0, 16), (8, 2)):
        with pytest.raises(ValueError, match="there are 8"):
            sharding.make_mesh(data, model)


def test_a_parameter_without_a_rule_is_named():
    rules = ((r"kernel$", P(None, "model")),)
    assert sharding.spec("a/kernel", (2, 3), rules) == P(None, "model")
    assert sharding.spec("count", (), rules) == P()
    with pytest.raises(ValueError, match="no sharding rule matches parameter a/bias"):
        sharding.spec("a/bias", (3,), rules)
    with pytest.raises(ValueError, match="splits 2 axes of b/kernel, which has 1"):
        sharding.spec("b/kernel", (3,), rules)


@pytest.mark.parametrize("name", ["generator_debug", "generator_base", "generator_paper"])
def test_what_of_a_generator_lies_along_the_model_axis(config_of, name):
    functional = Functional(config_of(name).model.create)
    split = {}
    for parameter, shape in functional.shapes.items():
        partition = sharding.spec(parameter, shape, RULES)
        for axis, along in enumerate(partition):
            if along:
                assert shape[axis] % 2 == 0, f"{parameter} {shape} does not divide"
                split.setdefault(axis if len(shape) > 1 else "bias", set()).add(_kind(parameter))
    assert (
        split.pop(1) <= IN_COLUMNS and split.pop(0) <= IN_ROWS and split.pop("bias") <= IN_BIAS and not split
    )
    blocks = [n for n in functional.shapes if n.startswith("trunk/") and n.endswith("kernel")]
    assert blocks and all(any(sharding.spec(n, functional.shapes[n], RULES)) for n in blocks)


def _kind(parameter: str) -> str:
    parts = parameter.split("/")
    return "/".join(parts[-2:]) if parts[-1] in ("kernel", "bias") else parts[-1]


def test_moments_follow_their_parameter_and_counters_are_everywhere(config_of):
    config = config_of("generator_debug")
    functional, optimizer = Functional(config.model.create), OptimizerConfig().create(10)
    state = jax.eval_shape(lambda key: init_state(functional, optimizer, key), jax.random.key(0))
    layout = sharding.shardings(state, sharding.make_mesh(4, 2), RULES)
    assert layout.step.spec == P()
    for name, place in layout.params.items():
        assert place.spec == layout.ema[name].spec == sharding.spec(name, functional.shapes[name], RULES)
    moments = [
        leaf
        for leaf in jax.tree.leaves(layout.opt_state, is_leaf=lambda x: isinstance(x, dict))
        if isinstance(leaf, dict)
    ]
    assert len(moments) == 2 and all(m == layout.params for m in moments)


def test_batches_are_split_over_data_only():
    mesh = sharding.make_mesh(4, 2)
    rows = np.arange(24).reshape(8, 3)
    placed = sharding.to_devices({"x": rows}, mesh)["x"]
    np.testing.assert_array_equal(placed, rows)
    assert {s.data.shape for s in placed.addressable_shards} == {(2, 3)}
    assert isinstance(placed, jax.Array) and placed.dtype == jnp.asarray(rows).dtype
