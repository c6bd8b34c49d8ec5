"""Trains a VQ tokenizer: `ttecg train tokenizer --config configs/tokenizer_base.py --workdir runs/tokenizer`."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ttecg import metrics, plot
from ttecg.data import augment, batches
from ttecg.data.beats import r_peaks
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_eight, to_twelve
from ttecg.models.functional import Functional
from ttecg.models.losses import multi_resolution_stft
from ttecg.models.tokenizer import TokenizerConfig
from ttecg.models.vq import codebook_use
from ttecg.train import sharding
from ttecg.train.config import at_least, open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats, integers
from ttecg.train.state import OptimizerConfig

RULES = (
    (r"^up/\d+/kernel$", sharding.P(None, None, "model")),
    *sharding.CHANNELS,
    (r"^(scale|vq/(vectors|counts))$", sharding.P()),
)


@dataclasses.dataclass(frozen=True)
class TokenizerTraining:
    """Everything that defines a tokenizer run."""

    model: TokenizerConfig = TokenizerConfig()
    # "PATH@WEIGHT" of prepared sets, or "simulator" (data.batches.Source)
    sources: tuple[str, ...] = ("simulator",)
    # samples per training example; 0 takes the whole record
    crop: int = 1252
    # scale each lead by its own spread, so that small leads count as much as tall ones
    per_lead_scale: bool = True
    # weights of the loss terms
    mse: float = 0.0
    l1: float = 1.0
    stft: float = 1.0
    commitment: float = 0.25
    # probability that an example uses a random number of levels instead of all
    level_dropout: float = 0.5
    # random gain and small turns of the heart's axis
    augment: bool = True
    # validation records to score
    validation: int = 64
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-3)
    run: RunConfig = RunConfig(steps=4000, batch=32, eval_every=500, checkpoint_every=250)

    def __post_init__(self):
        at_least(self, validation=1)
        frame, rest = self.model.frame_samples, self.model.samples % self.model.frame_samples
        if self.crop and self.crop % frame != rest:
            raise ValueError(
                f"crop must be {frame} N + {rest} samples (or 0 for whole records), got {self.crop}"
            )


def run(config: TokenizerTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    sources, mixture = batches.open_sources(config.sources, "train")
    validation = batches.open_sources(config.sources, "validation")[0][0]
    workdir = open_workdir(workdir, config, resume)
    what = objective(config)
    task = Task(
        objective=what,
        batch=batches.batches(_row_maker(config, sources, mixture), config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, what.functional, config, validation, workdir),
        prepare=functools.partial(_set_scale, config, sources),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: TokenizerTraining) -> Objective:
    """What a run teaches."""
    functional = Functional(config.model.create)
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs={
            "signal": floats(config.crop or config.model.samples, config.model.leads),
            "levels": integers(),
        },
    )


def prepare_signal(ecg: ECG, config: TokenizerConfig) -> np.ndarray:
    """The signal that a tokenizer sees, (T, L) float32 mV: its leads, rate and band, at least one ECG long
    (a shorter recording is continued with its last value)."""
    ecg = ecg.select(LEADS if config.leads == 12 else INDEPENDENT).resample(config.rate)
    if config.band:
        ecg = ecg.bandpass(*config.band)
    short = max(0, config.samples - len(ecg.signal))
    return np.pad(ecg.signal, ((0, short), (0, 0)), mode="edge").astype(np.float32)


def _row_maker(config: TokenizerTraining, sources, mixture):
    samples = config.crop or config.model.samples

    @functools.lru_cache(maxsize=16_384)
    def signal(source: int, record: int) -> np.ndarray:
        return prepare_signal(sources[source][record], config.model)

    def row(rng: np.random.Generator) -> dict:
        x = augment.random_crop(signal(*mixture.draw(rng)), samples, rng)
        if config.augment:
            x8 = to_eight(x) if config.model.leads == 12 else x
            x8 = augment.random_gain(augment.random_rotation(x8, rng), rng)
            x = to_twelve(x8) if config.model.leads == 12 else x8
        levels = config.model.levels
        if rng.random() < config.level_dropout:
            levels = int(rng.integers(1, levels + 1))
        return {"signal": x.astype(np.float32), "levels": np.int32(levels)}

    return row


def _set_scale(config, sources, state):
    """The root mean square of each lead over training records, into the model's buffer."""
    if not config.per_lead_scale:
        return state
    rng = np.random.default_rng(config.run.seed)
    signals = [
        prepare_signal(s[int(i)], config.model)
        for s in sources
        for i in rng.choice(len(s), min(len(s), 200), replace=False)
    ]
    scale = np.sqrt(np.mean([np.mean(x**2, 0) for x in signals], axis=0))
    return dataclasses.replace(state, buffers=state.buffers | {"scale": jnp.asarray(scale, jnp.float32)})


def loss(functional: Functional, config: TokenizerTraining, params, state, batch, key):
    """Reconstruction and commitment; codebooks by moving averages."""
    x, model = batch["signal"], functional.merge(params, state.buffers)
    y, codes, commit, (vectors, counts) = model(x, batch["levels"], key)
    scale = model.scale[...]
    a, b = x / scale, y / scale
    terms = {"mse": jnp.mean((a - b) ** 2), "l1": jnp.abs(a - b).mean(), "commitment": commit}
    if config.stft:
        terms["stft"] = multi_resolution_stft(a, b)
    perplexity, used = codebook_use(codes, config.model.codes)
    told = terms | {"perplexity": perplexity.mean(), "batch_use": used.mean()}
    buffers = state.buffers | {"vq/vectors": vectors, "vq/counts": counts}
    return sum(getattr(config, k) * v for k, v in terms.items()), (told, buffers)


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(functional, params, buffers, x):
    model = functional.merge(params, buffers)
    codes = model.codes(x)
    return model.reconstruct(codes), codes


def evaluate(functional, config: TokenizerTraining, records, workdir, state, step) -> dict:
    """Validation figures on the averaged parameters, and a picture of original over reconstruction."""
    model, count = config.model, min(config.validation, len(records))
    ecgs = [records[i] for i in range(count)]
    x = np.stack([prepare_signal(e, model)[: model.samples] for e in ecgs])
    y, codes = jax.device_get(_reconstruct(functional, state.ema, state.buffers, x))
    perplexity, used = codebook_use(jnp.asarray(codes), model.codes)
    if model.leads == 8:
        x, y = to_twelve(x), to_twelve(y)
    peaks = [r_peaks(ECG(a, LEADS, model.rate)) for a in x]
    originals = [e.replace(signal=a, leads=LEADS, rate=model.rate) for e, a in zip(ecgs, x)]
    plot.overlay(originals[0], originals[0].replace(signal=y[0]), workdir / f"reconstruction-{step:07d}.png")
    both = list(zip(x, y, peaks))
    return {
        "val_r": float(np.mean([metrics.pearson(a, b) for a, b, _ in both])),
        "val_rmse_mv": float(np.mean([metrics.rmse(a, b) for a, b, _ in both])),
        "val_prd": float(np.mean([metrics.prd(a, b) for a, b, _ in both])),
        "val_p_r": float(np.nanmean([metrics.p_wave_correlation(a, b, p, model.rate) for a, b, p in both])),
        "val_qrs_ratio": float(
            np.nanmean([metrics.qrs_amplitude_ratio(a, b, p, model.rate) for a, b, p in both])
        ),
        **{f"perplexity_{q + 1}": float(v) for q, v in enumerate(perplexity)},
        **{f"dead_{q + 1}": float(1 - v) for q, v in enumerate(used)},
    }
