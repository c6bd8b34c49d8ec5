"""Drawing from a drafting generator: measures, beat plan, usual beats, draft, codes. Every sample has its own key."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models import beat_basis, beat_form, beat_plan, drafted_choice, measures
from ttecg.models.beat_flow import travel
from ttecg.models.drafted import KINDS
from ttecg.models.functional import Functional
from ttecg.models.generator import causal
from ttecg.models.layout import lay_out_batch, window
from ttecg.models.sampling import SamplingPolicy, _Guide, _noise, choose, level_factor
from ttecg.models.tokenizer import TokenizerConfig

_MEASURE, _KIND, _USUAL, _JITTER = 100, 101, 110, 102  # of the randomness
_BEATS = 3  # usual beats that are drawn for each story: they cost little beside it


class WithTokenizer(nnx.Module):
    """A drafting generator and the tokenizer of its codes, which turns usual beats into a draft."""

    def __init__(self, generator, tokenizer, rngs: nnx.Rngs):
        self.generator, self.tokenizer = generator.create(rngs), tokenizer.create(rngs)


def with_tokenizer(config, params: dict, buffers: dict, tokenizer) -> tuple:
    """(Functional, params, buffers) of a generator and its tokenizer (a `bundle.LoadedTokenizer`) in one."""
    functional = Functional(functools.partial(WithTokenizer, config, tokenizer.config))
    both = [(params, tokenizer.params), (buffers, tokenizer.buffers)]
    named = [
        {f"generator/{k}": v for k, v in a.items()} | {f"tokenizer/{k}": v for k, v in b.items()}
        for a, b in both
    ]
    return functional, *named


def with_any_tokenizer(config) -> Functional:
    """A generator's config and a tokenizer of the sizes that it tells, for plans and benchmarks."""
    tokenizer = TokenizerConfig(
        leads=config.leads, rate=round(8 / config.frame_seconds), samples=8 * config.frames + 4,
        levels=config.levels, codes=config.codes, code_dim=config.code_dim,
    )  # fmt: skip
    return Functional(functools.partial(WithTokenizer, config, tokenizer))


def sample_drafted(
    both: WithTokenizer, prompt, unconditional, keys, policy: SamplingPolicy, plan=None, allowed=None
):
    """(plan (B, R), codes (B, N, Q)). allowed (B, M, BINS): the bins that measures may have; None leaves them free. A
    given plan is kept, of beats of one kind."""
    free = jnp.broadcast_to(measures.allowed(), (len(prompt), *measures.allowed().shape))
    allowed = free if allowed is None else allowed
    rate = both.tokenizer.config.rate
    story, beats = draw(both.generator, prompt, unconditional, keys, policy, allowed, rate, plan)
    jitter = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, _JITTER), story.plan.shape[1:]))(
        keys
    )
    peaks = jnp.maximum(beat_plan.times(story.plan) + (jitter - 0.5) * beat_plan.BIN, 0)
    draft = _draft(both, beats, peaks, story.kinds)
    gist = both.generator.gist(prompt, story.bins)
    return story.plan, _frames(both.generator, draft, peaks, story.kinds, gist, keys, policy)


class Story(NamedTuple):
    """bins (B, M), plan tokens and kinds of beats (B, R)."""

    bins: jax.Array
    plan: jax.Array
    kinds: jax.Array


def draw(model, prompt, unconditional, keys, policy: SamplingPolicy, allowed, rate: float, plan=None):
    """(Story, usual beats (B, K, W, L) mV): of `policy.draws` stories, each with a few usual beats, the one that shows
    best what was asked for, and of almost twice as many beats of another kind. allowed: (B, M, BINS)."""
    before, batch = window(rate)[0], len(prompt)

    def many(x, times: int):
        return x if x is None else jnp.repeat(x, times, 0)

    stories, beats_each = policy.draws, min(policy.draws, _BEATS)
    each, of_all = _further(keys, stories), many(allowed, stories)
    written = _Story(model, prompt, unconditional, each, policy)
    bins, given = written.measures(of_all), many(plan, stories)
    story = Story(bins, *(written.plan(bins) if given is None else (given, jnp.zeros_like(given))))
    faults = drafted_choice.story_faults(*story, of_all)

    bins = many(story.bins, beats_each)
    told = many(prompt, stories * beats_each), many(unconditional, stories * beats_each)
    nothing = jnp.zeros((len(bins), beat_basis.COMPONENTS))
    coordinates, formed = _usual(model, *told, _further(each, beats_each), policy, bins, 0, nothing)
    beats = jax.vmap(lambda beat, told: beat_form.apply(beat_form.from_form, beat, told, before, rate))(
        formed, bins
    )
    wrong, off = drafted_choice.beat_faults(formed, beats, bins, many(of_all, beats_each), before, rate)
    coordinates, beats, wrong = _best((coordinates, beats, wrong), wrong + off, len(faults))
    story, first, main = _best((story, coordinates, beats), faults + wrong, batch)

    count = 2 * policy.draws - 1
    bins, told = many(story.bins, count), (many(prompt, count), many(unconditional, count))
    _, others = _usual(model, *told, _further(keys, count), policy, bins, 1, many(first, count))
    faults = drafted_choice.other_faults(others, many(main, count), bins, many(allowed, count), before, rate)
    return story, jnp.stack([main, _best(others, faults, batch)], 1)


def _further(keys, count: int):
    """(B x count,) keys, so many for each."""
    return jax.vmap(jax.random.fold_in)(jnp.repeat(keys, count, 0), jnp.tile(jnp.arange(count), len(keys)))


def _usual(model, prompt, unconditional, keys, policy: SamplingPolicy, bins, kind: int, first):
    """Coordinates (B, C) and values (B, W, L) of usual beats of a kind; first: coordinates of the commonest beat."""
    guide = _Guide(policy)
    asked = model.asked(guide.double(prompt, unconditional), guide.double(bins))
    noise = jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, _USUAL + kind), first.shape[1:]))(keys)
    first = guide.double(first)

    def velocity(x, moment):
        return guide.mix(model.velocity(guide.double(x), moment, asked, kind, first))

    warmth = policy.temperature * (policy.usual_temperature if kind == 0 else 1.0)
    coordinates = travel(velocity, warmth * noise)
    return coordinates, model.usual_beats(coordinates)


def _best(drawn, faults, batch: int):
    """Of the draws of each row the one with the fewest faults."""
    best = faults.reshape(batch, -1).argmin(1) + jnp.arange(batch) * (len(faults) // batch)
    return jax.tree.map(lambda x: x[best], drawn)


def _draft(both: WithTokenizer, beats_BxKxWxL, peaks, kinds):
    """(B, N, Q) codes of the usual beats laid out over the plan."""
    c = both.tokenizer.config
    ecgs = lay_out_batch(beats_BxKxWxL, peaks, kinds, c.samples, c.rate, window(c.rate)[0])
    return jax.lax.map(lambda x: both.tokenizer.codes(x[None])[0], ecgs)


class _Story:
    """The first transformer, its cache filled section by section. There may be several keys for each prompt, which is
    read once."""

    def __init__(self, model, prompt, unconditional, keys, policy):
        self.model, self.policy, self.keys = model, policy, keys
        self.guide = _Guide(policy)
        prompt = self.guide.double(prompt, unconditional)
        known, self.draws = prompt != 0, len(keys) // (len(prompt) // self.guide.rows)
        width, count = prompt.shape[1], len(measures.MEASURES)
        self.first = {"measures": width, "plan": width + count}
        cache = model.trunk.empty_cache(len(prompt), width + count, model.config.dtype)
        x, positions = model.embed_prompt(prompt)
        mask = jnp.pad(causal(known), ((0, 0), (0, 0), (0, count)))
        _, cache = model.trunk(x, model.trunk.turns(positions), mask, cache, 0)
        self.cache = jax.tree.map(self._each, cache)
        self.seen = self._each(jnp.pad(known, ((0, 0), (0, count))))

    def _each(self, x):
        """What a prompt has, for each of its keys; rows and heads may lie on one axis."""
        rows = self.guide.rows * len(self.keys) // self.draws
        return jnp.repeat(x.reshape(rows, -1, *x.shape[1:]), self.draws, 0).reshape(-1, *x.shape[1:])

    def measures(self, allowed_BxMxK):
        """(B, M) bins."""
        batch, count, _ = allowed_BxMxK.shape
        noise = _noise(self.keys, [_MEASURE], range(count), measures.BINS)[:, 0]
        factor = self.policy.temperature * self.policy.measure_temperature
        at_rate = jnp.asarray(measures.at_rate())

        def step(carry, inputs):
            cache, seen, before, pace = carry
            slot, noise, allowed = inputs
            place = self.first["measures"] + slot
            seen = seen.at[:, place].set(True)
            x, positions = self.model.embed_measures(self.guide.double(before)[:, None], slot)
            h, cache = self.model.trunk(x, self.model.trunk.turns(positions), seen[:, None], cache, place)
            logits = self.guide.mix(self.model.measure_logits(h, slot))[:, 0]
            fits = allowed & at_rate[pace, slot]
            allowed = jnp.where(fits.any(1, keepdims=True), fits, allowed)
            token = choose(jnp.where(allowed, logits, -1e30), noise, self.policy, factor)
            pace = jnp.where(slot == measures.NAMES.index("heart_rate"), token, pace)
            return (cache, seen, token, pace), token

        none = jnp.zeros(batch, jnp.int32)
        start = (self.cache, self.seen, none, none)
        inputs = (jnp.arange(count), noise, allowed_BxMxK.swapaxes(0, 1))
        (self.cache, self.seen, *_), bins = jax.lax.scan(step, start, inputs)
        return bins.T

    def plan(self, bins_BxM):
        """Plan tokens and kinds (B, R)."""
        batch, slots = len(bins_BxM), self.model.plan_slots
        cache = self.model.trunk.longer(self.cache, self.first["plan"] + slots)
        noise = _noise(self.keys, [0], range(slots), beat_plan.VOCAB)[:, 0]
        kind_noise = _noise(self.keys, [_KIND], range(slots), KINDS)[:, 0]
        last_bin = self.guide.double(bins_BxM[:, -1])
        factor = self.policy.temperature * self.policy.plan_temperature

        def step(carry):
            cache, seen, before, kind, plan, kinds, slot = carry
            place = self.first["plan"] + slot
            seen = seen.at[:, place].set(self.guide.double(before != beat_plan.PAD))
            x, positions = self.model.embed_plan(
                self.guide.double(before)[:, None], self.guide.double(kind)[:, None], last_bin, slot
            )
            h, cache = self.model.trunk(x, self.model.trunk.turns(positions), seen[:, None], cache, place)
            logits = self.guide.mix(self.model.plan_logits(h))[:, 0]
            last = slot == slots - 1  # the last slot can only be the end
            logits = jnp.where(last & (jnp.arange(logits.shape[-1]) != beat_plan.END), -1e30, logits)
            token = choose(logits, noise[slot], self.policy, factor)
            over = (before == beat_plan.END) | (before == beat_plan.PAD)
            token = jnp.where(over, beat_plan.PAD, token)
            which = self.guide.mix(self.model.kind_logits(h, self.guide.double(token)[:, None]))[:, 0]
            kind = choose(which, kind_noise[slot], self.policy, factor) * (token < beat_plan.END)
            return (
                cache,
                seen,
                token,
                kind,
                plan.at[:, slot].set(token),
                kinds.at[:, slot].set(kind),
                slot + 1,
            )

        def goes_on(carry):
            *_, before, _, _, _, slot = carry
            return (slot < slots) & ((before != beat_plan.END) & (before != beat_plan.PAD)).any()

        seen = jnp.pad(self.seen, ((0, 0), (0, slots)))
        zeros, empty = jnp.zeros(batch, jnp.int32), jnp.full((batch, slots), beat_plan.PAD, jnp.int32)
        start = (cache, seen, zeros + beat_plan.START, zeros, empty, jnp.zeros_like(empty), jnp.int32(0))
        _, _, _, _, plan, kinds, _ = jax.lax.while_loop(goes_on, step, start)
        return plan, kinds


def _frames(model, draft, peaks, kinds, gist, keys, policy):
    """(B, N, Q) codes. Without guidance: what the report says is in the draft."""
    c, batch = model.config, len(draft)
    told = jnp.moveaxis(model.context(draft, peaks, kinds), 1, 0)[:, :, None]
    noise = _noise(keys, range(1, 1 + c.levels), range(c.frames), c.codes)
    cache = model.frame_trunk.empty_cache(batch, c.frames, c.dtype)
    turns = jax.tree.map(lambda x: x[:, None], model.frame_trunk.turns(jnp.arange(c.frames)))
    books, gist = model.frame_keys(), model.frame_gist(gist)

    def step(carry, inputs):
        cache, before = carry
        frame, turn, told, drafted, noise = inputs
        x = model.embed_frames(before[:, None], told, gist)
        written = jnp.broadcast_to(jnp.arange(c.frames) <= frame, (batch, 1, c.frames))
        h, cache = model.frame_trunk(x, turn, written, cache, frame)
        above, codes = jnp.zeros((batch, 1, c.code_dim)), []
        for q in range(c.levels):
            logits = model.frame_logits(h, q, above, drafted, books[q], policy.trust)[:, 0]
            code = choose(
                logits, noise[q], policy, policy.temperature * level_factor(policy.level_temperature, q)
            )
            above = above + model.code_vectors[...][q][code][:, None]
            codes.append(code)
        before = jnp.concatenate([above[:, 0], before[:, : c.code_dim]], -1)
        return (cache, before), jnp.stack(codes, -1)

    drafted = jnp.moveaxis(model.lookup(draft), 1, 0)[:, :, None]
    inputs = (jnp.arange(c.frames), turns, told, drafted, noise)
    _, codes = jax.lax.scan(step, (cache, jnp.zeros((batch, 2 * c.code_dim))), inputs)
    return codes.transpose(1, 0, 2)
