"""Bundles: made complete or not at all, loaded with everything checked."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import ttecg
from ttecg import bundle
from ttecg.bundle import CARD, CONFIG, GENERATOR, TEXT, TOKENIZER
from ttecg.train import text_tokenizer
from ttecg.train.checkpoint import Checkpoints


@pytest.fixture
def copy(debug_bundle, tmp_path):
    return shutil.copytree(debug_bundle, tmp_path / "copy")


def refused(path) -> str:
    """The one line that loading ends with."""
    with pytest.raises(ValueError) as error:
        ttecg.load(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def trained(workdir):
    """Averaged parameters and buffers of a run."""
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_weights()


def test_a_bundle_holds_all_that_it_needs(debug_bundle, debug_runs):
    assert {p.name for p in debug_bundle.iterdir()} == {CONFIG, CARD, TEXT, TOKENIZER, GENERATOR}
    card = (debug_bundle / CARD).read_text()
    assert "simulator:16" in card and "20 steps" in card and "not for diagnosis" in card
    assert not [p for p in debug_bundle.parent.iterdir() if p != debug_bundle]
    config = bundle.read_config(debug_bundle)
    assert config["name"] == "debug" and str(debug_runs.generator) not in (debug_bundle / CONFIG).read_text()


def test_weights_are_the_averaged_ones_of_the_run(debug_bundle, debug_runs):
    _, _, params, buffers, _ = bundle.load_generator(debug_bundle)
    exact, exact_buffers = trained(debug_runs.generator)
    assert set(params) == set(exact) and set(buffers) == set(exact_buffers)
    for name, value in (params | buffers).items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(
            value, (exact | exact_buffers)[name], rtol=1e-3, atol=1e-6
        )  # float16 lies between


def test_files_of_a_bundle_can_be_read_by_all(debug_bundle):
    assert len({path.stat().st_mode & 0o777 for path in debug_bundle.iterdir()}) == 1


def test_a_tokenizer_comes_from_a_bundle_or_a_run(debug_bundle, debug_runs):
    with pytest.raises(ValueError, match="no tokenizer .* 'unet'"):
        bundle.load_tokenizer("unet")
    stored, trained = bundle.load_tokenizer(debug_bundle), bundle.load_tokenizer(debug_runs.tokenizer)
    assert stored.config == trained.config
    np.testing.assert_array_equal(stored.code_vectors, trained.code_vectors)
    x = np.random.default_rng(0).normal(size=(2, 2500, 8)).astype(np.float32)
    codes = stored.encode(x)
    assert codes.shape == (2, 312, 2) and stored.decode(codes).shape == x.shape
    assert (codes == trained.encode(x)).mean() > 0.95
    assert bundle.load_tokenizer(debug_runs.tokenizer).hash == trained.hash != stored.hash


def test_the_hash_is_of_weights_and_config(debug_model, copy):
    config = json.loads((copy / CONFIG).read_text())
    (copy / CONFIG).write_text(json.dumps(config | {"name": "other"}))
    assert ttecg.load(copy).hash != debug_model.hash
    (copy / CONFIG).write_text(json.dumps(config))
    assert ttecg.load(copy).hash == debug_model.hash


@pytest.mark.parametrize("file", [GENERATOR, TOKENIZER])
def test_weights_that_do_not_fit_are_named(copy, file):
    arrays = load_file(copy / file)
    name = sorted(arrays)[0]
    for changed, said in (
        ({k: v for k, v in arrays.items() if k != name}, f"weight {name} is missing"),
        (arrays | {"spare": np.zeros(3, np.float16)}, "weight spare belongs to no part"),
        (arrays | {name: np.zeros((*arrays[name].shape, 2), np.float16)}, f"weight {name} has shape"),
    ):
        save_file(changed, copy / file)
        assert said in refused(copy)


@pytest.mark.parametrize("file", [GENERATOR, TOKENIZER, TEXT])
@pytest.mark.parametrize("how", ["cut", "empty", "absent"])
def test_a_damaged_file_is_named(copy, file, how):
    whole = (copy / file).read_bytes()
    (copy / file).unlink()
    if how != "absent":
        (copy / file).write_bytes(whole[: len(whole) // 2 if how == "cut" else 0])
    assert file in refused(copy)


def _change(config, path, value):
    *parents, last = path.split(".")
    node = config
    for key in parents:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("tokenizer", ..., "it has no 'tokenizer'"),
        ("generator", 5, "it has no 'generator'"),
        ("sampling", ..., "it has no 'sampling'"),
        ("conditions", "age", "it has no 'conditions'"),
        ("generator.kind", "diffusion", "a generator's kind is one of base, paper, drafted, got 'diffusion'"),
        ("generator.kind", ..., "a generator's kind is one of base, paper, drafted, got None"),
        ("generator.width", "wide", "width is 'wide', not int"),
        ("generator.width", 64, "has shape"),
        ("generator.layers", ..., "missing field 'layers'"),
        ("tokenizer.colour", 1, "unknown field 'colour'"),
        ("tokenizer.leads", 3, "8 or 12 leads"),
        ("sampling.top_p", 2, "top-p"),
        ("conditions", ["height"], "condition is one of"),
    ],
)
def test_a_damaged_config_names_what_is_wrong(copy, path, value, said):
    config = json.loads((copy / CONFIG).read_text())
    _change(config, path, value)
    (copy / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ValueError) as error:
        ttecg.load(copy)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_bundle_from_before_shared_heads_is_the_same_model(debug_bundle, copy):
    config = json.loads((copy / CONFIG).read_text())
    del config["generator"]["kv_heads"]
    (copy / CONFIG).write_text(json.dumps(config))
    (model, _, before, *_), (now, _, params, *_) = (bundle.load_generator(p) for p in (copy, debug_bundle))
    assert model == now
    for name, value in params.items():
        np.testing.assert_array_equal(before[name], value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff"])
def test_a_config_that_is_no_json_object_is_named(copy, text):
    (copy / CONFIG).write_bytes(text.encode("latin-1"))
    assert "config.json is damaged" in refused(copy)


def test_text_pieces_of_another_bundle_are_refused(copy):
    more = text_tokenizer.train([f"word{i} other{i * 7} {'abcdefgh'[i % 8] * 3}" for i in range(400)], 2000)
    (copy / TEXT).write_bytes(more)
    assert "not of one bundle" in refused(copy)


def test_an_unknown_name_lists_what_ships(monkeypatch, debug_bundle, tmp_path):
    with pytest.raises(ValueError, match="no model 'nothing_like_it'.*or one that ships: "):
        ttecg.load("nothing_like_it")
    shipped = tmp_path / "pretrained"
    shutil.copytree(debug_bundle, shipped / "alpha")
    shutil.copytree(debug_bundle, shipped / "beta")
    (shipped / "notes").mkdir()
    monkeypatch.setattr(bundle, "_PRETRAINED", shipped)
    with pytest.raises(ValueError, match="one that ships: alpha, beta$"):
        bundle.resolve("gamma")
    assert bundle.resolve("alpha") == shipped / "alpha" and bundle.resolve(debug_bundle) == debug_bundle


def test_export_refuses_what_it_cannot_make_and_leaves_nothing(debug_runs, debug_bundle, tmp_path):
    for workdir, out, options, said in (
        (debug_runs.generator, debug_bundle, {}, "exists; give another --out"),
        (debug_runs.tokenizer, tmp_path / "new", {}, "a GeneratorTraining run is needed"),
        (tmp_path / "none", tmp_path / "new", {}, "no work directory"),
        (debug_runs.generator, tmp_path / "new", {"card": str(tmp_path / "card.md")}, "card.md"),
    ):
        with pytest.raises((ValueError, OSError), match=said):
            bundle.export(workdir, out, **options)
    assert not list(tmp_path.iterdir())


def test_export_with_a_card_a_name_and_full_precision(debug_runs, tmp_path):
    card = tmp_path / "card.md"
    card.write_text("# Mine\n")
    out = bundle.export(
        debug_runs.generator, tmp_path / "deep" / "mine", name="alpha", card=str(card), dtype="float32"
    )
    assert (out / CARD).read_text() == "# Mine\n" and ttecg.load(out).name == "alpha"
    params = bundle.load_generator(out)[2]
    for name, value in trained(debug_runs.generator)[0].items():
        np.testing.assert_array_equal(params[name], value)
