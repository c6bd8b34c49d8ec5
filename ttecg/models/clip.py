"""A CLIP pair: ECGs and report text as unit vectors of one space, near where they fit (after Radford et al. 2021).

The ECG side is the residual network of `models.resnet`; the text side a small transformer over the project's
SentencePiece ids whose mean over positions counts. Auto-TTE (arXiv 2311.07166) scores text adherence by such a pair
but leaves its sizes open; these are what a few thousand records can train.

Axes: B batch, T time, S text positions, D width.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.data.prompt import PAD
from ttecg.models.layers import RMSNorm, dropout
from ttecg.models.resnet import ResNetConfig
from ttecg.models.transformer import BaseBlock, Linear, Trunk

_SMALLEST_TEMPERATURE = 0.01
LARGEST_LOG_SCALE = -math.log(_SMALLEST_TEMPERATURE)


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """Sizes of both sides. `resnet.outputs` is the width of the common space."""

    resnet: ResNetConfig = ResNetConfig(outputs=64, widths=(48, 96, 192))
    # ids of the text tokenizer (trainers set it) and positions looked at
    vocab: int = 2104
    length: int = 64
    # the text's transformer
    text_width: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    # labels that the ECG side is also asked for in training; trainers set it
    labels: int = 0
    # temperature at the start
    temperature: float = 0.1

    def __post_init__(self):
        for name, least in (("vocab", 0), ("length", 1), ("layers", 0), ("heads", 1), ("labels", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.text_width % self.heads or (self.text_width // self.heads) % 2:
            raise ValueError(f"text_width {self.text_width} must be an even multiple of heads {self.heads}")
        if not self.temperature >= _SMALLEST_TEMPERATURE:
            raise ValueError(f"temperature must be at least {_SMALLEST_TEMPERATURE}, got {self.temperature}")

    def create(self, rngs: nnx.Rngs) -> "Clip":
        return Clip(self, rngs=rngs)


class Clip(nnx.Module):
    """See the module's docstring."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        self.resnet = c.resnet.create(rngs)
        self.table = nnx.Param(0.5 * jax.random.normal(rngs.params(), (c.vocab, c.text_width)))
        head_dim = c.text_width // c.heads
        self.trunk = Trunk(BaseBlock, c.layers, c.text_width, c.heads, head_dim, c.dropout, rngs=rngs)
        self.norm = RMSNorm(c.text_width)
        self.out = Linear(c.text_width, c.resnet.outputs, rngs=rngs)
        self.told = Linear(c.resnet.outputs, c.labels, rngs=rngs) if c.labels else None
        self.log_scale = nnx.Param(jnp.float32(-math.log(c.temperature)))

    def ecg(self, signal_BxTx8, key=None):
        """(B, D) unit vectors, whatever the unit of a lead and the length. key: for dropout, in training."""
        return _unit(self.resnet(signal_BxTx8, key))

    def text(self, ids_BxS, key=None):
        """(B, D) unit vectors; padding is not looked at. A row holds one id or more, BOS first."""
        there = ids_BxS != PAD
        key, words = (None, None) if key is None else jax.random.split(key)
        x = dropout(self.table[...][ids_BxS], self.config.dropout, words)
        x, _ = self.trunk(x, self.trunk.turns(jnp.arange(ids_BxS.shape[1])), there[:, None, :], key=key)
        x = jnp.where(there[..., None], self.norm(x), 0.0).sum(1) / there.sum(1, keepdims=True)
        return _unit(self.out(x))

    def logits(self, ecg_BxD):
        """What the vectors of `ecg` say of the labels, (B, labels); for training only."""
        return self.told(ecg_BxD * jnp.sqrt(jnp.float32(ecg_BxD.shape[-1])))

    def scale(self):
        """What cosines are multiplied by: one over the temperature, at most 100. The trainer holds `log_scale` at
        LARGEST_LOG_SCALE after each step, as CLIP does: a bound in here would have no gradient to come back by."""
        return jnp.exp(self.log_scale[...])


def _unit(x):
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-12)
