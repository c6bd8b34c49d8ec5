"""Collectives, loops and bytes read from compiled programs of eight CPU devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from ttecg.plan import program
from ttecg.plan.hlo import size_of


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def _compiled(function, mesh, out, *arguments):
    shapes = [
        jax.ShapeDtypeStruct(shape, np.float32, sharding=NamedSharding(mesh, spec))
        for shape, spec in arguments
    ]
    jitted = jax.jit(function, out_shardings=NamedSharding(mesh, out))
    return program.Program(jitted.lower(*shapes).compile().as_text())


def test_sum_over_devices(mesh):
    found = _compiled(lambda x: x.sum(0), mesh, P(), ((64, 32), P("data"))).collectives()
    assert [(c.kind, c.count, c.size) for c in found] == [("all-reduce", 1, 32 * 4)]
    assert found[0].wire == pytest.approx(2 * 3 / 4 * 32 * 4)


def test_gathering(mesh):
    found = _compiled(lambda x: x * 2, mesh, P(), ((64, 32), P("data"))).collectives()
    assert [(c.kind, c.count, c.size) for c in found] == [("all-gather", 1, 64 * 32 * 4)]
    assert found[0].wire == pytest.approx(3 / 4 * 64 * 32 * 4)


def test_loops_count_as_often_as_they_run(mesh):
    def function(x, w):
        return jax.lax.scan(lambda h, _: (jnp.tanh(h @ w), None), x, None, length=7)[0]

    arguments = ((8, 32), P("data", "model")), ((32, 32), P("model", None))
    found = _compiled(function, mesh, P("data", "model"), *arguments)
    assert not found.bounded
    assert sum(c.count for c in found.collectives()) % 7 == 0
    once = _compiled(lambda x, w: jnp.tanh(x @ w), mesh, P("data", "model"), *arguments)
    assert 4 * once.bytes_moved() < found.bytes_moved() < 14 * once.bytes_moved()


def test_a_loop_that_may_end_early_has_a_bound(mesh):
    def function(x):
        return jax.lax.while_loop(
            lambda c: (c[1] < 11) & (c[0].sum() > 0), lambda c: (c[0] * 0.5, c[1] + 1), (x, 0)
        )[0]

    found = _compiled(function, mesh, P("data"), ((64, 32), P("data")))
    assert found.bounded
    assert 11 in found.runs.values()


def test_a_slice_written_in_a_loop_is_not_a_whole_array(mesh):
    def function(x):
        def write(cache, i):
            return jax.lax.dynamic_update_slice_in_dim(cache, jnp.full((1, 256), 1.0 * i), i, 0), None

        return jax.lax.scan(write, x, jnp.arange(512))[0]

    found = _compiled(function, mesh, P(), ((512, 256), P()))
    assert found.bytes_moved() < 20 * 512 * 256 * 4  # whole arrays would be a thousand


@pytest.mark.parametrize(
    "written, devices",
    [
        ("replica_groups={{0,1,2},{3,4,5}}", 3),
        ("replica_groups=[2,8]<=[8,2]T(1,0)", 8),
        ("replica_groups=mesh['axis_0'=8,'axis_1'=2] {'axis_0'}", 8),
        ("replica_groups=mesh['axis_0'=8,'axis_1'=2] {'axis_0':(2)4,'axis_1'}", 8),
    ],
)
def test_groups_as_compilers_write_them(written, devices):
    assert program._group(f"all-reduce(%x), {written}, x") == devices


def test_sizes():
    assert size_of("(f32[2,3]{1,0:T(8,128)}, bf16[4]{0:T(8,128)(2,1)S(1)}, pred[])") == 24 + 8 + 1
    assert size_of("(f32[2,3]{1,0:T(8,128)}, bf16[4]{0:T(8,128)(2,1)S(1)})", memory=True) == 24
