"""Configs: overriding with types checked, reading, and work directories that hold one run."""

import dataclasses
import json

import pytest

from ttecg.train.config import from_dict, load_config, open_workdir, override, to_dict


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 4
    rate: float = 0.5
    band: tuple[float, float] | None = (0.5, 40.0)


@dataclasses.dataclass(frozen=True)
class Run:
    steps: int = 3
    batch: int = 8
    accumulate: int = 1
    mesh_data: int = 1
    mesh_model: int = 1
    attention: str = "xla"


@dataclasses.dataclass(frozen=True)
class Outer:
    model: Inner = Inner()
    name: str = "plain"
    sources: tuple[str, ...] = ("simulator",)
    on: bool = True
    run: Run = Run()


@pytest.mark.parametrize(
    "text, field, value",
    [
        ("model.width=64", "width", 64),
        ("model.rate=1", "rate", 1.0),
        ("model.rate=3e-4", "rate", 3e-4),
        (" model.band = (1, 30) ", "band", (1, 30)),
        ("model.band=[1, 30]", "band", (1, 30)),
        ("model.band=None", "band", None),
    ],
)
def test_override_of_an_inner_field(text, field, value):
    changed = override(Outer(), [text])
    assert getattr(changed.model, field) == value and type(getattr(changed.model, field)) is type(value)
    assert dataclasses.replace(changed, model=Inner()) == Outer()


def test_override_of_outer_fields():
    changed = override(
        Outer(), ['sources=["a", "b@2"]', "name=12", "on=False", "run.steps=9", "run.steps=10"]
    )
    assert changed == Outer(sources=("a", "b@2"), name="12", on=False, run=Run(10))
    assert override(Outer(), ["name=a=b"]).name == "a=b"


@pytest.mark.parametrize(
    "text, said",
    [
        ("model.widht=3", "did you mean 'width'"),
        ("zzz=3", "there are model, name, sources, on, run"),
        ("model.width", "field.path=value"),
        ("model.width=wide", "'wide' is not int"),
        ("model.width=2.5", "'2.5' is not int"),
        ("model.width=True", "'True' is not int"),
        ("on=1", "'1' is not bool"),
        ("sources=simulator", "'simulator' is not tuple"),
        ("model.band=3", "'3' is not tuple or NoneType"),
        ("name.first=3", "'name' is a plain value"),
        ("model=3", "'3' is not Inner"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_the_mend(text, said):
    with pytest.raises(ValueError) as error:
        override(Outer(), [text])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_config_survives_json():
    config = Outer(model=Inner(band=None, rate=2.0), sources=("a", "b"))
    assert from_dict(Outer, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(
    "change, said",
    [
        ({"colour": 1}, "c.json: unknown field 'colour' of Outer"),
        ({"name": None}, "c.json: name is None, not str"),
        ({"model": {"width": "4"}}, "c.json.model: missing field 'band' of Inner"),
        ({"model": {"width": "4", "rate": 1, "band": None}}, "c.json.model: width is '4', not int"),
        ({"model": 5}, "c.json.model: 5 is not the fields of a Inner"),
    ],
)
def test_a_damaged_config_names_the_field(change, said):
    with pytest.raises(ValueError, match=said):
        from_dict(Outer, to_dict(Outer()) | change, "c.json")


@pytest.mark.parametrize(
    "text, said",
    [
        ("config = 3", "must set `config`"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("config = 1 +", "SyntaxError"),
        ("x = 3", "must set `config`"),
    ],
)
def test_a_config_file_that_does_not_work_is_named(tmp_path, text, said):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        load_config(file)
    assert "mine.py" in str(error.value)


def test_a_config_file_that_is_not_there_or_not_python(tmp_path):
    with pytest.raises(ValueError, match="is not there"):
        load_config(tmp_path / "absent.py")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not a Python file"):
        load_config(tmp_path / "config.json")


def test_a_work_directory_is_opened_once_and_then_resumed(tmp_path):
    workdir = open_workdir(tmp_path / "a" / "run", Outer(), resume=False)
    assert json.loads((workdir / "config.json").read_text()) == {"task": "Outer"} | to_dict(Outer())
    with pytest.raises(ValueError, match="holds a run already; add --resume"):
        open_workdir(workdir, Outer(), resume=False)
    longer = Outer(run=Run(99))
    open_workdir(workdir, longer, resume=True)
    assert json.loads((workdir / "config.json").read_text())["run"]["steps"] == 99


def test_a_resumed_run_must_be_the_same_run(tmp_path):
    open_workdir(tmp_path / "run", Outer(), resume=False)
    with pytest.raises(ValueError, match=r"another model.width \(4, now 5\)"):
        open_workdir(tmp_path / "run", Outer(model=Inner(width=5)), resume=True)
    with pytest.raises(ValueError, match="holds a Outer run"):
        open_workdir(tmp_path / "run", Inner(), resume=True)


@pytest.mark.parametrize("text", ['{"task": "Ou', "[1]", "7"])
def test_a_damaged_work_directory_is_named(tmp_path, text):
    open_workdir(tmp_path / "run", Outer(), resume=False)
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json is damaged"):
        open_workdir(tmp_path / "run", Outer(), resume=True)


def test_other_directories_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run to resume"):
        open_workdir(tmp_path / "new", Outer(), resume=True)
    assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="not empty"):
        open_workdir(tmp_path / "full", Outer(), resume=False)
    with pytest.raises(ValueError, match="is a file"):
        open_workdir(tmp_path / "full" / "thesis.tex", Outer(), resume=False)
