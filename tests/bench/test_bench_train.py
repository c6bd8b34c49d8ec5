"""The training benchmark: counted work is the work there is, rows for what is varied, wrong words are named."""

import json

import jax
import numpy as np
import pytest

from ttecg import cli
from ttecg.bench import product, train
from ttecg.bench.product import product_rate
from ttecg.models.layers import attend, attention_by
from ttecg.train.config import override
from ttecg.train.objective import objective_of, program
from ttecg.train.sharding import make_mesh

TINY = ["model.layers=1", "model.width=16", "model.frames=24", "prompt_length=8", "model.codes=16"]
ONE = ["run.mesh_data=1"]


@pytest.fixture(autouse=True)
def small_product(monkeypatch):
    monkeypatch.setattr(product, "_SIDE", {"cpu": 512})


def test_rows_of_what_is_varied(capsys, tmp_path):
    sets = [word for text in TINY + ONE for word in ("--set", text)]
    argv = ["bench", "train", "--config", "configs/generator_debug.py", *sets, "--seconds", "0.01"]
    argv += ["--vary", "run.batch=4", "--json", str(tmp_path / "out" / "t.json")]
    assert cli.main(argv) == 0
    rows = json.loads((tmp_path / "out" / "t.json").read_text())["rows"]
    assert [r["config"] for r in rows] == ["as it is", "run.batch=4"]
    assert [r["batch"] for r in rows] == [8, 4] and "share_of_peak" in capsys.readouterr().out
    for row in rows:
        assert row["examples_per_s"] == pytest.approx(row["batch"] / row["step_s"])
        assert 0 < row["share_of_peak"] and row["memory_MB"] > 10
    work = [r["GFLOP_per_step"] for r in rows]
    assert 1.9 * work[1] < work[0] < 2.1 * work[1]


def test_what_remat_computes_again_is_no_more_work(config_of):
    config = config_of("generator_debug", *TINY)
    plain, again = (train.model_flops(override(config, [f"model.remat={b}"])) for b in (False, True))
    assert plain == again and plain["float32"] > 0


def test_tokens(config_of):
    generator = objective_of(config_of("generator_debug", *TINY))
    assert train.tokens(generator) == 8 + generator.inputs["plan"].shape[0] + 24
    for name in ("unet_debug", "decoder_debug"):
        signals = objective_of(config_of(name))
        assert train.tokens(signals) == signals.inputs["signal"].shape[0]


def test_the_peak_is_that_of_a_product():
    assert 1e8 < product_rate("float32") < 1e15


@pytest.mark.parametrize(
    "words, said",
    [
        (["--vary", "run.batch"], "--vary takes field.path=value,value"),
        (["--vary", "run.batch=8,,16"], "--vary takes field.path=value,value"),
        (["--vary", "run.bach=8"], "did you mean 'batch'"),
        (["--vary", "run.batch=0"], "run.batch must be at least 1"),
        (["--set", "run.attention=flash"], "run.attention is 'xla' or 'cudnn', got 'flash'"),
        (["--set", "run.attention=cudnn"], "needs an NVIDIA GPU"),
        (["--seconds", "0"], "--seconds 0: give more than 0"),
        (["--json", "configs"], "--json configs: is a folder"),
        (["--config", "configs/text_tokenizer.py"], "is not trained by steps"),
    ],
)
def test_wrong_words(words, said, capsys):
    assert cli.main(["bench", "train", "--config", "configs/unet_debug.py", *words]) == 2
    assert said in capsys.readouterr().err


SHAPES = (2, 4, 3, 6, 8), (2, 4, 8, 6), (2, 4, 6, 8)  # queries in threes, keys, values


def test_fused_attention_is_asked_for_the_same_thing(monkeypatch):
    q, k, v = (jax.random.normal(jax.random.key(i), s) for i, s in enumerate(SHAPES))
    mask = np.tril(np.ones((6, 6), bool))
    fused = jax.nn.dot_product_attention

    def by_xla(*args, implementation, **more):
        assert implementation == "cudnn"
        return fused(*args, implementation="xla", **more)

    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    with attention_by("cudnn"):
        told = attend(q, k, v, mask)
    np.testing.assert_allclose(told, attend(q, k, v, mask), atol=1e-6)


@pytest.mark.gpu
def test_cudnn_equals_xla_on_a_gpu(config_of):
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU here")
    config = config_of(
        "generator_debug", *TINY, "model.head_dim=32", "model.compute=bfloat16", "model.dropout=0"
    )
    objective, losses = objective_of(config), []
    for how in ("xla", "cudnn"):
        run = override(config, [f"run.attention={how}", "run.mesh_data=1"]).run
        made = program(objective, run, make_mesh(1, 1))
        batch = train.random_batch(objective, run.batch)
        losses.append(float(made.step(made.init(jax.random.key(0)), batch)[1]["loss"]))
    np.testing.assert_allclose(*losses, rtol=0.02)
