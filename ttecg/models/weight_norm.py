"""The convolution of HiFi-GAN and its judges: weight-normalised, dilated, strided, in groups.

Axes: B batch, T time, C channels. Method is pure.
"""

import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import uniform_fan_in


class NormConv(nnx.Module):
    """1-D convolution (B, T, C) -> (B, T', C') whose kernel is a direction times a length for each output channel
    (Salimans & Kingma 2016, arXiv 1602.07868), as matrix products over shifted views of the input: with groups,
    XLA's own takes longer on a CPU, forward and back. The length of the signal is kept at stride 1; strides divide it,
    rounded up."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1, rngs
    ):
        self.size, self.stride, self.dilation, self.groups = kernel, stride, dilation, groups
        fan_in = kernel * c_in // groups
        shape = (groups, fan_in, c_out // groups)
        self.direction = nnx.Param(uniform_fan_in(rngs.params(), shape, fan_in))
        self.length = nnx.Param(jnp.sqrt((self.direction[...] ** 2).sum(1)).reshape(-1))
        self.bias = nnx.Param(uniform_fan_in(rngs.params(), (c_out,), fan_in))

    @property
    def kernel(self):
        """(G, size C / G, C' / G)."""
        direction = self.direction[...]
        unit = direction / jnp.sqrt((direction**2).sum(1, keepdims=True) + 1e-12)
        return unit * self.length[...].reshape(self.groups, 1, -1)

    def __call__(self, x):
        reach = self.dilation * (self.size - 1)
        x = jnp.pad(x, ((0, 0), (reach // 2, reach - reach // 2), (0, 0)))
        x = x.reshape(*x.shape[:2], self.groups, -1)
        span = x.shape[1] - reach
        starts = range(0, reach + 1, self.dilation)
        views = jnp.concatenate([x[:, i : i + span : self.stride] for i in starts], axis=-1)
        y = jnp.einsum("btgi,gio->btgo", views, self.kernel.astype(x.dtype))
        return y.reshape(*y.shape[:2], -1) + self.bias[...].astype(x.dtype)
