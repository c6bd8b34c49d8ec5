"""Everything that the evaluation of generated ECGs looks at, taken from each ECG once; the signals are not kept."""

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from ttecg.data.reports import canonical
from ttecg.data.statements import targets
from ttecg.ecg import ECG
from ttecg.evaluate import intervals, physics, signal_features
from ttecg.evaluate.given import patient_of

_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Eyes:
    """The networks that look. vectors: encoders by name; classifier and clip: see `ttecg.encoders`."""

    vectors: dict
    classifier: object
    clip: object


@dataclasses.dataclass(frozen=True)
class Seen:
    """N ECGs. vectors: {encoder: (N, D)}; clip (N, D) unit; probabilities (N, L) and target (N, L), NaN where labels
    do not tell; plain (N, F) features and spectra (N, P); measured (N, fields of `intervals.Measured`); physics N;
    texts: canonical; asked (N,): heart rate that was asked for, NaN where none was; some: the first few ECGs."""

    vectors: dict[str, np.ndarray]
    clip: np.ndarray
    probabilities: np.ndarray
    target: np.ndarray
    plain: np.ndarray
    spectra: np.ndarray
    measured: np.ndarray
    physics: list
    texts: np.ndarray
    patients: np.ndarray
    asked: np.ndarray
    some: list[ECG]

    def __len__(self):
        return len(self.texts)


def look(ecgs: Iterable[ECG], eyes: Eyes, total: int, what: str, keep: int = 0) -> Seen:
    """Looks at ECGs as they come; the first `keep` are kept for pictures. An ECG with samples that are no numbers is
    seen as flat by the networks, so that it counts as the failure it is. ValueError where none has a report."""
    parts, some, ecgs = [], [], iter(tqdm(ecgs, total=total, desc=what, unit="ECG", disable=None))
    while chunk := list(itertools.islice(ecgs, _CHUNK)):
        some += chunk[: max(keep - len(some), 0)]
        parts.append(_chunk(chunk, eyes))
    if not parts:
        raise ValueError(f"{what}: no ECG has a report with words")
    joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0] if k not in ("vectors", "physics")}
    vectors = {n: np.concatenate([p["vectors"][n] for p in parts]) for n in eyes.vectors}
    return Seen(vectors=vectors, physics=[x for p in parts for x in p["physics"]], some=some, **joined)


def _chunk(ecgs: list[ECG], eyes: Eyes) -> dict:
    whole = [e if np.isfinite(e.signal).all() else e.replace(signal=np.zeros_like(e.signal)) for e in ecgs]
    plain = [signal_features.features(e) for e in whole]
    return {
        "vectors": {name: encoder.features(whole) for name, encoder in eyes.vectors.items()},
        "clip": eyes.clip.features(whole),
        "probabilities": eyes.classifier.probabilities(whole),
        "target": np.stack([targets(e.labels, eyes.classifier.names) for e in ecgs]),
        "plain": np.stack(plain),
        "spectra": np.stack([signal_features.spectrum(e) for e in whole]),
        "measured": intervals.table([intervals.measured(e) for e in ecgs]),
        "physics": [physics.physics(e) for e in ecgs],
        "texts": np.array([canonical(e.report) for e in ecgs], object),
        "patients": np.array([patient_of(e) for e in ecgs], object),
        "asked": np.array([e.info.get("heart_rate") or np.nan for e in ecgs], float),
    }
