"""Trains the two-lead model: `ttecg train two-lead --config configs/two_lead_base.py --workdir runs/two-lead`.

An example is two windows of one record that do not overlap where the record is long enough: lead I of one, lead II of
the other, both with noise; to be predicted are the eight leads of the first, without noise.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data import augment, batches
from ttecg.data.beat_template import cues, lead_peaks
from ttecg.data.corrupt import training_noise
from ttecg.ecg import INDEPENDENT
from ttecg.models.functional import Functional
from ttecg.models.two_lead import INPUTS, TwoLeadConfig
from ttecg.models.two_lead_adversary import WithAdversary, fool_loss, judge_loss
from ttecg.train import first_weights, sharding
from ttecg.train.config import at_least, open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, shapes_of
from ttecg.train.state import OptimizerConfig
from ttecg.train.unet import loss_terms, pearson

RULES = (
    *sharding.CHANNELS,
    (r"(^|/)(head|moment)$", sharding.P()),
)
NET = "net/"  # how names of the model's parameters start where a discriminator is trained beside it
_JITTER = 0.6  # samples by which a training R peak is misplaced
_CHUNK = 32


@dataclasses.dataclass(frozen=True)
class TwoLeadTraining:
    """Everything that defines a run."""

    model: TwoLeadConfig = TwoLeadConfig()
    # "PATH@WEIGHT" of prepared sets in mV, or "simulator"
    sources: tuple[str, ...] = ("simulator",)
    # sets whose voltages were put back (ttecg data restore-voltages): only the correlation loss looks at them
    shape_sources: tuple[str, ...] = ()
    # samples of each of the two windows
    crop: int = 448
    # weights of the loss terms over the eight leads: squared and absolute error and first difference (each lead divided
    # by its spread), and 1 - Pearson correlation
    mse: float = 1.0
    l1: float = 0.0
    difference: float = 0.0
    pearson: float = 0.5
    # weights of StarGAN v2's terms (there 1 each): discriminator and its R1 penalty, styles of what was made against
    # those it was made with, what is made of what was made against the truth, and how far two random vectors of
    # model.latent numbers must drive the result apart (falling to 0 over the run)
    adversarial: float = 0.0
    r1: float = 1.0
    style_reconstruction: float = 0.0
    cycle: float = 0.0
    diversity: float = 0.0
    # share of the examples whose inputs get noise, and of those that see no usual beats
    noisy: float = 0.6
    no_template: float = 0.05
    # random gain, turns of the heart's axis, and time scale
    augment: bool = True
    # work directory to take the first weights from, of the simulator say
    init: str = ""
    # validation records to score
    validation: int = 96
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1.5e-3)
    run: RunConfig = RunConfig(steps=3000, batch=24, eval_every=300, checkpoint_every=300)

    def __post_init__(self):
        at_least(self, validation=1)
        if self.diversity and not self.model.latent:
            raise ValueError(
                f"diversity={self.diversity:g} needs a random vector; set model.latent, to 16 say"
            )
        if self.crop < 2 * self.model.rate:
            raise ValueError(f"crop must be at least two seconds, got {self.crop} samples")

    @property
    def functional(self) -> Functional:
        """Of the model, or of the model and its discriminator."""
        if self.adversarial:
            return Functional(lambda rngs: WithAdversary(self.model, rngs=rngs))
        return Functional(self.model.create)


def run(config: TwoLeadTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    names = config.sources + config.shape_sources
    sources, mixture = batches.open_sources(names, "train")
    measured = len(batches.with_split(config.sources, "train"))
    if not measured:
        raise ValueError(
            f"no source of {', '.join(config.sources) or '(none)'} has records in its train split"
        )
    validation = batches.open_sources(config.sources, "validation")[0][0]
    held_out = validation_inputs(
        [validation[i] for i in range(min(config.validation, len(validation)))], config.model
    )
    what = objective(config)
    if not resume:
        first_weights.check(config.init, what.functional)
    workdir = open_workdir(workdir, config, resume)
    make_row = _row_maker(config, sources, mixture, measured)
    task = Task(
        objective=what,
        batch=batches.batches(make_row, config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, config, *held_out),
        prepare=functools.partial(_start, config, sources[:measured]),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: TwoLeadTraining) -> Objective:
    """What a run teaches, the discriminator where there is one."""
    functional, flat = config.functional, np.zeros(config.crop, np.float32)
    told = cues(flat, flat, np.zeros(0), np.zeros(0), config.model.rate, config.model.beat)
    target = np.zeros((config.crop, 8), np.float32)
    row = {"one": flat, "two": flat, **told, "target": target, "measured": np.float32(1)}
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs=shapes_of(row),
    )


# --- examples ---


def prepare_signal(ecg, config: TwoLeadConfig) -> np.ndarray:
    """The eight leads that the model predicts, (T, 8) float32 mV."""
    return ecg.select(INDEPENDENT).resample(config.rate).bandpass(*config.band).signal.astype(np.float32)


def inputs(one_T, two_S, config: TwoLeadConfig) -> dict[str, np.ndarray]:
    """One row of the model's inputs from the two band-passed leads at the model's rate, mV; R peaks are looked for in
    each lead alone."""
    peaks = [lead_peaks(x, lead, config.rate) for x, lead in ((one_T, "I"), (two_S, "II"))]
    row = {"one": np.asarray(one_T, np.float32), "two": np.asarray(two_S, np.float32)}
    return row | cues(one_T, two_S, *peaks, config.rate, config.beat)


def validation_inputs(ecgs, config: TwoLeadConfig):
    """(inputs, target (N, T, 8)): lead I of the first half of each record, lead II of the second half."""
    rows, targets = [], []
    for ecg in ecgs:
        x = prepare_signal(ecg, config)
        half = len(x) // 2
        rows.append(inputs(x[:half, 0], x[half : 2 * half, 1], config))
        targets.append(x[:half])
    return {k: np.stack([row[k] for row in rows]) for k in INPUTS}, np.stack(targets)


def _row_maker(config: TwoLeadTraining, sources, mixture, measured: int):
    rate = config.model.rate

    @functools.lru_cache(maxsize=16_384)
    def record(source: int, number: int):
        x = prepare_signal(sources[source][number], config.model)
        return x, lead_peaks(x[:, 0], "I", rate), lead_peaks(x[:, 1], "II", rate)

    def row(rng: np.random.Generator) -> dict:
        source, number = mixture.draw(rng)
        x, peaks_one, peaks_two = record(source, number)
        factor, at_one, at_two = windows(len(x), config.crop, rng, config.augment)
        target, other = (_sample(x, at, factor, config.crop) for at in (at_one, at_two))
        if config.augment:
            change = _same_for_both(rng)
            target, other = change(target), change(other)
        one, two = target[:, 0], other[:, 1]
        if rng.random() < config.noisy:
            one, two = (
                lead + np.std(lead) * training_noise(len(lead), rate, config.model.band, rng)
                for lead in (one, two)
            )
        found = [
            _within(p, at, factor, config.crop, rng) for p, at in ((peaks_one, at_one), (peaks_two, at_two))
        ]
        if rng.random() < config.no_template:
            found = [np.zeros(0)] * 2
        told = cues(one, two, *found, rate, config.model.beat)
        seen = {"one": one.astype(np.float32), "two": two.astype(np.float32)} | told
        return seen | {"target": target.astype(np.float32), "measured": np.float32(source < measured)}

    return row


def windows(length: int, crop: int, rng: np.random.Generator, scaled: bool = True):
    """(time scale, start of lead I's window, start of lead II's), in samples of the record. A window spans crop x scale
    samples; the two lie apart, either first, at a random distance, if the record holds both, else anywhere in it."""
    longest = (length - 1) / (crop - 1)
    if longest < 0.5:
        raise ValueError(f"a record of {length} samples is too short for windows of {crop}")
    scale = np.exp(rng.uniform(np.log(0.85), np.log(1.18))) if scaled else 1.0
    scale = min(scale, longest / 2 if longest / 2 > 0.85 else longest)
    span = scale * (crop - 1)
    free = length - 1 - 2 * span
    if free < 0:
        return scale, *rng.uniform(0, length - 1 - span, 2)
    a, b = np.sort(rng.uniform(0, free, 2)) + np.array([0.0, span])
    return (scale, a, b) if rng.random() < 0.5 else (scale, b, a)


def _sample(x_TL, start: float, scale: float, samples: int) -> np.ndarray:
    place = np.minimum(start + scale * np.arange(samples), len(x_TL) - 1)
    low = np.minimum(place.astype(int), len(x_TL) - 2)
    part = (place - low)[:, None]
    return (1 - part) * x_TL[low] + part * x_TL[low + 1]


def _within(peaks, start: float, scale: float, samples: int, rng) -> np.ndarray:
    """The record's R peaks that lie in a window, in its samples, each a little off as a detector is."""
    peaks = (peaks - start) / scale
    peaks = peaks[(peaks >= 0) & (peaks < samples)]
    return peaks + rng.normal(0, _JITTER, len(peaks))


def _same_for_both(rng: np.random.Generator):
    """One random turn and gain, to be applied to several parts of a record."""
    seed = int(rng.integers(2**32))

    def change(x_T8):
        own = np.random.default_rng(seed)
        return augment.random_gain(augment.random_rotation(x_T8, own), own)

    return change


# --- the start ---


def _start(config: TwoLeadTraining, sources, state):
    """The second moments of the training records into the model's buffer, and weights of an earlier run."""
    state = first_weights.begun(config.init, state)
    rng, moments = np.random.default_rng(config.run.seed), []
    for s in sources:
        for i in rng.choice(len(s), min(len(s), 500), replace=False):
            x = prepare_signal(s[int(i)], config.model)
            half = len(x) // 2
            template = inputs(x[:half, 0], x[half:, 1], config.model)["template"]
            both = np.concatenate([template, x[:half]], 1)
            moments.append(both.T @ both / half)
    name = (NET if config.adversarial else "") + "moment"
    moment = jnp.asarray(np.mean(moments, axis=0), jnp.float32)
    return dataclasses.replace(state, buffers=state.buffers | {name: moment})


# --- one step ---


def loss(functional: Functional, config: TwoLeadTraining, params, state, batch, key):
    """The weighted sum of the terms, of the model and, where there is one, of its discriminator."""
    keys = jax.random.split(key, 4)
    x = {name: batch[name] for name in INPUTS}
    model = functional.merge(params, state.buffers)
    net = model.net if config.adversarial else model
    spread = jnp.sqrt(jnp.diagonal(net.moment[...])[2:])
    styles = net.styles(x, keys[0])
    y = net.generate(x, styles, keys[1])
    terms = loss_terms(batch["target"], y, jnp.ones(y.shape[::2]), batch["measured"], spread)
    total = sum(getattr(config, k) * v for k, v in terms.items())
    total, terms = _star_terms(config, state, net, batch, x, styles, y, spread, keys[2], total, terms)
    if config.adversarial:
        lead = jax.random.randint(keys[3], (len(y),), 0, 8)
        real, made = (_one_lead(s / spread, lead) for s in (batch["target"], y))
        terms["adversarial"] = fool_loss(model.judge, made, lead)
        terms["judge"] = judge_loss(model.judge, real, made, lead, config.r1)
        total += config.adversarial * terms["adversarial"] + terms["judge"]
    return total, (terms, state.buffers)


def _star_terms(config, state, net, batch, x, styles, y, spread, key, total, terms):
    """Style reconstruction, cycle and diversity, each only where its weight is not 0."""
    if config.style_reconstruction or config.cycle:
        made = x | {"one": y[..., 0], "two": y[..., 1], "template": y[..., :2]}
        again = net.styles(made)
        terms["style_reconstruction"] = jnp.abs(again - jax.lax.stop_gradient(styles)).mean()
        error = jnp.abs(net.generate(made, again) - batch["target"]) / spread
        terms["cycle"] = (error.mean((1, 2)) * batch["measured"]).sum() / jnp.maximum(
            batch["measured"].sum(), 1
        )
        total += config.style_reconstruction * terms["style_reconstruction"] + config.cycle * terms["cycle"]
    if config.diversity:
        latents = jax.random.normal(key, (2, len(y), config.model.latent))
        a, b = (net.generate(x, styles + net.mapping(z)) for z in latents)
        terms["diversity"] = (jnp.abs(a - jax.lax.stop_gradient(b)) / spread).mean()
        total -= config.diversity * (1 - state.step / config.run.steps) * terms["diversity"]
    return total, terms


def _one_lead(x_BxTx8, lead_B):
    return jnp.take_along_axis(x_BxTx8, lead_B[:, None, None], 2)[..., 0]


# --- validation ---


def net_arrays(params: dict, buffers: dict) -> tuple[dict, dict]:
    """(params, buffers) of the model alone, by its own names, from a state that may hold a discriminator too."""
    if not any(name.startswith(NET) for name in params):
        return params, buffers
    return tuple(
        {k.removeprefix(NET): v for k, v in arrays.items() if k.startswith(NET)}
        for arrays in (params, buffers)
    )


@functools.partial(jax.jit, static_argnums=0)
def predict(functional, params, buffers, x: dict):
    """(B, T, 8) mV."""
    return functional.merge(params, buffers)(x)


@functools.lru_cache(maxsize=8)
def functional_of(config: TwoLeadConfig) -> Functional:
    """Of the model alone; the same object each time, so that what was compiled is found again."""
    return Functional(config.create)


def evaluate(config: TwoLeadTraining, x: dict, target_NxTx8, state, step) -> dict:
    """Correlation and RMSE (mV) of lead II and of V1-V6 on validation records, on the averaged parameters."""
    params, buffers = net_arrays(state.ema, state.buffers)
    functional = functional_of(config.model)
    y = np.concatenate([
        predict(functional, params, buffers, {k: v[i : i + _CHUNK] for k, v in x.items()})
        for i in range(0, len(target_NxTx8), _CHUNK)
    ])  # fmt: skip
    scores = {}
    for name, leads in (("II", slice(1, 2)), ("V", slice(2, 8))):
        a, b = target_NxTx8[..., leads], y[..., leads]
        scores[f"val_r_{name}"] = float(pearson(a, b).mean())
        scores[f"val_rmse_{name}"] = float(np.sqrt(((a - b) ** 2).mean(1)).mean())
    return scores
