"""The drafting generator: what it writes is what teacher forcing finds likeliest, and what is asked for is kept."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ttecg.data.definitions import allowed_bins
from ttecg.data.prompt import Prompt
from ttecg.models import beat_basis, beat_plan, measures
from ttecg.models.drafted import DraftedConfig
from ttecg.models.drafted_choice import story_faults
from ttecg.models.drafted_sampling import KINDS, WithTokenizer, _Story
from ttecg.models.drafted_sampling import draw as draw_usual
from ttecg.models.functional import Functional
from ttecg.models.sampling import SamplingPolicy, compiled, sampled
from ttecg.models.tokenizer import TokenizerConfig

TOKENIZER = TokenizerConfig(samples=508, width=8, coarse_width=8, blocks=1, levels=2, codes=9, code_dim=8)
MODEL = DraftedConfig(
    layers=1, width=32, heads=2, head_dim=16, frame_layers=1, frame_width=32, frame_heads=2, vocab=40, prompt=16,
    frames=63, levels=2, codes=9, code_dim=8, compute="float32",
)  # fmt: skip
BOTH = Functional(functools.partial(WithTokenizer, MODEL, TOKENIZER))
ALONE = Functional(MODEL.create)
PROMPTS = np.array(
    [[1, 6, 30, 33, 35, 0, 0, 0], [1, 7, 31, 0, 0, 0, 0, 0], [1, 5, 31, 38, 0, 0, 0, 0]], np.int32
)
NOTHING = np.tile(np.array([1, 5, 0, 0, 0, 0, 0, 0], np.int32), (3, 1))
FREE = np.tile(measures.allowed(), (3, 1, 1))
GREEDY = SamplingPolicy(temperature=0)


@functools.cache
def arrays():
    """Parameters larger than they start, so that what is written depends on what is before it."""
    rng = np.random.default_rng(4)
    params = jax.jit(BOTH.init)(jax.random.key(0))[0]
    big = {k: 0.3 if k.startswith("generator") and "prompt_out" not in k else 0.02 for k in params}
    params = {k: np.array(v + big[k] * rng.normal(size=v.shape), np.float32) for k, v in params.items()}
    params["generator/plan_head/bias"][np.r_[0:20, 60:300]] -= 8
    buffers = {k: np.ones(s, np.float32) for k, s in BOTH.shapes.items() if k not in params}
    for name in ("generator/code_vectors", "generator/basis_axes", "tokenizer/vq/vectors"):
        buffers[name] = rng.normal(size=BOTH.shapes[name]).astype(np.float32)
    return params, buffers


def keys(count=3):
    return jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(1)))(jnp.arange(count))


def draw(policy=GREEDY, plan=None, allowed=FREE, prompts=PROMPTS):
    run = compiled(BOTH, policy, plan is not None)
    return jax.device_get(run(*arrays(), prompts, NOTHING[: len(prompts)], keys(len(prompts)), plan, allowed))


def likeliest(logits, tokens, told):
    """Whether each token is the likeliest, ties by rounding aside, where told."""
    best = np.take_along_axis(np.asarray(logits), tokens[..., None].astype(int), -1)[..., 0]
    return bool((best >= np.asarray(logits).max(-1) - 1e-3)[told].all())


def test_the_cache_changes_nothing():
    @jax.jit
    def run(params, buffers):
        story = _Story(BOTH.merge(params, buffers).generator, PROMPTS, NOTHING, keys(), GREEDY)
        bins = story.measures(FREE)
        return bins, *story.plan(bins)

    bins, plan, kinds = jax.device_get(run(*arrays()))
    found = jax.jit(generator().story)(PROMPTS, bins, plan, kinds)
    fits = measures.at_rate()[bins[:, measures.NAMES.index("heart_rate")]]
    assert likeliest(np.where(fits, found[0], -1e30), bins, np.ones(bins.shape, bool))
    free = (plan <= beat_plan.END) & (
        np.arange(plan.shape[1]) < plan.shape[1] - 1
    )  # the last slot must be the end
    assert likeliest(found[1], np.minimum(plan, beat_plan.END), free)
    assert likeliest(found[2], kinds, plan < beat_plan.END)


def generator():
    params, buffers = ({k[10:]: v for k, v in a.items() if k.startswith("generator/")} for a in arrays())
    return ALONE.merge(*jax.device_put((params, buffers)))


@functools.partial(jax.jit, static_argnums=(2, 3))
def drawn(params, buffers, rows, policy):
    told = PROMPTS[:rows], NOTHING[:rows], keys(rows), policy, FREE[:rows], 250.0
    return draw_usual(BOTH.merge(params, buffers).generator, *told)


def test_usual_beats_do_not_depend_on_neighbours():
    policy = SamplingPolicy(guidance=2.0, draws=3)
    (story, beats), (alone, beat) = (drawn(*arrays(), rows, policy) for rows in (3, 1))
    assert beats.shape == (3, KINDS, MODEL.usual_samples, MODEL.leads)
    np.testing.assert_array_equal(alone.plan[0], story.plan[0])
    largest = np.abs(beats[0]).max()  # components so large cancel in places, which rounding shows in there
    np.testing.assert_allclose(beat[0] / largest, beats[0] / largest, rtol=0, atol=1e-4)


def test_beats_of_another_kind_are_told_the_first():
    zeros, bins = (
        np.zeros((3, beat_basis.COMPONENTS), np.float32),
        np.ones((3, len(measures.MEASURES)), np.int32),
    )
    asked, first = generator().asked(PROMPTS, bins), np.ones_like(zeros)
    told, untold = (generator().velocity(zeros, 0.5, asked, 1, x) for x in (first, zeros))
    assert not np.allclose(told, untold)


def test_of_several_draws_the_one_that_keeps_to_its_numbers_stays():
    one, many = (drawn(*arrays(), 3, SamplingPolicy(temperature=1.5, draws=n))[0] for n in (1, 8))
    allowed = np.broadcast_to(measures.allowed(), (3, *measures.allowed().shape))
    assert np.mean(story_faults(*many, allowed)) < np.mean(story_faults(*one, allowed))


def test_frames_are_those_of_teacher_forcing():
    from ttecg.models.drafted_sampling import _frames

    rng = np.random.default_rng(0)
    draft = jnp.asarray(rng.integers(9, size=(3, 63, 2)))
    peaks = np.array([[0.3, 1.1, *[np.inf] * 38]] * 3, np.float32)
    kinds = jnp.zeros((3, 40), jnp.int32)
    params, buffers = ({k[10:]: v for k, v in a.items() if k.startswith("generator/")} for a in arrays())

    @jax.jit
    def run(params, buffers):
        model = ALONE.merge(params, buffers)
        gist = model.gist(PROMPTS, jnp.ones((3, len(measures.MEASURES)), jnp.int32))
        codes = _frames(model, draft, peaks, kinds, gist, keys(), GREEDY)
        return codes, model.follow(codes, draft, peaks, kinds, gist)

    codes, found = jax.device_get(run(params, buffers))
    for q, logits in enumerate(found):
        assert likeliest(logits, codes[..., q], np.ones(logits.shape[:2], bool))


def test_what_is_asked_for_is_kept():
    given = np.stack([beat_plan.encode([0.3, 0.9, 1.6])] * 3)
    allowed = np.stack([allowed_bins(Prompt(heart_rate=70)), *[allowed_bins(Prompt(), given[0])] * 2])
    assert (allowed.sum(-1) == 1).sum(-1).tolist() == [1, 2, 2]
    plan, codes = draw(SamplingPolicy(guidance=2.0), given, allowed)
    np.testing.assert_array_equal(plan, given)
    assert codes.shape == (3, 63, 2)


@functools.cache
def measuring():
    def run(params, buffers, allowed):
        model = BOTH.merge(params, buffers).generator
        return _Story(model, PROMPTS, NOTHING, keys(), SamplingPolicy(guidance=2.0)).measures(allowed)

    return jax.jit(run)


def test_measures_are_drawn_inside_what_is_allowed():
    allowed = FREE & (np.random.default_rng(0).random(FREE.shape) < 0.3)
    allowed[..., 1] |= ~allowed.any(-1)
    drawn = np.asarray(measuring()(*arrays(), allowed))
    assert np.take_along_axis(allowed, drawn[..., None], -1).all()


def test_p_waves_are_drawn_where_the_rate_leaves_room_for_them():
    rate, pr = (measures.NAMES.index(name) for name in ("heart_rate", "pr_ms"))

    def drawn(heart_rate, low, high):
        allowed, values = FREE.copy(), [measures.MEASURES[pr].value(i) for i in range(measures.BINS)]
        allowed[:, rate] = np.arange(measures.BINS) == measures.MEASURES[rate].bin(heart_rate)
        allowed[:, pr] = (np.array(values) >= low) & (np.array(values) < high)
        return np.array(values)[np.asarray(measuring()(*arrays(), allowed))[:, pr]]

    assert (drawn(150, 120, 400) <= 144).all() and (drawn(60, 300, 400) >= 300).all()
    assert (drawn(150, 224, 264) >= 224).all()  # what is asked for stays


def test_samples_do_not_depend_on_their_neighbours():
    policy = SamplingPolicy(guidance=1.5)
    plans, codes = draw(policy)
    plan, code = draw(policy, allowed=FREE[:1], prompts=PROMPTS[:1])
    np.testing.assert_array_equal(plan[0], plans[0])
    assert (code[0] == codes[0]).mean() > 0.95  # rounding decides a draw now and then


def test_a_draft_that_is_trusted_is_followed():
    params, buffers = arrays()
    params = params | {"generator/trust/bias": np.full(2, 1e4, np.float32)}

    def run(params, buffers):
        both = BOTH.merge(params, buffers)
        from ttecg.models.drafted_sampling import _frames

        draft = jax.random.randint(jax.random.key(3), (3, 63, 2), 0, 9)
        gist = both.generator.gist(PROMPTS, jnp.ones((3, len(measures.MEASURES)), jnp.int32))
        peaks, kinds = jnp.full((3, 40), jnp.inf).at[:, 0].set(0.5), jnp.zeros((3, 40), jnp.int32)
        codes = _frames(both.generator, draft, peaks, kinds, gist, keys(), SamplingPolicy())
        return both.generator.lookup(draft), both.generator.lookup(codes), buffers["generator/code_vectors"]

    drafted, made, vectors = jax.device_get(jax.jit(run)(params, buffers))
    first = np.argmin(((drafted[..., None, :] - vectors[0]) ** 2).sum(-1), -1)  # greedy, level by level
    rest = drafted - vectors[0][first]
    second = np.argmin(((rest[..., None, :] - vectors[1]) ** 2).sum(-1), -1)
    np.testing.assert_allclose(made, vectors[0][first] + vectors[1][second], atol=1e-5)


def test_plans_and_benchmarks_sample_without_a_trained_tokenizer():
    both = sampled(MODEL)
    shapes = jax.eval_shape(both.init, jax.random.key(0))
    frames = both.shapes["tokenizer/vq/vectors"], both.shapes["generator/code_vectors"]
    assert len(shapes[0]) == len(both.param_names) and frames[0] == frames[1]
    found = jax.eval_shape(compiled(both, GREEDY, False), *shapes, PROMPTS, NOTHING, keys(), None)
    assert found[1].shape == (3, MODEL.frames, MODEL.levels)


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"width": -1}, {"beat_dropout": 1.0}])
def test_sizes_that_cannot_be_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DraftedConfig(**wrong)
