"""How noisy a recording is: `ttecg.quality.load().scores(ecg)`.

    detector = load("quality")  # ships; or a bundle's folder, or a work directory of `ttecg train noise-detector`
    detector.scores(ecg)["record"]  # 0 to 1: the share of training records that are less noisy
    detector.noisy(ecg)  # noisier than 99 of 100 of them

Takes any of the eight independent leads, at any rate, from 3 s up; voltages may be lost, for levels are shares of each
lead's spread. A lead that is flat, or holds a NaN, is of no use and counts as the noisiest.

Axes: T time, L lead, P piece, F feature.
"""

import dataclasses
import functools
import pathlib

import jax
import numpy as np
from scipy.signal import find_peaks

from ttecg import bundle
from ttecg.data.beats import r_peaks
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models.functional import Functional
from ttecg.models.noise_detector import HRV, QUANTILES, NoiseDetectorConfig
from ttecg.train.config import from_dict

KIND = "quality"
FITTED = "detector.safetensors"  # in a work directory: the autoencoder with both second stages
NOISY = 0.99
_SHORTEST_S = 3.0
_FLAT = 1e-3  # mV: a lead with less between its lowest and its highest sample
_UNUSABLE = 6.0  # distance of a lead that is of no use: more than noise reaches
_HEIGHTS = (0.15, 0.3, 0.5, 0.7)  # of a lead's 99th percentile, that the simple detectors take for a beat
_HRV_RATE, _NEAR, _REACH = 250.0, 18, 12  # samples per second; samples that peaks may be apart


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

    def scores(self, ecg: ECG) -> dict:
        """How noisy, by both detectors.

        "leads": names; "lead": (L,) and "record": shares of the training records' leads, and of these records, that are
        less noisy, 0 to 1; "distance": what "record" is the quantile of, which has no upper end; "hrv": 0 to 1,
        whether what the R peaks say is noise. ValueError for less than 3 s, or none of the eight leads."""
        of_leads = self.distances(ecg)
        whole = float(of_leads.mean())
        return {
            "leads": usable_leads(ecg),
            "lead": self._share(of_leads, "lead_quantiles"),
            "record": float(self._share(whole, "record_quantiles")),
            "distance": whole,
            "hrv": self.hrv(ecg),
        }

    def noisy(self, ecg: ECG) -> bool:
        """Whether the first detector finds it noisier than 99 of 100 training records."""
        return bool(self._share(self.distances(ecg).mean(), "record_quantiles") >= NOISY)

    def distances(self, ecg: ECG) -> np.ndarray:
        """(L,) of each lead, in the order of `usable_leads`: the mean over pieces of the logarithm of the distance, so
        that neither a single piece decides nor how far noise drives it."""
        pieces_PxLxT, outside_PxLx2, usable = prepare(ecg, self.config)
        count, leads = pieces_PxLxT.shape[:2]
        room = -count * leads % 64  # one program for recordings of about the same length
        x = np.pad(pieces_PxLxT.reshape(count * leads, -1), ((0, room), (0, 0)))
        outside = np.pad(outside_PxLx2.reshape(-1, 2), ((0, room), (0, 0)))
        found = np.asarray(_distances(self.functional, self.params, self.buffers, x, outside))
        of_leads = np.log(found[: count * leads].reshape(count, leads) + 0.1).mean(0)
        return np.where(usable, np.minimum(of_leads, _UNUSABLE), _UNUSABLE)

    def hrv(self, ecg: ECG) -> float:
        """The second detector: 0 to 1."""
        logit = float(_hrv(self.functional, self.params, self.buffers, hrv_features(ecg)[None])[0])
        return 1 / (1 + float(np.exp(-logit)))

    def _share(self, distance, name: str):
        return np.interp(distance, np.asarray(self.buffers[name]), np.linspace(0, 1, QUANTILES))


@functools.partial(jax.jit, static_argnums=0)
def _distances(functional, params, buffers, piece_BxT, outside_Bx2):
    return functional.merge(params, buffers).distances(piece_BxT, outside_Bx2)


@functools.partial(jax.jit, static_argnums=0)
def _hrv(functional, params, buffers, features_BxF):
    return functional.merge(params, buffers).hrv(features_BxF)


def usable_leads(ecg: ECG) -> tuple[str, ...]:
    """Those of the eight independent leads that are there. ValueError where none is, or the recording is too short."""
    leads = tuple(lead for lead in INDEPENDENT if lead in ecg.leads)
    if not leads:
        raise ValueError(
            f"{ecg.id or 'ECG'}: signal quality needs one of {', '.join(INDEPENDENT)}; it has {', '.join(ecg.leads)}"
        )
    if ecg.duration < _SHORTEST_S:
        raise ValueError(f"{ecg.id or 'ECG'}: {ecg.duration:.3g} s; at least {_SHORTEST_S:g} s are needed")
    return leads


def prepare(ecg: ECG, config: NoiseDetectorConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces of the leads in the autoencoder's band (P, L, T) mV, float32; the spread of what lies below and above
    that band in each piece (P, L, 2) mV; and which leads are neither flat nor hold a NaN (L,)."""
    ecg = ecg.select(usable_leads(ecg))
    usable = np.isfinite(ecg.signal).all(0) & (np.ptp(np.nan_to_num(ecg.signal), axis=0) > _FLAT)
    ecg = ecg.replace(signal=np.where(usable, np.nan_to_num(ecg.signal), 0.0)).resample(config.fast_rate)
    middle = ecg.bandpass(*config.band)
    fast = ecg.bandpass(*config.fast_band).signal
    slow = ecg.signal - ecg.signal.mean(0) - ecg.bandpass(config.band[0], config.fast_band[1]).signal
    middle, ratio = middle.resample(config.rate).signal, config.fast_rate / config.rate
    cut, outside = [], []
    for start in starts(len(middle), config.piece):
        here = slice(round(start * ratio), round((start + config.piece) * ratio))
        cut.append(middle[start : start + config.piece].T)
        outside.append(np.stack([slow[here].std(0), fast[here].std(0)], -1))
    return np.array(cut, np.float32), np.array(outside, np.float32), usable


def starts(samples: int, piece: int) -> np.ndarray:
    """Where pieces begin that cover so many samples from end to end, overlapping by about half."""
    return np.linspace(0, samples - piece, max(2, round(2 * samples / piece) - 1)).astype(int)


def hrv_features(ecg: ECG) -> np.ndarray:
    """(F,) what R peaks say. Of the careful detector on all leads: beats per second, variation of RR, root mean square
    of successive differences over the mean RR. Of simple detectors on each lead, which noise throws off the track (see
    `_lead_features`): mean, least and greatest over leads."""
    ecg = ecg.select(usable_leads(ecg))
    ecg = ecg.replace(signal=np.nan_to_num(ecg.signal)).resample(_HRV_RATE)
    peaks = r_peaks(ecg)
    rr = np.diff(peaks)
    successive = np.sqrt(np.mean(np.diff(rr) ** 2)) / rr.mean() if len(rr) > 1 else 1.0
    alone = np.array([_lead_features(x_T, peaks) for x_T in ecg.signal.T])
    told = [len(peaks) / ecg.duration, _variation(rr), successive]
    found = np.concatenate([told, alone.mean(0), alone.min(0), alone.max(0)]).astype(np.float32)
    assert found.shape == (HRV,)
    return found


def _lead_features(x_T: np.ndarray, peaks: np.ndarray) -> list[float]:
    """For simple detectors, maxima above a share of the lead's height without any filter: how many they find for each
    beat (logarithm), the shares of beats and of theirs that have a partner within 72 ms, variation of their RR. Then
    how far the highest sample strays from the R peak (samples), and how its height varies."""
    x = x_T - np.median(x_T)
    height, depth = np.percentile(x, 99), -np.percentile(x, 1)
    x, height = (x, height) if height >= depth else (-x, depth)
    found = []
    for share in _HEIGHTS:
        simple = find_peaks(x, height=max(share * height, _FLAT))[0]
        found.append(np.log((len(simple) + 0.5) / (len(peaks) + 0.5)))
        found += [_partnered(peaks, simple), _partnered(simple, peaks), _variation(np.diff(simple))]
    near = [x[max(p - _REACH, 0) : p + _REACH + 1] for p in peaks]
    at = [int(np.argmax(w)) - min(p, _REACH) for w, p in zip(near, peaks)]
    tops = np.array([w.max() for w in near])
    return [*found, np.std(at) if at else _REACH, np.std(tops) / (abs(np.mean(tops)) + _FLAT) if at else 1.0]


def _partnered(some: np.ndarray, others: np.ndarray) -> float:
    """Share of peaks that have one of the others near."""
    if not len(some) or not len(others):
        return 0.0
    return float((np.abs(some[:, None] - others[None]).min(1) <= _NEAR).mean())


def _variation(rr: np.ndarray) -> float:
    return float(rr.std() / rr.mean()) if len(rr) > 1 else 1.0


def load(name=KIND) -> NoiseDetector:
    """The one that ships, a bundle's folder, or a work directory of `ttecg train noise-detector`. ValueError for
    another kind of model, and for a training that has not come to its end."""
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
    label = str(stored.get("name", path.name))
    return NoiseDetector(label, config, functional, *bundle.load_arrays(file, functional))
