"""Drawing a beat plan and codes from a generator: prefill, key-value cache, one compiled loop.

Every sample has its own random key, so what it becomes does not depend on its neighbours in the batch.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp

from ttecg.models import beat_plan
from ttecg.models.drafted import DraftedConfig
from ttecg.models.functional import Functional
from ttecg.models.generator import causal
from ttecg.models.paper_generator import PaperGenerator

_CACHED = 2**20  # random numbers


@dataclasses.dataclass(frozen=True)
class SamplingPolicy:
    """How tokens are chosen from logits."""

    # 0 is greedy; higher is more varied
    temperature: float = 1.0
    # of the most likely codes only these many may be drawn; 0 for all
    top_k: int = 0
    # of the most likely codes only those that together hold this probability; 1 for all
    top_p: float = 1.0
    # classifier-free guidance: 1 follows the model, more exaggerates what the prompt says
    guidance: float = 1.0
    # factors on the temperature for each level of codes (the last one holds for further levels), and for the beat plan
    level_temperature: tuple[float, ...] = (1.0,)
    plan_temperature: float = 1.0
    # of a drafting generator: factors for its measures and its usual beats
    measure_temperature: float = 1.0
    usual_temperature: float = 1.0
    # of a drafting generator: how many stories (numbers and beat plan) are drawn, each with a few usual beats, of
    # which what shows best what was asked for stays; 1 takes the first story and its first beat
    draws: int = 12
    # of a drafting generator: how closely codes keep to their draft; 1 follows the model, more varies beats less
    trust: float = 1.0
    # how much of what a recorder adds to the heart's signal, where the bundle knows it; 0 for none
    noise: float = 1.0

    def __post_init__(self):
        factors = (
            self.plan_temperature,
            *self.level_temperature,
            self.measure_temperature,
            self.usual_temperature,
        )
        for name, values in (("temperature", (self.temperature,)), ("factors on the temperature", factors)):
            if not all(0 <= value < math.inf for value in values):
                raise ValueError(f"{name} must be 0 or more, got {', '.join(f'{v:g}' for v in values)}")
        for name in ("guidance", "trust"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be 0 or more (1 follows the model), got {getattr(self, name):g}"
                )
        if self.draws < 1:
            raise ValueError(f"draws must be at least 1, got {self.draws}")
        if self.top_k < 0:
            raise ValueError(f"top-k must not be negative (0 draws from all codes), got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top-p must be above 0 and at most 1, got {self.top_p:g}")
        if not 0 <= self.noise <= 10:
            raise ValueError(f"noise must be between 0 and 10 (1 is as recorded), got {self.noise:g}")


def choose(logits_BxV, noise_BxV, policy: SamplingPolicy, temperature: float):
    """One token per row, (B,) int32: the likeliest after Gumbel noise, which draws from the distribution. Filters
    keep at least the likeliest token; temperature 0 takes it."""
    logits = logits_BxV.astype(jnp.float32)
    if temperature > 0:
        logits = keep_likely(logits / temperature, policy.top_k, policy.top_p) + noise_BxV
    return jnp.argmax(logits, -1).astype(jnp.int32)


def level_factor(factors: tuple[float, ...], level: int) -> float:
    """The factor of a level; the last one holds for further levels."""
    return factors[min(level, len(factors) - 1)]


def keep_likely(logits_BxV, top_k: int, top_p: float):
    """Logits outside the top k, or outside the smallest set of probability top_p, at -1e30."""
    if top_k:
        least = jax.lax.top_k(logits_BxV, min(top_k, logits_BxV.shape[-1]))[0][..., -1:]
        logits_BxV = jnp.where(logits_BxV < least, -1e30, logits_BxV)
    if top_p < 1:
        ordered = -jnp.sort(-logits_BxV, axis=-1)
        share = jax.nn.softmax(ordered, -1)
        inside = (
            jnp.cumsum(share, -1) - share < top_p
        )  # the probability before a token, so the first is always in
        least = jnp.min(jnp.where(inside, ordered, jnp.inf), -1, keepdims=True)
        logits_BxV = jnp.where(logits_BxV < least, -1e30, logits_BxV)
    return logits_BxV


def sampled(config) -> Functional:
    """What `sample` takes, of a generator's config."""
    if isinstance(config, DraftedConfig):
        from ttecg.models.drafted_sampling import with_any_tokenizer

        return with_any_tokenizer(config)
    return Functional(config.create)


def sample(model, prompt_BxP, unconditional_BxP, keys_B, policy: SamplingPolicy, plan_BxR=None, allowed=None):
    """Beat plans (B, R) and codes (B, N, Q) drawn under prompts. A given plan is obeyed, not drawn.

    unconditional_BxP: the prompt that says nothing, for guidance; not used where policy.guidance is 1.
    """
    if hasattr(model, "generator"):
        from ttecg.models.drafted_sampling import sample_drafted

        return sample_drafted(model, prompt_BxP, unconditional_BxP, keys_B, policy, plan_BxR, allowed)
    if isinstance(model, PaperGenerator):
        return _sample_paper(model, prompt_BxP, unconditional_BxP, keys_B, policy)
    return _sample_base(model, prompt_BxP, unconditional_BxP, keys_B, policy, plan_BxR)


class _Guide:
    """Runs conditional and unconditional rows as one batch and mixes their logits."""

    def __init__(self, policy: SamplingPolicy):
        self.scale = policy.guidance
        self.rows = 1 if self.scale == 1 else 2  # for one

    def double(self, x, other=None):
        return x if self.scale == 1 else jnp.concatenate([x, x if other is None else other])

    def mix(self, logits):
        if self.scale == 1:
            return logits
        yes, no = jnp.split(logits, 2)
        return no + self.scale * (yes - no)


def _noise(keys_B, kinds, steps, vocab: int):
    """Gumbel noise (steps, kinds, B, vocab) of every draw, each row from its own key; made ahead, since many small
    operations in the loop cost more than the arithmetic, but only so much at a time as stays in a CPU's cache."""
    fold = jax.vmap(jax.random.fold_in, (0, None))

    def draw(step, kind):
        return jax.vmap(lambda key: jax.random.gumbel(key, (vocab,)))(fold(fold(keys_B, kind), step))

    at_a_time = max(1, _CACHED // (len(kinds) * len(keys_B) * vocab))
    return jax.lax.map(
        lambda step: jax.vmap(lambda kind: draw(step, kind))(jnp.asarray(kinds)),
        jnp.asarray(steps),
        batch_size=min(len(steps), at_a_time),
    )


def _sample_base(model, prompt, unconditional, keys, policy, plan):
    c, guide = model.config, _Guide(policy)
    prompt2 = guide.double(prompt, unconditional)
    batch, (rows, width), slots = len(prompt), prompt2.shape, model.plan_slots
    total = width + slots
    cache = model.trunk.empty_cache(rows, total, c.dtype)
    seen = jnp.zeros((rows, total), bool).at[:, :width].set(prompt2 != 0)
    x, positions = model.embed_prompt(prompt2)
    _, cache = model.trunk(x, model.trunk.turns(positions), _prefill_mask(prompt2 != 0, total), cache, 0)

    plan_noise = _noise(keys, [0], range(slots), beat_plan.VOCAB)[:, 0]

    def plan_step(carry):
        cache, seen, plan, before, ended, slot = carry
        seen = seen.at[:, width + slot].set(guide.double(before != beat_plan.PAD))
        x, positions = model.embed_plan(guide.double(before)[:, None], slot)
        h, cache = model.trunk(x, model.trunk.turns(positions), seen[:, None], cache, width + slot)
        logits = guide.mix(model.plan_logits(h)[:, 0])
        last = slot == slots - 1  # the last slot can only be the end
        logits = jnp.where(last & (jnp.arange(logits.shape[-1]) != beat_plan.END), -1e30, logits)
        token = choose(logits, plan_noise[slot], policy, policy.temperature * policy.plan_temperature)
        token = jnp.where(ended, beat_plan.PAD, token)
        plan = jax.lax.dynamic_update_slice_in_dim(plan, token[:, None], slot, axis=1)
        return cache, seen, plan, token, ended | (token == beat_plan.END), slot + 1

    if plan is None:
        empty = jnp.full((batch, slots), beat_plan.PAD)
        start = (cache, seen, empty, jnp.full(batch, beat_plan.START), jnp.zeros(batch, bool), jnp.int32(0))
        # to the step after the last END, whose own slot is attended to as well
        cache, seen, plan, *_ = jax.lax.while_loop(
            lambda carry: (carry[5] < slots) & (carry[3] != beat_plan.PAD).any(), plan_step, start
        )
    else:
        shifted = jnp.pad(plan[:, :-1], ((0, 0), (1, 0)), constant_values=beat_plan.START)
        known = guide.double(shifted != beat_plan.PAD)
        mask = jnp.concatenate(
            [jnp.broadcast_to((prompt2 != 0)[:, None], (rows, slots, width)), causal(known)], -1
        )
        seen = seen.at[:, width : width + slots].set(known)
        x, positions = model.embed_plan(guide.double(shifted))
        _, cache = model.trunk(x, model.trunk.turns(positions), mask, cache, width)

    gist = model.gist(prompt2)
    context = model.context(guide.double(plan))
    context = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0)[:, :, None], context)  # (N, B, 1, ...)

    def frame_step(carry, inputs):
        cache, latents = carry
        (frame, told, turns), noise = inputs
        written = jnp.arange(cache[0].length - total) <= frame
        visible = jnp.concatenate([seen, jnp.broadcast_to(written, (rows, len(written)))], 1)
        x = model.embed_frames(frame[None], guide.double(latents), told, gist)
        h, cache = model.trunk(x, turns, visible[:, None], cache, total + frame)
        above, codes = jnp.zeros((batch, 1, c.code_dim)), []
        for q in range(c.levels):
            logits = guide.mix(model.code_logits(h, q, guide.double(above)))[:, 0]
            factor = policy.level_temperature[min(q, len(policy.level_temperature) - 1)]
            code = choose(logits, noise[q], policy, policy.temperature * factor)
            above = above + model.code_vectors[...][q][code][:, None]
            codes.append(code)
        latents = jax.lax.dynamic_update_slice_in_dim(latents, above, frame, axis=1)
        return (cache, latents), jnp.stack(codes, -1)

    latents, made = jnp.zeros((batch, c.frames, c.code_dim)), []
    turns = model.trunk.turns(model.frame_positions(jnp.arange(c.frames)))
    turns = jax.tree.map(lambda x: x[:, None], turns)  # (N, 1, ...)
    frames = (jnp.arange(c.frames), context, turns)
    for first, end in _stretches(0, c.frames):
        cache = model.trunk.longer(cache, total + end)
        part = jax.tree.map(lambda x, a=first, b=end: x[a:b], frames)
        noise = _noise(keys, range(1, 1 + c.levels), range(first, end), c.codes)
        (cache, latents), codes = jax.lax.scan(frame_step, (cache, latents), (part, noise))
        made.append(codes)
    return plan, jnp.concatenate(made).transpose(1, 0, 2)


def _sample_paper(model, prompt, unconditional, keys, policy):
    c, guide = model.config, _Guide(policy)
    prompt2 = guide.double(prompt, unconditional)
    known = model.with_start(prompt2) != 0
    rows, width = known.shape
    cache = model.trunk.empty_cache(rows, width, c.dtype)
    x, _ = model.embed_prompt(prompt2)
    h, cache = model.trunk(x, None, causal(known), cache, 0)

    noise = _noise(keys, [1], range(c.frames), c.codes)[:, 0]

    def pick(h, frame_noise):
        return choose(guide.mix(model.code_logits(h[:, -1:]))[:, 0], frame_noise, policy, policy.temperature)

    def step(carry, inputs):
        cache, code = carry
        frame, frame_noise = inputs
        slot = width + frame - 1
        written = jnp.arange(width, cache[0].length) <= slot
        seen = jnp.concatenate([known, jnp.broadcast_to(written, (rows, len(written)))], 1)
        x = model.embed_codes(frame - 1, guide.double(code)[:, None])
        h, cache = model.trunk(x, None, seen[:, None], cache, slot)
        code = pick(h, frame_noise)
        return (cache, code), code

    code = pick(h, noise[0])
    codes = [code[None]]
    for first, end in _stretches(1, c.frames):
        cache = model.trunk.longer(cache, width + end - 1)
        (cache, code), more = jax.lax.scan(step, (cache, code), (jnp.arange(first, end), noise[first:end]))
        codes.append(more)
    return jnp.zeros((len(prompt), 0), jnp.int32), jnp.concatenate(codes).T[..., None]


def _stretches(start: int, frames: int, count: int = 4) -> list[tuple[int, int]]:
    """Frames from `start` on in up to `count` stretches, each with a cache no longer than it needs: of many ECGs at a
    time the cache is larger than the weights, and reading its unwritten end is what costs."""
    edges = sorted({start + (frames - start) * i // count for i in range(count + 1)})
    return list(zip(edges, edges[1:]))


def _prefill_mask(known_BxP, total: int):
    return jnp.pad(causal(known_BxP), ((0, 0), (0, 0), (0, total - known_BxP.shape[1])))


@functools.lru_cache(maxsize=32)
def compiled(functional, policy: SamplingPolicy, with_plan: bool):
    """`sample` jitted for a model and policy: f(params, buffers, prompt, unconditional, keys, plan or None)."""

    def run(params, buffers, prompt, unconditional, keys, plan, allowed=None):
        return sample(
            functional.merge(params, buffers),
            prompt,
            unconditional,
            keys,
            policy,
            plan if with_plan else None,
            allowed,
        )

    return jax.jit(run)


def sample_without_cache(
    model, prompt_BxP, unconditional_BxP, keys_B, policy: SamplingPolicy, steps: int = 0
):
    """The paper's transformer as the reference runs it: the whole sequence again for every code; for comparison only.

    steps: how many codes to draw (0: all); each costs the same.
    """
    c, guide = model.config, _Guide(policy)
    ids = model.with_start(guide.double(prompt_BxP, unconditional_BxP))
    start, _ = model.embed_prompt(guide.double(prompt_BxP, unconditional_BxP))
    visible = jnp.concatenate([ids != 0, jnp.ones((len(ids), c.frames - 1), bool)], 1)
    noise = _noise(keys_B, [1], range(c.frames), c.codes)[:, 0]

    def step(codes, frame):
        x = jnp.concatenate([start, model.embed_codes(0, guide.double(codes)[:, :-1])], 1)
        h, _ = model.trunk(x, None, causal(visible))
        h = jax.lax.dynamic_slice_in_dim(h, ids.shape[1] - 1 + frame, 1, axis=1)
        code = choose(guide.mix(model.code_logits(h))[:, 0], noise[frame], policy, policy.temperature)
        return codes.at[:, frame].set(code), code

    _, codes = jax.lax.scan(
        step, jnp.zeros((len(prompt_BxP), c.frames), jnp.int32), jnp.arange(steps or c.frames)
    )
    return codes.T[..., None]
