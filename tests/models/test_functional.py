"""A module as functions of flat dictionaries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ttecg.models.functional import Functional, cast, check_arrays
from ttecg.models.layers import Buffer


class Two(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)])
        self.seen = Buffer(jnp.zeros((), jnp.int32))


def test_paths_shapes_and_counts():
    functional = Functional(Two)
    params, buffers = functional.init(jax.random.key(0))
    assert (
        set(params)
        == set(functional.param_names)
        == {f"layers/{i}/{n}" for i in (0, 1) for n in ("kernel", "bias")}
    )
    assert set(buffers) == {"seen"} and functional.count() == 2 * 3 + 3 + 3 * 2 + 2
    assert functional.shapes == {k: v.shape for k, v in (params | buffers).items()}
    check_arrays(functional.shapes, params | buffers, "here")


def test_merging_gives_the_module_that_was_split():
    functional = Functional(Two)
    params, _ = functional.init(jax.random.key(0))
    module = functional.merge(params, {"seen": jnp.int32(5)})
    np.testing.assert_array_equal(module.layers[1].kernel[...], params["layers/1/kernel"])
    assert functional.buffers(module) == {"seen": 5}
    again, _ = functional.init(jax.random.key(0))
    other, _ = functional.init(jax.random.key(1))
    np.testing.assert_array_equal(again["layers/0/kernel"], params["layers/0/kernel"])
    assert (other["layers/0/kernel"] != params["layers/0/kernel"]).any()


def test_arrays_that_do_not_fit_are_named():
    arrays = {"a": np.zeros(2), "b": np.zeros((2, 3))}
    for expected, said in (
        ({"a": (2,), "b": (2, 3), "c": (1,)}, "here: weight c is missing"),
        ({"a": (2,), "b": (3, 2)}, r"weight b has shape \(2, 3\), the model wants \(3, 2\)"),
        ({"a": (2,)}, "weight b belongs to no part"),
    ):
        with pytest.raises(ValueError, match=said):
            check_arrays(expected, arrays, "here")


def test_casting_leaves_whole_numbers_alone():
    out = cast({"a": jnp.ones(2), "b": jnp.arange(2)}, jnp.float16)
    assert out["a"].dtype == jnp.float16 and out["b"].dtype == jnp.int32
