"""Sampling: the cache changes nothing, keys belong to samples, filters and guidance do what they say."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.models import beat_plan
from ttecg.models.functional import Functional
from ttecg.models.generator import GeneratorConfig
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.models.sampling import SamplingPolicy, choose, compiled, keep_likely, sample_without_cache

BASE = Functional(
    GeneratorConfig(
        layers=1,
        width=32,
        heads=4,
        kv_heads=2,
        head_dim=8,
        vocab=40,
        prompt=16,
        frames=14,
        levels=2,
        codes=9,
        code_dim=8,
        frame_seconds=0.1,
        compute="float32",
    ).create
)
PAPER = Functional(
    PaperGeneratorConfig(
        layers=1, width=32, heads=2, head_dim=16, vocab=110, prompt=10, frames=7, codes=9, compute="float32"
    ).create
)
PROMPTS = np.array(
    [[1, 6, 30, 33, 35, 0, 0, 0], [1, 7, 31, 0, 0, 0, 0, 0], [1, 5, 31, 38, 0, 0, 0, 0]] * 3, np.int32
)[:8]
NOTHING = np.tile(np.array([1, 5, 0, 0, 0, 0, 0, 0], np.int32), (8, 1))
GREEDY = SamplingPolicy(temperature=0)


@functools.cache
def arrays(functional):
    """Parameters larger than they start, so that samples depend on what is before them; beats of 50 to 400 ms."""
    rng = np.random.default_rng(5)
    params = jax.jit(functional.init)(jax.random.key(0))[0]
    size = {"prompt_out/kernel": 0.02}  # summed over the prompt, it would drown the rest
    params = {
        k: np.array(v + size.get(k, 0.3) * rng.normal(size=v.shape), np.float32) for k, v in params.items()
    }
    if "plan_head/bias" in params:
        params["plan_head/bias"][np.r_[0:5, 40:300]] -= 8
    buffers = {
        k: rng.normal(size=functional.shapes[k]).astype(np.float32)
        for k in functional.shapes
        if k not in params
    }
    return params, buffers


def draw(functional, policy, rows=slice(None), plan=None, seed=0, prompts=PROMPTS):
    """Plans and codes of the prompts in `rows`, sample i with key i."""
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(8))
    run = compiled(functional, policy, plan is not None)
    return jax.device_get(run(*arrays(functional), prompts[rows], NOTHING[rows], keys[rows], plan))


@pytest.fixture(scope="module")
def drawn():
    return draw(BASE, SamplingPolicy())


def test_plans_end_once_and_codes_are_codes(drawn):
    plan, codes = drawn
    assert plan.shape == (8, beat_plan.SLOTS) and codes.shape == (8, 14, 2)
    assert ((codes >= 0) & (codes < 9)).all()
    for row in plan:
        end = np.flatnonzero(row == beat_plan.END)
        assert (
            len(end) == 1
            and (row[: end[0]] < beat_plan.BINS).all()
            and (row[end[0] + 1 :] == beat_plan.PAD).all()
        )
    assert len({tuple(r) for r in plan}) > 4 and len({tuple(c.ravel()) for c in codes}) == 8


def test_a_plan_that_will_not_end_ends_in_the_last_slot():
    params, buffers = arrays(BASE)
    stubborn = params | {
        "plan_head/bias": params["plan_head/bias"] - 1e4 * (np.arange(beat_plan.VOCAB) == beat_plan.END)
    }
    keys = jax.random.split(jax.random.key(0), 2)
    plan, _ = compiled(BASE, SamplingPolicy(), False)(stubborn, buffers, PROMPTS[:2], NOTHING[:2], keys, None)
    assert (plan[:, :-1] < beat_plan.BINS).all() and (plan[:, -1] == beat_plan.END).all()


def test_the_first_of_eight_is_the_first_of_two(drawn):
    for functional, eight in ((BASE, drawn), (PAPER, draw(PAPER, SamplingPolicy()))):
        two = draw(functional, SamplingPolicy(), slice(2))
        for a, b in zip(eight, two):
            np.testing.assert_array_equal(a[:2], b)


def test_the_seed_decides(drawn):
    for a, b, c in zip(drawn, draw(BASE, SamplingPolicy()), draw(BASE, SamplingPolicy(), seed=1)):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


_full = jax.jit(lambda arrays, *sequence: BASE.merge(*arrays)(*sequence))


def teacher_forced(prompt, plan, codes):
    """Logits of the full forward pass."""
    return _full(arrays(BASE), prompt, plan, codes)


def mixed(prompt, nothing, plan, codes, guidance):
    yes, no = teacher_forced(prompt, plan, codes), teacher_forced(nothing, plan, codes)
    return jax.tree.map(lambda y, n: n + guidance * (y - n), yes, no)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_cached_greedy_sampling_takes_the_argmax_of_the_full_forward_pass(guidance):
    plan, codes = draw(BASE, dataclasses.replace(GREEDY, guidance=guidance))
    plan_logits, code_logits = mixed(PROMPTS, NOTHING, plan, codes, guidance)
    for b in range(8):
        for slot in range(np.flatnonzero(plan[b] == beat_plan.END)[0] + (plan[b, -1] != beat_plan.END)):
            _is_best(plan_logits[b, slot], plan[b, slot])
        for q in range(2):
            for n in range(14):
                _is_best(code_logits[q][b, n], codes[b, n, q])


def _is_best(logits, token):
    assert logits[token] >= logits.max() - 1e-4 * (1 + np.abs(logits[token]))


def test_a_given_plan_is_obeyed():
    given = np.stack([beat_plan.encode(np.arange(0.1 + 0.05 * i, 1.4, 0.3 + 0.03 * i)) for i in range(8)])
    plan, codes = draw(BASE, dataclasses.replace(GREEDY, guidance=2.0), plan=given)
    np.testing.assert_array_equal(plan, given)
    code_logits = mixed(PROMPTS, NOTHING, given, codes, 2.0)[1]
    for b, n, q in np.ndindex(8, 14, 2):
        _is_best(code_logits[q][b, n], codes[b, n, q])


def test_giving_back_the_plan_that_was_drawn_gives_the_same_codes(drawn):
    _, codes = draw(BASE, SamplingPolicy(), plan=drawn[0])
    np.testing.assert_array_equal(codes, drawn[1])


def test_guidance_one_is_none_and_zero_ignores_the_prompt(drawn):
    np.testing.assert_array_equal(draw(BASE, SamplingPolicy(guidance=1.0))[1], drawn[1])
    deaf = [draw(BASE, SamplingPolicy(guidance=0.0), prompts=p) for p in (PROMPTS, PROMPTS[::-1])]
    np.testing.assert_array_equal(deaf[0][1], deaf[1][1])
    assert (draw(BASE, SamplingPolicy(), prompts=PROMPTS[::-1])[1] != drawn[1]).any()


def test_top_one_and_a_tiny_top_p_are_greedy():
    for functional, policy in ((BASE, SamplingPolicy(top_k=1)), (PAPER, SamplingPolicy(top_p=1e-6))):
        for a, b in zip(draw(functional, GREEDY), draw(functional, policy)):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("policy", [GREEDY, SamplingPolicy(), SamplingPolicy(guidance=3.0, top_k=4)])
def test_the_cache_changes_nothing_in_the_paper_s_transformer(policy):
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(jnp.arange(4))
    slow = jax.jit(lambda p: sample_without_cache(PAPER.merge(p, {}), PROMPTS[:4], NOTHING[:4], keys, policy))
    plan, codes = draw(PAPER, policy, slice(4))
    assert plan.shape == (4, 0) and codes.shape == (4, 7, 1) and ((codes >= 0) & (codes < 9)).all()
    np.testing.assert_array_equal(codes, slow(arrays(PAPER)[0]))


@pytest.mark.parametrize(
    "top_k, top_p", [(0, 1.0), (3, 1.0), (50, 1.0), (0, 0.5), (0, 0.93), (4, 0.7), (0, 1e-9)]
)
def test_filters_equal_a_numpy_reference(top_k, top_p):
    logits = 2 * np.random.default_rng(0).normal(size=(20, 11)).astype(np.float32)
    kept = np.asarray(keep_likely(jnp.asarray(logits), top_k, top_p))
    for row, got in zip(logits.astype(float), kept):
        order = np.argsort(-row)[: top_k or None]
        p = np.exp(row[order]) / np.exp(row[order]).sum()
        count = (
            1 + np.searchsorted(np.cumsum(p), top_p) if top_p < 1 else len(order)
        )  # the smallest set that holds top_p
        wanted = np.zeros(11, bool)
        wanted[order[:count]] = True
        np.testing.assert_array_equal(got > -1e29, wanted)
        np.testing.assert_array_equal(got[wanted], row[wanted].astype(np.float32))


def test_tokens_come_as_often_as_they_are_likely():
    logits = np.array([1.0, 0.0, 2.0, -1.0, 0.5], np.float32)
    policy, temperature = SamplingPolicy(top_k=4), 1.5
    keys = jax.random.split(jax.random.key(0), 8000)
    noise = jax.vmap(lambda key: jax.random.gumbel(key, (5,)))(keys)
    tokens = jax.jit(lambda noise: choose(jnp.tile(logits, (8000, 1)), noise, policy, temperature))(noise)
    p = np.exp(logits / temperature) * (logits > -1)
    np.testing.assert_allclose(np.bincount(tokens, minlength=5) / 8000, p / p.sum(), atol=0.02)


def test_each_level_has_its_own_temperature():
    cold_below = draw(BASE, SamplingPolicy(plan_temperature=0.0, level_temperature=(4.0, 0.0)))
    plan_greedy = draw(BASE, GREEDY)[0]
    np.testing.assert_array_equal(cold_below[0], plan_greedy)
    code_logits = teacher_forced(PROMPTS, *cold_below)[1]
    assert (np.argmax(code_logits[1], -1) == cold_below[1][..., 1]).mean() > 0.99
    assert (np.argmax(code_logits[0], -1) == cold_below[1][..., 0]).mean() < 0.95


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -0.1}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 2.0}, {"guidance": -1.0}]
    + [{name: float("nan")} for name in ("temperature", "guidance", "trust", "noise")],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", "-")):
        SamplingPolicy(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"plan_temperature": -2.0}, {"usual_temperature": float("nan")}, {"level_temperature": (1.0, -1.0)}],
)
def test_wrong_factors_are_named(wrong):
    with pytest.raises(ValueError, match="factors on the temperature must be 0 or more"):
        SamplingPolicy(**wrong)
