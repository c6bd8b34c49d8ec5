"""The two transformer trunks: the paper's block and the base block, each with a key-value cache.

A trunk maps embeddings (B, T, D) to hidden states (B, T, D). With a cache the T new positions are written at
`cursor` and attend to everything cached so far that the mask allows; without one, to each other.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import RMSNorm, attend, dropout, rotary, rotary_table, uniform_fan_in

Cache = tuple[tuple[jax.Array, jax.Array], ...]  # per layer: keys and values, (B x H, S, E)


class Linear(nnx.Module):
    """(..., c_in) -> (..., c_out), computed in the type of its input."""

    def __init__(self, c_in: int, c_out: int, *, bias: bool = True, scale: float = 1.0, rngs: nnx.Rngs):
        self.kernel = nnx.Param(scale * uniform_fan_in(rngs.params(), (c_in, c_out), c_in))
        self.bias = nnx.Param(uniform_fan_in(rngs.params(), (c_out,), c_in)) if bias else None

    def __call__(self, x):
        y = x @ self.kernel[...].astype(x.dtype)
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class Parts(nnx.Module):
    """(..., c_in) -> `parts` arrays (..., c_out), by one product. Each part has an axis of the kernel, (c_in, parts,
    c_out), so that splitting c_out over devices splits every part alike."""

    def __init__(self, c_in: int, parts: int, c_out: int, *, bias: bool = True, rngs: nnx.Rngs):
        self.kernel = nnx.Param(uniform_fan_in(rngs.params(), (c_in, parts, c_out), c_in))
        self.bias = nnx.Param(uniform_fan_in(rngs.params(), (parts, c_out), c_in)) if bias else None

    def __call__(self, x):
        y = jax.lax.dot_general(x, self.kernel[...].astype(x.dtype), (((x.ndim - 1,), (0,)), ((), ())))
        y = y if self.bias is None else y + self.bias[...].astype(x.dtype)
        return tuple(y[..., i, :] for i in range(y.shape[-2]))


class LayerNorm(nnx.Module):
    """Layer norm over the last axis, in float32."""

    def __init__(self, width: int):
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))

    def __call__(self, x):
        x32 = x.astype(jnp.float32)
        x32 = x32 - x32.mean(-1, keepdims=True)
        x32 = x32 * jax.lax.rsqrt((x32 * x32).mean(-1, keepdims=True) + 1e-5)
        return (x32 * self.scale[...] + self.bias[...]).astype(x.dtype)


class Attention(nnx.Module):
    """Multi-head self-attention; rotary positions where a table is given.

    With a cache, rows and heads lie on one axis from end to end: if the shape of the cache is not that of the matrix
    product's operand, for one row or for many, the CPU compiler copies the whole cache in every step.
    """

    def __init__(self, width: int, heads: int, head_dim: int, *, out_bias: bool, rngs: nnx.Rngs):
        self.heads, self.head_dim = heads, head_dim
        self.qkv = Parts(width, 3, heads * head_dim, bias=False, rngs=rngs)
        self.out = Linear(heads * head_dim, width, bias=out_bias, rngs=rngs)

    def __call__(self, x, table, mask_BxTxS, cache, cursor):
        q, k, v = (y.reshape(*y.shape[:2], self.heads, self.head_dim).swapaxes(1, 2) for y in self.qkv(x))
        if table is not None:
            q, k = rotary(q, table), rotary(k, table)
        if cache is None:
            y = attend(q, k, v, mask_BxTxS[:, None])
        else:
            q, k, v = (x.reshape(-1, *x.shape[2:]) for x in (q, k, v))
            cache = tuple(
                jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), cursor, axis=1)
                for old, new in zip(cache, (k, v))
            )
            y = attend(q, *cache, jnp.repeat(mask_BxTxS, self.heads, axis=0))
            y = y.reshape(len(x), self.heads, *y.shape[1:])
        return self.out(y.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)), cache


class PaperBlock(nnx.Module):
    """LayerNorm, attention, GEGLU; each branch times a learned LayerScale that starts at 0.1 (Auto-TTE's code)."""

    def __init__(self, width: int, heads: int, head_dim: int, rate: float, *, rngs: nnx.Rngs):
        self.rate = rate
        self.norm_a, self.norm_f = LayerNorm(width), LayerNorm(width)
        self.attention = Attention(width, heads, head_dim, out_bias=True, rngs=rngs)
        self.wide = Parts(width, 2, 4 * width, rngs=rngs)
        self.narrow = Linear(4 * width, width, rngs=rngs)
        self.scale_a, self.scale_f = nnx.Param(jnp.full(width, 0.1)), nnx.Param(jnp.full(width, 0.1))

    def __call__(self, x, table, mask, cache, cursor, key):
        ka, kf = (None, None) if key is None else jax.random.split(key)
        y, cache = self.attention(self.norm_a(x), table, mask, cache, cursor)
        x = x + self.scale_a[...].astype(x.dtype) * dropout(y, self.rate, ka)
        a, gate = self.wide(self.norm_f(x))
        y = self.narrow(dropout(a * jax.nn.gelu(gate, approximate=False), self.rate, kf))
        return x + self.scale_f[...].astype(x.dtype) * y, cache


class BaseBlock(nnx.Module):
    """RMSNorm, rotary attention, SwiGLU of 8/3 the width (rounded up to 64)."""

    def __init__(self, width: int, heads: int, head_dim: int, rate: float, *, rngs: nnx.Rngs):
        self.rate = rate
        inner = -(-8 * width // 3 // 64) * 64
        self.norm_a, self.norm_f = RMSNorm(width), RMSNorm(width)
        self.attention = Attention(width, heads, head_dim, out_bias=False, rngs=rngs)
        self.wide = Parts(width, 2, inner, bias=False, rngs=rngs)
        self.narrow = Linear(inner, width, bias=False, rngs=rngs)

    def __call__(self, x, table, mask, cache, cursor, key):
        ka, kf = (None, None) if key is None else jax.random.split(key)
        y, cache = self.attention(self.norm_a(x), table, mask, cache, cursor)
        x = x + dropout(y, self.rate, ka)
        a, gate = self.wide(self.norm_f(x))
        return x + dropout(self.narrow(a * jax.nn.silu(gate)), self.rate, kf), cache


class Trunk(nnx.Module):
    """A stack of blocks. `remat` recomputes each block's activations in the backward pass.

    positions (T,) give rotary embedding; None where the embeddings hold the positions already.
    """

    def __init__(
        self,
        block,
        layers: int,
        width: int,
        heads: int,
        head_dim: int,
        rate: float,
        *,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.heads, self.head_dim, self.remat = heads, head_dim, remat
        self.blocks = nnx.List([block(width, heads, head_dim, rate, rngs=rngs) for _ in range(layers)])

    def empty_cache(self, batch: int, length: int, dtype) -> Cache:
        shape = (batch * self.heads, length, self.head_dim)
        return tuple((jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)) for _ in self.blocks)

    @staticmethod
    def longer(cache: Cache, length: int) -> Cache:
        """The cache with room for `length` positions."""
        return jax.tree.map(lambda x: jnp.pad(x, ((0, 0), (0, length - x.shape[1]), (0, 0))), cache)

    def __call__(self, x, positions_T, mask_BxTxS, cache: Cache | None = None, cursor=0, key=None):
        new = []
        table = None if positions_T is None else rotary_table(positions_T, self.head_dim)
        for i, block in enumerate(self.blocks):
            call = jax.checkpoint(type(block).__call__) if self.remat else type(block).__call__
            block_key = None if key is None else jax.random.fold_in(key, i)
            x, layer_cache = call(
                block, x, table, mask_BxTxS, None if cache is None else cache[i], cursor, block_key
            )
            new.append(layer_cache)
        return x, (None if cache is None else tuple(new))
