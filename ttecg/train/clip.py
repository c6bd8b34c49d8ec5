"""Trains the CLIP pair of ECGs and reports: `ttecg train clip --config configs/clip_base.py --workdir runs/clip`.

Texts that say the same are no negatives of each other: all pairs of a batch whose phrases agree are right, and share
the target. A record without a report teaches labels only.
"""

import dataclasses
import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.data import augment, batches
from ttecg.data.prompt import Prompt, PromptEncoder
from ttecg.data.reports import NOTHING, phrases
from ttecg.data.statements import label_names, targets
from ttecg.ecg import INDEPENDENT
from ttecg.evaluate.retrieval import retrieval
from ttecg.models.clip import LARGEST_LOG_SCALE, ClipConfig
from ttecg.models.functional import Functional
from ttecg.train import sharding, text_tokenizer
from ttecg.train.classifier import label_loss, noisy, prepare_signal
from ttecg.train.config import open_workdir, to_dict, write_bytes
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats, integers
from ttecg.train.state import OptimizerConfig

RULES = (*sharding.BLOCKS, *sharding.CHANNELS, (r"^(table|log_scale)$", sharding.P()))
TEXT_FILE = text_tokenizer.FILE


@dataclasses.dataclass(frozen=True)
class ClipTraining:
    """Everything that defines a run."""

    model: ClipConfig = ClipConfig()
    # "PATH@WEIGHT" of prepared sets, or "simulator"; voltages are not needed
    sources: tuple[str, ...] = ("simulator",)
    # the text tokenizer: a bundle, a work directory of `ttecg train text-tokenizer`, or its text.model
    text: str = "demo"
    # label sets that the ECG side is also asked for (ttecg.data.statements), and the weight of that
    labels: tuple[str, ...] = ("superclass", "all")
    label_loss: float = 10.0
    # samples per training example, white noise as a share of each lead's spread, probability that a lead is hidden
    crop: int = 800
    noise: float = 0.1
    hide: float = 0.1
    # probability that a text loses some of its phrases
    omit: float = 0.3
    # validation records to score, of each source
    validation: int = 1000
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-3, warmup=50, weight_decay=0.05)
    run: RunConfig = RunConfig(steps=1600, batch=96, eval_every=200, checkpoint_every=200, ema=0.99)

    def __post_init__(self):
        label_names(self.labels)
        for name, low, high in (
            ("label_loss", 0, np.inf), ("crop", 16, np.inf), ("noise", 0, np.inf), ("hide", 0, 0.9),
            ("omit", 0, 1), ("validation", 2, np.inf),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {getattr(self, name)}")


def run(config: ClipTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    encoder = PromptEncoder(text_tokenizer.load(config.text), (), config.model.length)
    sources, mixture = batches.open_sources(config.sources, "train")
    held_out = _held_out(batches.open_sources(config.sources, "validation")[0], config)
    workdir = open_workdir(workdir, config, resume)
    write_bytes(workdir / TEXT_FILE, encoder.model)
    what = objective(
        dataclasses.replace(config, model=dataclasses.replace(config.model, vocab=encoder.vocab))
    )
    make_row = _row_maker(config, encoder, label_names(config.labels), sources, mixture)
    task = Task(
        objective=what,
        batch=batches.batches(make_row, config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, what.functional, encoder, held_out),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: ClipTraining) -> Objective:
    """What a run teaches, with the vocabulary that config.model has and an output for every label."""
    labels = len(label_names(config.labels))
    functional = Functional(dataclasses.replace(config.model, labels=labels).create)
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs={
            "signal": floats(config.crop, 8),
            "ids": integers(config.model.length),
            "said": integers(),
            "target": floats(labels),
        },
        project=hold_scale,
    )


def hold_scale(params: dict) -> dict:
    """The temperature no lower than CLIP lets it be."""
    return params | {"log_scale": jnp.minimum(params["log_scale"], LARGEST_LOG_SCALE)}


def spoken(report: str) -> str:
    """What the text side reads of a report: its canonical phrases. Words that the lexicon does not know are left out;
    who the patient is and how fast the heart beats would otherwise get in by them. "" where there are no words."""
    if not any(map(str.isalnum, report or "")):
        return ""
    return ". ".join(phrases(report)) or NOTHING


def _held_out(sources, config: ClipTraining):
    """([(T, 8)], [text]) of the validation records that have a report."""
    signals, texts = [], []
    for records in sources:
        for i in range(min(config.validation, len(records))):
            ecg = records[i]
            if text := spoken(ecg.report):
                signals.append(prepare_signal(ecg, config.model.resnet))
                texts.append(text)
    if len(texts) < 2:
        raise ValueError(f"fewer than two validation records of {', '.join(config.sources)} have a report")
    return signals, texts


def _row_maker(config: ClipTraining, encoder: PromptEncoder, names, sources, mixture):
    @functools.lru_cache(maxsize=16_384)
    def example(source: int, record: int):
        ecg = sources[source][record]
        signal = prepare_signal(ecg, config.model.resnet).astype(np.float16)
        return signal, spoken(ecg.report), targets(ecg.labels, names)

    def row(rng: np.random.Generator) -> dict:
        signal, text, target = example(*mixture.draw(rng))
        if text and rng.random() < config.omit:
            text = fewer(text, rng)
        ids = encoder.padded([Prompt(text)], config.model.length)[0]
        return {"signal": shown(signal, config, rng), "ids": ids, "said": number(text), "target": target}

    return row


def fewer(text: str, rng: np.random.Generator) -> str:
    """A text that lost each of its phrases with probability 0.2, but not all."""
    said = text.split(". ")
    kept = rng.random(len(said)) >= 0.2
    kept[rng.integers(len(said))] = True
    return ". ".join(p for p, k in zip(said, kept) if k)


def number(text: str) -> np.ndarray:
    """Equal for equal texts (31 bits of a checksum), 0 for none."""
    return np.int32(zlib.crc32(text.encode()) & 0x7FFFFFFF) if text else np.int32(0)


def shown(signal_TxL, config: ClipTraining, rng: np.random.Generator) -> np.ndarray:
    """A part of the record with some leads hidden, never all; what does not fit into `crop` samples is not there."""
    x = np.asarray(signal_TxL, np.float32)
    x = augment.random_crop(x, min(config.crop, len(x)), rng)
    visible = rng.random(len(INDEPENDENT)) >= config.hide
    x = x * (visible if visible.any() else 1.0)
    return np.pad(x, ((0, config.crop - len(x)), (0, 0))).astype(np.float32)


def contrastive(ecg_BxD, text_BxD, scale, said_B):
    """Symmetric cross-entropy over the rows of a batch that have a text (said is not 0); those that say the same as a
    row share its target."""
    there = said_B != 0
    right = (there[:, None] & (said_B[:, None] == said_B)).astype(jnp.float32)
    share = right / jnp.maximum(right.sum(1, keepdims=True), 1)
    logits = jnp.where(there[:, None] & there, scale * ecg_BxD @ text_BxD.T, -1e30)
    each = sum((jax.nn.log_softmax(x, -1) * share).sum(-1) for x in (logits, logits.T))
    return -0.5 * each.sum() / jnp.maximum(there.sum(), 1)


def loss(functional: Functional, config: ClipTraining, params, state, batch, key):
    """The weighted sum of both terms. batch: signal (B, T, 8), ids (B, S), said (B,), target (B, labels)."""
    shaken, heard, read = jax.random.split(key, 3)
    model = functional.merge(params, state.buffers)
    ecg, text = model.ecg(noisy(batch["signal"], config.noise, shaken), heard), model.text(batch["ids"], read)
    terms = {
        "contrastive": contrastive(ecg, text, model.scale(), batch["said"]),
        "label": label_loss(model.logits(ecg), batch["target"]),
    }
    total = terms["contrastive"] + config.label_loss * terms["label"]
    return total, (terms | {"scale": model.scale()}, state.buffers)


@functools.partial(jax.jit, static_argnums=(0, 1))
def embed(functional, side: str, params, buffers, x):
    """Unit vectors of "ecg" or "text"."""
    return getattr(functional.merge(params, buffers), side)(x)


def evaluate(functional, encoder: PromptEncoder, held_out, state, step) -> dict:
    """Retrieval over the validation records, of the averaged parameters: any record under an equal text is right, and
    ("own") only the text's own record is."""
    signals, texts = held_out
    look = functools.partial(embed, functional)
    ecg = np.concatenate([np.asarray(look("ecg", state.ema, state.buffers, x[None])) for x in signals])
    ids = encoder.padded([Prompt(t) for t in texts], encoder.length)
    text = np.concatenate(
        [np.asarray(look("text", state.ema, state.buffers, ids[i : i + 1])) for i in range(len(ids))]
    )
    said = np.array(texts)
    found = {"": retrieval(ecg, text, said[:, None] == said), "own_": retrieval(ecg, text)}
    scores = {f"val_{what}{k}": v for what, shares in found.items() for k, v in shares.items()}
    return scores | {"val_clip_score": float((ecg * text).sum(1).mean())}
