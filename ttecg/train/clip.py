"""Trains the CLIP pair of ECGs and reports: `ttecg train clip --config configs/clip_base.py --workdir runs/clip`.

Reports that say the same are no negatives of each other: all pairs of a batch whose canonical texts agree are right,
and share the target.
"""

import dataclasses
import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data import augment, batches
from ttecg.data.prompt import Prompt, PromptEncoder
from ttecg.data.reports import canonical, phrases
from ttecg.data.statements import label_names, targets
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.evaluate.retrieval import retrieval
from ttecg.models.clip import ClipConfig
from ttecg.models.functional import Functional
from ttecg.train import sharding, text_tokenizer
from ttecg.train.classifier import prepare_signal
from ttecg.train.config import open_workdir, to_dict
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.state import OptimizerConfig, apply_gradients

RULES = sharding.REPLICATED
TEXT_FILE = "text.model"


@dataclasses.dataclass(frozen=True)
class ClipTraining:
    """Everything that defines a run."""

    model: ClipConfig = ClipConfig()
    # "PATH@WEIGHT" of prepared sets with reports, or "simulator"; voltages are not needed
    sources: tuple[str, ...] = ("simulator",)
    # the text tokenizer: a bundle, a work directory of `ttecg train text-tokenizer`, or its text.model
    text: str = "demo"
    # label sets that the ECG side is also asked for (ttecg.data.statements), and the weight of that
    labels: tuple[str, ...] = ("superclass", "all")
    label_loss: float = 1.0
    # samples per training example, white noise as a share of each lead's spread, probability that a lead is hidden
    crop: int = 800
    noise: float = 0.1
    hide: float = 0.1
    # probability that phrases of a report are left out and mixed
    mix: float = 0.3
    # validation records to score
    validation: int = 1000
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-3, warmup=50, weight_decay=0.05)
    run: RunConfig = RunConfig(steps=1600, batch=96, eval_every=200, checkpoint_every=200, ema=0.99)

    def __post_init__(self):
        label_names(self.labels)
        for name, low, high in (("crop", 16, np.inf), ("noise", 0, np.inf), ("hide", 0, 0.9), ("mix", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {getattr(self, name)}")


def run(config: ClipTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    encoder = PromptEncoder(text_tokenizer.load(config.text), (), config.model.length)
    sources, mixture = batches.open_sources(config.sources, "train")
    held_out = _held_out(batches.open_sources(config.sources, "validation")[0], config)
    workdir = open_workdir(workdir, config, resume)
    (workdir / TEXT_FILE).write_bytes(encoder.model)
    names = label_names(config.labels)
    model = dataclasses.replace(config.model, vocab=encoder.vocab, labels=len(names))
    functional = Functional(model.create)
    task = Task(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        step=functools.partial(loss_step, functional, config),
        batch=batches.batches(
            _row_maker(config, encoder, names, sources, mixture), config.run.seed, config.run.batch
        ),
        evaluate=functools.partial(evaluate, functional, encoder, held_out),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def _held_out(sources, config: ClipTraining):
    """([(T, 8)], [report]) of the validation records that have a report, at most `validation` of each source."""
    ecgs = [s[i] for s in sources for i in range(min(config.validation, len(s)))]
    ecgs = [e for e in ecgs if _said(e)]
    if len(ecgs) < 2:
        raise ValueError(f"fewer than two validation records of {', '.join(config.sources)} have a report")
    return [prepare_signal(e, config.model.resnet) for e in ecgs], [e.report for e in ecgs]


def _row_maker(config: ClipTraining, encoder: PromptEncoder, names, sources, mixture):
    @functools.lru_cache(maxsize=16_384)
    def example(source: int, record: int):
        ecg = sources[source][record]
        signal = prepare_signal(ecg, config.model.resnet).astype(np.float16)
        return signal, _said(ecg), targets(ecg.labels, names)

    def row(rng: np.random.Generator) -> dict:
        signal, report, target = example(*mixture.draw(rng))
        text = mixed(report, rng) if report and rng.random() < config.mix else report
        ids = encoder.padded([Prompt(text)], config.model.length)[0]
        return {"signal": shown(signal, config, rng), "ids": ids, "said": _number(text), "target": target}

    return row


def _said(ecg: ECG) -> str:
    """The report; empty where it has no words."""
    return ecg.report if any(map(str.isalnum, ecg.report or "")) else ""


def mixed(report: str, rng: np.random.Generator) -> str:
    """What a report says in another order, each phrase but one left out with probability 0.2."""
    said = list(phrases(report))
    rng.shuffle(said)
    kept = [p for i, p in enumerate(said) if not i or rng.random() > 0.2]
    return ", ".join(kept) or report


def _number(text: str) -> np.ndarray:
    """Equal for texts that say the same, whatever the order of their phrases; 0 for no text."""
    if not text:
        return np.int32(0)
    return np.int32(zlib.crc32(", ".join(sorted(phrases(text)) or [canonical(text)]).encode()) & 0x7FFFFFFF)


def shown(signal_TxL, config: ClipTraining, rng: np.random.Generator) -> np.ndarray:
    """A part of the record, at another rate now and then, with leads hidden."""
    x = np.asarray(signal_TxL, np.float32)
    x = augment.random_crop(x, min(config.crop, len(x)), rng)
    visible = rng.random(len(INDEPENDENT)) >= config.hide
    x = x * (visible if visible.any() else 1.0)
    return np.pad(x, ((0, config.crop - len(x)), (0, 0))).astype(np.float32)


def contrastive(ecg_BxD, text_BxD, scale, right_BxB):
    """Symmetric cross-entropy over the batch; the right ones of a row share its target."""
    logits = scale * ecg_BxD @ text_BxD.T
    share = right_BxB / right_BxB.sum(1, keepdims=True)
    return -0.5 * sum((jax.nn.log_softmax(x, -1) * share).sum(-1).mean() for x in (logits, logits.T))


def loss_step(functional: Functional, config: ClipTraining, state, batch, key, optimizer):
    """One step of gradient descent."""
    noisy, heard, read = jax.random.split(key, 3)

    def loss(params):
        model = functional.merge(params, state.buffers)
        x = batch["signal"]
        x = x + config.noise * jnp.sqrt(jnp.var(x, 1, keepdims=True)) * jax.random.normal(noisy, x.shape)
        ecg, text = model.ecg(x, heard), model.text(batch["ids"], read)
        right = (batch["said"][:, None] == batch["said"][None, :]).astype(jnp.float32)
        known = ~jnp.isnan(batch["target"])
        target = jnp.where(known, batch["target"], 0.0)
        logits = model.logits(ecg)
        each = -(target * jax.nn.log_sigmoid(logits) + (1 - target) * jax.nn.log_sigmoid(-logits))
        terms = {
            "contrastive": contrastive(ecg, text, model.scale(), right),
            "label": (each * known).sum() / jnp.maximum(known.sum(), 1) * 10,
        }
        return terms["contrastive"] + config.label_loss * terms["label"], terms | {"scale": model.scale()}

    (value, terms), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    state, norms = apply_gradients(state, grads, optimizer, config.run.ema)
    rate = config.optimizer.rate(config.run.steps)(state.step - 1)
    return state, {"loss": value, **terms, **norms, "learning_rate": rate}


@functools.partial(jax.jit, static_argnums=(0, 1))
def embed(functional, side: str, params, buffers, x):
    """Unit vectors of "ecg" or "text"."""
    return getattr(functional.merge(params, buffers), side)(x)


def evaluate(functional, encoder: PromptEncoder, held_out, state, step) -> dict:
    """Retrieval over the validation records, of the averaged parameters."""
    signals, reports = held_out
    look = functools.partial(embed, functional)
    ecg = np.concatenate([np.asarray(look("ecg", state.ema, state.buffers, x[None])) for x in signals])
    ids = encoder.padded([Prompt(r) for r in reports], encoder.length)
    text = np.asarray(look("text", state.ema, state.buffers, ids))
    said = np.array([_number(r) for r in reports])
    found = retrieval(ecg, text, said[:, None] == said[None, :])
    return {f"val_{k}": v for k, v in found.items()} | {"val_clip_score": float((ecg * text).sum(1).mean())}
