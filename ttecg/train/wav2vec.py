"""Trains the self-supervised encoder: `ttecg train wav2vec --config configs/wav2vec_base.py --workdir runs/encoder`.

An example is two segments of one recording, side by side, of which the transformer sees each alone. wav2vec 2.0 draws
the wrong vectors from hidden frames only; here they are of any other frame, so that their number is always the same.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ttecg.data import augment, batches
from ttecg.data.statements import CLASSES, targets
from ttecg.ecg import INDEPENDENT
from ttecg.models.functional import Functional
from ttecg.models.wav2vec import Wav2VecConfig
from ttecg.train import sharding
from ttecg.train.classifier import aurocs, noisy, prepare_signal
from ttecg.train.config import open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats, integers
from ttecg.train.state import OptimizerConfig

RULES = (
    *sharding.BLOCKS,
    *sharding.CHANNELS,
    (r"^(book|hidden)$", sharding.P()),
)
_PROBED = 1500  # training records that the probe is fitted on


@dataclasses.dataclass(frozen=True)
class Wav2VecTraining:
    """Everything that defines a run."""

    model: Wav2VecConfig = Wav2VecConfig()
    # "PATH@WEIGHT" of prepared sets, or "simulator"; neither voltages nor labels are needed
    sources: tuple[str, ...] = ("simulator",)
    # samples of a segment; a recording gives two that touch
    segment: int = 480
    # probability that a lead is zeroed (one always stays)
    hide_lead: float = 0.5
    # share of frames hidden, in spans of so many frames
    hidden: float = 0.4
    span: int = 6
    # wrong vectors that each hidden frame's is told from, and the temperature of that
    negatives: int = 30
    temperature: float = 0.2
    # temperature of the Gumbel softmax: at first, its decay per step, and the least
    gumbel: tuple[float, ...] = (2.0, 0.999, 0.5)
    # weights: use of all vectors, size of stem features, and telling segments of one recording from others
    diversity: float = 0.1
    penalty: float = 0.1
    segments: float = 1.0
    # white noise in training, as a share of each lead's spread
    noise: float = 0.1
    # validation records to score
    validation: int = 300
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3, warmup=100, b2=0.98)
    run: RunConfig = RunConfig(steps=3000, batch=32, eval_every=500, checkpoint_every=250)

    def __post_init__(self):
        if self.segment < 16 * self.model.stride or self.segment % self.model.stride:
            raise ValueError(
                f"segment {self.segment} must be a multiple of {self.model.stride} samples, 16 of them at least"
            )
        if not 0 < self.hidden < 1 or not 1 <= self.span <= self.segment // self.model.stride // 2:
            raise ValueError("hidden is a share between 0 and 1, span from 1 to half of a segment's frames")
        if len(self.gumbel) != 3 or min(self.gumbel) <= 0:
            raise ValueError(f"gumbel is (start, decay, end), all positive, got {self.gumbel}")
        if not 0 <= self.hide_lead <= 1:
            raise ValueError(f"hide_lead is a probability, got {self.hide_lead}")
        if not (self.temperature > 0 and self.negatives >= 1 and self.noise >= 0):
            raise ValueError("temperature must be positive, negatives at least 1, noise at least 0")
        if self.run.batch < 2 or self.validation < 2:
            raise ValueError(
                "a segment is told from other recordings': run.batch and validation are 2 at least"
            )


def run(config: Wav2VecTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    sources, mixture = batches.open_sources(config.sources, "train")
    held_out = batches.open_sources(config.sources, "validation")[0]
    scored = _probe_data(sources, held_out, config)
    workdir = open_workdir(workdir, config, resume)
    what = objective(config)
    task = Task(
        objective=what,
        batch=batches.batches(_row_maker(config, sources, mixture), config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, what.functional, config, scored),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: Wav2VecTraining) -> Objective:
    """What a run teaches."""
    functional = Functional(config.model.create)
    frames = config.segment // config.model.stride
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs={
            "signal": floats(2, config.segment, 8),
            "hidden": jax.ShapeDtypeStruct((2, frames), bool),
            "record": integers(),
        },
    )


def _row_maker(config: Wav2VecTraining, sources, mixture):
    @functools.lru_cache(maxsize=16_384)
    def signal(source: int, record: int) -> np.ndarray:
        return prepare_signal(sources[source][record], config.model).astype(np.float16)

    def row(rng: np.random.Generator) -> dict:
        source, record = mixture.draw(rng)
        x = np.asarray(signal(source, record), np.float32)
        number = np.int32(sum(mixture.sizes[:source]) + record)
        return {"signal": pair(x, config, rng), "hidden": hidden_frames(config, rng), "record": number}

    return row


def pair(x_TxL, config: Wav2VecTraining, rng: np.random.Generator) -> np.ndarray:
    """(2, segment, 8): two segments that touch, or overlap where the recording is short, each with leads zeroed."""
    if len(x_TxL) < config.segment:
        raise ValueError(
            f"a record has {len(x_TxL)} samples, a segment {config.segment}; give a shorter segment"
        )
    x = augment.random_crop(x_TxL, min(2 * config.segment, len(x_TxL)), rng)
    both = np.stack([x[: config.segment], x[-config.segment :]])
    visible = rng.random((2, 1, len(INDEPENDENT))) >= config.hide_lead
    visible[np.arange(2), 0, rng.integers(len(INDEPENDENT), size=2)] = True
    return (both * visible).astype(np.float32)


def hidden_frames(config: Wav2VecTraining, rng: np.random.Generator) -> np.ndarray:
    """(2, N) bool: spans from random starts until the wanted share is hidden."""
    frames = config.segment // config.model.stride
    hidden = np.zeros((2, frames), bool)
    for row in hidden:
        while row.mean() < config.hidden:
            start = rng.integers(frames - config.span + 1)
            row[start : start + config.span] = True
    return hidden


def wrong_frames(key, batch: int, frames: int, count: int):
    """(B, N, count) numbers of other frames of the same segment, none of them the frame's own."""
    drawn = jax.random.randint(key, (batch, frames, count), 0, frames - 1)
    return drawn + (drawn >= jnp.arange(frames)[None, :, None])


def masked_loss(guess_BxNxD, target_BxNxD, codes_BxNxG, hidden_BxN, temperature: float, count: int, key):
    """InfoNCE over each hidden frame's own vector and `count` others (wav2vec 2.0, eq. 3), and how often its own is the
    likeliest. Others that are the same vector do not count; numbers tell that exactly on every device, products do
    not."""
    guess, target = (_unit(x) for x in (guess_BxNxD, target_BxNxD))
    wrong = wrong_frames(key, *guess.shape[:2], count)
    every = jnp.einsum("bnd,bmd->bnm", guess, target)
    alike = (codes_BxNxG[:, :, None] == codes_BxNxG[:, None]).all(-1)
    own = jnp.diagonal(every, axis1=1, axis2=2)[..., None]
    others = jnp.where(jnp.take_along_axis(alike, wrong, 2), -jnp.inf, jnp.take_along_axis(every, wrong, 2))
    logits = jnp.concatenate([own, others], -1) / temperature
    hidden = hidden_BxN / hidden_BxN.sum()
    return -(jax.nn.log_softmax(logits, -1)[..., 0] * hidden).sum(), ((logits.argmax(-1) == 0) * hidden).sum()


def segment_loss(first_BxD, second_BxD, record_B, temperature: float):
    """Each first segment has to find its second among the batch's, and the other way; and how often it does. A
    recording that was drawn twice is no wrong answer to itself."""
    twice = (record_B[:, None] == record_B) & ~jnp.eye(len(record_B), dtype=bool)
    logits = jnp.where(twice, -jnp.inf, _unit(first_BxD) @ _unit(second_BxD).T / temperature)
    own = [jnp.diagonal(jax.nn.log_softmax(x, -1)).mean() for x in (logits, logits.T)]
    return -sum(own) / 2, (logits.argmax(-1) == jnp.arange(len(logits))).mean()


def _unit(x):
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def loss_terms(model, config: Wav2VecTraining, batch, gumbel, key) -> dict:
    """The losses, and accuracies of both tasks. batch: signal (B, 2, T, 8), hidden (B, 2, N), record (B,), equal where
    two examples are of one recording. key None: no noise, no dropout, likeliest vectors."""
    shaken, chosen, dropped, drawn = (
        (None, None, None, jax.random.key(0)) if key is None else jax.random.split(key, 4)
    )
    x = batch["signal"].reshape(-1, *batch["signal"].shape[2:])
    if shaken is not None:
        x = noisy(x, config.noise, shaken)
    hidden = batch["hidden"].reshape(-1, batch["hidden"].shape[-1])
    frames = model.frames(x)
    target, codes, likely = model.quantised(frames, gumbel, chosen)
    context = model.context(frames, hidden, dropped)
    masked, right = masked_loss(
        model.guesses(context), target, codes, hidden, config.temperature, config.negatives, drawn
    )
    whole = model.pooled(context).reshape(-1, 2, model.config.features)
    segments, found = segment_loss(whole[:, 0], whole[:, 1], batch["record"], config.temperature)
    used = likely.mean((0, 1))
    perplexity = jnp.exp(-(used * jnp.log(used + 1e-9)).sum(-1))
    return {
        "masked": masked,
        "segments": segments,
        "diversity": 1 - perplexity.mean() / model.config.vectors,
        "penalty": (frames.astype(jnp.float32) ** 2).mean(),
        "masked_accuracy": right,
        "segment_accuracy": found,
        "perplexity": perplexity.mean(),
    }


def gumbel_temperature(config: Wav2VecTraining, step):
    """Of the Gumbel softmax at a step: it falls by a factor per step, down to the least."""
    start, decay, end = config.gumbel
    return jnp.maximum(start * decay ** jnp.asarray(step, jnp.float32), end)


def loss(functional: Functional, config: Wav2VecTraining, params, state, batch, key):
    """The weighted sum of the terms."""
    gumbel = gumbel_temperature(config, state.step)
    terms = loss_terms(functional.merge(params, state.buffers), config, batch, gumbel, key)
    total = terms["masked"] + sum(
        getattr(config, name) * terms[name] for name in ("segments", "diversity", "penalty")
    )
    return total, (terms, state.buffers)


def _probe_data(sources, held_out, config: Wav2VecTraining):
    """Signals and superclasses of training and validation records, for the linear probe, at most so many."""
    rng = np.random.default_rng(config.run.seed)
    places = [(s, i) for s in sources for i in range(len(s))]
    drawn = rng.permutation(len(places))[:_PROBED]
    return [
        _labelled(((places[d][0][places[d][1]]) for d in drawn), config),
        _labelled((s[i] for s in held_out for i in range(min(len(s), config.validation))), config),
    ]


def _labelled(ecgs, config: Wav2VecTraining):
    rows = [(prepare_signal(e, config.model).astype(np.float16), targets(e.labels, CLASSES)) for e in ecgs]
    return tuple(zip(*rows))


@functools.partial(jax.jit, static_argnums=0)
def embed(functional, params, buffers, signal_BxTx8):
    return functional.merge(params, buffers).features(signal_BxTx8)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _score(functional, config, params, buffers, batch):
    return loss_terms(functional.merge(params, buffers), config, batch, 1.0, None)


def evaluate(functional, config: Wav2VecTraining, scored, state, step) -> dict:
    """Accuracy of both tasks on validation records, and a linear probe for superclasses fitted on training records; of
    the averaged parameters."""
    rng = np.random.default_rng(0)
    rows = [(pair(np.float32(x), config, rng), hidden_frames(config, rng)) for x in scored[1][0]]
    batch = {"signal": np.stack([r[0] for r in rows]), "hidden": np.stack([r[1] for r in rows])}
    batch["record"] = np.arange(len(rows), dtype=np.int32)
    terms = _score(functional, config, state.ema, state.buffers, batch)
    found = {f"val_{k}": float(terms[k]) for k in ("masked_accuracy", "segment_accuracy", "perplexity")}
    look = functools.partial(embed, functional, state.ema, state.buffers)
    (train_x, train_y), (x, y) = (
        (np.concatenate([look(np.float32(signal)[None]) for signal in signals]), np.stack(target))
        for signals, target in scored
    )
    areas = aurocs(probe(train_x, train_y, x), y, CLASSES)
    return found | {f"val_probe_{name}": area for name, area in areas.items()}


def probe(train_NxD, target_NxL, x_MxD) -> np.ndarray:
    """(M, L) scores of a logistic regression for each label, zero where training records have one kind only."""
    scores = np.zeros((len(x_MxD), target_NxL.shape[1]))
    for i, target in enumerate(target_NxL.T):
        known = ~np.isnan(target)
        if len(np.unique(target[known])) == 2:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            scores[:, i] = model.fit(train_NxD[known], target[known]).decision_function(x_MxD)
    return scores
