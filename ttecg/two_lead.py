"""Twelve leads from a lead I and a lead II that were recorded at different times.

    model = load("two-lead")  # a bundle by name or folder, or a work directory of `ttecg train two-lead`
    ecg = model.reconstruct(lead_i, lead_ii)  # two ECGs in, one of twelve leads out

Lead I gives the time; what comes out has its length and sampling rate and lies in the model's band (0.67-40 Hz).
"""

import dataclasses
import functools
import pathlib

import jax
import numpy as np

from ttecg import bundle
from ttecg.data.beat_template import cues, lead_peaks, median_beat
from ttecg.data.checks import BrokenRecord, defects
from ttecg.ecg import ECG, EIGHT_TO_TWELVE, LEADS, resample
from ttecg.models.functional import Functional
from ttecg.models.two_lead import INPUTS, TwoLeadConfig
from ttecg.train.config import from_dict
from ttecg.train.two_lead import functional_of, net_arrays, predict

KIND = "two-lead"
SHORTEST_S = 2.5
_STEP, _LONGEST = 64, 1024  # samples: windows of lead I are multiples of _STEP long, up to _LONGEST
_STYLE_S = 10  # seconds of lead II that the style encoder sees
_BATCH = 8
_QRS_S, _QRS_WIDTH_S = (
    0.1,
    0.06,
)  # seconds: QRS lies within the first of R, is changed as a bell of the second
_GAIN = (0.5, 2.0)  # R and S waves of lead II are changed by no more


@dataclasses.dataclass(frozen=True)
class TwoLeadModel:
    """A trained two-lead model, ready to use."""

    name: str
    config: TwoLeadConfig
    functional: Functional
    params: dict
    buffers: dict

    @functools.cached_property
    def hash(self) -> str:
        """Of weights and config."""
        return bundle.digest(self.params | self.buffers, dataclasses.asdict(self.config))

    def predict(self, one_T: np.ndarray, two_S: np.ndarray) -> np.ndarray:
        """(T, 8) mV at lead I's time from the two leads, mV, band-passed, at the model's rate. Any lengths from two
        seconds; a long lead I is done in overlapping windows."""
        return self.predict_many([(one_T, two_S)])[0]

    def predict_many(self, pairs) -> list[np.ndarray]:
        """`predict` for several (lead I, lead II), those of equal lengths together."""
        rows, places = [], []
        for number, (one_T, two_S) in enumerate(pairs):
            for start, row in self._windows(np.asarray(one_T), np.asarray(two_S)):
                rows.append(row)
                places.append((number, start))
        made = self._in_batches(rows)
        totals = [np.zeros((len(one), 8), np.float64) for one, _ in pairs]
        weights = [np.zeros((len(one), 1)) for one, _ in pairs]
        for (number, start), y in zip(places, made):
            window = np.minimum(np.arange(1, len(y) + 1), np.arange(len(y), 0, -1))[:, None].astype(float)
            totals[number][start : start + len(y)] += window * y
            weights[number][start : start + len(y)] += window
        joined = [total / weight for total, weight in zip(totals, weights)]
        return [self._as_tall(y, *pair).astype(np.float32) for y, pair in zip(joined, pairs)]

    def _as_tall(self, y_Tx8, one_T, two_S):
        """The eight leads with R and S waves of lead II as large as in the lead II that was recorded. Where exactly
        they lie is not known for certain, and a mean over what is possible is blunter than each."""
        rate, span = self.config.rate, self.config.beat
        peaks, known = lead_peaks(one_T, "I", rate), lead_peaks(two_S, "II", rate)
        if not len(peaks) or not len(known):
            return y_Tx8
        qrs = slice(round((span[0] - _QRS_S) * rate), round((span[0] + _QRS_S) * rate) + 1)
        true, made = (
            median_beat(np.asarray(x), p, rate, span)[qrs] for x, p in ((two_S, known), (y_Tx8[:, 1], peaks))
        )
        up, down = _gain(true, made), _gain(-true, -made)
        near = np.exp(-0.5 * ((np.arange(len(y_Tx8))[:, None] - peaks) / (_QRS_WIDTH_S * rate)) ** 2).max(1)
        two = y_Tx8[:, 1]
        changed = y_Tx8.copy()
        changed[:, 1] = two * (1 + (np.where(two > 0, up, down) - 1) * near)
        return changed

    def _windows(self, one_T, two_S):
        """(start, row of inputs) of the windows that cover lead I."""
        rate = self.config.rate
        peaks = lead_peaks(one_T, "I", rate), lead_peaks(two_S, "II", rate)
        told = cues(one_T, two_S, *peaks, rate, self.config.beat)
        second = round(rate)
        span = min(len(two_S) // second, _STYLE_S) * second
        middle = (len(two_S) - span) // 2
        size = min(len(one_T) // _STEP * _STEP, _LONGEST)
        last = len(one_T) - size
        count = 1 + int(np.ceil(last / (0.75 * size)))
        for start in np.unique(np.linspace(0, last, count).round().astype(int)):
            part = slice(start, start + size)
            yield (
                int(start),
                {
                    "one": one_T[part].astype(np.float32),
                    "two": two_S[middle : middle + span].astype(np.float32),
                    "template": told["template"][part],
                    "beats": told["beats"],
                },
            )

    def _in_batches(self, rows: list[dict]) -> list[np.ndarray]:
        """One (T, 8) per row; rows of one shape go together, in few batch sizes so that little is compiled."""
        groups, made = {}, [None] * len(rows)
        for number, row in enumerate(rows):
            groups.setdefault((row["one"].shape, row["two"].shape), []).append(number)
        for numbers in groups.values():
            for i in range(0, len(numbers), _BATCH):
                part = numbers[i : i + _BATCH]
                size = len(part) if len(part) <= 2 else _BATCH
                filled = part + part[:1] * (size - len(part))
                x = {k: np.stack([rows[n][k] for n in filled]) for k in INPUTS}
                y = jax.device_get(predict(self.functional, self.params, self.buffers, x))
                for number, one in zip(part, y):
                    made[number] = one
        return made

    def prepare(self, x_T: np.ndarray, rate: float) -> np.ndarray:
        """(T',) one lead as the model sees it: its rate, its band."""
        ecg = ECG(np.asarray(x_T, np.float64)[:, None], ("I",), rate)
        return ecg.resample(self.config.rate).bandpass(*self.config.band).signal[:, 0]

    def reconstruct(self, lead_i: ECG, lead_ii: ECG, keep_input: bool = False) -> ECG:
        """Twelve leads with the length and rate of `lead_i`; what is known of the patient is taken from it too.

        Each ECG holds the lead it is given for (a single lead of a name that is none of the twelve is taken for it).
        Lead I comes back cleaned, or with keep_input as it was; III, aVR, aVL, aVF follow from what is returned.
        ValueError for a missing lead, NaN, less than 2.5 s, an impossible voltage."""
        x, y = only(lead_i, "I"), only(lead_ii, "II")
        eight = self.predict(*(self.prepare(e.signal[:, 0], e.rate) for e in (x, y)))
        eight = _fit(resample(eight, self.config.rate, x.rate), len(x.signal))
        if keep_input:
            eight[:, 0] = x.signal[:, 0]
        info = {"synthetic": True, "model": self.name, "model_hash": self.hash, "lead_i_kept": keep_input}
        return x.replace(signal=eight @ EIGHT_TO_TWELVE, leads=LEADS, info=info)


def _gain(true_W, made_W) -> float:
    """What makes the highest point of one wave that of the other; 1 where there is none above zero."""
    high, now = float(true_W.max()), float(made_W.max())
    return float(np.clip(high / now, *_GAIN)) if high > 0 and now > 0 else 1.0


def only(ecg: ECG, lead: str) -> ECG:
    """The ECG with that lead alone, fit to be used; ValueError says what is wrong with it."""
    name = ecg.id or "ECG"
    if len(ecg.leads) == 1 and ecg.leads[0] not in LEADS:
        ecg = ecg.replace(leads=(lead,))
    try:
        ecg = ecg.select((lead,))
    except ValueError:
        raise BrokenRecord(
            f"{name}: has no lead {lead}, only {', '.join(ecg.leads)}; give a record that holds it"
        ) from None
    if ecg.duration < SHORTEST_S:
        raise BrokenRecord(
            f"{name}: {ecg.duration:.3g} s of lead {lead}; at least {SHORTEST_S:g} s are needed"
        )
    wrong = defects(ecg, (lead,))
    if wrong:
        raise BrokenRecord(f"{name}: {wrong[0]}")
    return ecg


def _fit(x_TL: np.ndarray, samples: int) -> np.ndarray:
    """Resampling there and back may change the length by a sample or two."""
    x_TL = x_TL[:samples]
    return np.pad(x_TL, ((0, samples - len(x_TL)), (0, 0)), mode="edge")


def load(name="two-lead") -> TwoLeadModel:
    """A bundle by the name of one that ships or by its folder, or a work directory of `ttecg train two-lead`."""
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        from ttecg.train.two_lead import TwoLeadTraining

        config = dict(bundle.workdir_config(path, "TwoLeadTraining"))
        config.pop("task")
        training = from_dict(TwoLeadTraining, config, f"{path}/config.json")
        arrays = net_arrays(*bundle.newest_weights(path, training.functional))
        return TwoLeadModel(path.name, training.model, functional_of(training.model), *arrays)
    path = bundle.resolve(name)
    stored = bundle.read_network(path, KIND)
    config = from_dict(TwoLeadConfig, stored["model"], str(path / bundle.CONFIG))
    functional = functional_of(config)
    arrays = bundle.load_arrays(path / bundle.NETWORK, functional)
    return TwoLeadModel(stored["name"], config, functional, *arrays)
