"""The two transformer trunks: the paper's block and the base block, each with a key-value cache.

A trunk maps embeddings (B, T, D) to hidden states (B, T, D). With a cache the T new positions are written at
`cursor` and attend to everything cached so far that the mask allows; without one, to each other.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import RMSNorm, attend, dropout, rotary, rotary_table, uniform_fan_in


class LayerCache(NamedTuple):
    """What one layer has seen at up to S positions: keys (B x G, E, S) and values (B x G, S, E)."""

    keys: jax.Array
    values: jax.Array

    @property
    def length(self) -> int:
        return self.values.shape[1]

    def write(self, k, v, cursor) -> "LayerCache":
        """With further keys (B x G, E, T) and values (B x G, T, E) from position `cursor` on."""
        put = jax.lax.dynamic_update_slice_in_dim
        return LayerCache(
            put(self.keys, k.astype(self.keys.dtype), cursor, axis=2),
            put(self.values, v.astype(self.values.dtype), cursor, axis=1),
        )

    def longer(self, length: int) -> "LayerCache":
        """With room for `length` positions."""
        more = (0, length - self.length)
        return LayerCache(
            jnp.pad(self.keys, ((0, 0), (0, 0), more)), jnp.pad(self.values, ((0, 0), more, (0, 0)))
        )


Cache = tuple[LayerCache, ...]


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

    def joined(self, x):
        """(..., parts, c_out)."""
        y = jax.lax.dot_general(x, self.kernel[...].astype(x.dtype), (((x.ndim - 1,), (0,)), ((), ())))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)

    def __call__(self, x):
        y = self.joined(x)
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

    Every `heads / kv_heads` heads of queries share one of keys and values (grouped queries, Ainslie et al. 2023). The
    parts of `qkv` are the queries of each group's first head, second ..., the keys, the values; each (groups x E).
    With a cache, rows and groups lie on one axis from end to end: if the shape of the cache is not that of the matrix
    product's operand, for one row or for many, the CPU compiler copies the whole cache in every step.
    """

    def __init__(
        self, width: int, heads: int, kv_heads: int, head_dim: int, *, out_bias: bool, rngs: nnx.Rngs
    ):
        self.groups, self.head_dim = kv_heads, head_dim
        self.qkv = Parts(width, heads // kv_heads + 2, kv_heads * head_dim, bias=False, rngs=rngs)
        self.out = Linear(heads * head_dim, width, bias=out_bias, rngs=rngs)

    def __call__(self, x, table, mask_BxTxS, cache, cursor):
        y = self.qkv.joined(x).reshape(*x.shape[:2], -1, self.groups, self.head_dim).transpose(0, 3, 2, 1, 4)
        q, k, v = y[:, :, :-2], y[:, :, -2], y[:, :, -1]  # (B, G, R, T, E), (B, G, T, E) twice
        if table is not None:
            q, k = rotary(q, table), rotary(k, table)
        k = k.swapaxes(2, 3)
        if cache is None:
            y = attend(q, k, v, mask_BxTxS[:, None, None])
        else:
            q, k, v = (y.reshape(-1, *y.shape[2:]) for y in (q, k, v))
            cache = cache.write(k, v, cursor)
            y = attend(q, *cache, jnp.repeat(mask_BxTxS, self.groups, axis=0)[:, None])
            y = y.reshape(-1, self.groups, *y.shape[1:])
        return self.out(y.transpose(0, 3, 1, 2, 4).reshape(*x.shape[:2], -1)), cache


class PaperBlock(nnx.Module):
    """LayerNorm, attention, GEGLU; each branch times a learned LayerScale that starts at 0.1 (Auto-TTE's code)."""

    def __init__(self, width: int, heads: int, kv_heads: int, head_dim: int, rate: float, *, rngs: nnx.Rngs):
        self.rate = rate
        self.norm_a, self.norm_f = LayerNorm(width), LayerNorm(width)
        self.attention = Attention(width, heads, kv_heads, head_dim, out_bias=True, rngs=rngs)
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

    def __init__(self, width: int, heads: int, kv_heads: int, head_dim: int, rate: float, *, rngs: nnx.Rngs):
        self.rate = rate
        inner = -(-8 * width // 3 // 64) * 64
        self.norm_a, self.norm_f = RMSNorm(width), RMSNorm(width)
        self.attention = Attention(width, heads, kv_heads, head_dim, out_bias=False, rngs=rngs)
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

    kv_heads: heads of keys and values, None for as many as of queries.
    table: the rotary embedding of the T positions, as `turns` makes it; None where the embeddings hold the positions
    already.
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
        kv_heads: int | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.groups, self.head_dim, self.remat = kv_heads or heads, head_dim, remat
        self.blocks = nnx.List(
            [block(width, heads, self.groups, head_dim, rate, rngs=rngs) for _ in range(layers)]
        )

    def empty_cache(self, batch: int, length: int, dtype) -> Cache:
        rows = batch * self.groups
        keys, values = (rows, self.head_dim, length), (rows, length, self.head_dim)
        return tuple(LayerCache(jnp.zeros(keys, dtype), jnp.zeros(values, dtype)) for _ in self.blocks)

    @staticmethod
    def longer(cache: Cache, length: int) -> Cache:
        """The cache with room for `length` positions."""
        return tuple(layer.longer(length) for layer in cache)

    def turns(self, positions_T):
        """The rotary table of positions. A loop is better given it: within one, a CPU takes the cosines anew for every
        head of every row."""
        return rotary_table(positions_T, self.head_dim)

    def __call__(self, x, table, mask_BxTxS, cache: Cache | None = None, cursor=0, key=None):
        new = []
        for i, block in enumerate(self.blocks):
            call = jax.checkpoint(type(block).__call__) if self.remat else type(block).__call__
            block_key = None if key is None else jax.random.fold_in(key, i)
            x, layer_cache = call(
                block, x, table, mask_BxTxS, None if cache is None else cache[i], cursor, block_key
            )
            new.append(layer_cache)
        return x, (None if cache is None else tuple(new))
