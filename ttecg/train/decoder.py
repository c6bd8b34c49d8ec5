"""Trains the waveform decoder: `ttecg train decoder --config configs/decoder_base.py --workdir runs/decoder`.

An example is a piece of a recording and its codes, as the tokenizer wrote them for the whole recording. Codes of every
record, and of `variants` - 1 copies with another gain and axis, are made once and kept in `workdir/codes-*.npz`.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ttecg import metrics, plot
from ttecg.bundle import LoadedTokenizer, load_tokenizer
from ttecg.data import batches
from ttecg.ecg import ECG, LEADS, to_twelve
from ttecg.models.functional import Functional
from ttecg.models.hifigan import HifiGanConfig
from ttecg.models.hifigan_judges import JudgesConfig, WithJudges, fool_losses, judge_loss
from ttecg.models.losses import linear_stft
from ttecg.train import first_weights, sharding
from ttecg.train.codes import normalised_code_vectors
from ttecg.train.config import at_least, open_workdir, to_dict
from ttecg.train.decoder_codes import extract, varied
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats, integers
from ttecg.train.state import OptimizerConfig
from ttecg.train.tokenizer import prepare_signal

RULES = (
    (r"(^|/)(up/\d+/kernel|direction)$", sharding.P(None, None, "model")),
    (r"(^|/)length$", sharding.P("model")),
    *sharding.CHANNELS,
    (r"(^|/)(vectors|scale)$", sharding.P()),
)
NET = "net/"  # how names of the generator's arrays start in a training state
_CHUNK = 32


@dataclasses.dataclass(frozen=True)
class DecoderTraining:
    """Everything that defines a run."""

    model: HifiGanConfig = HifiGanConfig()
    judges: JudgesConfig = JudgesConfig()
    # whose codes are turned into a waveform: a bundle's name or folder, or a work directory of a tokenizer
    tokenizer: str = "runs/tokenizer"
    # "PATH@WEIGHT" of prepared sets, or "simulator"
    sources: tuple[str, ...] = ("simulator",)
    # examples made of a record: as it is, and with random gains and turns of the heart's axis
    variants: int = 8
    # frames of an example; 0 takes the whole record
    crop: int = 96
    # weights: absolute error, linear STFT, to be taken for recorded, likeness to recorded ones in the judges' layers.
    # adversarial=0 trains without judges
    l1: float = 20.0
    spectral: float = 4.0
    adversarial: float = 0.0
    features: float = 2.0
    # work directory to take the first weights from, of a run without judges say
    init: str = ""
    # validation records to score
    validation: int = 64
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1.5e-3, b1=0.8)
    run: RunConfig = RunConfig(steps=2000, batch=16, eval_every=200, checkpoint_every=100)

    def __post_init__(self):
        at_least(self, validation=1, variants=1)
        if not 0 <= self.crop <= self.model.frames:
            raise ValueError(
                f"crop must be 1 to {self.model.frames} frames (or 0 for whole records), got {self.crop}"
            )

    @property
    def functional(self) -> Functional:
        """Of the generator under `net/` and, where there are any, its judges."""
        judges = self.judges if self.adversarial else None
        return Functional(lambda rngs: WithJudges(self.model, judges, rngs=rngs))


def run(config: DecoderTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    tokenizer = load_tokenizer(config.tokenizer)
    check_fits(config.model, tokenizer)
    sources, mixture = batches.open_sources(config.sources, "train")
    held_out = batches.open_sources(config.sources, "validation")[0][0]
    what = objective(config)
    if not resume:
        first_weights.check(config.init, what.functional, NET)
    workdir = open_workdir(workdir, config, resume)
    names = batches.with_split(config.sources, "train")
    codes = [
        extract(name, records, tokenizer, config.variants, config.run.seed, workdir)
        for name, records in zip(names, sources)
    ]
    make_row = _row_maker(config, tokenizer, sources, mixture, codes)
    task = Task(
        objective=what,
        batch=batches.batches(make_row, config.run.seed, config.run.batch),
        evaluate=functools.partial(evaluate, config, *_held_out(config, tokenizer, held_out), workdir),
        prepare=functools.partial(_start, config, tokenizer, codes),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: DecoderTraining) -> Objective:
    """What a run teaches, the judges where there are any."""
    functional, model, frames = config.functional, config.model, config.crop or config.model.frames
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs={
            "codes": integers(frames, model.levels),
            "signal": floats(model.samples(frames), model.leads),
        },
    )


def check_fits(model: HifiGanConfig, tokenizer: LoadedTokenizer):
    """ValueError where the tokenizer writes other codes than the decoder reads, or of another signal."""
    names = ["leads", "rate", "frames", "levels", "codes", "frame_samples"]
    names += [] if model.own_vectors else ["code_dim"]
    for name in names:
        mine, its = getattr(model, name), getattr(tokenizer.config, name)
        if mine != its:
            raise ValueError(f"the tokenizer has {name} {its}, the decoder's config {mine}; set model.{name}")


# --- examples ---


def _row_maker(config: DecoderTraining, tokenizer: LoadedTokenizer, sources, mixture, codes):
    model, frames = config.model, config.crop or config.model.frames

    @functools.lru_cache(maxsize=16_384)
    def signal(source: int, record: int) -> np.ndarray:
        return prepare_signal(sources[source][record], tokenizer.config)[: tokenizer.config.samples]

    def row(rng: np.random.Generator) -> dict:
        source, record = mixture.draw(rng)
        variant = int(rng.integers(config.variants))
        start = int(rng.integers(model.frames - frames + 1))
        x = varied(signal(source, record), config.run.seed, record, variant)
        first = start * model.frame_samples
        return {
            "codes": codes[source][record, variant, start : start + frames].astype(np.int32),
            "signal": x[first : first + model.samples(frames)],
        }

    return row


def _held_out(config: DecoderTraining, tokenizer: LoadedTokenizer, records):
    """(ECGs, codes (M, N, Q), signals (M, T, L) mV) of the validation records."""
    ecgs = [records[i] for i in range(min(config.validation, len(records)))]
    signals = np.stack([prepare_signal(e, tokenizer.config)[: tokenizer.config.samples] for e in ecgs])
    codes = [tokenizer.encode(signals[i : i + _CHUNK]) for i in range(0, len(signals), _CHUNK)]
    return ecgs, np.concatenate(codes), signals


def _start(config: DecoderTraining, tokenizer: LoadedTokenizer, codes, state):
    """The tokenizer's scale and vectors into the generator's buffers, and weights of an earlier run."""
    new = {NET + "scale": jnp.asarray(tokenizer.buffers["scale"])}
    if not config.model.own_vectors:
        seen = np.concatenate([c[:, 0] for c in codes])
        new[NET + "vectors"] = normalised_code_vectors(tokenizer.code_vectors, seen)
    state = dataclasses.replace(state, buffers=state.buffers | new)
    return first_weights.begun(config.init, state, NET)


# --- one step ---


def loss(functional: Functional, config: DecoderTraining, params, state, batch, key):
    """The weighted sum of the generator's terms and, where there are judges, theirs; neither moves the other's."""
    model = functional.merge(params, state.buffers)
    scale = model.net.scale[...]
    real, made = batch["signal"] / scale, model.net(batch["codes"]) / scale
    terms = {"l1": jnp.abs(real - made).mean(), "spectral": linear_stft(real, made)}
    if config.adversarial:
        terms["adversarial"], terms["features"] = fool_losses(model.judges, real, made)
    value = sum(getattr(config, name) * term for name, term in terms.items())
    if config.adversarial:
        terms["judge"] = judge_loss(model.judges, real, made)
        value += terms["judge"]
    return value, (terms, state.buffers)


# --- validation ---


def net_arrays(params: dict, buffers: dict) -> tuple[dict, dict]:
    """(params, buffers) of the generator alone, by its own names, from a training state's."""
    return tuple(
        {name.removeprefix(NET): v for name, v in arrays.items() if name.startswith(NET)}
        for arrays in (params, buffers)
    )


@functools.partial(jax.jit, static_argnums=0)
def _write(functional, params, buffers, codes):
    return functional.merge(params, buffers).net(codes)


def evaluate(config: DecoderTraining, ecgs, codes, x_MxTxL, workdir, state, step) -> dict:
    """Validation figures on the averaged parameters, and a picture of original over reconstruction."""
    functional = config.functional
    chunks = range(0, len(codes), _CHUNK)
    y = np.concatenate([_write(functional, state.ema, state.buffers, codes[i : i + _CHUNK]) for i in chunks])
    scale = np.asarray(state.buffers[NET + "scale"])
    spectral = float(linear_stft(x_MxTxL / scale, y / scale))
    x, y = (to_twelve(s) if config.model.leads == 8 else s for s in (x_MxTxL, y))
    original = ECG(x[0], LEADS, config.model.rate, id=ecgs[0].id)
    plot.overlay(original, original.replace(signal=y[0]), workdir / f"decoded-{step:07d}.png")
    return {
        "val_spectral": spectral,
        **{
            f"val_{name}": float(np.mean([measure(a, b) for a, b in zip(x, y)]))
            for name, measure in (("r", metrics.pearson), ("rmse_mv", metrics.rmse), ("prd", metrics.prd))
        },
    }
