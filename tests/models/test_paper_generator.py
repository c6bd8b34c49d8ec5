"""The paper's transformer: its size, causality by gradients, padding, and training agrees with sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ttecg.data.prompt import TEXT
from ttecg.models.functional import Functional
from ttecg.models.generator import causal
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.models.sampling import SamplingPolicy, sample

CONFIG = PaperGeneratorConfig(
    layers=2, width=32, heads=2, head_dim=16, vocab=110, prompt=10, frames=7, codes=9, compute="float32"
)
FUNCTIONAL = Functional(CONFIG.create)
PROMPT = np.array([[1, 6, 30, 104, 107, 0, 0, 0], [1, 7, 31, 0, 0, 0, 0, 0]], np.int32)
CODES = np.stack([np.random.default_rng(i).permutation(9)[:7] for i in range(2)])[..., None]
EMPTY = np.zeros((2, 0), np.int32)


@pytest.fixture(scope="module")
def params():
    return jax.jit(FUNCTIONAL.init)(jax.random.key(0))[0]


def test_its_size_is_the_paper_s(config_of):
    config = config_of("generator_paper").model
    assert config.vocab == TEXT + 3000
    assert Functional(config.create).count() == 54_875_680


def code_logits(params, prompt, codes):
    """(B, N, K) with teacher forcing, as sampling computes them without a cache."""
    model = FUNCTIONAL.merge(params, {})
    ids = model.with_start(prompt)
    x = jnp.concatenate([model.embed_prompt(prompt)[0], model.embed_codes(0, codes[:, :-1, 0])], 1)
    visible = jnp.concatenate([ids != 0, jnp.ones(codes[:, :-1, 0].shape, bool)], 1)
    return model.code_logits(model.trunk(x, None, causal(visible))[0][:, prompt.shape[1] :])


def test_losses_are_mean_cross_entropies(params):
    losses = jax.jit(lambda p: FUNCTIONAL.merge(p, {}).losses(PROMPT, EMPTY, CODES))(params)
    p = jax.nn.log_softmax(jax.jit(code_logits)(params, PROMPT, CODES))
    wanted = -np.mean([p[b, n, CODES[b, n, 0]] for b in range(2) for n in range(CONFIG.frames)])
    assert set(losses) == {"text", "code_1"} and losses["code_1"] == pytest.approx(wanted, rel=1e-5)


def test_a_frame_sees_only_earlier_frames(params):
    def outputs(table):
        x = code_logits(params | {"code_table": table}, PROMPT[:1], CODES[:1])
        return x[0] @ np.random.default_rng(3).normal(size=CONFIG.codes)

    slope = np.abs(jax.jit(jax.jacrev(outputs))(params["code_table"])).sum(-1)[:, CODES[0, :, 0]]
    seen = np.tril(np.ones_like(slope), -1).astype(bool)
    assert not slope[~seen].any() and (slope[seen] > 0).all()


def test_text_is_predicted_from_earlier_text_only(params):
    def text_loss(table, prompt):
        return FUNCTIONAL.merge(params | {"prompt_table": table}, {}).losses(prompt, EMPTY[:1], CODES[:1])[
            "text"
        ]

    slope = np.abs(jax.jit(jax.grad(text_loss))(params["prompt_table"], PROMPT[:1])).sum(-1)
    assert set(np.flatnonzero(slope)) == {
        1,
        6,
        30,
        104,
    }  # the last piece, 107, is predicted and predicts nothing


def test_prompt_padding_is_never_seen(params):
    loss = jax.jit(lambda p, prompt: FUNCTIONAL.merge(p, {}).losses(prompt, EMPTY, CODES))
    wanted = loss(params, PROMPT)
    soiled = params | {"prompt_table": params["prompt_table"].at[0].set(1e3)}
    narrow, dirty = loss(params, PROMPT[:, :5]), loss(soiled, PROMPT)
    for name in wanted:
        assert wanted[name] == dirty[name] and wanted[name] == pytest.approx(float(narrow[name]), rel=1e-5)


def test_what_one_batch_teaches_is_what_greedy_sampling_writes(params):
    optimizer = optax.adam(3e-3)

    def step(carry, _):
        params, moments = carry
        value, grads = jax.value_and_grad(
            lambda p: FUNCTIONAL.merge(p, {}).losses(PROMPT, EMPTY, CODES)["code_1"]
        )(params)
        updates, moments = optimizer.update(grads, moments)
        return (optax.apply_updates(params, updates), moments), value

    (params, _), values = jax.jit(lambda c: jax.lax.scan(step, c, None, length=80))(
        (params, optimizer.init(params))
    )
    assert values[30] < 0.5 * values[0] and values[-1] < 0.1, values
    keys = jax.random.split(jax.random.key(0), 2)
    draw = jax.jit(
        lambda p: sample(FUNCTIONAL.merge(p, {}), PROMPT, PROMPT, keys, SamplingPolicy(temperature=0))
    )
    np.testing.assert_array_equal(draw(params)[1], CODES)


def test_more_levels_are_refused():
    with pytest.raises(ValueError, match="levels must be 1"):
        PaperGeneratorConfig(levels=2)
