"""FLOPs of a generator's training step by formula: 6 per weight and position it is used at, and attention."""

import math
import re

from ttecg.models import beat_plan
from ttecg.models.generator import FREE
from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.train.generator import GeneratorTraining

_NO_INPUT_GRADIENT = r"(^frame_in|/above)/kernel$"  # they read code vectors, which the tokenizer fixed


def training_flops(config, shapes: dict) -> float | None:
    """FLOPs of one step over all devices, without recomputation; None for what is no generator.

    shapes: {parameter: shape}. 2 FLOPs per weight and position forward, 2 for the weight's gradient, 2 for its input's,
    which layers that read nothing trained do without."""
    if not isinstance(config, GeneratorTraining):
        return None
    each = _positions(config)
    weights = sum(_uses(name, each) * math.prod(shape) for name, shape in shapes.items())
    unread = sum(
        each["frames"] * math.prod(shapes[name]) for name in shapes if re.search(_NO_INPUT_GRADIENT, name)
    )
    model, length = config.model, each["trunk"]
    attention = 2 * model.layers * model.heads * model.head_dim * length**2  # scores, and values times scores
    return config.run.batch * (6.0 * (weights + _scores(model, shapes) + attention) - 2.0 * unread)


def _positions(config) -> dict[str, int]:
    """How many positions of one example each part of the model works on."""
    model = config.model
    if isinstance(model, PaperGeneratorConfig):
        prompt = min(config.prompt_length, model.prompt - 1)
        return {"trunk": prompt + model.frames, "prompt": prompt - 1, "frames": model.frames, "plan": 0}
    prompt, plan = config.prompt_length, beat_plan.SLOTS
    return {
        "trunk": prompt + plan + model.frames, "prompt": prompt, "frames": model.frames, "plan": plan
    }  # fmt: skip


def _uses(name: str, each: dict[str, int]) -> int:
    """Positions that a weight is multiplied at; 0 for what is looked up or added."""
    if not name.endswith("kernel"):
        return 0
    if "blocks/" in name:
        return each["trunk"]
    if re.match(r"(prompt_|text_head)", name):
        return each["prompt"]
    return each["plan"] if name.startswith("plan_head") else each["frames"]


def _scores(model, shapes: dict) -> float:
    """Multiply-adds of the base generator's code heads: a query against every code's key, at every frame."""
    heads = sum(1 for name in shapes if re.fullmatch(r"heads/\d+/free", name))
    return heads * model.frames * model.codes * (model.code_dim + 1 + FREE)
