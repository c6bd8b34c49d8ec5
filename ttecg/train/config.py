"""Configs and work directories: a config is a Python file that sets `config` to one frozen dataclass."""

import ast
import dataclasses
import difflib
import json
import os
import pathlib
import runpy
import types
import typing

from ttecg.train import distributed, sharding


def load_config(path):
    """The `config` of a Python file. ValueError where the file is missing, breaks, or sets no config."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(
            f"config {path} is not there; the package's own are in configs/, e.g. configs/tokenizer_base.py"
        )
    if path.suffix != ".py":
        raise ValueError(f"config {path} is not a Python file (.py) that sets `config`")
    try:
        config = runpy.run_path(str(path)).get("config")
    except Exception as error:
        raise ValueError(f"config {path} cannot be run: {type(error).__name__}: {error}") from error
    if not dataclasses.is_dataclass(config):
        raise ValueError(f"config {path} must set `config` to a config object, e.g. TokenizerTraining(...)")
    return config


def override(config, assignments: list[str]):
    """`["run.steps=20", "model.width=64"]` applied to a nested frozen dataclass, checked against the field's type."""
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set takes field.path=value, got {assignment!r}")
        config = _replace(config, name.strip().split("."), text.strip(), name.strip())
    return config


def _replace(config, path: list[str], text: str, full: str):
    names = [f.name for f in dataclasses.fields(config)]
    if path[0] not in names:
        close = difflib.get_close_matches(path[0], names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
        raise ValueError(f"--set {full}: no field {path[0]!r}; {hint}")
    value = getattr(config, path[0])
    if len(path) > 1:
        if not dataclasses.is_dataclass(value):
            raise ValueError(f"--set {full}: {path[0]!r} is a plain value, it has no fields")
        return dataclasses.replace(config, **{path[0]: _replace(value, path[1:], text, full)})
    kind = typing.get_type_hints(type(config))[path[0]]
    return dataclasses.replace(config, **{path[0]: _parse(text, kind, full)})


def _parse(text: str, kind, full: str):
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(value, list):
        value = tuple(value)
    if float in _types(kind) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not _fits(value, kind):
        if str in _types(kind):
            return text
        raise ValueError(f"--set {full}: {text!r} is not {_name(kind)}")
    return value


def _types(kind) -> tuple[type, ...]:
    allowed = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return tuple(typing.get_origin(k) or k for k in allowed)


def _fits(value, kind) -> bool:
    return isinstance(value, _types(kind)) and (bool in _types(kind) or not isinstance(value, bool))


def _name(kind) -> str:
    return " or ".join(k.__name__ for k in _types(kind))


def at_least(config, prefix: str = "", **least: float):
    """ValueError for a field of a config that is less than it may be, or no number."""
    for name, value in least.items():
        if not getattr(config, name) >= value:
            raise ValueError(f"{prefix}{name} must be at least {value:g}, got {getattr(config, name)}")


def to_dict(config) -> dict:
    """Plain JSON data of a config."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(cls, data: dict, where: str = "config"):
    """A dataclass from JSON data; unknown or missing fields are errors that name themselves."""
    if not isinstance(data, dict):
        raise ValueError(f"{where}: {data!r} is not the fields of a {cls.__name__}")
    names, hints, values = {f.name for f in dataclasses.fields(cls)}, typing.get_type_hints(cls), {}
    for problem, group in (("unknown", set(data) - names), ("missing", names - set(data))):
        if group:
            raise ValueError(f"{where}: {problem} field {min(group)!r} of {cls.__name__}")
    for name, value in data.items():
        kind = hints[name]
        if dataclasses.is_dataclass(kind):
            value = from_dict(kind, value, f"{where}.{name}")
        value = tuple(value) if isinstance(value, list) else value
        value = float(value) if float in _types(kind) and type(value) is int else value
        if not _fits(value, kind):
            raise ValueError(f"{where}: {name} is {value!r}, not {_name(kind)}")
        values[name] = value
    return cls(**values)


def open_workdir(workdir, config, resume: bool) -> pathlib.Path:
    """Makes the work directory and writes config.json, or checks that a resumed run is the same run.

    Everything but `run` must be as it was; ValueError names the field that is not, or says what to do with a
    directory that exists, or that not all processes see, or that the run does not fit the devices there are.
    """
    workdir = pathlib.Path(workdir)
    if hasattr(config, "run"):
        sharding.check_run(config.run, sharding.make_mesh(config.run.mesh_data, config.run.mesh_model))
    distributed.by_main(lambda: _open_workdir(workdir, config, resume))
    if not (workdir / "config.json").is_file():
        raise ValueError(f"{workdir} is not on a disk that all processes see; give another --workdir")
    return workdir


def check_workdir(workdir, config, resume: bool):
    """What `open_workdir` refuses, before anything is written."""
    _open_workdir(pathlib.Path(workdir), config, resume, write=False)


def _open_workdir(workdir, config, resume, write=True):
    file, now = workdir / "config.json", {"task": type(config).__name__, **to_dict(config)}
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"{workdir} is a file; give another --workdir")
    if file.exists():
        if not resume:
            raise ValueError(
                f"{workdir} holds a run already; add --resume to go on with it, or give another --workdir"
            )
        before = _written(file)
        if before.get("task") != now["task"]:
            raise ValueError(
                f"{workdir} holds a {before.get('task')} run, not a {now['task']} run; give another --workdir"
            )
        changed = _difference(
            {k: v for k, v in before.items() if k != "run"}, {k: v for k, v in now.items() if k != "run"}
        )
        if changed:
            raise ValueError(
                f"{workdir} was started with another {changed}; resume with the same, or give another --workdir"
            )
    elif resume:
        raise ValueError(f"{workdir} holds no run to resume; leave --resume out to start one")
    elif workdir.is_dir() and any(workdir.iterdir()):
        raise ValueError(f"{workdir} is not empty and holds no run; give another --workdir")
    if write:
        workdir.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(now, indent=1))


def _written(file: pathlib.Path) -> dict:
    """What a run has written into its config.json."""
    try:
        return dict(json.loads(file.read_text()))
    except (ValueError, TypeError):
        raise ValueError(f"{file} is damaged; put it right, or give another --workdir") from None


def _difference(a, b, path: str = "") -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            found = _difference(a.get(key), b.get(key), f"{path}.{key}".strip("."))
            if found:
                return found
        return ""
    return "" if a == b else f"{path} ({a!r}, now {b!r})"


def write_text(path: pathlib.Path, text: str):
    """Complete or absent; written by the main process."""
    write_bytes(path, text.encode())


def write_bytes(path: pathlib.Path, data: bytes):
    """Complete or absent; written by the main process."""
    if distributed.is_main():
        scratch = path.with_name(path.name + ".tmp")
        scratch.write_bytes(data)
        os.replace(scratch, path)
