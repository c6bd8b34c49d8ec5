"""What a process sets up before it computes with JAX: compiled programs stay on disk for the next process."""

import os
import pathlib


def cache_folder() -> pathlib.Path:
    """Where compiled programs are kept: `ttecg/xla` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "ttecg" / "xla"


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
