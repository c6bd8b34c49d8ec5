"""Trains the lead reconstructor: `ttecg train unet --config configs/unet_base.py --workdir runs/unet`."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data import augment, batches
from ttecg.ecg import INDEPENDENT, LEADS, to_twelve
from ttecg.models import lead_maps
from ttecg.models.functional import Functional
from ttecg.models.unet import UNetConfig
from ttecg.train import first_weights, sharding
from ttecg.train.config import at_least, open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats
from ttecg.train.state import OptimizerConfig

RULES = (*sharding.CHANNELS, (r"moment$", sharding.P()))
# lead sets that validation looks at
WATCHED = (("I",), ("I", "II"), ("I", "II", "V2"), ("I", "II", "V3"))


@dataclasses.dataclass(frozen=True)
class UNetTraining:
    """Everything that defines a run."""

    model: UNetConfig = UNetConfig()
    # "PATH@WEIGHT" of prepared sets in mV, or "simulator"
    sources: tuple[str, ...] = ("simulator",)
    # sets whose voltages were put back (ttecg data restore-voltages): only the correlation loss looks at them
    shape_sources: tuple[str, ...] = ()
    # samples per training example
    crop: int = 512
    # weights of the loss terms over hidden leads: squared and absolute error and first difference (each lead divided
    # by its spread), and 1 - Pearson correlation
    mse: float = 0.0
    l1: float = 1.0
    difference: float = 0.0
    pearson: float = 1.0
    # random gain, turns of the heart's axis, and time scale
    augment: bool = True
    # work directory to take the first weights from, of the simulator say
    init: str = ""
    # validation records to score
    validation: int = 96
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-3, warmup=50)
    run: RunConfig = RunConfig(steps=2400, batch=24, eval_every=300, checkpoint_every=300)

    def __post_init__(self):
        at_least(self, crop=16, validation=1)


def run(config: UNetTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    names = config.sources + config.shape_sources
    sources, mixture = batches.open_sources(names, "train")
    measured = len(batches.with_split(config.sources, "train"))
    if not measured:
        raise ValueError(
            f"no source of {', '.join(config.sources) or '(none)'} has records in its train split"
        )
    held_out = prepared(batches.open_sources(config.sources, "validation")[0][0], config)
    what = objective(config)
    if not resume:
        first_weights.check(config.init, what.functional)
    workdir = open_workdir(workdir, config, resume)
    task = Task(
        objective=what,
        batch=batches.batches(
            _row_maker(config, sources, mixture, measured), config.run.seed, config.run.batch
        ),
        evaluate=functools.partial(evaluate, what.functional, config, held_out),
        prepare=functools.partial(_start, config, sources[:measured]),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: UNetTraining) -> Objective:
    """What a run teaches."""
    functional = Functional(config.model.create)
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs={
            "signal": floats(config.crop, 8),
            "mask": jax.ShapeDtypeStruct((12,), bool),
            "measured": floats(),
        },
    )


def prepare_signal(ecg, config: UNetConfig) -> np.ndarray:
    """The eight leads that the network sees and predicts, (T, 8) float32 mV."""
    return ecg.select(INDEPENDENT).resample(config.rate).bandpass(*config.band).signal.astype(np.float32)


def prepared(records, config: UNetTraining) -> np.ndarray:
    """(N, T, 8) of the first validation records."""
    return np.stack(
        [prepare_signal(records[i], config.model) for i in range(min(config.validation, len(records)))]
    )


def random_leads(rng: np.random.Generator) -> tuple[str, ...]:
    """A lead set to train on: half of the time limb leads with up to two chest leads, as a wearable has them, else any
    subset of the eight; now and then a limb lead that is neither I nor II stands alone."""
    if rng.random() < 0.5:
        limb = [("I",), ("II",), ("I", "II"), ("I", "II"), (str(rng.choice(LEADS[2:6])),)][
            int(rng.integers(5))
        ]
        return *limb, *rng.choice(LEADS[6:], int(rng.integers(3)), replace=False)
    return tuple(rng.choice(INDEPENDENT, int(rng.integers(1, 8)), replace=False))


def _row_maker(config: UNetTraining, sources, mixture, measured: int):
    @functools.lru_cache(maxsize=16_384)
    def signal(source: int, record: int) -> np.ndarray:
        return prepare_signal(sources[source][record], config.model)

    def row(rng: np.random.Generator) -> dict:
        source, record = mixture.draw(rng)
        x = signal(source, record)
        if config.augment:
            x = augment.random_time_scale(x, config.crop, rng)
            x = augment.random_gain(augment.random_rotation(x, rng), rng)
        else:
            x = augment.random_crop(x, config.crop, rng)
        leads = config.model.leads or random_leads(rng)
        if source >= measured:  # how tall its chest leads are is a guess, so they may be answers but no input
            leads = tuple(lead for lead in leads if lead in LEADS[:6]) or ("I", "II")
        mask = lead_maps.visible(leads)
        return {"signal": x.astype(np.float32), "mask": mask, "measured": np.float32(source < measured)}

    return row


def _start(config: UNetTraining, sources, state):
    """The second moments of the training records into the model's buffer, and weights of an earlier run."""
    state = first_weights.begun(config.init, state)
    rng = np.random.default_rng(config.run.seed)
    signals = [
        prepare_signal(s[int(i)], config.model)
        for s in sources
        for i in rng.choice(len(s), min(len(s), 500), replace=False)
    ]
    moment = np.mean([x.T @ x / len(x) for x in signals], axis=0)
    return dataclasses.replace(state, buffers=state.buffers | {"moment": jnp.asarray(moment, jnp.float32)})


def pearson(x_BxTxL, y_BxTxL):
    """(B, L), smooth where a lead is flat."""
    a, b = (s - s.mean(1, keepdims=True) for s in (x_BxTxL, y_BxTxL))
    return (a * b).sum(1) / jnp.sqrt((a * a).sum(1) * (b * b).sum(1) + 1e-6)


def loss_terms(x, y, hidden, measured, spread) -> dict:
    """Means over hidden leads. x, y (B, T, 8) mV; hidden (B, 8); measured (B,) 1 where mV are measured."""
    lead = hidden / jnp.maximum(hidden.sum(), 1)
    true = hidden * measured[:, None] / jnp.maximum((hidden * measured[:, None]).sum(), 1)
    error = (x - y) / spread
    return {
        "mse": ((error**2).mean(1) * true).sum(),
        "l1": (jnp.abs(error).mean(1) * true).sum(),
        "difference": (jnp.abs(jnp.diff(error, axis=1)).mean(1) * true).sum(),
        "pearson": ((1 - pearson(x, y)) * lead).sum(),
    }


def loss(functional: Functional, config: UNetTraining, params, state, batch, key):
    """The weighted sum of the terms."""
    x = batch["signal"]
    model = functional.merge(params, state.buffers)
    y = model(x @ lead_maps.TO_TWELVE, batch["mask"], key)
    hidden = 1.0 - batch["mask"][:, lead_maps.EIGHT]
    spread = jnp.sqrt(jnp.diagonal(model.moment[...]))
    terms = loss_terms(x, y, hidden, batch["measured"], spread)
    return sum(getattr(config, k) * v for k, v in terms.items()), (terms, state.buffers)


@functools.partial(jax.jit, static_argnums=0)
def predict(functional, params, buffers, signal_BxTx12, mask_Bx12):
    """(B, T, 8) mV."""
    return functional.merge(params, buffers)(signal_BxTx12, mask_Bx12)


def evaluate(functional, config: UNetTraining, x_NxTx8, state, step) -> dict:
    """Correlation and RMSE (mV) of hidden chest leads on validation records, on the averaged parameters."""
    scores = {}
    for leads in [config.model.leads] if config.model.leads else WATCHED:
        mask = lead_maps.visible(leads)
        masks = np.broadcast_to(mask, (len(x_NxTx8), 12))
        y = np.asarray(predict(functional, state.ema, state.buffers, to_twelve(x_NxTx8), masks))
        hidden = np.flatnonzero(~mask[lead_maps.EIGHT] & (np.arange(8) > 1))
        a, b = x_NxTx8[..., hidden], y[..., hidden]
        name = "_".join(leads)
        scores[f"val_r_{name}"] = float(pearson(a, b).mean())
        scores[f"val_rmse_{name}"] = float(np.sqrt(((a - b) ** 2).mean(1)).mean())
    return scores
