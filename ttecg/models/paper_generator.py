"""The paper's transformer (Auto-TTE, arXiv 2303.09395, as its code has it): prompt, then 312 codes of one level.

Learned absolute positions, LayerScale, GEGLU, text and code loss. Departures, on purpose: a BOS id; age and sex have
ids of their own (the released code overwrote twelve text pieces); padding is never attended.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.generator import causal, cross_entropy
from ttecg.models.layers import check_compute, check_sizes, compute_dtype
from ttecg.models.transformer import LayerNorm, Linear, PaperBlock, Trunk

START = 103  # the spare condition id that stands last before the codes


@dataclasses.dataclass(frozen=True)
class PaperGeneratorConfig:
    """Sizes of the paper's transformer."""

    layers: int = 12
    width: int = 512
    heads: int = 8
    head_dim: int = 64
    dropout: float = 0.2
    # prompt ids: 104 for conditions, 3000 text pieces; the longest prompt, BOS and start id included
    vocab: int = 3104
    prompt: int = 105
    # code frames and codes; one level
    frames: int = 312
    levels: int = 1
    codes: int = 1024
    code_dim: int = 512
    frame_seconds: float = 0.032
    # "float32", "bfloat16", or "auto": bfloat16 on GPU and TPU, float32 on CPU
    compute: str = "auto"
    remat: bool = False

    def __post_init__(self):
        check_sizes(self)
        if self.levels != 1:
            raise ValueError(
                f"the paper's transformer writes one code per frame; levels must be 1, got {self.levels}"
            )
        check_compute(self.compute)

    @property
    def dtype(self):
        return compute_dtype(self.compute)

    def create(self, rngs: nnx.Rngs) -> "PaperGenerator":
        return PaperGenerator(self, rngs=rngs)


class PaperGenerator(nnx.Module):
    """See the module's docstring. There is no beat plan: plan_slots is 0 and plans are (B, 0)."""

    plan_slots = 0

    def __init__(self, config: PaperGeneratorConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config

        def table(rows):
            return nnx.Param(jax.random.normal(rngs.params(), (rows, c.width)))

        self.prompt_table, self.code_table = table(c.vocab), table(c.codes)
        self.prompt_positions, self.code_positions = table(c.prompt), table(c.frames)
        self.trunk = Trunk(
            PaperBlock, c.layers, c.width, c.heads, c.head_dim, c.dropout, remat=c.remat, rngs=rngs
        )
        self.norm = LayerNorm(c.width)
        self.text_head = Linear(c.width, c.vocab, rngs=rngs)
        self.code_head = Linear(c.width, c.codes, rngs=rngs)

    def embed_prompt(self, prompt_BxP):
        """(B, P + 1, D) and no rotary positions; the start id, last, always stands on the last position, so how far
        a prompt is padded changes nothing."""
        ids, at = self.with_start(prompt_BxP), self.prompt_positions[...]
        at = jnp.concatenate([at[: ids.shape[1] - 1], at[-1:]])
        return (self.prompt_table[...][ids] + at).astype(self.config.dtype), None

    def with_start(self, prompt_BxP):
        """(B, P + 1) ids: the prompt, cut to what the positions hold, and the start id."""
        return jnp.pad(prompt_BxP[:, : self.config.prompt - 1], ((0, 0), (0, 1)), constant_values=START)

    def embed_codes(self, first, codes_Bxn):
        """Inputs made of codes at frames first, first + 1, ...: what predicts the frames after them."""
        at = jax.lax.dynamic_slice_in_dim(self.code_positions[...], first, codes_Bxn.shape[1])
        return (self.code_table[...][codes_Bxn] + at).astype(self.config.dtype)

    def code_logits(self, h):
        return self.code_head(self.norm(h)).astype(jnp.float32)

    def losses(self, prompt_BxP, plan_Bx0, codes_BxNx1, key=None, weights_BxN=None) -> dict:
        """Mean cross-entropies in nats: "text" over real pieces and conditions, "code_1" over codes."""
        ids = self.with_start(prompt_BxP)
        x = jnp.concatenate(
            [self.embed_prompt(prompt_BxP)[0], self.embed_codes(0, codes_BxNx1[:, :-1, 0])], 1
        )
        visible = jnp.concatenate([ids != 0, jnp.ones_like(codes_BxNx1[:, :-1, 0], bool)], 1)
        h, _ = self.trunk(x, None, causal(visible), key=key)
        split = ids.shape[1] - 1
        text = self.text_head(self.norm(h[:, : split - 1])).astype(jnp.float32)
        target = ids[:, 1:split]
        return {
            "text": cross_entropy(text, target, target != 0),
            "code_1": cross_entropy(self.code_logits(h[:, split:]), codes_BxNx1[..., 0], weights_BxN),
        }
