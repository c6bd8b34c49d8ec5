"""What one chip can do, by its maker's figures. Rates are dense, per chip and second; links are counted one way."""

import dataclasses
import os

GIB, GB, TERA = 2**30, 1e9, 1e12


@dataclasses.dataclass(frozen=True)
class Chip:
    """memory and usable in bytes: what is built in, and what a program may take. peak: FLOP/s by type of the operands.
    bandwidth, link, network in bytes/s: memory, the links within `node` chips (0: all), and between nodes."""

    platform: str
    memory: float
    usable: float
    peak: dict
    bandwidth: float
    link: float
    node: int = 0
    network: float = 0.0

    def wires(self, count: int) -> float:
        """Bytes per second out of one chip where `count` chips work together."""
        return self.link if not self.node or count <= self.node else self.network


def _tpu(memory: float, usable: float, teraflops: float, bandwidth: float, gigabits: float) -> Chip:
    # float32 products run as one bfloat16 pass at JAX's default precision, so there is one peak
    peak = dict.fromkeys(("bfloat16", "float32"), teraflops * TERA)
    return Chip("tpu", memory * GIB, usable * GIB, peak, bandwidth * GB, gigabits / 8 * GB)


def _gpu(
    memory: float, bfloat16: float, tf32: float, bandwidth: float, nvlink: float, network: float
) -> Chip:
    # JAX takes three quarters of the memory unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise, and computes float32
    # products in TF32 at its default precision; NVLink is sold by both ways together
    peak = {"bfloat16": bfloat16 * TERA, "float32": tf32 * TERA}
    return Chip(
        "gpu", memory * GB, 0.75 * memory * GB, peak, bandwidth * GB, nvlink / 2 * GB, 8, network / 8 * GB
    )


CHIPS = {
    # TPU: docs.cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e}: memory, bf16 TFLOP/s, GB/s of HBM, Gbit/s of all
    # interconnect links one way. Usable GiB: what libtpu's compiler names when a program does not fit.
    "v4": _tpu(32, 30.75, 275, 1200, 2400),
    "v5e": _tpu(16, 15.75, 197, 819, 1600),
    "v5p": _tpu(96, 95.74, 459, 2765, 4800),
    "v6e": _tpu(32, 31.25, 918, 1600, 3200),
    # GPU: NVIDIA's data sheets, SXM boards of 8: GB, dense bf16 and TF32 TFLOP/s (half of what is printed "with
    # sparsity"), GB/s of HBM, GB/s of NVLink both ways; network: one InfiniBand card per GPU as in DGX systems, Gbit/s
    "a100": _gpu(80, 312, 156, 2039, 600, 200),
    "h100": _gpu(80, 989.5, 494.7, 3350, 900, 400),
    "h200": _gpu(141, 989.5, 494.7, 4800, 900, 400),
    "b200": _gpu(180, 2250, 1100, 8000, 1800, 400),  # as in HGX; 192 GB are built in, 180 are usable
}


def cpu(count: int) -> Chip:
    """One of `count` devices that share this machine, at rates measured on two cores with JAX 0.10.2: a large float32
    matrix product 205 GFLOP/s, a bfloat16 one half of that, reading memory 25 GB/s."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / count
    peak = {"float32": 205e9 / count, "bfloat16": 102e9 / count}
    return Chip("cpu", memory, memory, peak, 25e9 / count, 25e9 / count)
