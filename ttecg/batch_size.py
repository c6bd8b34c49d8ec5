"""How many ECGs a device can make at a time, from what the compiled program says and the memory there is."""

import math
import os
import pathlib
import re

import jax

LARGEST = 256
LARGEST_ON_CPU = 64  # more is no faster there and takes more memory
_PROBE = 8  # rows of the program that is asked
_SHARE = 0.5  # of the memory; the rest is for the decoder, for files and for others


def fitting(model, policy, rows: int, processes: int = 1) -> int:
    """A power of two, at most `LARGEST` (on a CPU `LARGEST_ON_CPU`) and at most `rows`, but for `_PROBE` at least, of
    which the sampling fits the memory that each of `processes` has."""
    most = _power(min(LARGEST_ON_CPU if jax.default_backend() == "cpu" else LARGEST, rows))
    if most <= _PROBE:
        return _PROBE
    each = model.sampling_memory(policy, _PROBE) / _PROBE
    return min(most, _power(_SHARE * free_memory() / processes / each))


def _power(number: float) -> int:
    """The largest power of two that is not above the number, 1 at least."""
    return 2 ** int(math.log2(max(number, 1)))


def free_memory() -> int:
    """Bytes that a device has for this process: its limit less what is in use, or its part of the machine's memory."""
    device = jax.local_devices()[0]
    found = device.memory_stats() or {}
    if "bytes_limit" in found:
        return found["bytes_limit"] - found.get("bytes_in_use", 0)
    return min(_free_on_host(), _allowed()) // len(jax.local_devices())


def _free_on_host() -> int:
    """Bytes that Linux says are available; elsewhere those of the machine."""
    table = pathlib.Path("/proc/meminfo")
    if table.is_file():
        return 1024 * int(re.search(r"(?m)^MemAvailable:\s+(\d+) kB", table.read_text())[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _allowed() -> float:
    """Bytes that the container or the job may use; without end where nothing limits it."""
    limit = pathlib.Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return int(text) if text.isdigit() else math.inf
