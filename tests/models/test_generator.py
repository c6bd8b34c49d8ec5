"""The base generator: who may see what (by gradients), padding, and that training leads to what sampling reads."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ttecg.models import beat_plan
from ttecg.models.functional import Functional
from ttecg.models.generator import GeneratorConfig, _look_back, cross_entropy
from ttecg.models.sampling import SamplingPolicy, sample

CONFIG = GeneratorConfig(
    layers=2,
    width=32,
    heads=2,
    head_dim=16,
    vocab=40,
    prompt=16,
    frames=14,
    levels=2,
    codes=9,
    code_dim=8,
    frame_seconds=0.1,
    compute="float32",
)
FUNCTIONAL = Functional(CONFIG.create)
RNG = np.random.default_rng(0)
PROMPT = np.zeros((2, 8), np.int32)
PROMPT[0, :5], PROMPT[1, :3] = RNG.permutation(np.arange(1, 40))[:5], [30, 31, 32]
PLAN = np.stack([beat_plan.encode([0.2, 0.55, 0.9, 1.3]), beat_plan.encode([0.35, 0.75])])
INITIAL = jax.jit(FUNCTIONAL.init)(jax.random.key(0))
CODES = RNG.integers(0, CONFIG.codes, (2, CONFIG.frames, CONFIG.levels))


@pytest.fixture(scope="module")
def arrays():
    """Parameters larger than they start, so that every path carries a gradient; code vectors from noise."""
    rng, shapes = np.random.default_rng(1), FUNCTIONAL.shapes
    params = {k: (v + 0.2 * rng.normal(size=v.shape)).astype(np.float32) for k, v in INITIAL[0].items()}
    return params, {"code_vectors": rng.normal(size=shapes["code_vectors"]).astype(np.float32)}


@jax.jit
def logits(arrays, prompt, plan, codes):
    return FUNCTIONAL.merge(*arrays)(prompt, plan, codes)


def projections(model, plan, latents=None):
    """For plan slots (R,), and for the frames of each level (N,), one number made of all logits, of the first row."""
    if latents is not None:
        model.lookup = lambda codes: latents
    plan_logits, codes = model(PROMPT[:1], plan, CODES[:1])
    plan_logits = jnp.where(plan_logits > -1e29, plan_logits, 0.0)
    return [x[0] @ np.random.default_rng(3).normal(size=x.shape[-1]) for x in (plan_logits, *codes)]


def test_a_frame_sees_only_earlier_frames(arrays):
    latents = jax.random.normal(jax.random.key(1), (1, CONFIG.frames, CONFIG.code_dim))
    plan = beat_plan.encode([0.2, 0.25, 0.29, 0.6, 0.64, 0.9])[
        None
    ]  # beats shorter than a frame tempt to look ahead
    slopes = jax.jit(jax.jacrev(lambda x: projections(FUNCTIONAL.merge(*arrays), plan, x)))(latents)
    plan, *levels = (
        np.abs(s[:, 0]).sum(-1) for s in slopes
    )  # (R or N, N): of output i by the latent of frame j
    assert not plan.any()
    for slope in levels:
        seen = np.tril(np.ones_like(slope), -1).astype(bool)
        assert not slope[~seen].any() and (slope[seen] > 0).all()


def test_a_plan_slot_sees_only_earlier_slots_and_frames_see_all_of_the_plan(arrays):
    params, buffers = arrays
    plan = np.arange(10, 10 + beat_plan.SLOTS)[None]  # every slot a token of its own

    def outputs(table):
        return projections(FUNCTIONAL.merge(params | {"plan_table": table}, buffers), plan)

    slots, frames, _ = jax.jit(jax.jacrev(outputs))(params["plan_table"])
    slots = np.abs(slots).sum(-1)[:, plan[0]]
    seen = np.tril(np.ones_like(slots), -1).astype(bool)
    assert not slots[~seen].any() and (slots[seen] > 0).all()
    assert (np.abs(frames).sum(-1)[:, plan[0, :-1]] > 0).all()


def test_levels_see_the_levels_above_in_their_frame_and_no_others(arrays):
    other = CODES.copy()
    other[:, 6] = (other[:, 6] + [3, 4]) % CONFIG.codes
    below = other.copy()
    below[:, 6, 0] = CODES[:, 6, 0]  # only level 2 of frame 6 differs
    (plan, first), (plan_b, first_b), (_, first_c) = (
        logits(arrays, PROMPT, PLAN, c) for c in (CODES, other, below)
    )
    np.testing.assert_array_equal(plan, plan_b)
    np.testing.assert_array_equal(first[0][:, :7], first_b[0][:, :7])
    np.testing.assert_array_equal(first[1][:, :6], first_b[1][:, :6])
    assert np.abs(first[1][:, 6] - first_b[1][:, 6]).max() > 1e-3
    np.testing.assert_array_equal(first[1][:, :7], first_c[1][:, :7])
    assert np.abs(first[0][:, 7] - first_c[0][:, 7]).max() > 1e-3


def test_a_later_beat_reaches_frames_through_their_phase(arrays):
    changed = PLAN.copy()
    changed[0] = beat_plan.encode([0.2, 0.55, 0.9, 1.2])
    (plan, codes), (plan_b, codes_b) = (
        logits(arrays, PROMPT, PLAN, CODES),
        logits(arrays, PROMPT, changed, CODES),
    )
    np.testing.assert_array_equal(plan[0, :4], plan_b[0, :4])
    assert np.abs(plan[0, 4] - plan_b[0, 4]).max() > 1e-3
    assert (np.abs(codes[0][0] - codes_b[0][0]).max(-1) > 0).all()
    np.testing.assert_array_equal(codes[0][1], codes_b[0][1])  # the other row


def test_looking_back_finds_the_same_place_of_earlier_beats():
    """Beats every 5 frames: the last one and the mean of all, counted from R and up to R."""
    plan, frames = beat_plan.encode(np.arange(0.25, 4, 0.5))[None], jnp.arange(38)
    latents = np.random.default_rng(0).normal(size=(1, 38, 8)).astype(np.float32)

    long = Functional(dataclasses.replace(CONFIG, frames=38).create)
    arrays = jax.jit(long.init)(jax.random.key(0))

    @jax.jit
    def look_back(plan):
        return _look_back(latents, long.merge(*arrays).context(plan), frames)

    latest, following, mean, part, known = jax.device_get(look_back(plan))
    for n in (13, 22, 36):
        for way in range(2):
            its = slice(8 * way, 8 * way + 8)
            if way == 1 and n > 35:
                continue  # after the last planned beat there is no next one to count from
            beats = min((n - 2) // 5, beat_plan.ECHOES)
            np.testing.assert_allclose(latest[0, n, its], latents[0, n - 5], atol=0)
            np.testing.assert_allclose(following[0, n, its], latents[0, n - 4], atol=0)
            wanted = np.mean([latents[0, n - 5 * (m + 1)] for m in range(beats)], axis=0)
            np.testing.assert_allclose(mean[0, n, its], wanted, atol=0.01)
            assert known[0, n, way] == 1 and part[0, n, way] < 0.01
    assert not known[0, 0].any() and not np.stack([latest[0, 0], following[0, 0], mean[0, 0]]).any()


def test_prompt_padding_is_never_seen(arrays):
    params, buffers = arrays
    wide = np.pad(PROMPT, ((0, 0), (0, 8)))
    plan, codes = logits(arrays, PROMPT, PLAN, CODES)
    plan_w, codes_w = logits(arrays, wide, PLAN, CODES)
    for a, b in ((plan, plan_w), *zip(codes, codes_w)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    table = jnp.asarray(params["prompt_table"]).at[0].set(1e3)
    beats = jnp.asarray(params["plan_table"]).at[beat_plan.PAD].set(-1e3)
    soiled = logits((params | {"prompt_table": table, "plan_table": beats}, buffers), PROMPT, PLAN, CODES)
    real = PLAN <= beat_plan.END
    np.testing.assert_array_equal(plan[real], soiled[0][real])
    for a, b in zip(codes, soiled[1]):
        np.testing.assert_array_equal(a, b)


def test_every_word_of_the_prompt_is_seen(arrays):
    params, buffers = arrays

    def total(table):
        plan, codes = FUNCTIONAL.merge(params | {"prompt_table": table}, buffers)(
            PROMPT[:1], PLAN[:1], CODES[:1]
        )
        return plan[0, 3, 50] + codes[0][0, 5, 3]

    slope = np.abs(jax.jit(jax.grad(total))(params["prompt_table"])).sum(-1)
    assert set(np.flatnonzero(slope)) == set(PROMPT[0, :5])


def test_start_and_padding_are_no_beats(arrays):
    plan, _ = logits(arrays, PROMPT, PLAN, CODES)
    assert (plan[..., beat_plan.END + 1 :] < -1e29).all() and (plan[..., : beat_plan.END + 1] > -1e3).all()


def test_losses_are_mean_cross_entropies_of_the_logits(arrays):
    plan, codes = logits(arrays, PROMPT, PLAN, CODES)
    losses = jax.jit(lambda a: FUNCTIONAL.merge(*a).losses(PROMPT, PLAN, CODES))(arrays)
    assert set(losses) == {"plan", "code_1", "code_2"}
    for q in range(2):
        p = jax.nn.log_softmax(codes[q])
        wanted = -np.mean([p[b, n, CODES[b, n, q]] for b in range(2) for n in range(CONFIG.frames)])
        assert losses[f"code_{q + 1}"] == pytest.approx(wanted, rel=1e-5)
    p, real = jax.nn.log_softmax(plan), np.argwhere(PLAN <= beat_plan.END)
    assert losses["plan"] == pytest.approx(-np.mean([p[b, r, PLAN[b, r]] for b, r in real]), rel=1e-5)


def test_weights_of_frames_weigh_their_cross_entropies(arrays):
    def code_losses(weights):
        losses = jax.jit(lambda a: FUNCTIONAL.merge(*a).losses(PROMPT, PLAN, CODES, weights_BxN=weights))(
            arrays
        )
        return np.array([losses["code_1"], losses["code_2"], losses["plan"]])

    first = np.zeros((2, CONFIG.frames), np.float32)
    first[:, :4] = 1
    mixed = code_losses(3 * first + (1 - first))
    parts = 3 * 4 * code_losses(first) + 10 * code_losses(1 - first)
    np.testing.assert_allclose(mixed[:2], parts[:2] / 22, rtol=1e-5)
    np.testing.assert_allclose(mixed[2], code_losses(first)[2], rtol=1e-6)


def test_cross_entropy_of_nothing_is_zero():
    assert cross_entropy(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2)), jnp.zeros((1, 2), bool)) == 0
    assert cross_entropy(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2))) == pytest.approx(np.log(3))


def test_what_one_batch_teaches_is_what_greedy_sampling_writes():
    params, buffers = (
        INITIAL[0],
        {"code_vectors": jax.random.normal(jax.random.key(7), FUNCTIONAL.shapes["code_vectors"])},
    )
    optimizer = optax.adam(5e-3)

    def step(carry, _):
        params, moments = carry
        value, grads = jax.value_and_grad(
            lambda p: sum(FUNCTIONAL.merge(p, buffers).losses(PROMPT, PLAN, CODES).values())
        )(params)
        updates, moments = optimizer.update(grads, moments)
        return (optax.apply_updates(params, updates), moments), value

    (params, _), values = jax.jit(lambda c: jax.lax.scan(step, c, None, length=120))(
        (params, optimizer.init(params))
    )
    assert values[30] < 0.5 * values[0] and values[-1] < 0.1, values
    keys = jax.random.split(jax.random.key(0), 2)
    draw = jax.jit(
        lambda p: sample(FUNCTIONAL.merge(p, buffers), PROMPT, PROMPT, keys, SamplingPolicy(temperature=0))
    )
    plan, codes = draw(params)
    np.testing.assert_array_equal(plan, PLAN)
    np.testing.assert_array_equal(codes, CODES)


@pytest.mark.parametrize("kv_heads", [0, 3, 8, -2])
def test_heads_that_cannot_be_shared_alike_are_named(kv_heads):
    with pytest.raises(ValueError, match=f"kv_heads must divide heads=4, got {kv_heads}"):
        GeneratorConfig(heads=4, kv_heads=kv_heads)


def test_unknown_compute_type_is_named():
    with pytest.raises(ValueError, match="float16"):
        GeneratorConfig(compute="float16")


def test_bfloat16_is_close_to_float32(arrays):
    half = Functional(GeneratorConfig(**vars(CONFIG) | {"compute": "bfloat16"}).create)
    plan, codes = jax.jit(lambda a: half.merge(*a)(PROMPT, PLAN, CODES))(arrays)
    assert plan.dtype == codes[0].dtype == jnp.float32
    _, exact = logits(arrays, PROMPT, PLAN, CODES)
    assert np.corrcoef(np.ravel(codes[0]), np.ravel(exact[0]))[0, 1] > 0.99
