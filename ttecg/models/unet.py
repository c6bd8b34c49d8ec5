"""The U-net that rebuilds hidden leads from visible ones (after Gradowski & Buchner, arXiv 2502.00559).

A ridge regression gives the first guess. The network adds to it what is zero at the start: a linear map made for this
recording from what it saw of the whole of it, and a residual for every moment. It sees the visible
leads, which leads they are, and the first guess, all divided by the visible leads' own spread, so that a record twice
as tall is answered twice as tall; how tall it was is one more channel.

Axes: B batch, T time (any length), 12 leads in, 8 independent leads out, mV. Methods are pure.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models import lead_maps
from ttecg.models.layers import Buffer, Conv1d, check_compute, compute_dtype, dropout, halved, peak


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """Sizes of the U-net and what it works on."""

    # samples per second and band (Hz) of what it sees and predicts
    rate: float = 100.0
    band: tuple[float, ...] = (0.67, 40.0)
    # leads that are visible; none: any subset
    leads: tuple[str, ...] = ()
    # channels from the finest level down, kernel, dropout of what is told of the whole recording
    widths: tuple[int, ...] = (32, 64, 96, 128)
    kernel: int = 7
    dropout: float = 0.2
    # networks whose answers are averaged, `ttecg export` joins runs of one; none leaves ridge regression
    members: int = 1
    # add to the ridge prediction (False: predict the leads outright, for comparison)
    anchor: bool = True
    # penalty of that ridge regression, a share of a lead's mean power
    ridge: float = 1e-3
    # "float32", "bfloat16", or "auto": bfloat16 on GPU and TPU, float32 on CPU
    compute: str = "auto"

    def __post_init__(self):
        check_compute(self.compute)
        if self.leads:
            lead_maps.visible(self.leads)
        if self.members < 0:
            raise ValueError(f"members must not be negative, got {self.members}")
        if not self.widths or any(w % 8 for w in self.widths):
            raise ValueError(f"widths must be multiples of 8, got {self.widths}")

    def create(self, rngs: nnx.Rngs) -> "UNet":
        return UNet(self, rngs=rngs)


class UNet(nnx.Module):
    """See the module's docstring. `moment` is the mean of x'x of the eight leads over the training records."""

    def __init__(self, config: UNetConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        self.moment = Buffer(0.04 * jnp.eye(8))
        self.nets = nnx.List([_Net(c, rngs) for _ in range(c.members)])

    def ridge(self, mask_Bx12):
        """(B, 12, 8)."""
        return jax.vmap(lead_maps.ridge, (None, 0, None))(self.moment[...], mask_Bx12, self.config.ridge)

    def __call__(self, signal_BxTx12, mask_Bx12, key=None):
        """The eight independent leads, (B, T, 8) mV float32; hidden leads of the input are not looked at, visible ones
        come back as they are. key: for dropout, in training."""
        c, mask = self.config, jnp.asarray(mask_Bx12)
        x = jnp.where(mask[:, None], signal_BxTx12, 0.0).astype(jnp.float32)
        base = x @ self.ridge(mask)
        if not c.members:
            return lead_maps.restore(base, signal_BxTx12, mask)
        spread8 = jnp.sqrt(jnp.diagonal(self.moment[...]))
        spread12 = jnp.sqrt(jnp.diagonal(lead_maps.TO_TWELVE.T @ self.moment[...] @ lead_maps.TO_TWELVE))
        x = x / spread12
        tall = jnp.sqrt((x**2).mean(1).sum(-1) / mask.sum(-1))[:, None, None] + 0.02
        told = jnp.concatenate([mask, jnp.log(tall[:, 0])], -1)[:, None]
        parts = [x / tall, *([base / spread8 / tall] if c.anchor else [])]
        parts.append(jnp.broadcast_to(told, (*x.shape[:2], told.shape[-1])))
        parts = jnp.concatenate(parts, -1).astype(compute_dtype(c.compute))
        keys = [None] * c.members if key is None else jax.random.split(key, c.members)
        answers = [net(parts, k) for net, k in zip(self.nets, keys)]
        h, own = (sum(a) / c.members for a in zip(*answers))
        residual = (h.astype(jnp.float32) + (x / tall) @ own.astype(jnp.float32)) * spread8 * tall
        return lead_maps.restore(base + residual if c.anchor else residual, signal_BxTx12, mask)


class _Net(nnx.Module):
    """(B, T, channels) -> what it adds at every moment (B, T, 8) and its linear map (B, 12, 8), both zero at first."""

    def __init__(self, config: UNetConfig, rngs: nnx.Rngs):
        self.rate, c = config.dropout, config
        inputs = 12 + 8 * c.anchor + 12 + 1
        widths = c.widths
        self.down = nnx.List([
            _Pair(a, b, c.kernel, rngs) for a, b in zip((inputs, *widths[:-1]), widths)
        ])  # fmt: skip
        self.up = nnx.List([
            _Pair(a + b, a, c.kernel, rngs) for a, b in zip(widths[:-1], widths[1:])
        ])  # fmt: skip
        self.context = Conv1d(2 * widths[-1], widths[-1], 1, rngs=rngs)
        self.told = Conv1d(widths[-1], widths[-1], 1, rngs=rngs)
        self.map = _zeros(Conv1d(widths[-1], 12 * 8, 1, rngs=rngs))
        self.head = _zeros(Conv1d(widths[0], 8, 1, rngs=rngs))

    def __call__(self, x, key):
        length, unit = x.shape[1], 2 ** (len(self.down) - 1)
        x = jnp.pad(x, ((0, 0), (0, -length % unit), (0, 0)), mode="edge")
        kept = []
        for level, pair in enumerate(self.down):
            if level:
                x = halved(x)
            x = pair(x)
            kept.append(x)
        x = kept.pop()
        # what the whole recording says about this heart and chest: told to every moment, and a linear map of its own
        whole = jnp.concatenate([x.mean(1, keepdims=True), peak(x)[:, None]], -1)
        whole = dropout(jax.nn.gelu(self.context(whole)), self.rate, key)
        own = self.map(whole).reshape(-1, 12, 8)
        x = x + self.told(whole)
        for pair in reversed(self.up):
            x = pair(jnp.concatenate([jnp.repeat(x, 2, axis=1), kept.pop()], -1))
        return self.head(x)[:, :length], own


def _zeros(layer: Conv1d) -> Conv1d:
    layer.kernel[...] = jnp.zeros_like(layer.kernel[...])
    layer.bias[...] = jnp.zeros_like(layer.bias[...])
    return layer


class _Pair(nnx.Module):
    """Twice convolution, group norm over time and channels, GELU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, rngs: nnx.Rngs):
        self.convs = nnx.List([Conv1d(a, c_out, kernel, rngs=rngs) for a in (c_in, c_out)])
        self.norms = nnx.List([GroupNorm(c_out) for _ in range(2)])

    def __call__(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = jax.nn.gelu(norm(conv(x)))
        return x


class GroupNorm(nnx.Module):
    """Group norm of eight groups over (time, channels of the group), in float32."""

    def __init__(self, width: int, groups: int = 8):
        self.groups = groups
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))

    def __call__(self, x):
        x32 = x.astype(jnp.float32)
        g = x32 - self._shared(x32.mean(1))
        g = g * (jax.lax.rsqrt(self._shared((g * g).mean(1)) + 1e-5) * self.scale[...])
        return (g + self.bias[...]).astype(x.dtype)

    def _shared(self, each_BxC):
        """Means of each group's channels, told to all of them, (B, 1, C). Sums over time come first, channel by
        channel: sums over time and a few channels at once are several times slower on a CPU."""
        size = each_BxC.shape[-1] // self.groups
        groups = each_BxC.reshape(-1, self.groups, size).mean(-1)
        return jnp.repeat(groups, size, axis=-1)[:, None]
