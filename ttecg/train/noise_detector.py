"""Trains the noise detectors.

    ttecg train noise-detector --config configs/noise_detector_base.py --workdir runs/quality

First the autoencoder of pieces of leads, by gradients. When it has come to its end, the clusters of codes and the
detector by R peaks are fitted, and detector.safetensors is written with everything.
"""

import dataclasses
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ttecg import bundle, quality
from ttecg.data import batches, corrupt
from ttecg.data.beats import r_peaks
from ttecg.data.simulator_noise import recording_noise
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models.functional import Functional
from ttecg.models.noise_detector import LEVELS, QUANTILES, NoiseDetectorConfig, hrv_scaled, standardised
from ttecg.train import distributed, sharding
from ttecg.train.config import at_least, open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats
from ttecg.train.state import OptimizerConfig

RULES = (
    (r"^up/\d+/kernel$", sharding.P(None, None, "model")),
    *sharding.CHANNELS,
    (r"^(mean|spread|hrv_\w+|(code|level)_(centres|precision)|\w+_quantiles)$", sharding.P()),
)
# "recording": wander, muscle and mains from electrodes, shared by leads; "residual": what is real, of another recording
KINDS = (*corrupt.KINDS, "recording", "residual")
_OWN = 0.8  # of a cluster's covariance that is its own; the rest is that of all, for clusters of few pieces
_BEAT = (0.25, 0.45)  # seconds before and after R that a residual is free of
_REGULARISATION = 0.1


@dataclasses.dataclass(frozen=True)
class NoiseDetectorTraining:
    """Everything that defines a run."""

    model: NoiseDetectorConfig = NoiseDetectorConfig()
    # "PATH@WEIGHT" of prepared sets, mostly clean, or "simulator"
    sources: tuple[str, ...] = ("simulator",)
    # training records that the second stages are fitted on, at most
    fitted: int = 400
    # dB, from and to, at which noise is added for the detector by R peaks
    snr: tuple[float, ...] = (-3.0, 9.0)
    # validation records to score
    validation: int = 100
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-3, warmup=50)
    run: RunConfig = RunConfig(steps=1000, batch=128, eval_every=250, checkpoint_every=250, ema=0.99)

    def __post_init__(self):
        at_least(self, validation=1, fitted=20)
        if len(self.snr) != 2 or self.snr[0] > self.snr[1]:
            raise ValueError(f"snr is (from, to) in dB, got {self.snr}")


def run(config: NoiseDetectorTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir; fits the second stages when that is done. Returns the final state."""
    sources, mixture = batches.open_sources(config.sources, "train")
    validation = batches.open_sources(config.sources, "validation")[0][0]
    scored = np.concatenate([
        quality.prepare(validation[i], config.model)[0].reshape(-1, config.model.piece)
        for i in range(min(config.validation, len(validation)))
    ])  # fmt: skip
    workdir = open_workdir(workdir, config, resume)
    what = objective(config)
    functional = what.functional
    task = Task(
        objective=what,
        batch=batches.batches(_row_maker(config, sources, mixture), config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, functional, scored),
    )
    state = train(task, config.run, workdir, describe=to_dict(config))
    if int(state.step) >= config.run.steps:  # else it was asked to stop before
        params = distributed.gathered(state.ema)
        distributed.by_main(
            lambda: _write_fitted(functional, params, _some(sources, config), config, workdir)
        )
    return state


def _write_fitted(functional: Functional, params: dict, ecgs, config: NoiseDetectorTraining, workdir):
    scratch = workdir / f"{quality.FITTED}.tmp"
    bundle.save_arrays(scratch, params, fit(functional, params, ecgs, config), np.float32)
    os.replace(scratch, workdir / quality.FITTED)


def objective(config: NoiseDetectorTraining) -> Objective:
    """What the first stage of a run teaches."""
    functional = Functional(config.model.create)
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional),
        inputs={"piece": floats(config.model.piece)},
    )


def _row_maker(config: NoiseDetectorTraining, sources, mixture):
    @functools.lru_cache(maxsize=16_384)
    def pieces(source: int, record: int) -> np.ndarray:
        return quality.prepare(sources[source][record], config.model)[0].astype(np.float16)

    def row(rng: np.random.Generator) -> dict:
        x_PxLxT = pieces(*mixture.draw(rng))
        piece = x_PxLxT[rng.integers(x_PxLxT.shape[0]), rng.integers(x_PxLxT.shape[1])]
        return {"piece": piece.astype(np.float32) * np.float32(rng.choice((-1, 1)))}

    return row


def error(model, piece_BxT):
    """Mean squared error of the reconstruction of pieces with a spread of 1."""
    x, _ = standardised(piece_BxT)
    return ((x - model.rebuilt(model.codes(x))) ** 2).mean()


def loss(functional: Functional, params, state, batch, key):
    """The error of the reconstruction. batch: piece (B, T)."""
    return error(functional.merge(params, state.buffers), batch["piece"]), ({}, state.buffers)


@functools.partial(jax.jit, static_argnums=0)
def _error(functional, params, buffers, piece_BxT):
    return error(functional.merge(params, buffers), piece_BxT)


def evaluate(functional, scored, state, step) -> dict:
    """The error on validation pieces, of the averaged parameters."""
    return {"val_error": float(_error(functional, state.ema, state.buffers, jnp.asarray(scored)))}


def _some(sources, config: NoiseDetectorTraining):
    """Up to `fitted` of the training records, of all sources; as they are read, not held."""
    rng = np.random.default_rng(config.run.seed)
    places = [(s, i) for s in range(len(sources)) for i in range(len(sources[s]))]
    chosen = [places[d] for d in rng.permutation(len(places))[: config.fitted]]
    return _Chosen(sources, chosen)


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """Records of several sources as one sequence."""

    sources: list
    places: list

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: int) -> ECG:
        source, record = self.places[i]
        return self.sources[source][record]


@functools.partial(jax.jit, static_argnums=0)
def _features(functional, params, buffers, piece_BxT, outside_Bx2):
    return functional.merge(params, buffers).features(piece_BxT, outside_Bx2)


def fit(functional: Functional, params: dict, ecgs, config: NoiseDetectorTraining) -> dict:
    """The buffers of both second stages, from a sequence of ECGs that are mostly clean."""
    buffers = {k: np.asarray(v) for k, v in functional.init(jax.random.key(0))[1].items()}
    found = []
    for i in tqdm(range(len(ecgs)), desc="codes", leave=False, disable=None):
        cut, outside, usable = quality.prepare(ecgs[i], config.model)
        cut, outside = cut[:, usable].reshape(-1, config.model.piece), outside[:, usable].reshape(-1, 2)
        found.append(np.asarray(_features(functional, params, buffers, cut, outside)))
    buffers |= clusters(np.concatenate(found), config.model.clusters, config.run.seed)
    buffers |= fit_hrv(ecgs, config)
    buffers = {k: np.asarray(v, np.float32) for k, v in buffers.items()}
    detector = quality.NoiseDetector("", config.model, functional, params, buffers)
    each = [
        detector.distances(ecgs[i])
        for i in tqdm(range(len(ecgs)), desc="quantiles", leave=False, disable=None)
    ]
    return buffers | {
        "lead_quantiles": _quantiles(np.concatenate(each)),
        "record_quantiles": _quantiles([x.mean() for x in each]),
    }


def clusters(features_NxF, count: int, seed: int) -> dict:
    """Buffers of the first detector: clusters of codes, and each cluster's usual levels with their covariance."""
    mean, spread = features_NxF.mean(0), features_NxF.std(0) + 1e-6
    scaled = (features_NxF - mean) / spread
    codes, levels = scaled[:, :-LEVELS], scaled[:, -LEVELS:]
    with threadpool_limits(1):  # threads add their parts in the order in which they end
        found = KMeans(count, n_init=3, random_state=seed).fit(codes)
    usual = np.stack([np.median(levels[found.labels_ == k], axis=0) for k in range(count)])
    return {
        "mean": mean,
        "spread": spread,
        "code_centres": found.cluster_centers_,
        "level_centres": usual,
        "code_precision": _precisions(codes - found.cluster_centers_[found.labels_], found.labels_, count),
        "level_precision": _precisions(levels - usual[found.labels_], found.labels_, count),
    }


def _precisions(away_NxF, labels, count: int) -> np.ndarray:
    """(K, F, F) inverse covariances of clusters."""
    size = away_NxF.shape[1]
    shared, found = np.cov(away_NxF, rowvar=False), []
    for k in range(count):
        mine = away_NxF[labels == k]
        own = np.cov(mine, rowvar=False) if len(mine) > 2 * size else shared
        found.append(np.linalg.inv(_OWN * own + (1 - _OWN) * shared + 1e-3 * np.eye(size)))
    return np.stack(found)


def _quantiles(values) -> np.ndarray:
    return np.quantile(values, np.linspace(0, 1, QUANTILES)).astype(np.float32)


def fit_hrv(ecgs, config: NoiseDetectorTraining) -> dict:
    """Buffers of the second detector: logistic regression of the same recordings with noise, of every kind, against
    without."""
    rng, rows = np.random.default_rng(config.run.seed), []
    for i in tqdm(range(len(ecgs)), desc="R peaks in noise", leave=False, disable=None):
        ecg, other = ecgs[i], ecgs[(i + 1) % len(ecgs)]
        noisy = [noised(ecg, kind, rng.uniform(*config.snr), rng, other) for kind in KINDS]
        rows.append([quality.hrv_features(e) for e in (ecg, *noisy)])
    x = np.concatenate(rows)
    mean, spread = x.mean(0), x.std(0) + 1e-6
    target = np.tile([0] + [1] * len(KINDS), len(rows))
    model = LogisticRegression(C=_REGULARISATION, max_iter=2000, class_weight="balanced")
    model.fit(np.asarray(hrv_scaled(x, mean, spread)), target)
    return {
        "hrv_mean": mean,
        "hrv_spread": spread,
        "hrv_weight": model.coef_[0],
        "hrv_bias": model.intercept_[0],
    }


def noised(ecg: ECG, kind: str, snr: float, rng: np.random.Generator, other: ECG) -> ECG:
    """The independent leads with noise of one of `KINDS` in each, at a signal-to-noise ratio in dB (powers about the
    mean). `other` gives "residual" its noise, lead by lead; one that is flat there stays as it was."""
    leads = quality.usable_leads(ecg)
    x = ecg.select(leads)
    if kind == "residual":
        rest = residual(other.select(leads).resample(x.rate))
        noise = np.resize(np.concatenate([rest, rest[::-1]]), x.signal.shape)
    elif kind == "recording":
        places = [INDEPENDENT.index(lead) for lead in leads]
        noise = recording_noise(rng, len(x.signal), x.rate, rng.uniform(0.15, 0.4))[:, places]
    else:
        noise = np.stack([corrupt.noise(kind, len(x.signal), x.rate, rng) for _ in leads], 1)
    noise = noise - noise.mean(0)
    spread = noise.std(0)
    size = x.signal.std(0) * 10 ** (-snr / 20) / np.where(spread > 0, spread, 1.0)
    return x.replace(signal=x.signal + size * noise)


def residual(ecg: ECG) -> np.ndarray:
    """(T, L) mV: a recording less its median beat at every R peak. The whole recording where no beat lies within."""
    peaks, x = r_peaks(ecg), ecg.signal - np.median(ecg.signal, axis=0)
    before, after = (round(s * ecg.rate) for s in _BEAT)
    whole = [p for p in peaks if p >= before and p + after <= len(x)]
    if not whole:
        return x
    fade = np.hanning(before + after)[:, None] ** 0.25  # no steps at the ends of a beat
    beat, rest = fade * np.median([x[p - before : p + after] for p in whole], axis=0), x.copy()
    for p in peaks:
        a, b = max(p - before, 0), min(p + after, len(x))
        rest[a:b] -= beat[a - p + before : b - p + before]
    return rest
