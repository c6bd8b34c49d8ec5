"""Two leads of different times to eight leads of one time (after ECGT2T, arXiv 2103.00006; its layers are not
published, so these are our own).

A style encoder reads both leads without regard to when anything happens in them, into a heart condition, and from that
one style per target lead and one for all. The generator turns lead I (its rhythm, its time) into the eight independent
leads, its norms set by the styles (adaptive norm: Huang & Belongie 2017, StarGAN v2). It starts as a ridge regression,
the style moves that regression's weights, and the rest of the network adds a residual that is zero at the start. The
usual beats of both leads, laid out over lead I's R peaks (ttecg.data.beat_template), are a further input: lead I
without its noise, and lead II as it would look now.

Axes: B batch, T time of lead I, S time of lead II (any lengths), W sample of a beat, 8 leads out, mV.
Methods are pure.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import (
    Buffer,
    Conv1d,
    check_compute,
    compute_dtype,
    dropout,
    halved,
    peak,
    uniform_fan_in,
)
from ttecg.models.unet import GroupNorm

INPUTS = ("one", "two", "template", "beats")
_LEADS = 8


@dataclasses.dataclass(frozen=True)
class TwoLeadConfig:
    """Sizes of the two-lead model and what it works on."""

    # samples per second and band (Hz) of what it sees and predicts
    rate: float = 100.0
    band: tuple[float, ...] = (0.67, 40.0)
    # channels of the generator from the finest level down, kernel, dropout at its coarsest level and on the condition
    widths: tuple[int, ...] = (64, 128, 192, 256)
    kernel: int = 7
    dropout: float = 0.1
    # channels of the style encoder, size of the heart condition, size of a style
    style_width: int = 32
    condition: int = 128
    style: int = 64
    # show the usual beats of both leads at lead I's R peaks (False: lead II is seen through the styles alone)
    template: bool = True
    # seconds of that beat before and after its R peak
    beat: tuple[float, ...] = (0.36, 0.6)
    # size of the random vector that may move the styles, for the diversity loss; 0: there is none
    latent: int = 0
    # penalty of the ridge regression that the model starts from, a share of a lead's mean power
    ridge: float = 1e-3
    # "float32", "bfloat16", or "auto": bfloat16 on GPU and TPU, float32 on CPU
    compute: str = "auto"

    def __post_init__(self):
        check_compute(self.compute)
        if not self.widths or any(w % 8 for w in (*self.widths, self.style_width)):
            raise ValueError(f"widths must be multiples of 8, got {(*self.widths, self.style_width)}")
        if self.latent < 0:
            raise ValueError(f"latent must be 0 (none) or more, got {self.latent}")

    @property
    def beat_samples(self) -> int:
        return sum(round(part * self.rate) for part in self.beat)

    def create(self, rngs: nnx.Rngs) -> "TwoLead":
        return TwoLead(self, rngs=rngs)


class TwoLead(nnx.Module):
    """See the module's docstring. `moment` (10, 10): mean of x'x of (templates, eight leads) over training records.

    An input is {"one": lead I (B, T), "two": lead II (B, S), "template": (B, T, 2), "beats": (B, W, 2)}, mV."""

    def __init__(self, config: TwoLeadConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        self.moment = Buffer(0.04 * jnp.eye(2 + _LEADS))
        self.encoder = _StyleEncoder(c, rngs)
        self.mapping = _Mapping(c, rngs) if c.latent else None
        inputs, widths = 3 + 2 * c.template, c.widths
        self.down = nnx.List([_Pair(a, b, c.kernel, 0, rngs) for a, b in zip((inputs, *widths[:-1]), widths)])
        self.up = nnx.List(
            [_Pair(a + b, a, c.kernel, c.style, rngs) for a, b in zip(widths[:-1], widths[1:])]
        )
        self.weights = _zero_linear(c.style, (1 + 2 * c.template) * _LEADS)
        self.norm = GroupNorm(widths[0])
        self.lead_styles = _zero_linear(c.style, 2 * widths[0])
        self.head = nnx.Param(jnp.zeros((_LEADS, widths[0])))

    def __call__(self, x: dict, key=None):
        """(B, T, 8) mV float32: leads I (cleaned), II, V1-V6 at lead I's time. key: for dropout, in training."""
        keys = (None, None) if key is None else jax.random.split(key)
        return self.generate(x, self.styles(x, keys[0]), keys[1])

    def anchor(self, template: bool):
        """Ridge weights (1 or 3, 8) in units of each lead's spread, from lead I and, where asked, the templates."""
        inputs = jnp.array([2, 0, 1] if template else [2])
        gram = self.moment[...][inputs[:, None], inputs]
        penalty = self.config.ridge * jnp.diagonal(self.moment[...]).mean()
        weights = jnp.linalg.solve(gram + penalty * jnp.eye(len(inputs)), self.moment[...][inputs, 2:])
        spread_in = self._spread[jnp.array([0, 0, 1] if template else [0])]
        return weights * spread_in[:, None] / self._spread

    @property
    def _spread(self):
        """(8,) mV."""
        return jnp.sqrt(jnp.diagonal(self.moment[...])[2:])

    def _sizes(self, x: dict):
        """How tall each of the two leads is, (B, 2), in spreads of the training records, and both together (B, 1)."""
        tall = [
            jnp.sqrt((x[k].astype(jnp.float32) ** 2).mean(1) + 1e-8) / s  # a slope where a lead is flat, too
            for k, s in zip(INPUTS, self._spread[:2])
        ]
        tall = jnp.stack(tall, -1)
        return tall, jnp.sqrt((tall**2).mean(-1, keepdims=True)) + 0.02

    def styles(self, x: dict, key=None, latent_BxZ=None):
        """(B, 9, style): one for each of the eight leads, and the general one."""
        each, tall = self._sizes(x)
        one, two = (x[k] / s / tall for k, s in zip(INPUTS, self._spread[:2]))
        beats = x["beats"] / self._spread[:2] / tall[..., None]
        styles = self.encoder(one, two, beats, jnp.log(jnp.concatenate([each + 0.02, tall], -1)), key)
        return styles if latent_BxZ is None else styles + self.mapping(latent_BxZ)

    def generate(self, x: dict, styles_Bx9xD, key=None):
        """(B, T, 8) mV from lead I (and the templates) and styles."""
        c, (each, tall) = self.config, self._sizes(x)
        dtype, general = compute_dtype(c.compute), styles_Bx9xD[:, -1]
        u = x["one"][..., None] / self._spread[0]
        if c.template:
            u = jnp.concatenate([u, x["template"] / self._spread[:2]], -1)
        u = u / tall[..., None]
        told = jnp.broadcast_to(jnp.log(each + 0.02)[:, None], (*u.shape[:2], 2))
        h = self._net(jnp.concatenate([u, told], -1).astype(dtype), general.astype(dtype), key)
        scale, shift = jnp.split(self.lead_styles(styles_Bx9xD[:, :-1].astype(dtype)), 2, -1)
        per_lead = self.norm(h)[:, :, None] * (1 + scale[:, None]) + shift[:, None]
        residual = jnp.einsum("btlc,lc->btl", jax.nn.gelu(per_lead), self.head[...].astype(dtype))
        y = u @ self._weights(x, general) + residual.astype(jnp.float32)
        return y * self._spread * tall[..., None]

    def _weights(self, x, general):
        """(B, 1 or 3, 8): the anchor, moved by the style; without templates, that of lead I alone."""
        moved = self.weights(general.astype(jnp.float32)).reshape(len(general), -1, _LEADS)
        alone = self.anchor(False)
        if not self.config.template:
            return alone + moved
        alone = jnp.pad(alone, ((0, 2), (0, 0)))
        there = (x["template"] != 0).any((1, 2))[:, None, None]
        return jnp.where(there, self.anchor(True), alone) + moved

    def _net(self, x, general, key):
        length, unit = x.shape[1], 2 ** (len(self.down) - 1)
        x = jnp.pad(x, ((0, 0), (0, -length % unit), (0, 0)), mode="edge")
        kept = []
        for level, pair in enumerate(self.down):
            if level:
                x = halved(x)
            x = pair(x)
            kept.append(x)
        x = dropout(kept.pop(), self.config.dropout, key)
        for pair in reversed(self.up):
            x = pair(jnp.concatenate([jnp.repeat(x, 2, axis=1), kept.pop()], -1), general)
        return x[:, :length]


class _Linear(nnx.Module):
    def __init__(self, c_in: int, c_out: int, kernel, bias):
        self.kernel, self.bias = nnx.Param(kernel), nnx.Param(bias)

    def __call__(self, x):
        return x @ self.kernel[...].astype(x.dtype) + self.bias[...].astype(x.dtype)


def _linear(c_in: int, c_out: int, rngs) -> _Linear:
    return _Linear(c_in, c_out, uniform_fan_in(rngs.params(), (c_in, c_out), c_in), jnp.zeros(c_out))


def _zero_linear(c_in: int, c_out: int) -> _Linear:
    return _Linear(c_in, c_out, jnp.zeros((c_in, c_out)), jnp.zeros(c_out))


class _Pair(nnx.Module):
    """Twice convolution, group norm (set by a style where `style` is its size, not 0), GELU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, style: int, rngs):
        self.convs = nnx.List([Conv1d(a, c_out, kernel, rngs=rngs) for a in (c_in, c_out)])
        self.norms = nnx.List([GroupNorm(c_out) for _ in range(2)])
        self.styles = nnx.List([_zero_linear(style, 2 * c_out) for _ in range(2 * bool(style))])

    def __call__(self, x, style=None):
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = norm(conv(x))
            if style is not None:
                scale, shift = jnp.split(self.styles[i](style)[:, None], 2, -1)
                x = x * (1 + scale) + shift
            x = jax.nn.gelu(x)
        return x


class _StyleEncoder(nnx.Module):
    """Both leads to styles. Convolutions go round the ends and never skip a sample, and pooling is over all of time,
    so turning a lead round in time changes nothing; the usual beats are the same at any time anyway."""

    DILATIONS = (1, 2, 4, 8, 16)

    def __init__(self, c: TwoLeadConfig, rngs):
        self.rate, self.template = c.dropout, c.template
        self.trunks = nnx.List([_Trunk(c.style_width, self.DILATIONS, rngs) for _ in range(2)])
        wide = 2 * 3 * c.style_width + 3
        if c.template:
            self.beats = _linear(2 * c.beat_samples, c.condition, rngs)
            wide += c.condition
        self.hidden = _linear(wide, c.condition, rngs)
        self.condition = _linear(c.condition, c.condition, rngs)
        self.out = _linear(c.condition, (1 + _LEADS) * c.style, rngs)

    def __call__(self, one_BxT, two_BxS, beats_BxWx2, sizes_Bx3, key=None):
        parts = [trunk(x) for trunk, x in zip(self.trunks, (one_BxT, two_BxS))] + [sizes_Bx3]
        if self.template:
            parts.append(jax.nn.gelu(self.beats(beats_BxWx2.reshape(len(beats_BxWx2), -1))))
        condition = jax.nn.gelu(self.condition(jax.nn.gelu(self.hidden(jnp.concatenate(parts, -1)))))
        return self.out(dropout(condition, self.rate, key)).reshape(len(condition), 1 + _LEADS, -1)


class _Trunk(nnx.Module):
    """One lead (B, T) to the mean, maximum and spread over time of each feature, (B, 3 width)."""

    def __init__(self, width: int, dilations, rngs, kernel: int = 5):
        self.dilations, self.size = dilations, kernel
        inputs = (1, *(width,) * (len(dilations) - 1))
        self.convs = nnx.List([_linear(kernel * a, width, rngs) for a in inputs])
        self.norms = nnx.List([GroupNorm(width) for _ in inputs])

    def __call__(self, x_BxT):
        h = x_BxT[..., None].astype(jnp.float32)
        for conv, norm, step in zip(self.convs, self.norms, self.dilations):
            around = [jnp.roll(h, step * (i - self.size // 2), axis=1) for i in range(self.size)]
            new = jax.nn.gelu(norm(conv(jnp.concatenate(around, -1))))
            h = new if h.shape[-1] == 1 else h + new
        spread = jnp.sqrt(((h - h.mean(1, keepdims=True)) ** 2).mean(1) + 1e-6)
        return jnp.concatenate([h.mean(1), peak(h), spread], -1)


class _Mapping(nnx.Module):
    """A random vector to a shift of the styles."""

    def __init__(self, c: TwoLeadConfig, rngs):
        self.hidden = _linear(c.latent, c.condition, rngs)
        self.out = _linear(c.condition, (1 + _LEADS) * c.style, rngs)

    def __call__(self, latent_BxZ):
        return self.out(jax.nn.gelu(self.hidden(latent_BxZ))).reshape(len(latent_BxZ), 1 + _LEADS, -1)
