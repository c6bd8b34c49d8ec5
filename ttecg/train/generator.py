"""Trains a generator on codes: `ttecg train generator --config configs/generator_base.py --workdir runs/generator`."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.bundle import describe_generator, load_fitting, load_tokenizer
from ttecg.data import batches
from ttecg.data.prompt import CONDITIONS, PromptEncoder
from ttecg.models import beat_basis, beat_plan
from ttecg.models.drafted import KINDS, DraftedConfig
from ttecg.models.functional import Functional
from ttecg.models.generator import GeneratorConfig
from ttecg.models.measures import MEASURES
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.train import beat_basis as basis_of_beats
from ttecg.train import codes, first_weights, sharding, text_tokenizer
from ttecg.train.config import at_least, open_workdir, to_dict, write_bytes, write_text
from ttecg.train.loop import RunConfig, Task, train
from ttecg.train.objective import Objective, floats, integers
from ttecg.train.sharding import P, Rules
from ttecg.train.state import OptimizerConfig

RULES: Rules = (
    *sharding.BLOCKS,
    (r"(frame_in|prompt_wide|heads/\d+/wide)/kernel$", P(None, "model")),
    (r"(frame_in|prompt_wide|heads/\d+/wide)/bias$", P("model")),
    (r"(frame_mix|prompt_out|heads/\d+/query)/kernel$", P("model", None)),
    (r"(prompt_table|plan_table|code_table|prompt_positions|code_positions|section)$", P(None, "model")),
    (r"(plan_head|code_head|text_head|heads/\d+/above)/(kernel|bias)$", P()),
    (r"(heads/\d+/(query/bias|free|bias|norm/scale)|^norm/(scale|bias)|^code_vectors)$", P()),
    (r"^(measure_table|measure_slots|kind_table)$", P(None, "model")),
    (
        r"^(measure_head|kind_head|trust|frame_gist)/(kernel|bias)$|^(trust_norm/scale|basis_mean|basis_axes)$",
        P(),
    ),
    (
        r"^flow/(\w+_in|told_mix|out|turn)/(kernel|bias)$|^flow/(kind_table|layers/\d+/down/bias)$",
        P(),
    ),
    (r"^flow/layers/\d+/up/kernel$", P(None, "model")),
    (r"^flow/layers/\d+/up/bias$", P("model")),
    (r"^flow/layers/\d+/down/kernel$", P("model", None)),
)

MODEL_FILE, TEXT_FILE = "model.json", text_tokenizer.FILE


@dataclasses.dataclass(frozen=True)
class GeneratorTraining:
    """Everything that defines a generator run. Sizes that follow from the tokenizers are filled in at the start."""

    model: GeneratorConfig | PaperGeneratorConfig | DraftedConfig = GeneratorConfig()
    # work directory or bundle of the VQ tokenizer, and work directory (or file) of the text tokenizer
    tokenizer: str = "runs/tokenizer"
    text: str = "runs/text"
    # "PATH@WEIGHT" of prepared sets, or "simulator:COUNT@WEIGHT" (data.batches.Source)
    sources: tuple[str, ...] = ("simulator",)
    # work directory or bundle whose weights training starts from, as far as they fit; empty for random ones
    init: str = ""
    # which conditions a prompt starts with, and how many ids it is padded to in training
    conditions: tuple[str, ...] = CONDITIONS
    prompt_length: int = 48
    # augmented examples made of each recorded ECG
    variants: int = 8
    # rare findings are drawn more often: exponent on their frequency, 0 for not at all
    balance: float = 0.5
    # of each source, recordings with a finding that fewer recordings have are left out: they would be copied
    anonymity: int = 4
    # probability that only some of a report's phrases are told: who asks names less than a report does
    partial: float = 0.0
    # probabilities: the text is left out; each of age, sex and heart rate is; labels' text stands for the report's
    drop_text: float = 0.1
    drop_condition: float = 0.3
    statements: float = 0.4
    # probability that words of a report which no phrase explains are left out, as they are in generation
    plain: float = 0.5
    # weights of the cross-entropies: prompt text, beat plan, each level of codes
    text_loss: float = 0.0
    plan_loss: float = 0.5
    level_loss: tuple[float, ...] = (1.0, 0.8, 0.6, 0.5)
    # of a drafting generator: work directory of `ttecg train beat-basis`; weights of the numbers, of the kinds of
    # beats, and of the usual beats
    basis: str = ""
    measure_loss: float = 1.0
    kind_loss: float = 0.2
    usual_loss: float = 2.0
    # codes of whole ECGs are learned from every so-manieth example, which cost more than the rest
    every: int = 2
    # weight of the frames before the second R peak, which only the report can tell; later beats follow the first
    early: float = 3.0
    # validation examples to score
    validation: int = 128
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3, warmup=100, weight_decay=0.05)
    run: RunConfig = RunConfig(steps=4000, batch=16, eval_every=250, checkpoint_every=100)

    def __post_init__(self):
        at_least(self, validation=1, variants=1, anonymity=0, prompt_length=len(self.conditions) + 2)
        if len(self.level_loss) != self.model.levels:
            raise ValueError(
                f"level_loss has {len(self.level_loss)} weights for {self.model.levels} levels of codes"
            )


def run(config: GeneratorTraining, workdir, resume: bool = False):
    """Trains, or goes on training, in workdir. Returns the final state."""
    tokenizer = load_tokenizer(config.tokenizer)
    encoder = PromptEncoder(text_tokenizer.load(config.text), config.conditions, config.model.prompt)
    model = resolve(config.model, tokenizer.config, encoder)
    basis = basis_of_beats.load(config.basis) if isinstance(model, DraftedConfig) else None
    what = objective(dataclasses.replace(config, model=model))
    # a wrong source and weights that do not fit are named before anything is made
    sources, mixture = batches.open_sources(config.sources, "train")
    if not resume:
        first_weights.check(config.init, what.functional, own=None)
    workdir = open_workdir(workdir, config, resume)
    write_text(workdir / MODEL_FILE, json.dumps(describe_generator(model), indent=1))
    write_bytes(workdir / TEXT_FILE, encoder.model)
    extract = functools.partial(
        codes.extract,
        tokenizer=tokenizer,
        variants=config.variants,
        seed=config.run.seed,
        cache=workdir,
        basis=basis,
    )
    examples = [extract(s, "train") for s in batches.with_split(config.sources, "train")]
    held_out = [
        extract(s, "validation", limit=config.validation)
        for s in batches.with_split(config.sources, "validation")
    ]
    task = Task(
        objective=what,
        batch=batches.batches(
            _row_maker(config, encoder, examples, mixture), config.run.seed, config.run.batch
        ),
        evaluate=functools.partial(evaluate, what.functional, _validation(config, encoder, held_out))
        if held_out
        else None,
        prepare=functools.partial(_prepare, config, tokenizer, basis, examples),
    )
    return train(task, config.run, workdir, describe=to_dict(config))


def objective(config: GeneratorTraining) -> Objective:
    """What a run teaches, with the sizes that config.model has."""
    functional = Functional(config.model.create)
    return Objective(
        functional=functional,
        rules=RULES,
        optimizer=config.optimizer,
        loss=functools.partial(loss, functional, config),
        inputs=_inputs(config),
    )


def _inputs(config: GeneratorTraining) -> dict:
    model = config.model
    shared = {
        "prompt": integers(config.prompt_length),
        "plan": integers(beat_plan.SLOTS),
        "codes": integers(model.frames, model.levels),
    }
    if not isinstance(model, DraftedConfig):
        return shared | {"weights": floats(model.frames)}
    return shared | {
        "measures": integers(len(MEASURES)),
        "kinds": integers(beat_plan.SLOTS),
        "peaks": floats(beat_plan.SLOTS),
        "kind": integers(),
        "usual": integers(KINDS, beat_basis.COMPONENTS),
        "draft": integers(model.frames, model.levels),
    }


def resolve(model, tokenizer, encoder: PromptEncoder):
    """The model config with the sizes that the two tokenizers dictate. ValueError where they do not fit together."""
    if tokenizer.levels != model.levels or tokenizer.frames != model.frames:
        raise ValueError(
            f"the tokenizer writes {tokenizer.frames} frames of {tokenizer.levels} codes; the generator's "
            f"config says {model.frames} of {model.levels}: set model.frames and model.levels"
        )
    vocab = max(encoder.vocab, model.vocab) if isinstance(model, PaperGeneratorConfig) else encoder.vocab
    return dataclasses.replace(
        model,
        vocab=vocab,
        codes=tokenizer.codes,
        code_dim=tokenizer.code_dim,
        frame_seconds=tokenizer.frame_seconds,
    )


def _row_maker(config, encoder, examples, mixture):
    least = config.anonymity * config.variants
    edges = [np.cumsum(e.rarity(config.balance, least)) for e in examples]
    for name, edge in zip(batches.with_split(config.sources, "train"), edges):
        if not edge[-1]:
            raise ValueError(
                f"{name}: each recording has a finding that fewer than {config.anonymity} have; "
                f"lower anonymity (0 keeps all) or give more recordings"
            )

    def row(rng: np.random.Generator) -> dict:
        source, _ = mixture.draw(rng)
        index = int(np.searchsorted(edges[source], rng.random() * edges[source][-1], side="right"))
        return _row(
            encoder,
            config,
            examples[source],
            index,
            examples[source]
            .prompt(index, rng.random() < config.statements, rng.random() < config.plain)
            .drop(rng, config.drop_text, config.drop_condition, config.partial),
            rng.random(),
        )

    return row


def _row(encoder, config, examples, index, prompt, chance: float = 1.0) -> dict:
    """One example. chance: from 0 to 1; under a half the other beats' usual one is shown where there are any."""
    plan = examples.plans[index].astype(np.int32)
    if isinstance(config.model, DraftedConfig):
        kind = int(chance < 0.5 and examples.kinds[index].any())
        return {
            "prompt": encoder.padded([prompt], config.prompt_length)[0],
            "plan": plan,
            "codes": examples.codes[index].astype(np.int32),
            "measures": examples.measures[index].astype(np.int32),
            "kinds": examples.kinds[index].astype(np.int32),
            "peaks": examples.peaks[index],
            "kind": np.int32(kind),
            "usual": examples.usual[index].astype(np.int32),
            "draft": examples.draft[index].astype(np.int32),
        }
    early = beat_plan.early_frames(plan, config.model.frames, config.model.frame_seconds)
    return {
        "prompt": encoder.padded([prompt], config.prompt_length)[0],
        "plan": plan,
        "codes": examples.codes[index].astype(np.int32),
        "weights": np.where(early, config.early, 1.0).astype(np.float32),
    }


def _validation(config, encoder, held_out) -> dict:
    """The first validation examples of the sources in turn, as one batch."""
    rows = []
    for i in range(max(len(e) for e in held_out)):
        rows += [_row(encoder, config, e, i, e.prompt(i)) for e in held_out if i < len(e)]
    return {k: np.stack([r[k] for r in rows[: config.validation]]) for k in rows[0]}


def _prepare(config, tokenizer, basis, examples, state):
    """Code vectors from the tokenizer, components of usual beats from the basis, weights from `init` where given."""
    buffers, params = dict(state.buffers), state.params
    if "code_vectors" in buffers:
        sample = np.concatenate([e.codes[:: max(1, len(e) // 200)] for e in examples])
        buffers["code_vectors"] = codes.normalised_code_vectors(tokenizer.code_vectors, sample)
    if basis:
        buffers |= {"basis_mean": jnp.asarray(basis.mean), "basis_axes": jnp.asarray(basis.axes)}
    if config.init:
        params, fresh = load_fitting(config.init, params)
        if fresh:
            print(f"of {config.init} no weights fit {', '.join(fresh)}; they start afresh")
    return dataclasses.replace(state, params=params, ema=jax.tree.map(jnp.copy, params), buffers=buffers)


def _plan(functional, batch):
    """Models without a beat plan get an empty one."""
    return batch["plan"] if "plan_table" in functional.param_names else batch["plan"][:, :0]


def loss(functional: Functional, config: GeneratorTraining, params, state, batch, key):
    """The weighted sum of the model's cross-entropies."""
    weights = {"text": config.text_loss, "plan": config.plan_loss}
    weights |= {f"code_{q + 1}": w for q, w in enumerate(config.level_loss)}
    model = functional.merge(params, state.buffers)
    if isinstance(config.model, DraftedConfig):
        weights |= {"measures": config.measure_loss, "kinds": config.kind_loss, "usual": config.usual_loss}
        terms = model.losses(batch, key, config.every)
        return sum(weights[k] * v for k, v in terms.items()), (terms, state.buffers)
    terms = model.losses(batch["prompt"], _plan(functional, batch), batch["codes"], key, batch["weights"])
    return sum(weights[k] * v for k, v in terms.items()), (terms, state.buffers)


@functools.partial(jax.jit, static_argnums=0)
def _losses(functional, params, buffers, batch):
    if "measure_table" in functional.param_names:
        return functional.merge(params, buffers).losses(batch)
    return functional.merge(params, buffers).losses(batch["prompt"], _plan(functional, batch), batch["codes"])


def evaluate(functional, validation: dict, state, step) -> dict:
    """Cross-entropies of the averaged parameters on the validation examples."""
    chunks = [
        {k: v[i : i + 16] for k, v in validation.items()} for i in range(0, len(validation["codes"]), 16)
    ]
    scores = [jax.device_get(_losses(functional, state.ema, state.buffers, c)) for c in chunks]
    sizes = [len(c["codes"]) for c in chunks]
    return {f"val_{k}": float(np.average([s[k] for s in scores], weights=sizes)) for k in scores[0]}
