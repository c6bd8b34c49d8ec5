"""HiFi-GAN (Kong et al. 2020, arXiv 2010.05646) from ECG codes to a waveform: the third stage of Auto-TTE.

A vector for each frame, the sum of its codes' vectors, goes through convolutions that double the rate and halve the
channels; after each, residual blocks of several kernels and dilations are averaged. Unlike the speech model the output
is not squashed: millivolts have no bound. Unlike the reference, the transposed convolutions are not weight-normalised.

Axes: B batch, N frames, Q quantiser levels, T time, L leads. Methods are pure.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Buffer, Upsample2
from ttecg.models.weight_norm import NormConv

SLOPE = 0.1


@dataclasses.dataclass(frozen=True)
class HifiGanConfig:
    """Sizes of the generator and the codes that it reads; the tokenizer of the codes must have the same."""

    # number of leads: 12 in standard order, or the 8 independent ones
    leads: int = 8
    # samples per second
    rate: float = 250.0
    # code positions per ECG, quantiser levels, codes per level, width of a code's vector
    frames: int = 312
    levels: int = 4
    codes: int = 1024
    code_dim: int = 64
    # learn an own vector for each code; False takes those of the tokenizer, divided by their spread
    own_vectors: bool = False
    # channels before the first doubling of the rate; each doubling halves them
    width: int = 256
    # doublings of the rate: a frame has 2 ** doublings samples
    doublings: int = 3
    # kernels of the parallel residual blocks, and the dilations within each
    kernels: tuple[int, ...] = (3, 7)
    dilations: tuple[int, ...] = (1, 3)

    def __post_init__(self):
        if self.leads not in (8, 12):
            raise ValueError(f"a decoder writes 8 or 12 leads, got {self.leads}")
        if self.doublings < 1 or self.width % 2**self.doublings:
            raise ValueError(
                f"width must be a multiple of 2 ** doublings and doublings at least 1, got width={self.width}, "
                f"doublings={self.doublings}"
            )

    @property
    def frame_samples(self) -> int:
        return 2**self.doublings

    def samples(self, frames: int) -> int:
        """How many samples so many frames give: half a frame more than they hold, as 312 of 8 give 2500."""
        return self.frame_samples * frames + self.frame_samples // 2

    def create(self, rngs: nnx.Rngs) -> "HifiGan":
        return HifiGan(self, rngs=rngs)


class HifiGan(nnx.Module):
    """Codes (B, N, Q) to (B, T, L) in mV."""

    def __init__(self, config: HifiGanConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        shape = (c.levels, c.codes, c.code_dim)
        own = c.own_vectors
        self.vectors = nnx.Param(jax.random.normal(rngs.params(), shape)) if own else Buffer(jnp.zeros(shape))
        self.scale = Buffer(jnp.ones(c.leads))  # typical amplitude of each lead, mV; set from training data
        self.first = NormConv(c.code_dim, c.width, 7, rngs=rngs)
        widths = [c.width >> i for i in range(c.doublings + 1)]
        pairs = list(zip(widths, widths[1:]))
        self.up = nnx.List([Upsample2(a, b, extra=int(a == c.width), rngs=rngs) for a, b in pairs])
        self.blocks = nnx.List([_Parallel(b, c, rngs) for _, b in pairs])
        self.last = NormConv(widths[-1], c.leads, 7, rngs=rngs)

    def __call__(self, codes_BxNxQ):
        x = self.first(sum(self.vectors[...][q][codes_BxNxQ[..., q]] for q in range(self.config.levels)))
        for up, blocks in zip(self.up, self.blocks):
            x = blocks(up(jax.nn.leaky_relu(x, SLOPE)))
        return self.last(jax.nn.leaky_relu(x)) * self.scale[...]

    def reconstruct(self, codes_BxNxQ):
        """The same, by the name it has in a tokenizer."""
        return self(codes_BxNxQ)


class _Parallel(nnx.Module):
    """The mean of residual blocks of several kernels (multi-receptive-field fusion)."""

    def __init__(self, width: int, config: HifiGanConfig, rngs):
        self.each = nnx.List([_Block(width, k, config.dilations, rngs) for k in config.kernels])

    def __call__(self, x):
        return sum(block(x) for block in self.each) / len(self.each)


class _Block(nnx.Module):
    """For each dilation: x + convolution of the dilated convolution, leaky ReLU before both."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...], rngs):
        self.wide = nnx.List([NormConv(width, width, kernel, dilation=d, rngs=rngs) for d in dilations])
        self.near = nnx.List([NormConv(width, width, kernel, rngs=rngs) for _ in dilations])

    def __call__(self, x):
        for wide, near in zip(self.wide, self.near):
            x = x + near(jax.nn.leaky_relu(wide(jax.nn.leaky_relu(x, SLOPE)), SLOPE))
        return x
