"""What a timing has to say of where it was taken."""

import importlib.metadata
import json
import os
import pathlib
import platform
import resource
import sys

from ttecg.data.staged import staged


def machine(*packages: str) -> dict[str, str]:
    """Processor, the cores that this process may use, and versions of Python, of ttecg and of the packages named."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("ttecg", *packages)]
    return {
        "processor": _processor(),
        "cores": f"{cores} of {os.cpu_count()}",
        "versions": ", ".join((f"Python {platform.python_version()}", *versions)),
    }


def _processor() -> str:
    """Its name where the system tells it (Linux), else its kind."""
    table = pathlib.Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak_memory() -> float:
    """MB that this process has had in memory at most so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def check_json(path):
    """ValueError where `write_json` could not write there: named before anything is timed."""
    if path is not None and (pathlib.Path(path).is_dir() or pathlib.Path(path).parent.is_file()):
        raise ValueError(f"--json {path}: is a folder, or lies in a file; give the name of a file")


def write_json(path, figures: dict):
    """Complete or absent; nothing where no path is given."""
    if path is not None:
        path = pathlib.Path(path)
        with staged(path.parent, path.name) as scratch:
            (scratch / path.name).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
