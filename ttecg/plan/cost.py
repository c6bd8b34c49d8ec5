"""A jitted function compiled for devices that are not there, and what it costs on each of them."""

import dataclasses
import re
import time

import jax

from ttecg.plan import flops
from ttecg.plan.program import Collective, Program

_UNIT = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one call, per device; sizes in bytes. flops by type of the operands, loops run through, an equal share of all
    devices' work. xla_flops and xla_bytes are the compiler's own, each loop counted once. refusal: why the compiler
    gave up, in its words; then what only a compiled program tells is None."""

    seconds_to_compile: float
    flops: dict
    peak_memory: float | None
    temporary: float | None = None
    arguments: float | None = None
    code: float | None = None
    bytes_moved: float | None = None
    collectives: tuple[Collective, ...] = ()
    xla_flops: float | None = None
    xla_bytes: float | None = None
    loops_bounded: bool = False
    refusal: str = ""


def measure(function, arguments: tuple, mesh) -> Cost:
    """Compiles a jitted function for arrays of these shapes and shardings over a mesh. A program too large for the
    devices is a Cost with a refusal; other failures are raised."""
    start = time.monotonic()
    with jax.set_mesh(mesh):
        traced = function.trace(*arguments)
        work = {kind: n / mesh.size for kind, n in flops.count(traced.jaxpr).items()}
        try:
            compiled = traced.lower().compile()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return _refused(str(error), work, time.monotonic() - start)
    seconds = time.monotonic() - start
    memory, program = compiled.memory_analysis(), Program(compiled.as_text())
    own = _first(compiled.cost_analysis())
    code = memory.generated_code_size_in_bytes
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Cost(
        seconds_to_compile=seconds,
        flops=work,
        peak_memory=float(max(held + memory.temp_size_in_bytes + code, memory.peak_memory_in_bytes)),
        temporary=float(memory.temp_size_in_bytes),
        arguments=float(memory.argument_size_in_bytes),
        code=float(code),
        bytes_moved=program.bytes_moved(),
        collectives=tuple(program.collectives()),
        xla_flops=own.get("flops"),
        xla_bytes=own.get("bytes accessed"),
        loops_bounded=program.bounded,
    )


def _refused(message: str, work: dict, seconds: float) -> Cost:
    """The memory that the compiler says it would need, where it says so, stands for the peak."""
    said = next(
        (line for line in message.splitlines() if "out of memory" in line.lower()), message.splitlines()[0]
    )
    need = re.search(r"\(([\d.]+)([KMGT])\)|Used ([\d.]+)([KMGT]) of", said)
    number, unit = (need[1] or need[3], need[2] or need[4]) if need else (None, None)
    peak = float(number) * _UNIT[unit] if need else None
    return Cost(seconds, work, peak, refusal=said.removeprefix("RESOURCE_EXHAUSTED: ").strip())


def _first(analysis) -> dict:
    """The cost analysis of the one program, which some backends put into a list."""
    return analysis[0] if isinstance(analysis, list) else analysis
