"""Fields of nested configs by name, and the type that a config computes in on another machine."""

import dataclasses

from ttecg.plan.topology import Topology
from ttecg.train.config import override


def paths(config, name: str, prefix: str = "") -> list[str]:
    """Where fields called `name` are in a nested dataclass, as --set takes them."""
    found = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == name:
            found.append(prefix + name)
        if dataclasses.is_dataclass(value):
            found += paths(value, name, f"{prefix}{field.name}.")
    return found


def on(config, topology: Topology):
    """The config as it would compute there: compute="auto" is bfloat16 on GPU and TPU, float32 on CPU."""
    kind = "float32" if topology.each.platform == "cpu" else "bfloat16"
    auto = [path for path in paths(config, "compute") if at(config, path) == "auto"]
    return override(config, [f"{path}={kind}" for path in auto])


def at(config, path: str):
    """The value at a dotted path."""
    for name in path.split("."):
        config = getattr(config, name)
    return config
