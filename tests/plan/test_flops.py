"""FLOPs counted in traced programs."""

import jax
import jax.numpy as jnp
import pytest

from ttecg.models import beat_plan
from ttecg.models.generator import _phase_width
from ttecg.plan.analytic import training_flops
from ttecg.plan.flops import count
from ttecg.train.objective import batch_shapes, objective_of, program


def _count(function, *shapes):
    return count(jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes)))


def test_products_loops_and_types():
    assert _count(lambda a, b: a @ b, (3, 5), (5, 7)) == {"float32": 2 * 3 * 5 * 7}
    assert _count(lambda a, b: a.astype(jnp.bfloat16) @ b.astype(jnp.bfloat16), (3, 5), (5, 7)) == {
        "bfloat16": 2 * 3 * 5 * 7
    }
    scanned = _count(lambda a: jax.lax.scan(lambda c, _: (c @ a, None), a, None, length=9)[0], (4, 4))
    assert scanned == {"float32": 9 * 2 * 4**3}
    looped = _count(
        lambda a: jax.lax.while_loop(
            lambda c: (c[1] < 6) & (c[0].sum() > 0), lambda c: (c[0] @ a, c[1] + 1), (a, 0)
        )[0],
        (4, 4),
    )
    assert looped == {"float32": 6 * 2 * 4**3}


def test_recomputation_is_counted():
    def loss(w, x):
        return jnp.sum(jnp.tanh(jnp.tanh(x @ w) @ w))

    plain = _count(jax.grad(loss), (8, 8), (2, 8))["float32"]
    again = _count(jax.grad(jax.checkpoint(loss)), (8, 8), (2, 8))["float32"]
    assert plain < again <= plain * 1.5


def test_a_loop_without_a_bound_is_named():
    with pytest.raises(ValueError, match="loop's length"):
        _count(lambda a: jax.lax.while_loop(lambda c: c.sum() > 0, lambda c: c @ a, a), (4, 4))


def test_convolution():
    flops = _count(
        lambda x, k: jax.lax.conv_general_dilated(
            x, k, (1,), "SAME", dimension_numbers=("NTC", "TIO", "NTC")
        ),
        (2, 10, 3),
        (5, 3, 4),
    )
    assert flops == {"float32": 2 * 2 * 10 * 4 * 5 * 3}


@pytest.mark.parametrize("name", ["generator_debug", "generator_base", "generator_large", "generator_paper"])
def test_generators_agree_with_the_formula(config_of, name):
    config = config_of(name, "model.remat=False")
    assert _counted(config) == pytest.approx(
        training_flops(config, objective_of(config).functional.shapes), rel=0.02
    )


def test_a_generator_counted_by_hand(config_of):
    """Every product of one block, the frames' input and a head, written out with the config's numbers."""
    config = config_of(
        "generator_debug", "model.layers=3", "model.width=128", "run.batch=8", "model.kv_heads=1"
    )
    model = config.model
    width, heads, inner = model.width, model.heads * model.head_dim, -(-8 * model.width // 3 // 64) * 64
    shared = model.kv_heads * model.head_dim
    prompt, plan, frames = config.prompt_length, beat_plan.SLOTS, model.frames
    length = prompt + plan + frames
    block = length * (width * (heads + 2 * shared) + heads * width + width * 2 * inner + inner * width)
    block += 2 * length**2 * heads
    head = frames * (
        width * 2 * width + 2 * width * (model.code_dim + 65) + (model.code_dim + 65) * model.codes
    )
    gist, planned = prompt * 2 * width**2, plan * width * beat_plan.VOCAB
    mixed = frames * 2 * width * width
    read = frames * (7 * model.code_dim + 4 + _phase_width()) * 2 * width
    above = model.levels * frames * model.code_dim * width
    forward = model.layers * block + model.levels * head + gist + planned + mixed
    assert _counted(config) == pytest.approx(8 * (6 * forward + 4 * (read + above)), rel=0.02)


def _counted(config) -> float:
    mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    what = objective_of(config)
    step = program(what, config.run, mesh)
    return sum(count(step.step.trace(step.state, batch_shapes(what, config.run.batch)).jaxpr).values())
