"""The base generator: one transformer writes a beat plan, then codes, under a prompt.

Sequence: prompt ids (P, padded on the right, padding never attended) | RR tokens (R slots) | N code frames of Q
residual codes each. A frame is told its phase in the planned beats, and sees, besides the previous frame, the codes
one RR interval earlier: the same place in the beat before. One patient's beats look alike because of that.
Codes enter as the tokenizer's own code vectors and leave through them (plus a learned part), so that similar
waveforms have similar probabilities from the first step on.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ttecg.models import beat_plan
from ttecg.models.layers import Buffer, RMSNorm, check_compute, check_sizes, compute_dtype
from ttecg.models.transformer import BaseBlock, Linear, Trunk

FREE = 64  # width of the learned part of the code head


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the base generator."""

    layers: int = 6
    width: int = 256
    heads: int = 4
    # heads of keys and values, each shared by heads / kv_heads of queries: a smaller cache; None: as many as heads
    kv_heads: int | None = None
    head_dim: int = 64
    dropout: float = 0.1
    # prompt ids (conditions and text pieces), and the longest prompt
    vocab: int = 2104
    prompt: int = 64
    # code frames, levels, codes per level, width of a code vector, seconds per frame: the tokenizer's
    frames: int = 312
    levels: int = 4
    codes: int = 1024
    code_dim: int = 64
    frame_seconds: float = 0.032
    # "float32", "bfloat16", or "auto": bfloat16 on GPU and TPU, float32 on CPU
    compute: str = "auto"
    # recompute activations in the backward pass: less memory, a third more time
    remat: bool = False

    def __post_init__(self):
        check_compute(self.compute)
        if self.kv_heads is not None and (self.kv_heads < 1 or self.heads % self.kv_heads):
            raise ValueError(f"kv_heads must divide heads={self.heads}, got {self.kv_heads}")
        check_sizes(self)

    @property
    def dtype(self):
        return compute_dtype(self.compute)

    def create(self, rngs: nnx.Rngs) -> "Generator":
        return Generator(self, rngs=rngs)


class Generator(nnx.Module):
    """See the module's docstring. Methods that end in `_logits` return float32."""

    plan_slots = beat_plan.SLOTS

    def __init__(self, config: GeneratorConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        self.code_vectors = Buffer(
            jnp.zeros((c.levels, c.codes, c.code_dim))
        )  # unit spread of the sum; from the tokenizer
        self.prompt_table = nnx.Param(0.02 * jax.random.normal(rngs.params(), (c.vocab, c.width)))
        self.plan_table = nnx.Param(0.02 * jax.random.normal(rngs.params(), (beat_plan.VOCAB, c.width)))
        self.section = nnx.Param(0.02 * jax.random.normal(rngs.params(), (3, c.width)))
        inputs = 7 * c.code_dim + 4 + _phase_width()
        self.frame_in = Linear(inputs, 2 * c.width, rngs=rngs)
        self.frame_mix = Linear(2 * c.width, c.width, bias=False, rngs=rngs)
        self.prompt_wide = Linear(c.width, c.width, rngs=rngs)
        self.prompt_out = Linear(c.width, c.width, bias=False, scale=0.0, rngs=rngs)
        self.trunk = Trunk(
            BaseBlock,
            c.layers,
            c.width,
            c.heads,
            c.head_dim,
            c.dropout,
            kv_heads=c.kv_heads,
            remat=c.remat,
            rngs=rngs,
        )
        self.norm = RMSNorm(c.width)
        self.plan_head = Linear(c.width, beat_plan.VOCAB, rngs=rngs)
        self.heads = nnx.List([_CodeHead(c, rngs) for _ in range(c.levels)])

    # --- embeddings: (B, T, D) and the rotary positions (T,) ------------------------------------------------------

    def embed_prompt(self, prompt_BxP):
        x = self.prompt_table[...][prompt_BxP] + self.section[...][0]
        return x.astype(self.config.dtype), jnp.arange(prompt_BxP.shape[1])

    def embed_plan(self, tokens_BxR, first: int = 0):
        """Inputs of plan slots `first`...: the token before each slot (START for slot 0)."""
        x = self.plan_table[...][tokens_BxR] + self.section[...][1]
        return x.astype(self.config.dtype), self.config.prompt + first + jnp.arange(tokens_BxR.shape[1])

    def gist(self, prompt_BxP):
        """(B, 1, D): each id of the prompt adds its own vector. Every frame is given it, since past its first beat
        an ECG can be continued without the report, and attention alone is slow to learn to read it."""
        each = self.prompt_out(jax.nn.gelu(self.prompt_wide(10 * self.prompt_table[...][prompt_BxP])))
        return (each * (prompt_BxP != 0)[..., None]).sum(1, keepdims=True).astype(self.config.dtype)

    def context(self, plan_BxR) -> dict:
        """What the plan tells each frame, {name: (B, N, ...)}: its phase, and its place in earlier beats."""
        c = self.config
        # peaks lie on ticks, as some centres of frames do: a little later, so that rounding decides nothing
        p = beat_plan.phase(plan_BxR, (jnp.arange(c.frames) + 0.5) * c.frame_seconds + 1e-4)
        place = p.echoes / c.frame_seconds - 0.5
        low = jnp.floor(place).astype(jnp.int32)
        return {
            "phase": beat_plan.features(p),
            "low": low,
            "part": place - low,
            "known": p.known & (low >= 0),
        }

    def embed_frames(self, index_n, latents_BxNxD, context: dict, gist_Bx1xD):
        """Inputs of frames index_n (n,), given their context (B, n, ...) and the latents of all frames so far (later
        ones are not looked at). Their positions are `frame_positions`."""
        c, batch = self.config, len(latents_BxNxD)
        previous = _tap(latents_BxNxD, jnp.broadcast_to(index_n - 1, (batch, len(index_n))), index_n)
        x = jnp.concatenate([previous, *_look_back(latents_BxNxD, context, index_n), context["phase"]], -1)
        x = self.frame_mix(jax.nn.gelu(self.frame_in(x.astype(c.dtype))))
        return x + gist_Bx1xD + self.section[...][2].astype(c.dtype)

    def frame_positions(self, index_n):
        return self.config.prompt + self.plan_slots + index_n

    # --- heads ----------------------------------------------------------------------------------------------------

    def plan_logits(self, h):
        """(B, R, VOCAB); padding and start are impossible."""
        logits = self.plan_head(self.norm(h)).astype(jnp.float32)
        return jnp.where(jnp.arange(beat_plan.VOCAB) > beat_plan.END, -1e30, logits)

    def code_logits(self, h, level: int, above_BxNxD):
        """(B, N, K) of one level, given the summed code vectors of the levels above it."""
        return self.heads[level](h, above_BxNxD, self.code_vectors[...][level])

    def lookup(self, codes_BxNxQ):
        """Sum of the code vectors of all levels given, (B, N, code_dim)."""
        return sum(self.code_vectors[...][q][codes_BxNxQ[..., q]] for q in range(codes_BxNxQ.shape[-1]))

    # --- training -------------------------------------------------------------------------------------------------

    def __call__(self, prompt_BxP, plan_BxR, codes_BxNxQ, key=None):
        """Teacher forcing. Returns plan logits (B, R, VOCAB) and a list of code logits, one (B, N, K) per level."""
        c = self.config
        latents = self.lookup(codes_BxNxQ)
        frames = jnp.arange(codes_BxNxQ.shape[1])
        start = jnp.full_like(plan_BxR[:, :1], beat_plan.START)
        parts = [
            self.embed_prompt(prompt_BxP),
            self.embed_plan(jnp.concatenate([start, plan_BxR[:, :-1]], 1)),
            (
                self.embed_frames(frames, latents, self.context(plan_BxR), self.gist(prompt_BxP)),
                self.frame_positions(frames),
            ),
        ]
        x, positions = jnp.concatenate([x for x, _ in parts], 1), jnp.concatenate([p for _, p in parts])
        mask = causal(self.visible(prompt_BxP, plan_BxR, len(frames)))
        h, _ = self.trunk(x, self.trunk.turns(positions), mask, key=key)
        p, r = prompt_BxP.shape[1], plan_BxR.shape[1]
        h_frames, above, logits = h[:, p + r :], jnp.zeros_like(latents), []
        for q in range(c.levels):
            logits.append(self.code_logits(h_frames, q, above))
            above = above + self.code_vectors[...][q][codes_BxNxQ[..., q]]
        return self.plan_logits(h[:, p : p + r]), logits

    def losses(self, prompt_BxP, plan_BxR, codes_BxNxQ, key=None, weights_BxN=None) -> dict:
        """Mean cross-entropies in nats: "plan" over RR tokens and END, "code_1" ... per level, frames weighted."""
        plan, codes = self(prompt_BxP, plan_BxR, codes_BxNxQ, key)
        terms = {"plan": cross_entropy(plan, jnp.minimum(plan_BxR, beat_plan.END), plan_BxR <= beat_plan.END)}
        frames = {f"code_{q + 1}": (x, codes_BxNxQ[..., q]) for q, x in enumerate(codes)}
        return terms | {name: cross_entropy(*pair, weights_BxN) for name, pair in frames.items()}

    @staticmethod
    def visible(prompt_BxP, plan_BxR, frames: int):
        """(B, P + R + N): positions that may be attended to. A plan slot's input is the token before it."""
        before = jnp.pad(plan_BxR[:, :-1], ((0, 0), (1, 0)), constant_values=beat_plan.START)
        return jnp.concatenate(
            [prompt_BxP != 0, before != beat_plan.PAD, jnp.ones((prompt_BxP.shape[0], frames), bool)], 1
        )


class _CodeHead(nnx.Module):
    """Logits of one level: a query against [code vector, its squared length, a learned vector] of every code."""

    def __init__(self, c: GeneratorConfig, rngs: nnx.Rngs):
        self.norm = RMSNorm(c.width)
        self.above = Linear(c.code_dim, c.width, bias=False, rngs=rngs)
        self.wide = Linear(c.width, 2 * c.width, rngs=rngs)
        self.query = Linear(2 * c.width, c.code_dim + 1 + FREE, scale=0.1, rngs=rngs)
        self.free = nnx.Param(0.02 * jax.random.normal(rngs.params(), (c.codes, FREE)))
        self.bias = nnx.Param(jnp.zeros(c.codes))

    def __call__(self, h, above, vectors_KxD):
        return self.asks(h, above) @ self.keys(vectors_KxD) + self.bias[...]

    def asks(self, h, above):
        """(..., D + 1 + FREE) queries, float32."""
        x = self.norm(h) + self.above(above.astype(h.dtype))
        return self.query(jax.nn.gelu(self.wide(x))).astype(jnp.float32)

    def keys(self, vectors_KxD):
        """(D + 1 + FREE, K)."""
        book = vectors_KxD / spread_of(vectors_KxD)
        length = jnp.sum(book**2, -1, keepdims=True) / book.shape[-1] ** 0.5
        return jnp.concatenate([book, length, self.free[...]], -1).T


def spread_of(vectors_KxD):
    """Root mean square of code vectors, by which a `_CodeHead` divides them."""
    return jnp.sqrt(jnp.mean(vectors_KxD**2) + 1e-6)


def _tap(latents_BxNxD, index_Bxk, now):
    """Latents at frames (B, k); zeros where a frame is before the start or not yet written (>= now)."""
    known = (index_Bxk >= 0) & (index_Bxk < now)
    last = latents_BxNxD.shape[1] - 1
    return (
        jnp.take_along_axis(latents_BxNxD, jnp.clip(index_Bxk, 0, last)[..., None], axis=1) * known[..., None]
    )


def _look_back(latents_BxNxD, context: dict, index_n) -> list:
    """What stood at the same place of earlier beats, as arrays (B, n, features), counted from R and up to R.

    Of the latest beat the two frames around the place and where between them it lies; of all of them the mean, so
    that small differences from beat to beat do not add up.
    """
    low = context["low"]
    batch, count = low.shape[:2]
    now = jnp.broadcast_to(index_n[:, None, None], low.shape[1:]).reshape(-1)
    known = (context["known"] & (low + 1 < index_n[:, None, None]))[..., None]

    def at(index):
        return _tap(latents_BxNxD, index.reshape(batch, -1), now).reshape(*low.shape, -1)

    a, b, part = at(low) * known, at(low + 1) * known, context["part"][..., None] * known
    mean = ((1 - part) * a + part * b).sum(3) / jnp.maximum(known.sum(3), 1)
    first = [a[:, :, :, 0], b[:, :, :, 0], mean, part[:, :, :, 0], known[:, :, :, 0].astype(a.dtype)]
    return [x.reshape(batch, count, -1) for x in first]


def _phase_width() -> int:
    empty = beat_plan.phase(np.full((1, 2), beat_plan.PAD), np.zeros(1))
    return beat_plan.features(empty).shape[-1]


def cross_entropy(logits, targets, weights=None):
    """Mean cross-entropy in nats, positions weighted (booleans choose)."""
    picked = jnp.take_along_axis(logits, targets[..., None].astype(jnp.int32), -1)[..., 0]
    nats = jax.nn.logsumexp(logits, axis=-1) - picked
    if weights is None:
        return nats.mean()
    return jnp.sum(nats * weights) / jnp.maximum(weights.sum(), 1)


def causal(visible_BxS):
    """(B, S, S) mask: each position sees visible positions up to itself (itself always)."""
    size = visible_BxS.shape[1]
    lower = np.tril(np.ones((size, size), bool))
    return (lower & visible_BxS[:, None, :]) | np.eye(size, dtype=bool)
