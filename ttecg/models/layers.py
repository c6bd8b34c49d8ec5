"""The layers that several models share: convolutions, norm, rotary positions, dropout, attention."""

import contextlib
import contextvars
import dataclasses

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


def check_sizes(config):
    """ValueError for a whole number of a config that is below 1, and for a dropout that is no probability."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise ValueError(f"{field.name} must be at least 1, got {value}")
        if "dropout" in field.name and not 0 <= value < 1:
            raise ValueError(f"{field.name} must be at least 0 and below 1, got {value:g}")


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
    """Rotary position embedding (Su et al. 2021), the same for every layer: cosines, and sines with the sign that the
    other half of a pair comes in with, both (T, 2, head_dim / 2)."""
    half = head_dim // 2
    angle = (positions_T[:, None] * base ** (-jnp.arange(half) / half))[:, None]
    return jnp.cos(angle), jnp.sin(angle) * jnp.array([[-1.0], [1.0]])


def rotary(x_TxE, table):
    """Queries or keys, over any leading axes, turned by their positions; pairs are (first half, second half)."""
    cos, sin = table
    halves = x_TxE.astype(jnp.float32).reshape(*x_TxE.shape[:-1], 2, -1)
    return (halves * cos + halves[..., ::-1, :] * sin).astype(x_TxE.dtype).reshape(x_TxE.shape)


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


def attend(q_RxTxE, k_ExS, v_SxE, mask_RxTxS):
    """Scaled dot-product attention, R heads of queries to one head of keys and values, over any leading axes. The mask
    is broadcast; True in it means "may look". Softmax in float32. Keys lie as a CPU's matrix product reads them."""
    if _attention.get() == "cudnn" and q_RxTxE.ndim == 5:
        return _attend_fused(q_RxTxE, k_ExS, v_SxE, mask_RxTxS)
    logits = jnp.einsum("...rte,...es->...rts", q_RxTxE, k_ExS, preferred_element_type=jnp.float32)
    logits = jnp.where(mask_RxTxS, logits * q_RxTxE.shape[-1] ** -0.5, -1e30)
    weights = jax.nn.softmax(logits, axis=-1).astype(v_SxE.dtype)
    return jnp.einsum("...rts,...se->...rte", weights, v_SxE)


def _attend_fused(q_BxGxRxTxE, k_BxGxExS, v_BxGxSxE, mask):
    """The same by cuDNN's kernel, which takes (B, T, H, E) and lets neighbouring heads of queries share."""
    shape = q_BxGxRxTxE.shape
    mask = jnp.broadcast_to(mask, (*shape[:4], v_BxGxSxE.shape[2]))
    q, mask = (x.reshape(shape[0], shape[1] * shape[2], *x.shape[3:]) for x in (q_BxGxRxTxE, mask))
    q, k, v = (x.swapaxes(1, 2) for x in (q, k_BxGxExS.swapaxes(2, 3), v_BxGxSxE))
    y = jax.nn.dot_product_attention(q, k, v, mask=mask, implementation="cudnn")
    return y.swapaxes(1, 2).reshape(shape)
