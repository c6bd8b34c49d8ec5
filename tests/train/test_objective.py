"""Every trainer's step: the same on one device and on eight however they are used, in one part and in several; and what
lies where on a mesh, line by line."""

import dataclasses
import os
import pathlib

import jax
import numpy as np
import pytest

from ttecg.models import two_lead, two_lead_adversary
from ttecg.train import sharding
from ttecg.train.config import load_config, open_workdir
from ttecg.train.loop import RunConfig
from ttecg.train.objective import Objective, batch_shapes, objective_of, program, random_batch
from ttecg.train.text_tokenizer import TextTokenizerTraining

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
GOLDEN = pathlib.Path(__file__).with_name("sharding.txt")
# the smallest network of every trainer
TINY = {
    "tokenizer": ("model.width=8", "model.coarse_width=8"),
    "generator": (
        "model.layers=1",
        "model.width=16",
        "model.heads=4",
        "model.kv_heads=2",
        "model.frames=24",
        "prompt_length=8",
        "model.codes=16",
    ),
    "drafted": ("model.width=16", "model.frames=24", "prompt_length=8", "model.codes=16", "model.forget=0"),
    "decoder": (
        "model.width=16",
        "model.doublings=1",
        "model.kernels=(3,)",
        "model.dilations=(1,)",
        "judges.periods=(2,)",
        "judges.scales=1",
        "l1=1",
        "spectral=0.1",
    ),
    "unet": (),
    "two_lead": ("cycle=0", "style_reconstruction=0", "diversity=0", "model.widths=(8,16)", "crop=200"),
    "classifier": ("model.widths=(8,)",),
    "clip": ("model.vocab=40", "model.resnet.widths=(8,)", "crop=128"),
    "wav2vec": ("model.stem_layers=1",),
    "noise_detector": (),
}
# data, model, fully sharded
LAYOUTS = {"fully sharded": (8, 1, True), "data and tensors": (2, 4, False)}
RUN = RunConfig(steps=5, batch=8, mesh_data=1)


def examples(objective: Objective, size: int, seed: int) -> dict:
    """Random numbers, where an ECG stands around 0, and rows that all count and show leads I and II."""
    batch = random_batch(objective, size, seed)
    for name in batch:
        if batch[name].ndim > 2 and batch[name].dtype == np.float32:
            batch[name] = batch[name] - np.float32(0.5)
    return {k: np.ones_like(v) if k in ("measured", "weights", "levels") else v for k, v in batch.items()} | (
        {"mask": np.tile(np.arange(12) < 2, (size, 1))} if "mask" in batch else {}
    )


def first_state(objective: Objective, run: RunConfig = RUN):
    """On the host, so that it can be laid over any mesh."""
    return jax.device_get(program(objective, run, sharding.make_mesh(1, 1)).init(jax.random.key(run.seed)))


def losses(objective: Objective, run: RunConfig, state, steps: int = 5) -> np.ndarray:
    """Of steps on random batches from a state on."""
    mesh = sharding.make_mesh(run.mesh_data, run.mesh_model)
    made, values = program(objective, run, mesh), []
    with jax.set_mesh(mesh):
        state = jax.device_put(state, made.layout)
        for step in range(steps):
            batch = sharding.to_devices(examples(objective, run.batch, step), mesh)
            state, metrics = made.step(state, batch)
            values.append(float(metrics["loss"]))
    return np.array(values)


@pytest.mark.parametrize("name", TINY)
def test_one_device_equals_eight(config_of, name, monkeypatch):
    # depths that no config sets
    monkeypatch.setattr(two_lead._StyleEncoder, "DILATIONS", (1, 2))
    monkeypatch.setattr(two_lead_adversary, "_WIDTHS", (8, 16))
    objective = objective_of(config_of(f"{name}_debug", *TINY[name]))
    start = first_state(objective)
    one = losses(objective, RUN, start)
    assert np.isfinite(one).all() and len(set(one)) == 5
    for what, (data, model, fully) in LAYOUTS.items():
        run = dataclasses.replace(RUN, mesh_data=data, mesh_model=model, fully_sharded=fully)
        np.testing.assert_allclose(losses(objective, run, start), one, rtol=0, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("name", ["unet", "generator"])
def test_parts_of_a_batch_add_up(config_of, name):
    plain = ("model.dropout=0", "optimizer.warmup=0")
    config = config_of(f"{name}_debug", *TINY[name], *(plain if name == "generator" else plain[1:]))
    objective = objective_of(config)
    start = first_state(objective)
    whole = losses(objective, RUN, start, 3)
    parts = losses(objective, dataclasses.replace(RUN, accumulate=4, mesh_data=2), start, 3)
    np.testing.assert_allclose(parts, whole, rtol=0.02)


def test_a_batch_that_cannot_be_split_is_named(config_of):
    objective = objective_of(config_of("unet_debug"))
    mesh = sharding.make_mesh(8, 1)
    with pytest.raises(ValueError, match="run.batch=12 cannot be split over 8 devices"):
        program(objective, dataclasses.replace(RUN, batch=12), mesh)
    with pytest.raises(ValueError, match=r"over 8 devices x 2 parts \(run.accumulate\)"):
        program(objective, dataclasses.replace(RUN, batch=8, accumulate=2), mesh)
    with pytest.raises(ValueError, match="TextTokenizerTraining is not trained by steps"):
        objective_of(TextTokenizerTraining())


def test_shapes_of_a_batch(config_of):
    objective = objective_of(config_of("unet_debug"))
    shapes, batch = batch_shapes(objective, 3), random_batch(objective, 3)
    assert shapes.keys() == batch.keys() == {"signal", "mask", "measured"}
    assert all(batch[k].shape == s.shape and batch[k].dtype == s.dtype for k, s in shapes.items())


def golden_lines() -> list[str]:
    """Every parameter of every config but the debugging ones, on a mesh of 4 x 2, fully sharded."""
    mesh, lines = sharding.make_mesh(4, 2), []
    for file in sorted(CONFIGS.glob("*.py")):
        config = load_config(file)
        if file.stem.endswith("_debug") or not hasattr(config, "optimizer"):
            continue
        objective = objective_of(config)
        for name, shape in objective.functional.shapes.items():
            spec = sharding.fitted(sharding.spec(name, shape, objective.rules), shape, mesh, True)
            axes = [a or "-" for a in (*spec, *[None] * (len(shape) - len(spec)))]
            lines.append(f"{file.stem} {name} {'x'.join(map(str, shape)) or '()'} {' '.join(axes)}".rstrip())
    return lines


def test_what_lies_where():
    """TTECG_WRITE_GOLDEN=1 writes the list anew; look at the difference before you commit it."""
    lines = golden_lines()
    if os.environ.get("TTECG_WRITE_GOLDEN") == "1":
        GOLDEN.write_text("\n".join(lines) + "\n")
    assert lines == GOLDEN.read_text().splitlines()


def test_a_run_that_does_not_fit_the_devices_leaves_nothing(config_of, tmp_path):
    for change in ("run.mesh_data=16", "run.batch=12"):
        with pytest.raises(ValueError, match="needs 16 devices|cannot be split"):
            open_workdir(tmp_path / "run", config_of("unet_debug", change), False)
    assert not (tmp_path / "run").exists()
