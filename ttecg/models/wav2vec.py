"""A self-supervised encoder of ECGs: wav2vec 2.0 with contrast of segments and random lead masking (Oh et al., CHIL
2022, arXiv 2203.06889), whose 64 features Auto-TTE computes FID on.

Convolutions turn the signal into a sequence of vectors; spans of it are hidden, and a transformer has to tell, for
each hidden place, its quantised vector from those of other places of the recording. The mean over time, taken through
a linear map to 64, has to tell the next segment of the same recording from those of other patients ("CMSC"). The paper
leaves open how its 64 features are made of 768; here that map is trained by the second task. In training whole leads
are zeroed, so any subset of leads may be given.

Axes: B batch, T time, N frames, D width, G groups, V vectors of a group.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Conv1d, RMSNorm, check_compute, compute_dtype
from ttecg.models.resnet import inputs
from ttecg.models.transformer import BaseBlock, LayerNorm, Linear, Trunk


@dataclasses.dataclass(frozen=True)
class Wav2VecConfig:
    """Sizes of the encoder and what it works on."""

    # samples per second and band (Hz) of what it sees
    rate: float = 100.0
    band: tuple[float, ...] = (0.67, 40.0)
    # channels and stride-2 layers of the convolutional stem
    stem_width: int = 96
    stem_layers: int = 3
    # transformer
    width: int = 128
    layers: int = 4
    heads: int = 4
    dropout: float = 0.1
    # quantiser: groups, vectors in each, width of what is compared
    groups: int = 2
    vectors: int = 64
    compared: int = 64
    # of the mean over time
    features: int = 64
    # "float32", "bfloat16", or "auto": bfloat16 on GPU and TPU, float32 on CPU
    compute: str = "auto"

    def __post_init__(self):
        check_compute(self.compute)
        for name in (
            "stem_width",
            "stem_layers",
            "width",
            "layers",
            "heads",
            "groups",
            "vectors",
            "features",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width {self.width} must be an even multiple of heads {self.heads}")
        if self.compared < 1 or self.compared % self.groups:
            raise ValueError(f"compared {self.compared} must be a multiple of groups {self.groups}")

    @property
    def stride(self) -> int:
        """Samples of a frame."""
        return 2**self.stem_layers

    def create(self, rngs: nnx.Rngs) -> "Wav2Vec":
        return Wav2Vec(self, rngs=rngs)


class Wav2Vec(nnx.Module):
    """See the module's docstring."""

    def __init__(self, config: Wav2VecConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        widths = (8, *[c.stem_width] * c.stem_layers)
        self.stem = nnx.List([Conv1d(a, b, 4, stride=2, rngs=rngs) for a, b in zip(widths, widths[1:])])
        self.stem_norms = nnx.List([LayerNorm(c.stem_width) for _ in range(c.stem_layers)])
        self.enter = Linear(c.stem_width, c.width, rngs=rngs)
        self.hidden = nnx.Param(0.1 * jax.random.normal(rngs.params(), (c.width,)))
        self.trunk = Trunk(BaseBlock, c.layers, c.width, c.heads, c.width // c.heads, c.dropout, rngs=rngs)
        self.norm = RMSNorm(c.width)
        self.choose = Linear(c.stem_width, c.groups * c.vectors, rngs=rngs)
        shape = (c.groups, c.vectors, c.compared // c.groups)
        self.book = nnx.Param(jax.random.normal(rngs.params(), shape) * c.compared**-0.5)
        self.target = Linear(c.compared, c.compared, rngs=rngs)
        self.guess = Linear(c.width, c.compared, rngs=rngs)
        self.whole = Linear(c.width, c.features, rngs=rngs)

    def frames(self, signal_BxTx8):
        """(B, N, C) of the stem, N = T / stride rounded up."""
        x = inputs(signal_BxTx8, amplitude=False)
        x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % self.config.stride), (0, 0)))
        x = x.astype(compute_dtype(self.config.compute))
        for conv, norm in zip(self.stem, self.stem_norms):
            x = jax.nn.gelu(norm(conv(x)))
        return x

    def context(self, frames_BxNxC, hidden_BxN=None, key=None):
        """(B, N, D); hidden frames are replaced by a learned vector before anything looks at them."""
        x = self.enter(frames_BxNxC)
        if hidden_BxN is not None:
            x = jnp.where(hidden_BxN[..., None], self.hidden[...].astype(x.dtype), x)
        count = x.shape[1]
        x, _ = self.trunk(x, self.trunk.turns(jnp.arange(count)), jnp.ones((1, count, count), bool), key=key)
        return self.norm(x)

    def quantised(self, frames_BxNxC, temperature, key):
        """Targets (B, N, compared) by Gumbel softmax with straight-through gradients, the numbers (B, N, G) of the
        vectors they are made of, and the probabilities (B, N, G, V) without noise. key None: the likeliest vector."""
        c = self.config
        logits = self.choose(frames_BxNxC.astype(jnp.float32))
        logits = logits.reshape(*logits.shape[:2], c.groups, c.vectors)
        noise = 0.0 if key is None else jax.random.gumbel(key, logits.shape)
        soft = jax.nn.softmax((logits + noise) / temperature, -1)
        codes = soft.argmax(-1)
        one = jax.nn.one_hot(codes, c.vectors) + soft - jax.lax.stop_gradient(soft)
        chosen = jnp.einsum("bngv,gvd->bngd", one, self.book[...])
        return self.target(chosen.reshape(*chosen.shape[:2], -1)), codes, jax.nn.softmax(logits, -1)

    def guesses(self, context_BxNxD):
        """(B, N, compared)."""
        return self.guess(context_BxNxD.astype(jnp.float32))

    def pooled(self, context_BxNxD):
        """(B, features) from the mean over time."""
        return self.whole(context_BxNxD.astype(jnp.float32).mean(1))

    def features(self, signal_BxTx8):
        """(B, features) float32. Any length; leads that are zero or flat are not there."""
        return self.pooled(self.context(self.frames(signal_BxTx8)))
