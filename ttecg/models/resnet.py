"""A 1-D residual network that says what an ECG shows: many labels at once, from any of the eight independent leads.

Every lead is divided by its own spread, so ECGs whose voltages are lost serve as well as measured ones; with
`amplitude` the spreads are told beside, and then nothing is lost. A lead that is flat, or zero because it is hidden,
is zero to the network. Few wide stages with small kernels, which arXiv 2308.12492 found best; squeeze-and-excitation
after Hu et al. 2018; mean and maximum over time at the end, so a recording may have any length.

Axes: B batch, T time, C channels, N labels.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Conv1d, check_compute, compute_dtype, dropout, peak
from ttecg.models.unet import GroupNorm

_FLAT = 1e-6  # mV: a lead with less spread holds nothing
_TYPICAL = 0.15  # mV, so that logarithms of spreads lie around zero


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Sizes of the network and what it works on."""

    # samples per second and band (Hz) of what it sees
    rate: float = 100.0
    band: tuple[float, ...] = (0.67, 40.0)
    # labels; trainers set it to the size of their label set
    outputs: int = 5
    # channels of each stage; every stage after the first halves the time
    widths: tuple[int, ...] = (32, 64, 128)
    # residual blocks of each stage
    depth: int = 1
    # of all convolutions but the first, and of the first with its stride
    kernel: int = 3
    stem_kernel: int = 9
    stem_stride: int = 4
    # share of channels in the bottleneck of squeeze-and-excitation; 0 leaves it out
    squeeze: float = 0.25
    # before the last layer
    dropout: float = 0.3
    # tell the network how tall each lead is, not only its shape
    amplitude: bool = False
    # "float32", "bfloat16", or "auto": bfloat16 on GPU and TPU, float32 on CPU
    compute: str = "auto"

    def __post_init__(self):
        check_compute(self.compute)
        if not self.widths or any(w % 8 or w < 8 for w in self.widths):
            raise ValueError(f"widths must be multiples of 8, got {self.widths}")
        for name in ("outputs", "depth", "kernel", "stem_kernel", "stem_stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.squeeze <= 1:
            raise ValueError(f"squeeze must be in [0, 1], got {self.squeeze}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    def create(self, rngs: nnx.Rngs) -> "ResNet":
        return ResNet(self, rngs=rngs)


class ResNet(nnx.Module):
    """See the module's docstring."""

    def __init__(self, config: ResNetConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        widths = c.widths
        self.stem = Conv1d(8 * (1 + c.amplitude), widths[0], c.stem_kernel, stride=c.stem_stride, rngs=rngs)
        self.norm = GroupNorm(widths[0])
        stages = zip((widths[0], *widths[:-1]), widths)
        self.blocks = nnx.List([
            _Block(a if first else b, b, 2 if first and stage else 1, c, rngs)
            for stage, (a, b) in enumerate(stages)
            for first in [True] + [False] * (c.depth - 1)
        ])  # fmt: skip
        self.head = Conv1d(2 * widths[-1], c.outputs, 1, rngs=rngs)

    def features(self, signal_BxTx8):
        """(B, 2 C): mean and maximum over time of the last stage, float32. Any length from one sample up; mV, or any
        other unit without `amplitude`."""
        c = self.config
        x = jax.nn.gelu(
            self.norm(self.stem(inputs(signal_BxTx8, c.amplitude).astype(compute_dtype(c.compute))))
        )
        for block in self.blocks:
            x = block(x)
        x = x.astype(jnp.float32)
        return jnp.concatenate([x.mean(1), peak(x)], -1)

    def __call__(self, signal_BxTx8, key=None):
        """Logits (B, N) float32. key: for dropout, in training."""
        return self.head(dropout(self.features(signal_BxTx8), self.config.dropout, key))


class _Block(nnx.Module):
    """Two convolutions with group norm, channels weighted by what the recording as a whole shows, and the shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int, c: ResNetConfig, rngs: nnx.Rngs):
        self.first = Conv1d(c_in, c_out, c.kernel, stride=stride, rngs=rngs)
        self.second = Conv1d(c_out, c_out, c.kernel, rngs=rngs)
        self.norms = nnx.List([GroupNorm(c_out) for _ in range(2)])
        self.stride = stride
        self.shortcut = Conv1d(c_in, c_out, 1, rngs=rngs) if c_in != c_out else None
        narrow = max(8, round(c.squeeze * c_out))
        sizes = ((c_out, narrow), (narrow, c_out)) if c.squeeze else ()
        self.squeeze = nnx.List([Conv1d(a, b, 1, rngs=rngs) for a, b in sizes])

    def __call__(self, x):
        y = self.norms[1](self.second(jax.nn.gelu(self.norms[0](self.first(x)))))
        if len(self.squeeze):
            down, up = self.squeeze
            y = y * 2 * jax.nn.sigmoid(up(jax.nn.gelu(down(y.mean(1, keepdims=True)))))
        x = x[:, :: self.stride][:, : y.shape[1]]
        return jax.nn.gelu(y + (x if self.shortcut is None else self.shortcut(x)))


def inputs(signal_BxTx8, amplitude: bool):
    """Leads of mean 0 and spread 1, (B, T, 8); with amplitude also the logarithm of each spread, (B, T, 16). Flat leads
    give zeros."""
    x = signal_BxTx8.astype(jnp.float32)
    x = x - x.mean(1, keepdims=True)
    spread = jnp.sqrt((x**2).mean(1, keepdims=True))
    there = spread > _FLAT
    spread = jnp.where(there, spread, 1.0)
    shape = jnp.where(there, x / spread, 0.0)
    if not amplitude:
        return shape
    tall = jnp.where(there, jnp.log(spread / _TYPICAL), 0.0)
    return jnp.concatenate([shape, jnp.broadcast_to(tall, x.shape)], -1)
