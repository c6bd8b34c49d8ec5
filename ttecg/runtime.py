"""What a process sets up before it computes with JAX: compiled programs stay on disk for the next process, and a CPU
counts as several devices where rows are made side by side."""

import os
import pathlib


def cache_folder() -> pathlib.Path:
    """Where compiled programs are kept: `ttecg/xla` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "ttecg" / "xla"


_DEVICES = 8  # of a CPU at most: each has a copy of the weights


def devices_for_cores():
    """Has JAX see a device in each core that this process may use, since XLA's products of queries with a cache run on
    one core of a device. JAX_NUM_CPU_DEVICES, and --xla_force_host_platform_device_count in XLA_FLAGS, come first. GPUs
    and TPUs stay as they are. To be called before any device is asked for."""
    import jax

    given = "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not given and "JAX_NUM_CPU_DEVICES" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        jax.config.update("jax_num_cpu_devices", min(cores, _DEVICES))


def keep_compiled_programs() -> pathlib.Path | None:
    """Has JAX keep what it compiles in `cache_folder()`, or in JAX_COMPILATION_CACHE_DIR where that is set.

    The folder in use; None where it cannot be written, and then every process compiles for itself."""
    import jax

    wanted = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    try:
        folder = pathlib.Path(wanted) if wanted else cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder
