"""The sweep over depth, width and kernel on simulated records: rows, resuming, effects, refusals."""

import json

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.data.simulated import Simulated
from ttecg.data.write_folder import write_folder
from ttecg.evaluate.classifier_scale import evaluate, marginal, sized
from ttecg.models.functional import Functional
from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining

CONFIG = """
from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.loop import RunConfig

config = ClassifierTraining(
    model=ResNetConfig(widths=(8,), stem_stride=8, rate=50.0, band=(0.67, 20.0)),
    labels=("subset",), crop=128, run=RunConfig(steps=2, batch=4),
)
grid = {"depth": (1,), "width": (8,), "kernel": (3, 5)}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared set of 30 records in ten folds."""
    root = tmp_path_factory.mktemp("scale")
    ecgs = (Simulated(30, rate=100.0)[i] for i in range(30))
    ecgs = (
        e.replace(id=f"r{i}", info={"patient_id": f"p{i}", "fold": 1 + i % 10}) for i, e in enumerate(ecgs)
    )
    write_folder(ecgs, root / "records")
    words = ["data", "prepare", "folder", "--source", str(root / "records"), "--out", str(root / "set")]
    assert main(words) == 0
    return root / "set"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "scale.py").write_text(CONFIG)
    return tmp_path / "scale.py"


def test_a_row_for_every_size_and_on_from_where_it_was(data, config, tmp_path, capsys):
    words = ["--config", str(config), "--data", str(data), "--seeds", "0", "1", "--out", str(tmp_path / "o")]
    assert main(["evaluate", "classifier-scale", *words]) == 0
    said = capsys.readouterr().out
    assert "depth 1" in said and "kernel 5" in said and "classifier-scale.json" in said
    stored = json.loads((tmp_path / "o" / "classifier-scale.json").read_text())
    rows = stored["rows"]
    assert {(r["depth"], r["width"], r["kernel"]) for r in rows} == {(1, 8, 3), (1, 8, 5)}
    assert [r["AUROC"] for r in rows] == sorted((r["AUROC"] for r in rows), reverse=True)
    size = {r["kernel"]: r["parameters"] for r in rows}
    assert size[5] - size[3] == 2 * 2 * 8 * 8, "two convolutions of eight channels, two taps more"
    assert all(r["95 %"][0] <= r["95 %"][1] and r["seconds"] >= 0 for r in rows)
    assert [e["size"] for e in stored["marginal"]] == [
        "depth 1",
        "width 8",
        "kernel 3",
        "kernel 5",
    ]
    file = tmp_path / "o" / "results.jsonl"
    lines = file.read_text()
    assert len(lines.splitlines()) == 4
    file.write_text(lines[: lines[:-1].rfind("\n") + 30])
    again = evaluate(config, data, tmp_path / "o", (0, 1))
    assert file.read_text().splitlines()[:3] == lines.splitlines()[:3] and len(again) == 2
    assert len(file.read_text().splitlines()) == 4


def test_networks_are_as_large_as_they_are_called():
    base = ClassifierTraining(model=ResNetConfig(widths=(32, 64, 128), depth=3))
    recipe = sized(base, depth=2, width=16, kernel=5)
    assert (
        recipe.model.widths == (16, 32, 64)
        and recipe.model.kernel == 5
        and recipe.optimizer == base.optimizer
    )
    shapes = Functional(recipe.network.create).shapes
    inputs = {name: shape[0] for name, shape in shapes.items() if name.endswith("second/kernel")}
    assert sorted(inputs.values()) == [5 * 16] * 2 + [5 * 32] * 2 + [5 * 64] * 2


def test_effects_are_means_over_the_other_sizes():
    sizes = [{"depth": d, "width": 8, "kernel": k} for d in (1, 2) for k in (3, 5)]
    areas = np.array([[0.9, 0.9, 0.8], [0.7, 0.7, 0.6], [0.8, 0.8, 0.7], [0.6, 0.6, 0.5]])
    effects = {e["size"]: e for e in marginal(sizes, areas)}
    assert np.isclose(effects["depth 1"]["AUROC"], 0.8) and np.isclose(effects["depth 2"]["change"], -0.1)
    assert np.allclose(effects["kernel 5"]["95 %"], -0.2), "draws are paired"
    assert effects["width 8"]["change"] == 0


def test_wrong_configs_get_one_line(data, config, tmp_path, capsys):
    cases = {
        "must set `config`": CONFIG.replace("grid =", "other ="),
        "depth, width, kernel": CONFIG.replace('"width": (8,), ', ""),
        "different values": CONFIG.replace("(3, 5)", "(3, 3)"),
        "at least one": CONFIG.replace("(3, 5)", "3"),
        "widths must be multiples of 8": CONFIG.replace('"width": (8,)', '"width": (9,)'),
    }
    words = ["evaluate", "classifier-scale", "--config", str(config), "--data", str(data)]
    for number, (said, text) in enumerate(cases.items()):
        config.write_text(text)
        assert main([*words, "--out", str(tmp_path / f"o{number}")]) == 2, said
        assert said in capsys.readouterr().err.strip().splitlines()[-1]
        assert not (tmp_path / f"o{number}").exists()
    config.write_text(CONFIG)
    assert main([*words, "--seeds", "1", "1", "--out", str(tmp_path / "o")]) == 2
    assert "--seeds 1 1" in capsys.readouterr().err
    assert main([*words, "--steps", "0", "--out", str(tmp_path / "o")]) == 2
