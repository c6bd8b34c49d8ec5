"""Trains the classifier: `ttecg train classifier --config configs/classifier_base.py --workdir runs/classifier`.

Labels that are not known (NaN in the targets) take no part in the loss, so sources of different vocabularies mix.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import roc_auc_score

from ttecg.data import augment, batches
from ttecg.data.statements import label_names, targets
from ttecg.ecg import ECG, INDEPENDENT, LEADS
from ttecg.models import lead_maps
from ttecg.models.functional import Functional
from ttecg.models.resnet import ResNetConfig
from ttecg.train import sharding
from ttecg.train.config import at_least, open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats
from ttecg.train.state import OptimizerConfig

RULES = sharding.CHANNELS
_COUNTED = 2000  # records of a source that class weights are counted on


@dataclasses.dataclass(frozen=True)
class ClassifierTraining:
    """Everything that defines a run."""

    model: ResNetConfig = ResNetConfig()
    # label sets: "superclass", "subset" (MI, arrhythmia), "rhythm", "all"; several are joined
    labels: tuple[str, ...] = ("superclass",)
    # "PATH@WEIGHT" of prepared sets, or "simulator"; voltages are not needed unless model.amplitude
    sources: tuple[str, ...] = ("simulator",)
    # leads that it sees, of any of the twelve; none: all
    leads: tuple[str, ...] = ()
    # samples per training example, from a random place
    crop: int = 800
    # white noise in training, as a share of each lead's spread, and largest factor by which a record is made taller
    # or less tall
    noise: float = 0.1
    gain: float = 1.25
    # examples are mixed in pairs by a share drawn from Beta(mixup, mixup) (Zhang et al. 2018); 0 does not mix
    mixup: float = 0.0
    # weigh a label's positive examples by the square root of negatives to positives
    class_weights: bool = False
    # validation records to score
    validation: int = 1000
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-3, warmup=30, weight_decay=0.05)
    run: RunConfig = RunConfig(steps=400, batch=32, eval_every=100, checkpoint_every=200, ema=0.99)

    def __post_init__(self):
        label_names(self.labels)
        visible_eight(self.leads)
        at_least(self, crop=16, noise=0, gain=1, mixup=0, validation=1)

    @property
    def names(self) -> tuple[str, ...]:
        """What the outputs mean."""
        return label_names(self.labels)

    @property
    def network(self) -> ResNetConfig:
        """`model` with an output for every label."""
        return dataclasses.replace(self.model, outputs=len(self.names))


def visible_eight(leads) -> np.ndarray:
    """(8,) bool: which of the independent leads are seen where these are; none named: all. ValueError for an unknown
    lead, and for limb leads that do not give I or II."""
    limb, chest = set(leads) & set(LEADS[:6]), set(leads) & set(LEADS[6:])
    if not leads or len(limb) > 1 and len(chest) == 6 and set(leads) <= set(LEADS):
        return np.ones(8, bool)
    mask = lead_maps.visible(leads)
    eight = mask[[LEADS.index(name) for name in INDEPENDENT]]
    if not eight.any():
        raise ValueError(
            f"leads {', '.join(leads)}: a classifier sees {', '.join(INDEPENDENT)}; name one of them"
        )
    return eight


def run(config: ClassifierTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    sources, mixture = batches.open_sources(config.sources, "train")
    validation = batches.open_sources(config.sources, "validation")[0][0]
    weights = positive_weights(sources, config)
    scored = _prepared(validation, config)
    workdir = open_workdir(workdir, config, resume)
    what = objective(config, weights)
    task = Task(
        objective=what,
        batch=batches.batches(_row_maker(config, sources, mixture), config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, what.functional, config, scored),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: ClassifierTraining, weights_L=None) -> Objective:
    """What a run teaches. weights_L: factors on the loss of positive examples, ones where not given."""
    functional = Functional(config.network.create)
    weights = np.ones(len(config.names), np.float32) if weights_L is None else weights_L
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config, weights),
        inputs={"signal": floats(config.crop, 8), "target": floats(len(config.names))},
    )


def prepare_signal(ecg: ECG, config: ResNetConfig) -> np.ndarray:
    """The eight independent leads as the network sees them, (T, 8) float32 mV."""
    return ecg.select(INDEPENDENT).resample(config.rate).bandpass(*config.band).signal.astype(np.float32)


def positive_weights(sources, config: ClassifierTraining) -> np.ndarray:
    """(N,) factors on the loss of positive examples; ones without `class_weights`."""
    if not config.class_weights:
        return np.ones(len(config.names), np.float32)
    rng = np.random.default_rng(config.run.seed)
    told = [
        targets(s[int(i)].labels, config.names)
        for s in sources
        for i in rng.choice(len(s), min(len(s), _COUNTED), replace=False)
    ]
    return weights_of(np.stack(told))


def weights_of(target_NxL) -> np.ndarray:
    """(L,) square root of negatives to positives, within 1 to 10."""
    yes, no = np.nansum(target_NxL == 1, 0), np.nansum(target_NxL == 0, 0)
    return np.sqrt(np.clip(no / np.maximum(yes, 1), 1, 100)).astype(np.float32)


def _row_maker(config: ClassifierTraining, sources, mixture):
    visible = visible_eight(config.leads)

    @functools.lru_cache(maxsize=16_384)
    def example(source: int, record: int):
        ecg = sources[source][record]
        return prepare_signal(ecg, config.model) * visible, targets(ecg.labels, config.names)

    def one(rng: np.random.Generator) -> dict:
        signal, target = example(*mixture.draw(rng))
        return {"signal": augmented(signal, config, rng), "target": target}

    return functools.partial(mixed, one, config.mixup)


def mixed(row, alpha: float, rng: np.random.Generator) -> dict:
    """Two examples that `row(rng)` makes, as one; labels that are unknown in either stay unknown."""
    first = row(rng)
    if not alpha:
        return first
    second, share = row(rng), rng.beta(alpha, alpha)
    return {k: (share * first[k] + (1 - share) * second[k]).astype(np.float32) for k in first}


def augmented(signal_TxL, config: ClassifierTraining, rng: np.random.Generator) -> np.ndarray:
    """A part of the record, taller or less tall; what does not fit into `crop` samples is not there."""
    samples = min(config.crop, len(signal_TxL))
    x = augment.random_crop(signal_TxL, samples, rng) * config.gain ** rng.uniform(-1, 1)
    return np.pad(x, ((0, config.crop - samples), (0, 0))).astype(np.float32)


def noisy(x_BxTxL, share: float, key):
    """With white noise, by a share of each lead's spread; leads that are hidden stay zero."""
    spread = jnp.sqrt(jnp.var(x_BxTxL, 1, keepdims=True))
    return x_BxTxL + share * spread * jax.random.normal(key, x_BxTxL.shape)


def label_loss(logits_BxL, target_BxL, weights_L=1.0):
    """Binary cross-entropy over the labels that are known, positive examples weighed."""
    known = ~jnp.isnan(target_BxL)
    target = jnp.where(known, target_BxL, 0.0)
    yes, no = jax.nn.log_sigmoid(logits_BxL), jax.nn.log_sigmoid(-logits_BxL)
    each = -(weights_L * target * yes + (1 - target) * no)
    return (each * known).sum() / jnp.maximum(known.sum(), 1)


def loss(functional: Functional, config: ClassifierTraining, weights_L, params, state, batch, key):
    """The loss over labels, with noise. batch: signal (B, T, 8), target (B, L)."""
    shaken, dropped = jax.random.split(key)
    logits = functional.merge(params, state.buffers)(noisy(batch["signal"], config.noise, shaken), dropped)
    return label_loss(logits, batch["target"], weights_L), ({}, state.buffers)


@functools.partial(jax.jit, static_argnums=0)
def predict(functional, params, buffers, signal_BxTx8):
    """Logits (B, N)."""
    return functional.merge(params, buffers)(signal_BxTx8)


def _prepared(records, config: ClassifierTraining):
    """[(T, 8)], (N, L) of the validation records of which something is known."""
    visible, signals, told = visible_eight(config.leads), [], []
    for i in range(min(config.validation, len(records))):
        ecg = records[i]
        target = targets(ecg.labels, config.names)
        if not np.isnan(target).all():
            signals.append(prepare_signal(ecg, config.model) * visible)
            told.append(target)
    if not told:
        raise ValueError(f"no validation record has a label of {', '.join(config.labels)}")
    return signals, np.stack(told)


def evaluate(functional, config: ClassifierTraining, scored, state, step) -> dict:
    """AUROC on validation records, of the averaged parameters: of each label that has both kinds, and their mean."""
    signals, target = scored
    logits = np.concatenate(
        [np.asarray(predict(functional, state.ema, state.buffers, x[None])) for x in signals]
    )
    return {f"val_auroc_{k}": v for k, v in aurocs(logits, target, config.names).items()}


def aurocs(logits_NxL, target_NxL, names) -> dict[str, float]:
    """{"macro": mean, label: area} of the labels that have positive and negative records."""
    areas = {}
    for name, score, target in zip(names, logits_NxL.T, target_NxL.T):
        known = ~np.isnan(target)
        if len(np.unique(target[known])) == 2:
            areas[name] = float(roc_auc_score(target[known], score[known]))
    return {"macro": float(np.mean(list(areas.values()))), **areas} if areas else {}
