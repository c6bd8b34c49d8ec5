"""Machines by name, `v5e:16x16`, `h200x8` or `cpu:8`, and the devices that a program is compiled for.

TPUs come from libtpu, which describes any slice without having it. GPUs have no such description, so a program for
them is partitioned by the CPU compiler over as many CPU devices.
"""

import dataclasses
import math
import os
import re

from ttecg.plan.chips import CHIPS, Chip, cpu

_EXAMPLES = "v5e:16x16 (a TPU slice), h200x8 (GPUs) or cpu:8"
_TPU_AXES = {"v4": 3, "v5p": 3, "v5e": 2, "v6e": 2}


@dataclasses.dataclass(frozen=True)
class Topology:
    """name as given; chip: key of chips.CHIPS or "cpu"; count of devices; shape of a TPU slice, else empty."""

    name: str
    chip: str
    count: int
    shape: tuple[int, ...] = ()

    @property
    def each(self) -> Chip:
        """What one device can do."""
        return cpu(self.count) if self.chip == "cpu" else CHIPS[self.chip]

    @property
    def is_tpu(self) -> bool:
        return self.each.platform == "tpu"

    @property
    def compiler(self) -> str:
        """Whose figures these are."""
        if self.is_tpu:
            return f"libtpu's compiler for {self.chip}"
        if self.each.platform == "cpu":
            return "the CPU compiler"
        return (
            "the CPU compiler's partitioning over as many devices (no GPU compiler works without its GPU, where "
            "memory, bytes and types of collectives may differ)"
        )


def parse(name: str) -> Topology:
    """ValueError where the name is none, with the names there are."""
    tpu = re.fullmatch(r"(v\w+):(\d+(?:x\d+)*)", name)
    other = re.fullmatch(r"(cpu):(\d+)|([a-z]\d+)x(\d+)", name)
    if tpu and tpu[1] in _TPU_AXES:
        return _slice(name, tpu[1], tuple(map(int, tpu[2].split("x"))))
    chip, count = ((other[1] or other[3]), int(other[2] or other[4])) if other else ("", 0)
    if count < 1 or (chip != "cpu" and CHIPS.get(chip, cpu(1)).platform != "gpu"):
        raise ValueError(
            f"--topology {name}: no such machine; give {_EXAMPLES}. Chips: {', '.join((*CHIPS, 'cpu'))}"
        )
    return Topology(name, chip, count)


def _slice(name: str, chip: str, shape: tuple[int, ...]) -> Topology:
    axes = _TPU_AXES[chip]
    if len(shape) != axes or min(shape) < 1:
        like = "x".join(("2", "2", "1") if axes == 3 else ("4", "4"))
        raise ValueError(f"--topology {name}: slices of {chip} have {axes} axes, as in {chip}:{like}")
    return Topology(name, chip, math.prod(shape), shape)


def environment(topology: Topology) -> dict[str, str]:
    """What a process that compiles for the topology needs in its environment before JAX starts.

    JAX_OPTIMIZATION_LEVEL is O1 unless set: a third of the time of the compiler's full effort (O2), for the same FLOPs
    and collectives; temporary memory differed by up to a third, either way (docs/plan.md)."""
    wanted = {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(1 if topology.is_tpu else topology.count),
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # nothing is driven, so two plans may be made at once
    }
    return {"JAX_OPTIMIZATION_LEVEL": "O1", **os.environ, **wanted}


def devices(topology: Topology) -> list:
    """The devices to lay a mesh over. ValueError where libtpu is missing or knows no such slice."""
    import jax

    if topology.is_tpu:
        return _tpu_devices(topology)
    found = jax.devices("cpu")
    if len(found) < topology.count:
        raise ValueError(
            f"--topology {topology.name} needs {topology.count} CPU devices, this process has {len(found)}; start it "
            f"with JAX_NUM_CPU_DEVICES={topology.count}"
        )
    return found[: topology.count]


def _tpu_devices(topology: Topology) -> list:
    import importlib.util

    import jax
    from jax.experimental import topologies

    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            f"--topology {topology.name} needs libtpu, the TPU compiler: pip install 'ttecg[plan]' "
            "(no TPU is needed)"
        )
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    options = {}
    if topology.chip == "v4":
        options["chip_config_name"] = "megacore"  # both cores of a chip as one device, as JAX does on v4
    if topology.count < 4:
        options["chips_per_host_bounds"] = (*topology.shape, 1)[:3]  # part of a host's four chips
    name = f"{topology.chip}:{'x'.join(map(str, topology.shape))}"
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"--topology {topology.name}: {str(error).splitlines()[0]}") from error
    return list(found)


def mesh_of(topology: Topology, data: int, model: int):
    """The mesh of a run's mesh_data (0: all that model leaves) and mesh_model over the topology."""
    from ttecg.train.sharding import mesh_over, mesh_sizes

    mesh_sizes(topology.count, data, model, topology.name)  # before devices are made
    return mesh_over(devices(topology), data, model, topology.name)
