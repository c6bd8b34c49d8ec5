"""Networks that look at ECGs: what they show as labels, and as vectors to compare sets of ECGs by.

    encoder = load("encoder")  # self-supervised; "classifier" and "clip" ship too; a bundle; a work directory
    vectors = encoder.features(ecgs)  # (N, D)

All see eight leads, each divided by its own spread, so ECGs without true voltages serve as well. ECGs are read one at
a time, so an iterable of any length does.
"""

import collections
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterable

import jax
import numpy as np

from ttecg import bundle
from ttecg.data.prompt import Prompt, PromptEncoder
from ttecg.data.statements import label_names
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models.clip import ClipConfig
from ttecg.models.functional import Functional
from ttecg.models.resnet import ResNetConfig
from ttecg.models.wav2vec import Wav2VecConfig
from ttecg.train.clip import spoken
from ttecg.train.config import from_dict

_SHORTEST_S, _LONGEST_S = 2.0, 10.0  # of what is seen: the middle of a longer recording
_STEP = 50  # samples: lengths are multiples of it, so that few are compiled
_BATCH, _READ_AHEAD = 32, 256


class Encoder:
    """What `load` gives. name, hash: of the model; config: of its network."""

    kind: str
    method: str  # of the network, that gives the vectors

    def __init__(self, name: str, config, functional: Functional, params: dict, buffers: dict):
        self.name, self.config, self.functional = name, config, functional
        self.params, self.buffers = params, buffers

    @functools.cached_property
    def hash(self) -> str:
        """Of weights and config."""
        return bundle.digest(self.params | self.buffers, dataclasses.asdict(self.config))

    @property
    def _signal(self):
        """The config that says rate and band."""
        return self.config

    def prepare(self, ecg: ECG, leads=INDEPENDENT) -> np.ndarray:
        """(T, 8) as the network sees it: at most the middle 10 s; leads that are not named are zero. ValueError where
        it is shorter than 2 s or lacks a lead."""
        if ecg.duration < _SHORTEST_S:
            raise ValueError(
                f"{ecg.id or 'ECG'}: {ecg.duration:.3g} s; at least {_SHORTEST_S:g} s are needed"
            )
        c = self._signal
        seen = ecg.select(leads).resample(c.rate).bandpass(*c.band).signal
        length = int(min(len(seen), _LONGEST_S * c.rate)) // _STEP * _STEP
        start = (len(seen) - length) // 2
        x = np.zeros((length, len(INDEPENDENT)), np.float32)
        x[:, [INDEPENDENT.index(lead) for lead in leads]] = seen[start : start + length]
        return x

    def features(self, ecgs: Iterable[ECG], leads=INDEPENDENT) -> np.ndarray:
        """(N, D) float32 vectors, in order."""
        return self.embed(self.prepare(ecg, leads) for ecg in ecgs)

    def embed(self, signals: Iterable[np.ndarray]) -> np.ndarray:
        """`features` of what `prepare` gave."""
        return self._all(self.method, signals)

    def _all(self, method: str, signals: Iterable[np.ndarray]) -> np.ndarray:
        signals, made = iter(signals), []
        while part := list(itertools.islice(signals, _READ_AHEAD)):
            groups = collections.defaultdict(list)
            for number, x in enumerate(part):
                groups[len(x)].append(number)
            found: dict[int, np.ndarray] = {}
            for numbers in groups.values():
                for at in range(0, len(numbers), _BATCH):
                    some = numbers[at : at + _BATCH]
                    rows = [part[n] for n in some] + [part[some[0]]] * (_BATCH - len(some))
                    found |= dict(zip(some, self._apply(method, np.stack(rows))))
            made += [found[n] for n in range(len(part))]
        if not made:
            raise ValueError("no ECGs to look at")
        return np.stack(made)

    def _apply(self, method: str, batch) -> np.ndarray:
        return np.asarray(_run(self.functional, method, self.params, self.buffers, batch))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _run(functional, method, params, buffers, batch):
    return getattr(functional.merge(params, buffers), method)(batch)


class Classifier(Encoder):
    """names: of the labels it tells."""

    kind, method = "classifier", "features"

    def __init__(self, name, config, functional, params, buffers, labels):
        super().__init__(name, config, functional, params, buffers)
        self.names = tuple(labels)

    def probabilities(self, ecgs: Iterable[ECG]) -> np.ndarray:
        """(N, labels) between 0 and 1."""
        logits = self._all("__call__", (self.prepare(ecg) for ecg in ecgs))
        return 1 / (1 + np.exp(-logits))


class Clip(Encoder):
    """Unit vectors of ECGs and of reports in one space: the nearer, the better they fit."""

    kind, method = "clip", "ecg"

    def __init__(self, name, config, functional, params, buffers, text: bytes):
        super().__init__(name, config, functional, params, buffers)
        self.prompts = PromptEncoder(text, conditions=(), length=config.length)

    @property
    def _signal(self):
        return self.config.resnet

    def texts(self, reports: Iterable[str]) -> np.ndarray:
        """(N, D) float32 unit vectors."""
        ids = self.prompts.padded([Prompt(spoken(report)) for report in reports], self.config.length)
        made = []
        for at in range(0, len(ids), _BATCH):
            some = ids[at : at + _BATCH]
            filled = np.concatenate([some, np.repeat(some[:1], _BATCH - len(some), 0)])
            made.append(self._apply("text", filled)[: len(some)])
        return np.concatenate(made)


class SelfSupervised(Encoder):
    """64 features that no label made (Oh et al. 2022, arXiv 2203.06889), of any subset of leads."""

    kind, method = "encoder", "features"


_TASKS = {
    "ClassifierTraining": Classifier,
    "ClipTraining": Clip,
    "Wav2VecTraining": SelfSupervised,
}
_CONFIGS = {Classifier: ResNetConfig, Clip: ClipConfig, SelfSupervised: Wav2VecConfig}
KINDS = {cls.kind: cls for cls in _CONFIGS}


def load(name) -> Encoder:
    """A bundle by the name of one that ships ("encoder", "clip", "classifier") or by its folder, or the work directory
    of `ttecg train classifier|clip|wav2vec`."""
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        return _of_workdir(path)
    path = bundle.resolve(name)
    kind = bundle.kind_of(path)
    if kind not in KINDS:
        raise ValueError(
            f"{name} is a bundle of kind {kind or 'text-to-ECG'!r}; one of {', '.join(KINDS)} is needed"
        )
    cls, stored = KINDS[kind], bundle.read_network(path, kind)
    config = from_dict(_CONFIGS[cls], stored["model"], str(path / bundle.CONFIG))
    functional = Functional(config.create)
    arrays = bundle.load_arrays(path / bundle.NETWORK, functional)
    return cls(stored["name"], config, functional, *arrays, *_extra(cls, path, stored))


def of_kind(encoder: Encoder, kind: str) -> Encoder:
    """The encoder; ValueError where it is of another kind."""
    if encoder.kind != kind:
        raise ValueError(f"{encoder.name} is of kind {encoder.kind!r}; one of kind {kind!r} is needed")
    return encoder


def _of_workdir(path: pathlib.Path) -> Encoder:
    task = bundle.task_of(path)
    if task not in _TASKS:
        raise ValueError(f"{path} holds a {task} run; one of {', '.join(_TASKS)} is needed")
    cls, stored = _TASKS[task], bundle.workdir_config(path, task)
    config = from_dict(_CONFIGS[cls], stored["model"], f"{path}/config.json")
    if "labels" in stored:
        stored = stored | {"labels": label_names(stored["labels"])}
    extra = _extra(cls, path, stored)
    if cls is Classifier:
        config = dataclasses.replace(config, outputs=len(stored["labels"]))
    if cls is Clip:
        vocab = PromptEncoder(*extra, conditions=()).vocab
        config = dataclasses.replace(config, vocab=vocab, labels=len(stored["labels"]))
    functional = Functional(config.create)
    return cls(path.name, config, functional, *bundle.newest_weights(path, functional), *extra)


def _extra(cls, path: pathlib.Path, stored: dict) -> tuple:
    """What a kind needs beside its network."""
    if cls is Classifier:
        labels = stored.get("labels")
        if not isinstance(labels, list | tuple):
            raise ValueError(f"{path / bundle.CONFIG} is damaged: it has no 'labels'")
        return (labels,)
    if cls is Clip:
        try:
            return ((path / bundle.TEXT).read_bytes(),)
        except OSError as error:
            raise ValueError(f"{path}: its {bundle.TEXT} cannot be read: {error}") from None
    return ()


def export(workdir, out, *, name="", card="", dtype="float16"):
    """Writes a bundle of a trained encoder, complete or absent."""
    encoder = load(workdir)
    more = {"labels": list(encoder.names)} if isinstance(encoder, Classifier) else {}
    files = {bundle.TEXT: encoder.prompts.model} if isinstance(encoder, Clip) else {}
    return bundle.export_network(
        out, encoder.kind, encoder.config, encoder.params, encoder.buffers,
        name=name, card=card, dtype=dtype, more=more, files=files,
    )  # fmt: skip
