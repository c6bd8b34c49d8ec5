"""How fast sampling is beside the machine's bound: `ttecg bench generate --config configs/generator_paper.py`."""

import dataclasses
import functools
import os
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.bench.product import product_rate
from ttecg.evaluate import report
from ttecg.models.drafted import DraftedConfig
from ttecg.models.functional import Functional
from ttecg.models.layers import compute_dtype
from ttecg.models.paper_generator import PaperGenerator
from ttecg.models.sampling import SamplingPolicy, compiled, sample_without_cache, sampled
from ttecg.plan import flops
from ttecg.spread import spread, whole_copies

_FEWEST = 4  # rows that are worth a device
# parameters of which a decoding step reads a row at most: tables, and what only the prompt or the training needs
NOT_EACH_STEP = ("prompt_", "plan_", "section", "code_table", "code_positions", "text_head")


def seconds(fn, repeats: int = 3) -> float:
    """Best of `repeats` timings of fn() after one call that compiles."""
    jax.block_until_ready(fn())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(fn())
        times.append(time.perf_counter() - start)
    return min(times)


def memory_bandwidth(megabytes: int = 512) -> float:
    """Bytes per second that a sum over a large float32 array reads."""
    x = jnp.ones(megabytes * 2**18, jnp.float32)
    total = jax.jit(jnp.sum)
    return x.nbytes / seconds(lambda: total(x), 5)


def generate(
    model_config=None, batches=(1, 8, 64), *, bundle=None, without_cache: bool = True, frames: int = 0
) -> list[dict]:
    """Prints and returns a row per batch size: seconds per ECG, tokens per second, and at batch 1 the share of the
    memory bandwidth that reading the weights once per code frame amounts to, and its inverse, the time over that
    bound; and the rate of its matrix products beside that of a large one (a loop that may end early counts whole).
    A batch lies on as many devices as divide it and have 4 rows each.
    Weights that a step does not read in full (`NOT_EACH_STEP`) are not counted, nor is the cache, so the bound is a
    strict one. A config has random weights and draws plainly; a bundle has its own weights and sampling policy.

    without_cache: also time the loop that runs the whole prefix for every code (paper's transformer, batch 1, a
    sixteenth of the codes, scaled by their number: its cost per code is constant). frames: fewer code frames.
    """
    functional, params, buffers, config, policy = _model(model_config, bundle, frames)
    bandwidth = memory_bandwidth()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {jax.devices()[0].device_kind}, jax {jax.__version__}; "
        f"{functional.count() / 1e6:.2f} M parameters, {config.frames} frames x {config.levels} codes; "
        f"memory bandwidth {bandwidth / 1e9:.1f} GB/s; guidance {policy.guidance:g}"
    )
    rows = [_timed(functional, params, buffers, config, policy, batch, bandwidth) for batch in batches]
    if without_cache and _is_paper(functional):
        rows.append(_uncached(functional, params, buffers, config))
    print(report.table(rows))
    return rows


def _is_paper(functional: Functional) -> bool:
    return "code_table" in functional.param_names


def _model(model_config, bundle, frames):
    if bundle is not None:
        from ttecg.generate import load

        loaded = load(bundle)
        return *loaded.weights, loaded.config, loaded.policy
    if frames:
        model_config = dataclasses.replace(model_config, frames=frames)
    functional = sampled(model_config)
    return functional, *jax.jit(functional.init)(jax.random.key(0)), model_config, SamplingPolicy()


def _inputs(batch: int):
    prompt = np.ones((batch, 16), np.int32)
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(0)))(jnp.arange(batch))
    return prompt, prompt, keys


def _devices(batch: int) -> int:
    """How many of this process's devices a batch lies on."""
    every = range(2, jax.local_device_count() + 1)
    return max((n for n in every if batch % n == 0 and batch >= n * _FEWEST), default=1)


def _timed(functional, params, buffers, config, policy, batch, bandwidth) -> dict:
    run, devices = compiled(functional, policy, False), _devices(batch)
    copies, everywhere = whole_copies((params, buffers), devices), spread(run, devices)
    per_call = seconds(lambda: everywhere(*copies, *_inputs(batch), None))
    weights = sum(p.nbytes for name, p in params.items() if not name.startswith(NOT_EACH_STEP))
    told = batch == 1 and not isinstance(config, DraftedConfig)  # whose frames read a part of the weights
    read = weights * config.frames / per_call / bandwidth
    traced = jax.make_jaxpr(lambda *args: run(params, buffers, *args, None))(*_inputs(batch))
    work = sum(flops.count(traced).values())
    chips = 1 if jax.default_backend() == "cpu" else devices  # the product has all of a CPU to itself
    return {
        "batch": batch,
        "devices": devices,
        "cache": "yes",
        "s_per_ecg": per_call / batch,
        "tokens_per_s": batch * config.frames * config.levels / per_call,
        "GFLOP_per_s": work / per_call / 1e9,
        "share_of_peak": work / per_call / chips / product_rate(str(compute_dtype(config.compute))),
        "bandwidth_share": read if told else float("nan"),
        "times_bound": 1 / read if told else float("nan"),
    }


def _uncached(functional, params, buffers, config) -> dict:
    part = max(1, config.frames // 16)

    @jax.jit
    def run(params, buffers, prompt, nothing, keys):
        model: PaperGenerator = functional.merge(params, buffers)
        return sample_without_cache(model, prompt, nothing, keys, SamplingPolicy(), part)

    per_ecg = seconds(lambda: run(params, buffers, *_inputs(1)), 1) * config.frames / part
    return {
        "batch": 1,
        "devices": 1,
        "cache": "no",
        "s_per_ecg": per_ecg,
        "tokens_per_s": config.frames / per_ecg,
        "GFLOP_per_s": float("nan"),
        "share_of_peak": float("nan"),
        "bandwidth_share": float("nan"),
        "times_bound": float("nan"),
    }
