"""The generator that drafts: report -> measures -> beat plan -> usual beats -> draft -> codes.

Two transformers. The story, a short sequence, reads the prompt and writes numbers (models.measures) and RR intervals
with the kind of each beat. A flow (models.beat_flow) makes the usual beat of each kind of them, as components
(models.beat_basis). The usual beats are laid out over the plan, which is a draft of the ECG, in the same codes. The
second transformer writes the codes frame by frame, told the draft there: it may copy it, or depart from it as one beat
of a person does from another.

Axes: B batch, P prompt, M measures, R plan slots, C components of a usual beat, N frames, Q levels, D width.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models import beat_basis, beat_plan, measures
from ttecg.models.beat_flow import BeatFlow
from ttecg.models.generator import _CodeHead, _phase_width, causal, cross_entropy, spread_of
from ttecg.models.layers import Buffer, RMSNorm, check_compute, check_sizes, compute_dtype
from ttecg.models.transformer import BaseBlock, Linear, Trunk

KINDS = 2


@dataclasses.dataclass(frozen=True)
class DraftedConfig:
    """Sizes of the drafting generator: `layers`, `width`, ... of the story, `beat_*` of the flow of usual beats,
    `frame_*` of what follows the draft."""

    layers: int = 3
    width: int = 256
    heads: int = 4
    head_dim: int = 64
    beat_layers: int = 3
    beat_width: int = 368
    beat_dropout: float = 0.25
    frame_layers: int = 4
    frame_width: int = 192
    frame_heads: int = 3
    dropout: float = 0.15
    # probability in training that a frame before is shown as drafted, so that its errors are not all believed later
    forget: float = 0.15
    # prompt ids (conditions and text pieces), and the longest prompt
    vocab: int = 2104
    prompt: int = 64
    # leads and samples of a usual beat, of which there are two kinds
    leads: int = 8
    usual_samples: int = 260
    # code frames, levels, codes per level, width of a code vector, seconds per frame
    frames: int = 312
    levels: int = 4
    codes: int = 1024
    code_dim: int = 64
    frame_seconds: float = 0.032
    compute: str = "auto"
    remat: bool = False

    def __post_init__(self):
        check_compute(self.compute)
        check_sizes(self)

    @property
    def dtype(self):
        return compute_dtype(self.compute)

    def create(self, rngs: nnx.Rngs) -> "Drafted":
        return Drafted(self, rngs=rngs)


def _table(rngs, *shape):
    return nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))


class Drafted(nnx.Module):
    """See the module's docstring. Methods that end in `_logits` return float32."""

    plan_slots = beat_plan.SLOTS

    def __init__(self, config: DraftedConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        self.code_vectors = Buffer(jnp.zeros((c.levels, c.codes, c.code_dim)))
        self.basis_mean = Buffer(jnp.zeros((c.usual_samples, c.leads)))
        self.basis_axes = Buffer(jnp.zeros((beat_basis.COMPONENTS, c.usual_samples, c.leads)))
        count = len(measures.MEASURES)
        self.prompt_table = _table(rngs, c.vocab, c.width)
        self.measure_table = _table(rngs, count * measures.BINS, c.width)
        self.measure_slots = _table(rngs, count, c.width)
        self.plan_table = _table(rngs, beat_plan.VOCAB, c.width)
        self.kind_table = _table(rngs, KINDS, c.width)
        self.section = _table(rngs, 2, c.width)
        self.prompt_wide = Linear(c.width, c.width, rngs=rngs)
        self.prompt_out = Linear(c.width, c.width, bias=False, scale=0.0, rngs=rngs)
        self.trunk = Trunk(
            BaseBlock, c.layers, c.width, c.heads, c.head_dim, c.dropout, remat=c.remat, rngs=rngs
        )
        self.norm = RMSNorm(c.width)
        self.measure_head = Linear(c.width, count * measures.BINS, rngs=rngs)
        self.plan_head = Linear(c.width, beat_plan.VOCAB, rngs=rngs)
        self.kind_head = Linear(2 * c.width, KINDS, rngs=rngs)
        size = beat_basis.COMPONENTS
        self.flow = BeatFlow(c.beat_width, c.beat_layers, 2 * c.width, KINDS, c.beat_dropout, size, rngs=rngs)
        f = dataclasses.replace(c, width=c.frame_width)
        inputs = (c.levels + 6) * c.code_dim + _phase_width() + KINDS * 2
        self.frame_in = Linear(inputs, 2 * f.width, rngs=rngs)
        self.frame_mix = Linear(2 * f.width, f.width, bias=False, rngs=rngs)
        self.frame_gist = Linear(c.width, f.width, bias=False, rngs=rngs)
        self.frame_trunk = Trunk(
            BaseBlock, c.frame_layers, f.width, c.frame_heads, c.head_dim, c.dropout, remat=c.remat, rngs=rngs
        )
        self.trust = Linear(f.width, c.levels, scale=0.1, rngs=rngs)
        self.trust_norm = RMSNorm(f.width)
        self.heads = nnx.List([_CodeHead(f, rngs) for _ in range(c.levels)])

    # --- the story: embeddings (B, T, D), rotary positions (T,) ----------------------------------------------------

    def embed_prompt(self, prompt_BxP):
        x = self.prompt_table[...][prompt_BxP] + self.section[...][0]
        return x.astype(self.config.dtype), jnp.arange(prompt_BxP.shape[1])

    def embed_measures(self, before_BxM, first: int = 0):
        """Inputs of measure slots `first`...: the bin before each slot (any number for slot 0)."""
        slots = first + jnp.arange(before_BxM.shape[1])
        row = jnp.maximum(slots - 1, 0) * measures.BINS + before_BxM
        told = jnp.where((slots > 0)[:, None], self.measure_table[...][row], 0.0)
        x = told + self.measure_slots[...][slots]
        return x.astype(self.config.dtype), self.config.prompt + slots

    def embed_plan(self, tokens_BxR, kinds_BxR, last_bin_B, first: int = 0):
        """Inputs of plan slots `first`...: token and kind before each slot (START for slot 0, which is told the last
        measure)."""
        x = self.plan_table[...][tokens_BxR] + self.kind_table[...][kinds_BxR] + self.section[...][1]
        slots = first + jnp.arange(tokens_BxR.shape[1])
        last = self.measure_table[...][(self._measures - 1) * measures.BINS + last_bin_B]
        x = x + jnp.where((slots == 0)[:, None], last[:, None], 0.0)
        return x.astype(self.config.dtype), self.config.prompt + self._measures + slots

    @property
    def _measures(self) -> int:
        return len(measures.MEASURES)

    def gist(self, prompt_BxP, bins_BxM):
        """(B, 1, D): each id of the prompt and each measure adds its own vector, given to every frame."""
        row = jnp.arange(self._measures) * measures.BINS + bins_BxM
        words = jnp.concatenate([self.prompt_table[...][prompt_BxP], self.measure_table[...][row]], 1)
        known = jnp.concatenate([prompt_BxP != 0, jnp.ones_like(bins_BxM, bool)], 1)
        each = self.prompt_out(jax.nn.gelu(self.prompt_wide(10 * words)))
        return (each * known[..., None]).sum(1, keepdims=True).astype(self.config.dtype)

    def measure_logits(self, h_BxMxD, first: int = 0):
        """(B, M, BINS) of measure slots `first`...; bins that a measure has not are impossible."""
        slots = first + jnp.arange(h_BxMxD.shape[1])
        kernel = self.measure_head.kernel[...].reshape(-1, self._measures, measures.BINS)[:, slots]
        bias = self.measure_head.bias[...].reshape(self._measures, measures.BINS)[slots]
        x = jnp.einsum("bmd,dmk->bmk", self.norm(h_BxMxD), kernel.astype(h_BxMxD.dtype)) + bias
        return jnp.where(jnp.asarray(measures.allowed())[slots], x.astype(jnp.float32), -1e30)

    def plan_logits(self, h):
        """(B, R, VOCAB); padding and start are impossible."""
        logits = self.plan_head(self.norm(h)).astype(jnp.float32)
        return jnp.where(jnp.arange(beat_plan.VOCAB) > beat_plan.END, -1e30, logits)

    def kind_logits(self, h, tokens):
        """(B, R, KINDS) of the beats whose tokens have been written."""
        told = self.plan_table[...][tokens].astype(h.dtype)
        return self.kind_head(jnp.concatenate([self.norm(h), told], -1)).astype(jnp.float32)

    def asked(self, prompt_BxP, bins_BxM):
        """(B, 2 D) what the flow of usual beats is told: the sum of the ids of the prompt, and that of the measures."""
        ids = self.prompt_table[...][prompt_BxP] * (prompt_BxP != 0)[..., None]
        rows = jnp.arange(self._measures) * measures.BINS + bins_BxM
        return 10 * jnp.concatenate([ids.sum(1), self.measure_table[...][rows].sum(1)], -1)

    def velocity(self, x_BxC, moment: float, asked_Bx2D, kind: int, first_BxC):
        """(B, C) of the flow of usual beats."""
        rows = len(x_BxC)
        return self.flow(x_BxC, jnp.full(rows, moment), asked_Bx2D, jnp.full(rows, kind), first_BxC)

    def usual_beats(self, coordinates_KxC):
        """(K, W, L) mV, the commonest in the form of `models.beat_form`."""
        values = beat_basis.to_values(coordinates_KxC, jnp.sinh)
        return self.basis_mean[...] + jnp.einsum("kc,cwl->kwl", values, self.basis_axes[...])

    # --- frames ---------------------------------------------------------------------------------------------------

    def lookup(self, codes_BxNxQ):
        """Sum of the code vectors of all levels given, (B, N, code_dim)."""
        return sum(self.code_vectors[...][q][codes_BxNxQ[..., q]] for q in range(codes_BxNxQ.shape[-1]))

    def context(self, draft_BxNxQ, peaks_BxR, kinds_BxR):
        """(B, N, 2 F): what every frame is told before any is written, the draft there and around, and its phase, after
        its part of `frame_in`."""
        c = self.config
        levels = [self.code_vectors[...][q][draft_BxNxQ[..., q]] for q in range(c.levels)]
        latent = self.lookup(draft_BxNxQ)
        around = [_shifted(latent, s) for s in (1, -1, -2, -3)]
        centres = (jnp.arange(c.frames) + 0.5) * c.frame_seconds
        p = beat_plan.phase_at(peaks_BxR, centres + 1e-4)
        passed = jnp.sum(peaks_BxR[:, None] <= centres[None, :, None] + 1e-4, -1)
        flat = jnp.pad(jax.nn.one_hot(kinds_BxR, KINDS), ((0, 0), (1, 1), (0, 0)))
        kinds = [jnp.take_along_axis(flat, (passed + s)[..., None], 1) for s in (0, 1)]
        told = jnp.concatenate([*levels, *around, beat_plan.features(p), *kinds], -1).astype(c.dtype)
        return told @ self.frame_in.kernel[2 * c.code_dim :].astype(c.dtype) + self.frame_in.bias[...].astype(
            c.dtype
        )

    def embed_frames(self, before_BxnxD, told_BxnxF, gist_Bx1xF):
        """Inputs of frames, given the latents of the two frames before each, (B, n, 2 code_dim), their context, and the
        gist after `frame_gist`."""
        before = before_BxnxD.astype(self.config.dtype)
        x = before @ self.frame_in.kernel[: before.shape[-1]].astype(before.dtype) + told_BxnxF
        return self.frame_mix(jax.nn.gelu(x)) + gist_Bx1xF

    def frame_keys(self) -> list:
        """(code_dim + 1 + FREE, K) of each level, for `frame_logits`."""
        return [head.keys(self.code_vectors[...][level]) for level, head in enumerate(self.heads)]

    def frame_logits(self, h, level: int, above_BxNxD, draft_BxNxD, keys, more: float = 1.0):
        """(B, N, K) of one level. The nearer a code brings the latent to the draft's, the likelier it is, by as much as
        the frame trusts its draft, times `more`; the rest is the head's. keys: of the level."""
        trust = self.trust(self.trust_norm(h)).astype(jnp.float32)[..., level, None]
        trust = more * jax.nn.softplus(trust - 1.25)  # at first 0.25: as codes of beats of one person differ
        spread, size = spread_of(self.code_vectors[...][level]), above_BxNxD.shape[-1]
        missing = draft_BxNxD - above_BxNxD
        # 2 missing @ code - |code|^2, in the terms of the keys
        nearer = trust * jnp.concatenate(
            [2 * spread * missing, jnp.full_like(missing[..., :1], -(spread**2) * size**0.5)], -1
        )
        head = self.heads[level]
        asks = head.asks(h, above_BxNxD)
        asks = asks + jnp.pad(nearer, [(0, 0)] * (asks.ndim - 1) + [(0, asks.shape[-1] - size - 1)])
        return asks @ keys + head.bias[...]

    # --- training -------------------------------------------------------------------------------------------------

    def story(self, prompt, bins, plan, kinds, key=None):
        """Teacher forcing: logits of measures, plan and kinds."""
        start = jnp.full_like(plan[:, :1], beat_plan.START)
        parts = [
            self.embed_prompt(prompt),
            self.embed_measures(jnp.pad(bins[:, :-1], ((0, 0), (1, 0)))),
            self.embed_plan(
                jnp.concatenate([start, plan[:, :-1]], 1),
                jnp.pad(kinds[:, :-1], ((0, 0), (1, 0))),
                bins[:, -1],
            ),
        ]
        x, positions = jnp.concatenate([x for x, _ in parts], 1), jnp.concatenate([p for _, p in parts])
        h, _ = self.trunk(x, self.trunk.turns(positions), causal(self.visible(prompt, plan)), key=key)
        p, m = prompt.shape[1], bins.shape[1]
        planned = h[:, p + m :]
        return (
            self.measure_logits(h[:, p : p + m]),
            self.plan_logits(planned),
            self.kind_logits(planned, plan),
        )

    def follow(self, codes, draft, peaks, kinds, gist, key=None):
        """Teacher forcing: a list of (B, N, K) logits, one for each level."""
        latents, told = self.lookup(codes), self.context(draft, peaks, kinds)
        shown = latents
        if key is not None:
            gone = jax.random.bernoulli(jax.random.fold_in(key, 1), self.config.forget, codes.shape[:2])
            shown = jnp.where(gone[..., None], self.lookup(draft), latents)
        x, turns = (
            self.embed_frames(_before(shown), told, self.frame_gist(gist)),
            self.frame_trunk.turns(jnp.arange(codes.shape[1])),
        )
        h, _ = self.frame_trunk(x, turns, causal(jnp.ones(codes.shape[:2], bool)), key=key)
        above, drafted, logits = jnp.zeros_like(latents), self.lookup(draft), []
        for q, keys in enumerate(self.frame_keys()):
            logits.append(self.frame_logits(h, q, above, drafted, keys))
            above = above + self.code_vectors[...][q][codes[..., q]]
        return logits

    def losses(self, batch: dict, key=None, every: int = 1) -> dict:
        """Mean cross-entropies in nats: measures, plan, kinds, code_1 ...; of usual, the flow's weighted squared error,
        always at moments drawn at random (the same without a key). Codes are learned from every `every`-th ECG of the
        batch."""
        ka, kb, kc = (None, None, None) if key is None else jax.random.split(key, 3)
        b = batch
        found, plan, kinds = self.story(b["prompt"], b["measures"], b["plan"], b["kinds"], ka)
        known = jnp.take_along_axis(
            jnp.broadcast_to(jnp.asarray(measures.allowed()), found.shape), b["measures"][..., None], -1
        )[..., 0]
        terms = {
            "measures": cross_entropy(found, b["measures"], known),
            "plan": cross_entropy(plan, jnp.minimum(b["plan"], beat_plan.END), b["plan"] <= beat_plan.END),
            "kinds": cross_entropy(kinds, b["kinds"], b["plan"] < beat_plan.END),
        }
        gist = self.gist(b["prompt"], b["measures"])
        asked, both = self.asked(b["prompt"], b["measures"]), beat_basis.coordinates(b["usual"])
        other = (b["kind"] > 0)[:, None]
        drawn, first = jnp.where(other, both[:, 1], both[:, 0]), jnp.where(other, both[:, 0], 0.0)
        size = jnp.sqrt((self.basis_axes[...] ** 2).sum((1, 2)) + 1e-6)
        weight = jnp.sqrt(size / size.mean())
        terms["usual"] = self.flow.loss(drawn, asked, b["kind"], first, weight, kc)
        part = {k: v[::every] for k, v in b.items()}
        codes = self.follow(part["codes"], part["draft"], part["peaks"], part["kinds"], gist[::every], kb)
        return terms | {f"code_{q + 1}": cross_entropy(x, part["codes"][..., q]) for q, x in enumerate(codes)}

    def visible(self, prompt_BxP, plan_BxR):
        """(B, P + M + R): positions that may be attended to. A plan slot's input is the token before it."""
        before = jnp.pad(plan_BxR[:, :-1], ((0, 0), (1, 0)), constant_values=beat_plan.START)
        ones = jnp.ones((len(prompt_BxP), self._measures), bool)
        return jnp.concatenate([prompt_BxP != 0, ones, before != beat_plan.PAD], 1)


def _shifted(x_BxNxD, by: int):
    """What was `by` frames before each frame, zeros beyond the ends."""
    pad = ((0, 0), (max(by, 0), max(-by, 0)), (0, 0))
    start = max(-by, 0)
    return jnp.pad(x_BxNxD, pad)[:, start : start + x_BxNxD.shape[1]]


def _before(latents_BxNxD):
    """(B, N, 2 D): the latents of the two frames before each."""
    return jnp.concatenate([_shifted(latents_BxNxD, 1), _shifted(latents_BxNxD, 2)], -1)
