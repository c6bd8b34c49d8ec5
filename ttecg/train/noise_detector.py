"""Trains the noise detectors.

    ttecg train noise-detector --config configs/noise_detector_base.py --workdir runs/quality

First the autoencoder of pieces of leads, by gradients. When it is done, the clusters of codes and the rhythm detector
are fitted, and detector.safetensors is written with everything.
"""

import dataclasses
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from ttecg import bundle, quality
from ttecg.data import batches, corrupt
from ttecg.data.beats import r_peaks
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.metrics import windows
from ttecg.models.functional import Functional
from ttecg.models.noise_detector import QUANTILES, NoiseDetectorConfig
from ttecg.train import sharding
from ttecg.train.config import open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.state import OptimizerConfig, apply_gradients

RULES = sharding.REPLICATED
KINDS = (*corrupt.KINDS, "residual")  # "residual": what another recording holds beside its beats


@dataclasses.dataclass(frozen=True)
class NoiseDetectorTraining:
    """Everything that defines a run."""

    model: NoiseDetectorConfig = NoiseDetectorConfig()
    # "PATH@WEIGHT" of prepared sets, mostly clean, or "simulator"
    sources: tuple[str, ...] = ("simulator",)
    # training records that the second stages are fitted on, at most
    fitted: int = 400
    # dB that noise is added at for the rhythm detector, from and to
    snr: tuple[float, ...] = (-3.0, 9.0)
    # validation records to score
    validation: int = 100
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-3, warmup=50)
    run: RunConfig = RunConfig(steps=2000, batch=256, eval_every=500, checkpoint_every=500, ema=0.99)

    def __post_init__(self):
        if len(self.snr) != 2 or self.snr[0] > self.snr[1]:
            raise ValueError(f"snr is (from, to) in dB, got {self.snr}")
        if self.fitted < 20:
            raise ValueError(f"fitted must be at least 20, got {self.fitted}")


def run(config: NoiseDetectorTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir, and fits the second stages. Returns the final state."""
    sources, mixture = batches.open_sources(config.sources, "train")
    held_out = batches.open_sources(config.sources, "validation")[0][0]
    scored = np.concatenate([
        quality.pieces(quality.prepare(held_out[i], INDEPENDENT, config.model), config.model.piece).reshape(
            -1, config.model.piece
        )
        for i in range(min(config.validation, len(held_out)))
    ])  # fmt: skip
    workdir = open_workdir(workdir, config, resume)
    functional = Functional(config.model.create)
    task = Task(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        step=functools.partial(loss_step, functional, config),
        batch=batches.batches(_row_maker(config, sources, mixture), config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, functional, scored),
    )
    state = train(task, config.run, workdir, describe=to_dict(config))
    buffers = fit(functional, jax.device_get(state.ema), _some(sources, config), config)
    scratch = workdir / f"{quality.FITTED}.tmp"
    bundle.save_arrays(scratch, jax.device_get(state.ema), buffers, np.float32)
    os.replace(scratch, workdir / quality.FITTED)
    return state


def _row_maker(config: NoiseDetectorTraining, sources, mixture):
    @functools.lru_cache(maxsize=16_384)
    def signal(source: int, record: int) -> np.ndarray:
        return quality.prepare(sources[source][record], INDEPENDENT, config.model).astype(np.float16)

    def row(rng: np.random.Generator) -> dict:
        x = signal(*mixture.draw(rng))
        start = rng.integers(len(x) - config.model.piece + 1)
        piece = x[start : start + config.model.piece, rng.integers(len(INDEPENDENT))]
        return {"piece": piece.astype(np.float32) * rng.choice([-1.0, 1.0]).astype(np.float32)}

    return row


def _error(model, piece_BxT):
    return ((piece_BxT - model.rebuilt(model.codes(piece_BxT))) ** 2).mean()


def loss_step(functional: Functional, config: NoiseDetectorTraining, state, batch, key, optimizer):
    """One step of gradient descent on the error of the reconstruction."""
    loss, grads = jax.value_and_grad(
        lambda params: _error(functional.merge(params, state.buffers), batch["piece"])
    )(state.params)
    state, norms = apply_gradients(state, grads, optimizer, config.run.ema)
    return state, {
        "loss": loss,
        **norms,
        "learning_rate": config.optimizer.rate(config.run.steps)(state.step - 1),
    }


@functools.partial(jax.jit, static_argnums=0)
def _score(functional, params, buffers, pieces):
    return _error(functional.merge(params, buffers), pieces)


def evaluate(functional, scored, state, step) -> dict:
    """Mean squared error of validation pieces, each with a spread of 1; of the averaged parameters."""
    return {"val_error": float(_score(functional, state.ema, state.buffers, jnp.asarray(scored)))}


def _some(sources, config: NoiseDetectorTraining) -> list[ECG]:
    rng = np.random.default_rng(config.run.seed)
    places = [(s, i) for s in sources for i in range(len(s))]
    return [places[d][0][places[d][1]] for d in rng.permutation(len(places))[: config.fitted]]


@functools.partial(jax.jit, static_argnums=0)
def _features(functional, params, buffers, pieces):
    return functional.merge(params, buffers).features(pieces)


def fit(functional: Functional, params: dict, ecgs: list[ECG], config: NoiseDetectorTraining) -> dict:
    """The buffers of the second stages: clusters of the pieces of `ecgs` with their covariances (each drawn a fifth of
    the way to that of all, which few pieces need), quantiles of the records' distances, and the rhythm detector."""
    model, rng = config.model, np.random.default_rng(config.run.seed)
    _, buffers = functional.init(jax.random.key(0))
    buffers = {k: np.asarray(v) for k, v in buffers.items()}
    x = np.concatenate([
        np.asarray(_features(functional, params, buffers, quality.pieces(
            quality.prepare(e, INDEPENDENT, model), model.piece).reshape(-1, model.piece)))
        for e in tqdm(ecgs, desc="codes", leave=False, disable=None)
    ])  # fmt: skip
    mean, spread = x.mean(0), x.std(0) + 1e-6
    z = (x - mean) / spread
    found = KMeans(model.clusters, n_init=3, random_state=config.run.seed).fit(z)
    shared = np.cov(z - found.cluster_centers_[found.labels_], rowvar=False)
    precision = []
    for k in range(model.clusters):
        mine = z[found.labels_ == k]
        own = np.cov(mine, rowvar=False) if len(mine) > 2 * z.shape[1] else shared
        precision.append(np.linalg.inv(0.8 * own + 0.2 * shared + 1e-3 * np.eye(z.shape[1])))
    buffers |= {
        "mean": mean,
        "spread": spread,
        "centres": found.cluster_centers_,
        "precision": np.stack(precision),
    }
    buffers |= _rhythm(ecgs, config, rng)
    buffers = {k: np.asarray(v, np.float32) for k, v in buffers.items()}
    cut = [quality.pieces(quality.prepare(e, INDEPENDENT, model), model.piece) for e in ecgs]
    told = np.concatenate([_leads(functional, params, buffers, c[None])[0] for c in cut])
    buffers |= {"lead_mean": told.mean(0), "lead_spread": told.std(0) + 1e-6}
    noise = ((told - buffers["lead_mean"]) / buffers["lead_spread"]).max(-1)
    quantiles = np.quantile(noise.reshape(len(ecgs), -1).mean(1), np.linspace(0, 1, QUANTILES))
    return buffers | {"quantiles": np.maximum.accumulate(quantiles).astype(np.float32)}


@functools.partial(jax.jit, static_argnums=0)
def _leads(functional, params, buffers, pieces):
    return functional.merge(params, buffers).leads(pieces)


def _rhythm(ecgs: list[ECG], config: NoiseDetectorTraining, rng: np.random.Generator) -> dict:
    """Logistic regression of noisy against clean, on the same recordings with and without noise added."""
    clean = [
        quality.rhythm_features(e.select(INDEPENDENT))
        for e in tqdm(ecgs, desc="rhythm", leave=False, disable=None)
    ]
    noisy = [
        quality.rhythm_features(noised(e, kind, rng.uniform(*config.snr), rng, ecgs[(i + 1) % len(ecgs)]))
        for i, e in enumerate(tqdm(ecgs, desc="rhythm in noise", leave=False, disable=None))
        for kind in KINDS
    ]
    x = np.concatenate([clean, noisy])
    mean, spread = x.mean(0), x.std(0) + 1e-6
    model = LogisticRegression(C=0.3, max_iter=1000, class_weight="balanced")
    model.fit(np.clip((x - mean) / spread, -5, 5), np.repeat([0, 1], [len(clean), len(noisy)]))
    return {
        "rhythm_mean": mean, "rhythm_spread": spread,
        "rhythm_weight": model.coef_[0], "rhythm_bias": model.intercept_[0],
    }  # fmt: skip


def noised(ecg: ECG, kind: str, snr: float, rng: np.random.Generator, other: ECG | None = None) -> ECG:
    """The independent leads with noise of one kind, at a signal-to-noise ratio in dB in each. "residual" is what the
    recording `other` holds beside its usual beat, lead by lead."""
    x = ecg.select(INDEPENDENT)
    if kind != "residual":
        signal = np.stack([corrupt.corrupt(lead, x.rate, rng, kind, snr) for lead in x.signal.T], 1)
        return x.replace(signal=signal)
    rest = residual(other.select(INDEPENDENT).resample(x.rate))
    rest = np.resize(np.concatenate([rest, rest[::-1]]), (len(x.signal), rest.shape[1]))
    size = x.signal.std(0) * 10 ** (-snr / 20) / (rest.std(0) + 1e-9)
    return x.replace(signal=x.signal + rest * size)


def residual(ecg: ECG) -> np.ndarray:
    """(T, L) a recording less its median beat at every R peak."""
    peaks, x = r_peaks(ecg), ecg.signal - np.median(ecg.signal, axis=0)
    before, after = round(0.25 * ecg.rate), round(0.45 * ecg.rate)
    beats = windows(x, peaks, ecg.rate, (-0.25, 0.45))
    if not len(beats):
        return x
    beat, rest = (
        np.median(beats, axis=0) * np.hanning(before + after)[: len(beats[0]), None] ** 0.25,
        x.copy(),
    )
    for p in peaks:
        a, b = max(p - before, 0), min(p - before + len(beat), len(rest))
        rest[a:b] -= beat[a - (p - before) : b - (p - before)]
    return rest
