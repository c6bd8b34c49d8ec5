"""Bundles: a directory that stands alone with everything that a model needs, and how one is made and loaded.

config.json           what it is: module configs, prompt conditions, sampling defaults
tokenizer.safetensors, generator.safetensors, text.model
MODEL_CARD.md         data, steps, metrics, licence, intended use
"""

import dataclasses
import functools
import hashlib
import json
import pathlib

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.flax import load_file, save

from ttecg.data.recorder import Recorder
from ttecg.data.staged import staged_folder
from ttecg.models.drafted import DraftedConfig
from ttecg.models.functional import Functional, cast, check_arrays
from ttecg.models.generator import GeneratorConfig
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.models.sampling import SamplingPolicy
from ttecg.models.tokenizer import TokenizerConfig
from ttecg.train.checkpoint import Checkpoints
from ttecg.train.config import from_dict

CONFIG, CARD, TEXT = "config.json", "MODEL_CARD.md", "text.model"
TOKENIZER, GENERATOR, RECORDER = "tokenizer.safetensors", "generator.safetensors", "recorder.safetensors"
NETWORK = "model.safetensors"  # of a bundle that holds one network
_TRAINERS = {"quality": "noise-detector", "encoder": "wav2vec"}  # where the verb is not the kind
_PRETRAINED = pathlib.Path(__file__).parent / "pretrained"
_PARTS = {
    "name": str,
    "tokenizer": dict,
    "generator": dict,
    "conditions": list,
    "sampling": dict,
}  # of config.json
_GENERATORS = {"base": GeneratorConfig, "paper": PaperGeneratorConfig, "drafted": DraftedConfig}
_LATER = {"kv_heads": None}  # what holds for bundles whose generator has no such field


@dataclasses.dataclass(frozen=True)
class LoadedTokenizer:
    """A VQ tokenizer with its weights."""

    config: TokenizerConfig
    functional: Functional
    params: dict
    buffers: dict

    @functools.cached_property
    def hash(self) -> str:
        """Of weights and config."""
        return digest(self.params | self.buffers, dataclasses.asdict(self.config))

    @property
    def code_vectors(self) -> np.ndarray:
        """(Q, K, D)."""
        return np.asarray(self.buffers["vq/vectors"])

    def encode(self, x_BxTxL: np.ndarray) -> np.ndarray:
        """(B, T, L) mV -> codes (B, N, Q)."""
        return np.asarray(_encode(self.functional, self.params, self.buffers, x_BxTxL))

    def decode(self, codes_BxNxQ: np.ndarray) -> np.ndarray:
        """Codes of the first levels -> (B, T, L) mV."""
        return np.asarray(_decode(self.functional, self.params, self.buffers, codes_BxNxQ))


@functools.partial(jax.jit, static_argnums=0)
def _encode(functional, params, buffers, x):
    return functional.merge(params, buffers).codes(x)


@functools.partial(jax.jit, static_argnums=0)
def _decode(functional, params, buffers, codes):
    return functional.merge(params, buffers).reconstruct(codes)


def resolve(name) -> pathlib.Path:
    """The directory of a bundle: one that ships with the package, by name, or any directory that holds one."""
    path = shipped(name) or pathlib.Path(name)
    if not (path / CONFIG).is_file():
        names = (
            sorted(p.name for p in _PRETRAINED.iterdir() if (p / CONFIG).is_file())
            if _PRETRAINED.is_dir()
            else []
        )
        raise ValueError(
            f"no model {str(name)!r}: give the directory of a bundle (ttecg export), or one that ships: "
            f"{', '.join(names) or 'none'}"
        )
    return path


def shipped(name) -> pathlib.Path | None:
    """The directory of a bundle that ships with the package, by its name."""
    plain = str(name).replace("-", "_").isidentifier()
    return _PRETRAINED / str(name) if plain and (_PRETRAINED / str(name)).is_dir() else None


def read_config(path: pathlib.Path) -> dict:
    """The config.json of a bundle; ValueError where it is not what `export` writes."""
    config = read_json(path / CONFIG)
    if isinstance(config, dict) and "task" in config:
        raise ValueError(f"{path} is the work directory of a training run; ttecg export makes a bundle of it")
    for name, kind in _PARTS.items():
        if not isinstance(config, dict) or not isinstance(config.get(name), kind):
            raise ValueError(f"{path / CONFIG} is damaged: it has no {name!r}")
    return config


def read_json(file: pathlib.Path):
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is damaged: {error}") from None


def load_tokenizer(name) -> LoadedTokenizer:
    """From a bundle (by name or directory) or from the work directory of `ttecg train tokenizer`."""
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        config = workdir_config(path, "TokenizerTraining")
        model = from_dict(TokenizerConfig, config["model"], f"{path}/config.json")
        functional = Functional(model.create)
        return LoadedTokenizer(model, functional, *newest_weights(path, functional))
    if path.exists() or str(name).isidentifier():
        path = resolve(name)
        if kind := kind_of(path):
            raise ValueError(
                f"{name} has no tokenizer (it is of kind {kind!r}); give a text-to-ECG bundle such as demo"
            )
        model = from_dict(TokenizerConfig, read_config(path)["tokenizer"], str(path / CONFIG))
        functional = Functional(model.create)
        return LoadedTokenizer(model, functional, *load_arrays(path / TOKENIZER, functional))
    raise ValueError(
        f"no tokenizer at {path}; train one: ttecg train tokenizer --config configs/tokenizer_base.py "
        f"--workdir {path}"
    )


def load_fitting(name, params: dict) -> tuple[dict, list[str]]:
    """`params` with the weights of a work directory or bundle put in where name and shape agree, and the names of
    the others. ValueError where none agrees."""
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        with Checkpoints(path) as checkpoints:
            stored, _ = checkpoints.restore_weights()
    else:
        path = resolve(name)
        stored = _read_arrays(path / (NETWORK if (path / NETWORK).is_file() else GENERATOR))
    stored = {k: np.asarray(_parted(v, params[k].shape)) for k, v in stored.items() if k in params}
    fitting = {k: v for k, v in stored.items() if v.shape == params[k].shape}
    if not fitting:
        raise ValueError(f"init={name}: none of its weights fits this model")
    return params | fitting, sorted(set(params) - set(fitting))


def sampling_policy(stored: dict, where: str) -> SamplingPolicy:
    """From JSON data; what an older bundle does not say has its usual value."""
    return from_dict(SamplingPolicy, dataclasses.asdict(SamplingPolicy()) | stored, where)


def load_recorder(path: pathlib.Path) -> Recorder | None:
    """What a recorder adds to the heart's signal, where the bundle knows it."""
    file = path / RECORDER
    if not file.is_file():
        return None
    arrays = {k: np.asarray(v, np.float64) for k, v in _read_arrays(file).items()}
    try:
        return Recorder(**arrays)
    except TypeError as error:
        raise ValueError(f"{file} is damaged: {error}") from None


def load_generator(path: pathlib.Path):
    """(model config, Functional, params, buffers, bundle config) of a bundle."""
    config = read_config(path)
    model = generator_config(config["generator"], str(path / CONFIG))
    functional = Functional(model.create)
    return model, functional, *load_arrays(path / GENERATOR, functional), config


def generator_config(data: dict, where: str):
    """A generator's config from JSON data; "kind" says whose."""
    data = dict(data)
    kind = data.pop("kind", None)
    if kind not in _GENERATORS:
        raise ValueError(f"{where}: a generator's kind is one of {', '.join(_GENERATORS)}, got {kind!r}")
    later = {k: v for k, v in _LATER.items() if k in _GENERATORS[kind].__dataclass_fields__}
    return from_dict(_GENERATORS[kind], later | data, where)


def describe_generator(model) -> dict:
    """JSON data of a generator's config, the inverse of `generator_config`."""
    kind = next(k for k, cls in _GENERATORS.items() if isinstance(model, cls))
    return {"kind": kind, **dataclasses.asdict(model)}


def export(
    workdir,
    out,
    *,
    name: str = "",
    card: str = "",
    dtype: str = "float16",
    sampling: SamplingPolicy | None = None,
    recorder=None,
):
    """Writes a bundle from the work directory of a generator (with its tokenizer), complete or absent.

    The averaged parameters are stored, as `dtype`; the tokenizer's codebooks stay float32. card: path of the model
    card's text. recorder: folder of a `ttecg train recorder` run.
    """
    workdir, out = pathlib.Path(workdir), pathlib.Path(out)
    training = workdir_config(workdir, "GeneratorTraining")
    if out.exists():
        raise ValueError(f"{out} exists; give another --out")
    if recorder and not load_recorder(pathlib.Path(recorder)):
        raise ValueError(f"{recorder} holds no {RECORDER}; make one with ttecg train recorder")
    model_data = read_json(workdir / "model.json")
    functional = Functional(generator_config(model_data, str(workdir / "model.json")).create)
    params, buffers = newest_weights(workdir, functional)
    tokenizer = load_tokenizer(training["tokenizer"])
    config = {
        "name": name or out.name,
        "tokenizer": dataclasses.asdict(tokenizer.config),
        "generator": model_data,
        "conditions": training["conditions"],
        "sampling": dataclasses.asdict(sampling or SamplingPolicy()),
    }
    with staged_folder(out) as scratch:
        save_arrays(scratch / GENERATOR, params, cast(buffers, np.dtype(dtype)), dtype)
        save_arrays(scratch / TOKENIZER, tokenizer.params, tokenizer.buffers, dtype)
        (scratch / TEXT).write_bytes((workdir / TEXT).read_bytes())
        if recorder:
            (scratch / RECORDER).write_bytes((pathlib.Path(recorder) / RECORDER).read_bytes())
        (scratch / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        (scratch / CARD).write_text(pathlib.Path(card).read_text() if card else _plain_card(config, training))
    return out


def _plain_card(config: dict, training: dict) -> str:
    run = training["run"]
    return (
        f"# {config['name']}\n\nA text-to-ECG bundle made by `ttecg export`. Its ECGs are synthetic: research\n"
        f"material, not for diagnosis.\n\nTrained on {', '.join(training['sources'])}: {run['steps']} steps of "
        f"{run['batch']}, seed {run['seed']}.\n"
    )


def digest(arrays: dict, config) -> str:
    """A short hash of weights and config."""
    h = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(arrays):
        h.update(name.encode())
        h.update(np.ascontiguousarray(arrays[name]).tobytes())
    return h.hexdigest()[:16]


def save_arrays(path, params, buffers, dtype):
    arrays = {**cast(params, np.dtype(dtype)), **buffers}
    path.write_bytes(save({k: jax.numpy.asarray(v) for k, v in arrays.items()}))


def load_arrays(path: pathlib.Path, functional: Functional) -> tuple[dict, dict]:
    """float32 arrays of a safetensors file, split into (params, buffers); ValueError where they do not fit."""
    arrays = _read_arrays(path)
    arrays = {name: _parted(x, functional.shapes.get(name, x.shape)) for name, x in arrays.items()}
    check_arrays(functional.shapes, arrays, str(path))
    params = {name: arrays[name] for name in functional.param_names}
    return params, {name: v for name, v in arrays.items() if name not in params}


def _read_arrays(path: pathlib.Path) -> dict:
    try:
        return cast(load_file(path), np.float32)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _parted(array, shape: tuple):
    """The array, its last axis cut in two where the model has two: bundles may store the parts of a kernel that makes
    several arrays side by side."""
    merged = (*shape[:-2], shape[-2] * shape[-1]) if len(shape) > 1 else shape
    return array.reshape(shape) if array.shape == merged else array


def newest_weights(workdir: pathlib.Path, functional: Functional) -> tuple[dict, dict]:
    """Averaged parameters and buffers of the newest checkpoint, on this process's devices, whatever mesh wrote it."""
    with Checkpoints(workdir) as checkpoints:
        params, buffers = checkpoints.restore_weights()
    check_arrays(functional.shapes, params | buffers, str(workdir))
    return params, buffers


def kind_of(path: pathlib.Path) -> str:
    """ "unet", "two-lead", ... of a bundle of one network; "" for one of a generator and its tokenizers."""
    stored = read_json(path / CONFIG)
    return str(stored.get("kind", "")) if isinstance(stored, dict) else ""


def read_network(path: pathlib.Path, kind: str) -> dict:
    """The config.json of a bundle of one network, {"name", "kind", "model"}; ValueError for another kind."""
    stored = read_json(path / CONFIG)
    if (
        not isinstance(stored, dict)
        or stored.get("kind") != kind
        or not isinstance(stored.get("model"), dict)
    ):
        trainer = _TRAINERS.get(kind, kind)
        raise ValueError(f"{path} is no {kind} model; `ttecg train {trainer}` and `ttecg export` make one")
    return {"name": path.name, **stored}


def export_network(
    out,
    kind: str,
    model,
    params: dict,
    buffers: dict,
    *,
    name="",
    card="",
    about="",
    dtype="float16",
    more: dict | None = None,
    files: dict[str, bytes] | None = None,
):
    """Writes a bundle of one network, complete or absent. card: path of the model card's text; about: what a plain
    one says of the training; more: further entries of config.json; files: further files."""
    out = pathlib.Path(out)
    if out.exists():
        raise ValueError(f"{out} exists; give another --out")
    config = {"name": name or out.name, "kind": kind, "model": dataclasses.asdict(model), **(more or {})}
    with staged_folder(out) as scratch:
        save_arrays(scratch / NETWORK, params, buffers, dtype)
        (scratch / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        for file, content in (files or {}).items():
            (scratch / file).write_bytes(content)
        plain = f"# {config['name']}\n\nA {kind} bundle made by `ttecg export`. Not for diagnosis.\n{about}"
        (scratch / CARD).write_text(pathlib.Path(card).read_text() if card else plain)
    return out


def task_of(workdir) -> str:
    """The kind of config that a training run's folder was made with; "" where it does not say."""
    file = pathlib.Path(workdir) / "config.json"
    config = read_json(file) if file.is_file() else {}
    return str(config.get("task", "")) if isinstance(config, dict) else ""


def workdir_config(workdir: pathlib.Path, task: str) -> dict:
    file = workdir / "config.json"
    if not file.is_file():
        raise ValueError(f"{workdir} is no work directory of a training run (no config.json in it)")
    config = read_json(file)
    if config.get("task") != task:
        raise ValueError(f"{workdir} holds a {config.get('task')} run; a {task} run is needed")
    return config
