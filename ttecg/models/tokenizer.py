"""VQ tokenizers: (B, T, L) ECG in mV -> codes (B, N, Q) -> (B, T, L) in mV.

PaperTokenizer is the VQ-VAE of Auto-TTE as its code has it: twelve leads at 500 Hz, 5000 samples -> 312 codes.
BaseTokenizer sees the eight independent leads at 250 Hz and writes 312 frames of 32 ms with residual codes.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Buffer, Conv1d, RMSNorm, Upsample2
from ttecg.models.vq import ResidualVQ


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """What both tokenizers share; `create` builds the module."""

    # "paper" or "base"
    kind: str = "base"
    # number of leads: 12 in standard order, or the 8 independent ones
    leads: int = 8
    # samples per second
    rate: float = 250.0
    # samples in one ECG
    samples: int = 2500
    # Hz, zero-phase band-pass before encoding; None leaves the recording as it is
    band: tuple[float, float] | None = (0.5, 40.0)
    # channels of the fine and the coarse stage (the paper has one width)
    width: int = 128
    coarse_width: int = 192
    # residual blocks per stage, and the kernel of their first convolution
    blocks: int = 3
    kernel: int = 5
    # residual quantiser levels, codes per level, code vector width
    levels: int = 4
    codes: int = 1024
    code_dim: int = 64
    # moving-average decay of the codebooks, and the share of the mean use below which a code is moved
    decay: float = 0.95
    dead_share: float = 0.1

    def __post_init__(self):
        if self.kind not in ("paper", "base"):
            raise ValueError(f"tokenizer kind is 'paper' or 'base', got {self.kind!r}")
        if self.leads not in (8, 12):
            raise ValueError(f"a tokenizer sees 8 or 12 leads, got {self.leads}")
        if self.kind == "base" and self.samples % 8 != 4:
            raise ValueError(
                f"samples of a base tokenizer are 8 N + 4, as in 2500 for N = 312; got {self.samples}"
            )

    @property
    def frame_samples(self) -> int:
        return 16 if self.kind == "paper" else 8

    @property
    def frames(self) -> int:
        """Code positions per ECG; the rest of a frame at the end is dropped."""
        return self.samples // self.frame_samples

    @property
    def frame_seconds(self) -> float:
        return self.frame_samples / self.rate

    def create(self, rngs: nnx.Rngs) -> "Tokenizer":
        return (PaperTokenizer if self.kind == "paper" else BaseTokenizer)(self, rngs=rngs)


class Tokenizer(nnx.Module):
    """encode, quantise, decode. Subclasses give `encode` and `decode` between mV and latents (B, N, code_dim)."""

    def __init__(self, config: TokenizerConfig):
        self.config = config
        self.scale = Buffer(
            jnp.ones(config.leads)
        )  # typical amplitude of each lead, mV; set from training data
        self.vq = ResidualVQ(
            config.levels, config.codes, config.code_dim, decay=config.decay, dead_share=config.dead_share
        )

    def __call__(self, x_BxTxL, levels_B=None, key=None):
        """Reconstruction (B, T, L) in mV, then what the quantiser returns: codes, commitment loss, codebooks."""
        quantised, codes, commit, codebooks = self.vq(self.encode(x_BxTxL), levels_B, key)
        return self.decode(quantised), codes, commit, codebooks

    def codes(self, x_BxTxL):
        """(B, T, L) mV -> int codes (B, N, Q)."""
        return self.vq(self.encode(x_BxTxL))[1]

    def reconstruct(self, codes_BxNxQ):
        """Codes of the first Q levels -> (B, T, L) mV."""
        return self.decode(self.vq.lookup(codes_BxNxQ))


class PaperTokenizer(Tokenizer):
    """Four strided convolutions, two residual blocks, 1x1 to the code width; mirrored. No normalisation layers."""

    def __init__(self, config: TokenizerConfig, *, rngs: nnx.Rngs):
        super().__init__(config)
        w, length = config.width, config.samples
        down, extras = [Conv1d(config.leads, w, 4, stride=2, pad=(1, 1), rngs=rngs)], [length % 2]
        for _ in range(3):
            length //= 2
            down.append(Conv1d(w, w, 4, stride=2, pad=(1, 1), rngs=rngs))
            extras.append(length % 2)
        self.down = nnx.List(down)
        self.encoder = nnx.List([_PaperBlock(w, rngs) for _ in range(config.blocks)])
        self.to_code = Conv1d(w, config.code_dim, 1, rngs=rngs)
        self.from_code = Conv1d(config.code_dim, w, 1, rngs=rngs)
        self.decoder = nnx.List([_PaperBlock(w, rngs) for _ in range(config.blocks)])
        self.up = nnx.List([Upsample2(w, w, extra=e, rngs=rngs) for e in reversed(extras)])
        self.out = Conv1d(w, config.leads, 1, rngs=rngs)

    def encode(self, x):
        x = x / self.scale[...]
        for conv in self.down:
            x = jax.nn.relu(conv(x))
        for block in self.encoder:
            x = block(x)
        return self.to_code(x)

    def decode(self, z):
        x = self.from_code(z)
        for block in self.decoder:
            x = block(x)
        for up in self.up:
            x = jax.nn.relu(up(x))
        return self.out(x) * self.scale[...]


class _PaperBlock(nnx.Module):
    def __init__(self, width: int, rngs: nnx.Rngs):
        self.a, self.b = Conv1d(width, width, 3, rngs=rngs), Conv1d(width, width, 3, rngs=rngs)
        self.c = Conv1d(width, width, 1, rngs=rngs)

    def __call__(self, x):
        return x + self.c(jax.nn.relu(self.b(jax.nn.relu(self.a(x)))))


PATCH = 4  # samples that the base tokenizer folds into channels before its first layer


class BaseTokenizer(Tokenizer):
    """Patches of 4 samples, residual blocks, one stride of 2, residual blocks; mirrored.

    Works on any length: N frames give 8 N + 4 samples (2500 for 312), the last half frame from a repeat of the
    last latent, so T = 8 N + 4 comes back as long as it went in.
    """

    def __init__(self, config: TokenizerConfig, *, rngs: nnx.Rngs):
        super().__init__(config)
        fine, coarse, k = config.width, config.coarse_width, config.kernel
        self.patch = Conv1d(PATCH * config.leads, fine, 3, rngs=rngs)
        self.fine_in = nnx.List([_Block(fine, k, rngs) for _ in range(config.blocks)])
        self.down = Conv1d(2 * fine, coarse, 1, rngs=rngs)
        self.coarse_in = nnx.List([_Block(coarse, k, rngs) for _ in range(config.blocks)])
        self.to_code = Conv1d(coarse, config.code_dim, 1, rngs=rngs)
        self.from_code = Conv1d(config.code_dim, coarse, 3, rngs=rngs)
        self.coarse_out = nnx.List([_Block(coarse, k, rngs) for _ in range(config.blocks)])
        self.up = Conv1d(coarse, 2 * fine, 1, rngs=rngs)
        self.fine_out = nnx.List([_Block(fine, k, rngs) for _ in range(config.blocks)])
        self.unpatch = Conv1d(fine, PATCH * config.leads, 3, rngs=rngs)

    def encode(self, x):
        x = (x / self.scale[...])[:, : x.shape[1] // self.config.frame_samples * self.config.frame_samples]
        x = self.patch(_fold(x, PATCH))
        for block in self.fine_in:
            x = block(x)
        x = self.down(_fold(x, 2))
        for block in self.coarse_in:
            x = block(x)
        return self.to_code(x)

    def decode(self, z):
        x = self.from_code(jnp.concatenate([z, z[:, -1:]], axis=1))
        for block in self.coarse_out:
            x = block(x)
        x = _unfold(self.up(x), 2)
        for block in self.fine_out:
            x = block(x)
        x = _unfold(self.unpatch(x), PATCH)
        return x[:, :-PATCH] * self.scale[...]


class _Block(nnx.Module):
    """Pre-norm residual block: RMSNorm, convolution, GELU, 1x1."""

    def __init__(self, width: int, kernel: int, rngs: nnx.Rngs):
        self.norm = RMSNorm(width)
        self.wide = Conv1d(width, width, kernel, rngs=rngs)
        self.mix = Conv1d(width, width, 1, rngs=rngs)

    def __call__(self, x):
        return x + self.mix(jax.nn.gelu(self.wide(self.norm(x))))


def _fold(x, n: int):
    """(B, T, C) -> (B, T / n, n C)."""
    return x.reshape(x.shape[0], -1, n * x.shape[-1])


def _unfold(x, n: int):
    return x.reshape(x.shape[0], n * x.shape[1], -1)
