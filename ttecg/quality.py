"""How noisy a recording is: `ttecg.quality.load().scores(ecg)`.

    detector = load("quality")  # ships; a bundle; a work directory of `ttecg train noise-detector`
    detector.scores(ecg)["record"]  # 0 to 1: the share of training records that are less noisy

Works on any of the eight independent leads, of any rate and length from 3 s. Nothing is trained on noise but the
second detector ("rhythm"), which learns from noise added to clean recordings.
"""

import dataclasses
import functools
import pathlib

import jax
import numpy as np
from scipy.signal import find_peaks

from ttecg import bundle
from ttecg.data.beat_template import lead_peaks
from ttecg.data.beats import r_peaks
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models.functional import Functional
from ttecg.models.noise_detector import QUANTILES, NoiseDetectorConfig
from ttecg.train.config import from_dict

KIND = "quality"
FITTED = "detector.safetensors"  # in a work directory: the weights with both second stages
NOISY = 0.99  # noisier than 99 of 100 training records
_SHORTEST_S, _NEAR_S, _FLAT = 3.0, 0.075, 1e-6  # s, s, mV


@dataclasses.dataclass(frozen=True)
class NoiseDetector:
    """What `load` gives."""

    name: str
    config: NoiseDetectorConfig
    functional: Functional
    params: dict
    buffers: dict

    @functools.cached_property
    def hash(self) -> str:
        """Of weights and config."""
        return bundle.digest(self.params | self.buffers, dataclasses.asdict(self.config))

    def scores(self, ecg: ECG, rhythm: bool = True) -> dict:
        """ "leads": {lead: distance of its pieces, the upper quartile}; "distance": their mean over leads; "record":
        the share of training records whose distance is less, 0 to 1; "rhythm": probability that what the R peaks say
        is noise (left out unless asked). ValueError where no independent lead is there, or under 3 s."""
        leads = [lead for lead in INDEPENDENT if lead in ecg.leads]
        if not leads:
            raise ValueError(f"{ecg.id or 'ECG'}: has none of {', '.join(INDEPENDENT)}")
        x = prepare(ecg, leads, self.config)
        cut = pieces(x, self.config.piece)[None]
        of_leads = np.asarray(_noise(self.functional, self.params, self.buffers, cut))[0]
        whole = float(of_leads.mean())
        known = np.asarray(self.buffers["quantiles"])
        found = {
            "leads": dict(zip(leads, map(float, of_leads))),
            "noise": whole,
            "record": float(np.interp(whole, known, np.linspace(0, 1, QUANTILES))),
        }
        if rhythm:
            seen = rhythm_features(ecg.select(leads))
            logit = _rhythm(self.functional, self.params, self.buffers, seen[None])[0]
            found["rhythm"] = float(1 / (1 + np.exp(-logit)))
        return found

    def noisy(self, ecg: ECG) -> bool:
        """Whether it is noisier than 99 of 100 training records."""
        return self.scores(ecg, rhythm=False)["record"] >= NOISY


@functools.partial(jax.jit, static_argnums=0)
def _noise(functional, params, buffers, piece_BxLxPxT):
    return functional.merge(params, buffers).noise(piece_BxLxPxT)


@functools.partial(jax.jit, static_argnums=0)
def _rhythm(functional, params, buffers, features):
    return functional.merge(params, buffers).rhythm(features)


def prepare(ecg: ECG, leads, config: NoiseDetectorConfig) -> np.ndarray:
    """(T, L) as the detector sees it: each lead with mean 0 and spread 1, a flat one zero; NaN counts as 0."""
    if ecg.duration < _SHORTEST_S:
        raise ValueError(f"{ecg.id or 'ECG'}: {ecg.duration:.3g} s; at least {_SHORTEST_S:g} s are needed")
    ecg = ecg.replace(signal=np.nan_to_num(ecg.signal)).select(leads).resample(config.rate)
    x = ecg.bandpass(config.band[0], min(config.band[1], 0.45 * config.rate), order=2).signal
    x = x - x.mean(0)
    spread = x.std(0)
    return np.where(spread > _FLAT, x / np.where(spread > _FLAT, spread, 1.0), 0.0).astype(np.float32)


def pieces(x_TxL: np.ndarray, samples: int) -> np.ndarray:
    """(L, P, samples) that cover the signal, overlapping by half."""
    starts = np.unique(
        np.linspace(0, len(x_TxL) - samples, max(1, round(2 * len(x_TxL) / samples) - 1)).astype(int)
    )
    return np.stack([x_TxL[s : s + samples].T for s in starts], axis=1)


def rhythm_features(ecg: ECG) -> np.ndarray:
    """(28,) what R peaks say, of a careful detector on all leads together and on each alone, and of a simple one that
    noise throws off the track: rate, variation and successive differences of RR, agreement of the detectors; mean and
    extremes over leads; and the squares."""
    quick = ecg.replace(signal=np.nan_to_num(ecg.signal)).resample(250.0)
    rate, x, near = quick.rate, quick.signal, _NEAR_S * 250.0
    peaks = r_peaks(quick)
    careful = [lead_peaks(x[:, i], lead, rate) for i, lead in enumerate(quick.leads)]
    simple = [simple_peaks(lead, rate) for lead in x.T]
    careful_f1, simple_f1 = (np.array([f1(peaks, p, near) for p in some]) for some in (careful, simple))
    told = np.array([_rhythm_of(p, len(x) / rate) for p in simple])
    seen = np.array([
        *_rhythm_of(peaks, len(x) / rate), careful_f1.mean(), careful_f1.min(), simple_f1.mean(), simple_f1.max(),
        *told.mean(0), *told.std(0), np.std([len(p) for p in careful]) / (len(peaks) + 1),
    ])  # fmt: skip
    return np.concatenate([seen, seen**2]).astype(np.float32)


def _rhythm_of(peaks, seconds: float) -> tuple[float, float, float]:
    """Logarithm of the rate, variation of RR, root mean square of successive differences over the mean RR."""
    rr = np.diff(peaks)
    if len(rr) < 2:
        return np.log(len(peaks) / seconds + 0.1), 1.0, 1.0
    successive = np.sqrt(np.mean(np.diff(rr) ** 2))
    return np.log(len(peaks) / seconds + 0.1), float(rr.std() / rr.mean()), float(successive / rr.mean())


def simple_peaks(x_T: np.ndarray, rate: float) -> np.ndarray:
    """Maxima of one lead, as it is, on the side where it is tallest: over half of its 99th percentile, 0.25 s apart."""
    x = x_T - np.median(x_T)
    x = x if np.percentile(x, 99.5) >= -np.percentile(x, 0.5) else -x
    return find_peaks(x, height=max(0.5 * np.percentile(x, 99), _FLAT), distance=round(0.25 * rate))[0]


def f1(a, b, near: float) -> float:
    """Agreement of two lists of peaks, 0 to 1: those that have one of the other list within `near`."""
    a, b = np.sort(np.asarray(a, float)), np.sort(np.asarray(b, float))
    if not len(a) or not len(b):
        return 0.0
    hits = sum(int((np.abs(y[None] - x[:, None]).min(1) <= near).sum()) for x, y in ((a, b), (b, a)))
    return hits / (len(a) + len(b))


def load(name=KIND) -> NoiseDetector:
    """The one that ships, a bundle's folder, or a work directory of `ttecg train noise-detector`."""
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        stored, file = bundle.workdir_config(path, "NoiseDetectorTraining"), path / FITTED
        if not file.is_file():
            raise ValueError(f"{path}: training has not come to its end; go on with --resume")
    else:
        path = bundle.resolve(name)
        stored, file = bundle.read_network(path, KIND), path / bundle.NETWORK
    config = from_dict(NoiseDetectorConfig, stored["model"], f"{path}/config.json")
    functional = Functional(config.create)
    return NoiseDetector(
        str(stored.get("name", path.name)), config, functional, *bundle.load_arrays(file, functional)
    )
