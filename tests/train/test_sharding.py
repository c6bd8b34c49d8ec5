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


def test_meshes():
    assert dict(sharding.make_mesh().shape) == {"data": 8, "model": 1}
    assert dict(sharding.make_mesh(0, 2).shape) == {"data": 4, "model": 2}
    assert dict(sharding.make_mesh(2, 3).shape) == {"data": 2, "model": 3}
    for data, model in ((9, 1), (8, 2), (0, 16)):
        with pytest.raises(ValueError, match="devices; this machine has 8"):
            sharding.make_mesh(data, model)
    with pytest.raises(ValueError, match="idle; choose a divisor of 8"):
        sharding.make_mesh(0, 3)


def test_a_parameter_without_a_rule_is_named():
    rules = ((r"kernel$", P(None, "model")),)
    assert sharding.spec("a/kernel", (2, 3), rules) == P(None, "model")
    assert sharding.spec("count", (), rules) == P()
    with pytest.raises(ValueError, match="no sharding rule matches parameter a/bias"):
        sharding.spec("a/bias", (3,), rules)
    with pytest.raises(ValueError, match="splits 2 axes of b/kernel, which has 1"):
        sharding.spec("b/kernel", (3,), rules)


def test_an_axis_that_does_not_divide_stays_whole_and_the_longest_free_one_takes_the_data():
    mesh = sharding.make_mesh(4, 2)
    assert sharding.fitted(P(None, "model"), (64, 96), mesh, False) == P(None, "model")
    assert sharding.fitted(P(None, "model"), (64, 97), mesh, False) == P()
    assert sharding.fitted(P(None, "model"), (64, 96), mesh, True) == P("data", "model")
    assert sharding.fitted(P(), (64, 128, 3), mesh, True) == P(None, "data")
    assert sharding.fitted(P("model"), (8192,), mesh, True) == P("model")
    assert sharding.fitted(P(), (16, 16), mesh, True) == P(), "too small to be worth it"
    assert sharding.fitted(P(), (4099, 3), mesh, True) == P()


def test_moments_follow_their_parameter_and_counters_are_everywhere(config_of):
    config = config_of("generator_debug")
    functional, optimizer = Functional(config.model.create), OptimizerConfig().create(10)
    state = jax.eval_shape(lambda key: init_state(functional, optimizer, key), jax.random.key(0))
    layout = sharding.shardings(state, sharding.make_mesh(4, 2), RULES)
    assert layout.step.spec == P()
    for name, place in layout.params.items():
        shape = functional.shapes[name]
        wanted = sharding.fitted(sharding.spec(name, shape, RULES), shape, place.mesh, False)
        assert place.spec == layout.ema[name].spec == wanted
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
