"""Usual beats out of noise, by flow matching (Lipman et al. 2023): a network that tells every point on the straight way
from noise to the coordinates of a beat which way to go, given what is asked for.

All components come at once, since QRS is as wide as it was asked to be only if they agree. Axes: B batch, C component,
D width of what is asked for.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models import beat_basis
from ttecg.models.layers import dropout
from ttecg.models.transformer import Linear

STEPS = 12  # of the midpoint rule
_WAVES = 32  # sines, and as many cosines, by which a moment is told
_DRAWS = 8  # points on the way that each example of a batch is learned at


class BeatFlow(nnx.Module):
    """Velocity at a point of the way. kinds: number of kinds of beats; told: width of what is asked for."""

    def __init__(
        self, width: int, layers: int, told: int, kinds: int, rate: float, size: int, *, rngs: nnx.Rngs
    ):
        self.rate = rate
        self.point_in = Linear(2 * size, width, rngs=rngs)
        self.moment_in = Linear(2 * _WAVES, width, rngs=rngs)
        self.told_in = Linear(told, width, rngs=rngs)
        self.told_mix = Linear(width, width, rngs=rngs)
        self.kind_table = nnx.Param(0.1 * jax.random.normal(rngs.params(), (kinds, width)))
        self.turn = Linear(width, 2 * width, scale=0.3, rngs=rngs)
        self.layers = nnx.List([_Block(width, rngs) for _ in range(layers)])
        self.out = Linear(width, size, scale=0.1, rngs=rngs)

    def __call__(self, x_BxC, moment_B, told_BxD, kind_B, first_BxC, key=None):
        """(B, C). moment: from 0, noise, to 1; first: the coordinates of the commonest beat where another is drawn,
        zeros where it is the one that is drawn."""
        angles = moment_B[:, None] * jnp.exp(jnp.linspace(0.0, 5.0, _WAVES))
        moment = self.moment_in(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1))
        told = jax.nn.gelu(moment + self.told_in(told_BxD.astype(x_BxC.dtype)) + self.kind_table[...][kind_B])
        told = jax.nn.gelu(self.told_mix(told))
        scale, shift = jnp.split(self.turn(told), 2, -1)
        h = self.point_in(jnp.concatenate([x_BxC, first_BxC], -1))
        for i, block in enumerate(self.layers):
            h = h + dropout(
                block(_normed(h) * (1 + scale) + shift),
                self.rate,
                None if key is None else jax.random.fold_in(key, i),
            )
        return self.out(_normed(h))

    def loss(self, coordinates_BxC, told_BxD, kind_B, first_BxC, weight_C, key):
        """Mean weighted squared error of the velocity, over moments and noise drawn by the key; without one always the
        same, and no dropout."""
        many = [jnp.repeat(x, _DRAWS, axis=0) for x in (coordinates_BxC, told_BxD, kind_B, first_BxC)]
        end, told, kind, first = many
        a, b, c, d = jax.random.split(jax.random.key(0) if key is None else key, 4)
        end = end + beat_basis.STEP * (jax.random.uniform(d, end.shape) - 0.5)  # anywhere inside their bins
        moment = jax.nn.sigmoid(jax.random.normal(a, end.shape[:1]))
        noise = jax.random.normal(b, end.shape)
        point = noise + moment[:, None] * (end - noise)
        found = self(point, moment, told, kind, first, None if key is None else c)
        return (weight_C * (found - (end - noise)) ** 2).mean()


class _Block(nnx.Module):
    def __init__(self, width: int, rngs: nnx.Rngs):
        self.up = Linear(width, 2 * width, rngs=rngs)
        self.down = Linear(2 * width, width, scale=0.1, rngs=rngs)

    def __call__(self, h):
        return self.down(jax.nn.gelu(self.up(h)))


def _normed(x):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def travel(velocity, start_BxC):
    """Where noise comes out, by the midpoint rule. velocity: (B, C), () -> (B, C)."""

    def step(i, x):
        middle = x + velocity(x, i / STEPS) / (2 * STEPS)
        return x + velocity(middle, (i + 0.5) / STEPS) / STEPS

    return jax.lax.fori_loop(0, STEPS, step, start_BxC)
