"""Twelve leads from any few of them.

    model = load("unet")  # or "ridge", "dower", "inverse-dower", "kors", a bundle, a work directory
    ecg = model.reconstruct(recording, ("I", "II", "V2"))

All answer every set of visible leads. What they predict lies in the model's band (0.67-40 Hz).
Axes: N records, T time, 12 or 8 leads.
"""

import abc
import dataclasses
import functools
import pathlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ttecg import bundle
from ttecg.data.checks import BrokenRecord, defects
from ttecg.ecg import ECG, EIGHT_TO_TWELVE, LEADS, lead_name, resample
from ttecg.models import lead_maps
from ttecg.models.functional import Functional
from ttecg.models.unet import UNetConfig
from ttecg.train.config import from_dict

KIND = "unet"
SHORTEST_S = 2.0  # `data.checks` wants no less
TRANSFORMS = {"dower": lead_maps.dower, "inverse-dower": lead_maps.inverse_dower, "kors": lead_maps.kors}
_LONGEST, _STEP = 1000, 50  # samples: windows are multiples of _STEP long, so that few are compiled
_BATCH = 32


class Reconstructor(abc.ABC):
    """What `load` gives. name, hash: of the model; rate (Hz) and band (Hz): what it sees and predicts."""

    name: str
    hash: str
    rate: float = 100.0
    band: tuple[float, float] = (0.67, 40.0)

    @abc.abstractmethod
    def _answer(self, signal_BxTx12, masks_Bx12) -> np.ndarray:
        """(B, T, 8) mV under the mask of each; what is hidden is zero in `signal`."""

    def predict(self, x_NxTx8, mask_12) -> np.ndarray:
        """(N, T, 8) float32 mV of N signals at the model's rate and in its band, under one mask
        (`lead_maps.visible`). Leads that the mask hides are not looked at, the others come back as they are."""
        return self.predict_masks(x_NxTx8, np.broadcast_to(mask_12, (len(x_NxTx8), 12)))

    def predict_masks(self, x_NxTx8, masks_Nx12) -> np.ndarray:
        """`predict` with a mask for each signal. Long signals are done in overlapping windows."""
        x = np.asarray(x_NxTx8, np.float32) @ lead_maps.TO_TWELVE
        x = np.where(masks_Nx12[:, None], x, 0).astype(np.float32)
        total, weight = np.zeros((*x.shape[:2], 8), np.float32), np.zeros((1, x.shape[1], 1), np.float32)
        for part in _windows(x.shape[1]):
            span = part.stop - part.start
            ramp = np.minimum(np.arange(1, span + 1), np.arange(span, 0, -1))[:, None].astype(np.float32)
            total[:, part] += ramp * self._in_batches(x[:, part], masks_Nx12)
            weight[:, part] += ramp
        eight = total / weight
        shown = masks_Nx12[:, lead_maps.EIGHT]
        return np.where(shown[:, None], np.asarray(x_NxTx8, np.float32), eight)

    def _in_batches(self, x_NxTx12, masks_Nx12) -> np.ndarray:
        made = []
        for i in range(0, len(x_NxTx12), _BATCH):
            x, masks = x_NxTx12[i : i + _BATCH], masks_Nx12[i : i + _BATCH]
            extra = 0 if len(x) == 1 else _BATCH - len(x)  # two batch sizes: 1 and _BATCH
            x, masks = (np.concatenate([a, np.repeat(a[:1], extra, 0)]) for a in (x, masks))
            made.append(np.asarray(self._answer(x, masks))[: len(x) - extra])
        return np.concatenate(made)

    def reconstruct(self, ecg: ECG, leads=None) -> ECG:
        """The standard twelve leads, with the rate and length of `ecg`. leads: those that may be looked at; all that
        are there unless given. They come back sample for sample; the limb leads obey Einthoven's law."""
        return next(self.reconstruct_many([ecg], leads))

    def reconstruct_many(self, ecgs, leads=None) -> Iterator[ECG]:
        """`reconstruct` for many recordings, those of one length together; in their order."""
        ecgs = list(ecgs)
        rows = [self._row(ecg, leads) for ecg in ecgs]
        groups: dict[int, list[int]] = {}
        for number, (x, _) in enumerate(rows):
            groups.setdefault(len(x), []).append(number)
        made = {}
        for numbers in groups.values():
            signals, masks = (np.stack(a) for a in zip(*(rows[n] for n in numbers)))
            made |= dict(zip(numbers, self.predict_masks(signals, masks)))
        for number, ecg in enumerate(ecgs):
            yield self._finish(ecg, rows[number][1], made[number])

    def _row(self, ecg: ECG, leads) -> tuple[np.ndarray, np.ndarray]:
        """(T, 8) at the model's rate and in its band, and the mask; hidden leads are zero, but for I and II where one
        limb lead alone is visible: these hold least-norm values that give it."""
        leads = check(ecg, leads)
        mask = lead_maps.visible(leads)
        seen = ecg.select([lead for lead, here in zip(LEADS, mask) if here])
        seen = seen.resample(self.rate)
        seen = seen.bandpass(self.band[0], min(self.band[1], 0.45 * self.rate)).signal
        full = np.zeros((1, len(seen), 12), np.float32)
        full[0][:, mask] = seen
        return np.asarray(lead_maps.restore(np.zeros_like(full[..., :8]), full, mask[None]))[0], mask

    def _finish(self, ecg: ECG, mask, predicted_Tx8) -> ECG:
        eight = resample(predicted_Tx8.astype(np.float64), self.rate, ecg.rate)[: len(ecg.signal)]
        eight = np.pad(eight, ((0, len(ecg.signal) - len(eight)), (0, 0)), mode="edge")
        names = [lead for lead, here in zip(LEADS, mask) if here]
        own = np.zeros((len(eight), 12))
        own[:, mask] = ecg.select(names).signal
        limb = np.flatnonzero(mask[:6])
        if len(limb) == 1:  # the least change of I and II that makes the one limb lead right
            c = EIGHT_TO_TWELVE[:2, limb[0]]
            eight[:, :2] += np.outer((own[:, limb[0]] - eight[:, :2] @ c) / (c @ c), c)
        shown = mask[lead_maps.EIGHT]
        eight[:, shown] = own[:, lead_maps.EIGHT][:, shown]
        twelve = eight @ EIGHT_TO_TWELVE
        twelve[:, mask] = own[:, mask]
        info = {"synthetic": True, "reconstructed_from": ",".join(names)}  # in part is enough for the warning
        info |= {"model": self.name, "model_hash": self.hash}
        return ecg.replace(signal=twelve, leads=LEADS, info=info)


def check(ecg: ECG, leads=None) -> tuple[str, ...]:
    """The visible leads of a recording that is fit to be used; ValueError says what is wrong with it."""
    if isinstance(leads, str):
        raise ValueError(f"leads are given as a list of names, got the text {leads!r}")
    if leads is None:
        leads = [lead for lead in ecg.leads if lead in LEADS]
    leads = tuple(map(lead_name, leads))
    name = ecg.id or "ECG"
    try:
        lead_maps.visible(leads)
    except ValueError as error:
        raise BrokenRecord(f"{name}: {error}") from None
    if ecg.duration < SHORTEST_S:
        raise BrokenRecord(
            f"{name}: {len(ecg.signal)} samples, {ecg.duration:.3g} s; at least {SHORTEST_S:g} s are needed"
        )
    ecg = ecg.select(leads)
    wrong = defects(ecg, leads)
    if wrong:
        raise BrokenRecord(f"{name}: {wrong[0]}")
    return leads


def _windows(length: int):
    """Slices that cover `length` samples, overlapping by a quarter and more."""
    size = min(length // _STEP * _STEP, _LONGEST) or length
    count = 1 + int(np.ceil((length - size) / (0.75 * size)))
    return [slice(a, a + size) for a in np.unique(np.linspace(0, length - size, count).round().astype(int))]


class Linear(Reconstructor):
    """A transform that is a matrix for each set of visible leads."""

    def __init__(self, name: str):
        self.name, self.hash = name, bundle.digest({}, name)
        self._weights = functools.lru_cache(maxsize=512)(lambda mask: TRANSFORMS[name](np.array(mask)))

    def _answer(self, signal_BxTx12, masks_Bx12):
        weights = np.stack([self._weights(tuple(map(bool, mask))) for mask in masks_Bx12])
        return lead_maps.restore(jnp.asarray(signal_BxTx12 @ weights), signal_BxTx12, masks_Bx12)


class Network(Reconstructor):
    """A U-net, or with no members its ridge regression alone."""

    def __init__(self, name: str, config: UNetConfig, params: dict, buffers: dict):
        self.name, self.config, self.rate, self.band = name, config, config.rate, config.band
        self.functional, self.params, self.buffers = Functional(config.create), params, buffers
        self.hash = bundle.digest(params | buffers, dataclasses.asdict(config))

    def predict_masks(self, x_NxTx8, masks_Nx12):
        own = lead_maps.visible(self.config.leads) if self.config.leads else None
        if own is not None and not (np.asarray(masks_Nx12) == own).all():
            raise ValueError(f"{self.name} was trained for the leads {', '.join(self.config.leads)} alone")
        return super().predict_masks(x_NxTx8, masks_Nx12)

    def _answer(self, signal_BxTx12, masks_Bx12):
        return _apply(self.functional, self.params, self.buffers, signal_BxTx12, masks_Bx12)

    def ridge(self) -> "Network":
        """Its first guess alone: the ridge regression on the same training records."""
        config = dataclasses.replace(self.config, members=0, leads=())
        return Network("ridge", config, {}, {"moment": self.buffers["moment"]})


@functools.partial(jax.jit, static_argnums=0)
def _apply(functional, params, buffers, signal, masks):
    return functional.merge(params, buffers)(signal, masks)


def load(name="unet") -> Reconstructor:
    """ "unet" (it ships), a bundle's folder, or a work directory of `ttecg train unet`; "ridge" for the linear part of
    the first, "ridge:NAME" of another; "dower", "inverse-dower" and "kors" for the classic transforms."""
    kind, _, of = str(name).partition(":")
    if kind == "ridge":
        return load(of or "unet").ridge()
    if kind in TRANSFORMS:
        return Linear(kind)
    path = pathlib.Path(name)
    if (path / "checkpoints").is_dir():
        config = bundle.workdir_config(path, "UNetTraining")
        model = from_dict(UNetConfig, config["model"], f"{path}/config.json")
        return Network(path.name, model, *bundle.newest_weights(path, Functional(model.create)))
    path = bundle.resolve(name)
    stored = bundle.read_network(path, KIND)
    config = from_dict(UNetConfig, stored["model"], str(path / bundle.CONFIG))
    return Network(
        stored["name"], config, *bundle.load_arrays(path / bundle.NETWORK, Functional(config.create))
    )


def join(workdirs) -> Network:
    """The runs of one config, of different seeds, as one model that answers with their mean."""
    runs = [load(workdir) for workdir in workdirs]
    first = runs[0]
    for run in runs[1:]:
        if run.config != first.config:
            raise ValueError(f"{run.name} is another model than {first.name}; only runs of one config join")
    if len(runs) == 1:
        return first
    count = first.config.members
    params = {
        name.replace(f"nets/{i}/", f"nets/{number * count + i}/"): value
        for number, run in enumerate(runs)
        for i in range(count)
        for name, value in run.params.items()
        if name.startswith(f"nets/{i}/")
    }
    config = dataclasses.replace(first.config, members=count * len(runs))
    return Network(first.name, config, params, first.buffers)
