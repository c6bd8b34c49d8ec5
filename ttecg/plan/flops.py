"""FLOPs of matrix products and convolutions, counted in the program as JAX traces it: over all devices, before any
compiler. Unlike in XLA's own count the body of a loop counts as often as it runs; elementwise work is left out, as in
the peak rates of chips. A multiply-add is two FLOPs.
"""

import collections
import math

from jax.extend import core


def count(jaxpr) -> dict[str, float]:
    """{type of the operands: FLOPs} of a jaxpr. A loop that may end early counts at its bound."""
    total = collections.Counter()
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        if eqn.primitive.name == "dot_general":
            total[_type(eqn)] += _product(eqn)
        elif eqn.primitive.name == "conv_general_dilated":
            total[_type(eqn)] += _convolution(eqn)
        elif eqn.primitive.name == "cond":
            branches = [count(branch) for branch in eqn.params["branches"]]
            total.update(max(branches, key=lambda branch: sum(branch.values())))
        elif eqn.primitive.name == "while":
            total.update(_times(count(eqn.params["body_jaxpr"]), _bound(eqn.params["cond_jaxpr"])))
        else:
            times = eqn.params["length"] if eqn.primitive.name == "scan" else 1
            for inner in _inner(eqn):
                total.update(_times(count(inner), times))
    return dict(total)


def _type(eqn) -> str:
    """bfloat16 or float32: how the product is computed, by its wider operand."""
    return "bfloat16" if all(v.aval.dtype.itemsize <= 2 for v in eqn.invars[:2]) else "float32"


def _product(eqn) -> float:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    shape = eqn.invars[0].aval.shape
    return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(shape[i] for i in contracted)


def _convolution(eqn) -> float:
    kernel = eqn.invars[1].aval.shape
    outputs = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(kernel) / outputs


def _times(flops: dict, factor: float) -> dict:
    return {kind: value * factor for kind, value in flops.items()}


def _inner(eqn) -> list:
    """Jaxprs among an equation's parameters: what it calls, once each."""
    values = [v for p in eqn.params.values() for v in (p if isinstance(p, tuple | list) else (p,))]
    return [v for v in values if isinstance(v, core.Jaxpr | core.ClosedJaxpr)]


def _bound(condition) -> int:
    """The constant that a loop's counter stays below. ValueError where the condition compares with none."""
    limits = [
        int(v.val)
        for eqn in condition.jaxpr.eqns
        if eqn.primitive.name == "lt"
        for v in eqn.invars
        if isinstance(v, core.Literal)
    ]
    if not limits:
        raise ValueError("a loop's length cannot be read from the traced program")
    return min(limits)
