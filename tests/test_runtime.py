"""The cache of compiled programs: where it is, and that nothing depends on it."""

import os

import jax
import pytest

from ttecg.runtime import devices_for_cores, keep_compiled_programs


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    """No cache asked for from outside; what a test sets in JAX is undone."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.delenv(name, raising=False)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_cache_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert keep_compiled_programs() == tmp_path / "ttecg" / "xla"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "ttecg" / "xla")
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0


@pytest.mark.parametrize("given", ["", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS"])
def test_a_core_is_a_device_unless_the_environment_says_otherwise(given, monkeypatch):
    told, flag = [], "--xla_force_host_platform_device_count=3"
    monkeypatch.setattr(jax.config, "update", lambda *what: told.append(what))
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    if given:
        monkeypatch.setenv(given, {"XLA_FLAGS": flag}.get(given, "3"))
    devices_for_cores()
    assert told == ([] if given else [("jax_num_cpu_devices", 5)])


def test_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert keep_compiled_programs() == tmp_path / "mine"


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    before = jax.config.jax_compilation_cache_dir
    assert keep_compiled_programs() is None
    assert jax.config.jax_compilation_cache_dir == before
