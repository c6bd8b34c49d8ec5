"""The layers that several models share: convolutions, norm, rotary positions, dropout, attention."""

import contextlib
import contextvars

import jax
import jax.numpy as jnp
from flax import nnx


class Buffer(nnx.Variable):
    """Model state that is not trained by gradients: codebooks, input scales."""


def uniform_fan_in(key, shape, fan_in: int):
    """Uniform in +-1/sqrt(fan_in), the reference code's default for linear and convolution layers."""
    bound = fan_in**-0.5
    return jax.random.uniform(key, shape, jnp.float32, -bound, bound)


class Conv1d(nnx.Module):
    """1-D convolution (B, T, C) -> (B, T', C'). pad is (left, right) zeros; the default keeps the length at stride 1.

    The kernel is stored as the matrix (size x C, C') that a patch of the input, sample by sample, is multiplied by.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: tuple[int, int] | None = None,
        rngs: nnx.Rngs,
    ):
        self.size, self.stride = kernel, stride
        self.pad = ((kernel - 1) // 2, kernel // 2) if pad is None else pad
        self.kernel = nnx.Param(uniform_fan_in(rngs.params(), (kernel * c_in, c_out), kernel * c_in))
        self.bias = nnx.Param(uniform_fan_in(rngs.params(), (c_out,), kernel * c_in))

    def __call__(self, x):
        kernel, bias = self.kernel[...].astype(x.dtype), self.bias[...].astype(x.dtype)
        if self.size == self.stride == 1:
            return x @ kernel + bias
        taps = kernel.reshape(self.size, -1, kernel.shape[-1])
        return bias + jax.lax.conv_general_dilated(
            x, taps, (self.stride,), [self.pad], dimension_numbers=("NWC", "WIO", "NWC")
        )


class Upsample2(nnx.Module):
    """Transposed convolution of kernel 4, stride 2, padding 1: (B, T, C) -> (B, 2T + extra, C'), extra 0 or 1.

    Even outputs see taps 1 and 3, odd ones taps 2 and 0, so it is two matrix products, interleaved.
    """

    def __init__(self, c_in: int, c_out: int, *, extra: int = 0, rngs: nnx.Rngs):
        self.extra = extra
        self.kernel = nnx.Param(uniform_fan_in(rngs.params(), (4, c_in, c_out), 4 * c_out))
        self.bias = nnx.Param(uniform_fan_in(rngs.params(), (c_out,), 4 * c_out))

    def __call__(self, x):
        k = self.kernel[...].astype(x.dtype)
        length = 2 * x.shape[1] + self.extra
        before = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))  # x[i-1], one longer than x
        here = jnp.pad(x, ((0, 0), (0, 1), (0, 0)))
        after = jnp.pad(x[:, 1:], ((0, 0), (0, 2), (0, 0)))
        even = here @ k[1] + before @ k[3]
        odd = here @ k[2] + after @ k[0]
        y = jnp.stack([even, odd], axis=2).reshape(x.shape[0], -1, even.shape[-1])[:, :length]
        return y + self.bias[...].astype(x.dtype)


def halved(x_BxTxC):
    """The larger of every two neighbours, (B, T/2, C)."""
    pairs = x_BxTxC.reshape(x_BxTxC.shape[0], -1, 2, x_BxTxC.shape[-1])
    return jnp.maximum(pairs[:, :, 0], pairs[:, :, 1])


def peak(x_BxTxC):
    """The maximum over time, (B, C). Not by jnp.max: its gradient is shared by the elements that equal the maximum, and
    where the compiler makes them a second time, rounded differently, none does, and it is 0/0."""
    return jnp.take_along_axis(x_BxTxC, x_BxTxC.argmax(1, keepdims=True), 1)[:, 0]


def check_compute(name: str):
    """ValueError for what `compute_dtype` does not know. Asks no device, so configs come before devices."""
    if name not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"compute is 'auto', 'float32' or 'bfloat16', got {name!r}")


def compute_dtype(name: str):
    """The type to compute in: "float32", "bfloat16", or "auto", which is bfloat16 on GPU and TPU and float32 on CPU
    (where bfloat16 is emulated and slower)."""
    check_compute(name)
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(name)


class RMSNorm(nnx.Module):
    """Root-mean-square norm over the last axis, computed in float32."""

    def __init__(self, width: int):
        self.scale = nnx.Param(jnp.ones(width))

    def __call__(self, x):
        x32 = x.astype(jnp.float32)
        x32 = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, -1, keepdims=True) + 1e-6)
        return (x32 * self.scale[...]).astype(x.dtype)


def rotary_table(positions_T, head_dim: int, base: float = 10_000.0):
    """Cosines and sines (T, head_dim / 2) of rotary position embedding (Su et al. 2021), the same for every layer."""
    half = head_dim // 2
    angle = positions_T[:, None] * base ** (-jnp.arange(half) / half)
    return jnp.cos(angle), jnp.sin(angle)


def rotary(x_BxHxTxE, table):
    """Queries or keys turned by their positions; pairs are (first half, second half)."""
    cos, sin = table
    a, b = jnp.split(x_BxHxTxE.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1).astype(x_BxHxTxE.dtype)


def dropout(x, rate: float, key):
    """Inverted dropout; key None or rate 0 leaves x alone."""
    if key is None or rate == 0.0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0).astype(x.dtype)


_attention = contextvars.ContextVar("attention", default="xla")


@contextlib.contextmanager
def attention_by(name: str):
    """What is traced within has its attention computed by "xla", or by "cudnn": fused, on NVIDIA GPUs, in 16 bits."""
    before = _attention.set(name)
    try:
        yield
    finally:
        _attention.reset(before)


def attend(q_TxE, k_SxE, v_SxE, mask_TxS):
    """Scaled dot-product attention over any leading axes, to which the mask is broadcast; True in the mask means "may
    look". Softmax in float32."""
    if _attention.get() == "cudnn" and q_TxE.ndim == 4:
        q, k, v = (x.swapaxes(1, 2) for x in (q_TxE, k_SxE, v_SxE))
        mask = jnp.broadcast_to(mask_TxS, (*q_TxE.shape[:3], k_SxE.shape[2]))
        return jax.nn.dot_product_attention(q, k, v, mask=mask, implementation="cudnn").swapaxes(1, 2)
    logits = jnp.einsum("...te,...se->...ts", q_TxE, k_SxE, preferred_element_type=jnp.float32)
    logits = jnp.where(mask_TxS, logits * q_TxE.shape[-1] ** -0.5, -1e30)
    weights = jax.nn.softmax(logits, axis=-1).astype(v_SxE.dtype)
    return jnp.einsum("...ts,...se->...te", weights, v_SxE)
