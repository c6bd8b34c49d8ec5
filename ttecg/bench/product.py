"""The peak that rates are held against: a large matrix product, timed in the same run."""

import functools
import time

import jax
import jax.numpy as jnp

_SIDE = {"cpu": 3072}  # of the matrices, by backend
_OTHER_SIDE = 8192


@functools.cache
def product_rate(kind: str) -> float:
    """FLOPs per second of a large square matrix product on one device, in "float32" or "bfloat16": the peak."""
    side = _SIDE.get(jax.default_backend(), _OTHER_SIDE)
    device = jax.devices()[0]
    x = jax.device_put(jnp.ones((side, side), kind), device)
    product, times = jax.jit(lambda a: a @ a), []
    jax.block_until_ready(product(x))
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(product(x))
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times)
