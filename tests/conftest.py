"""What all tests share: eight fake CPU devices, compiled programs kept for the session, a bundle trained in seconds,
and the way to the real recordings where they are at hand."""

import os
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # tests compile more than they compute
_CACHE = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ:
    # each worker has its own: JAX does not write an entry in one piece, so one worker could read half of another's
    _CACHE = tempfile.TemporaryDirectory(prefix="ttecg-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import dataclasses
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]


def pytest_unconfigure(config):
    if _CACHE:
        _CACHE.cleanup()


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real recordings beside the checkout; the test skips where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real recordings (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def config_of():
    """config_of("tokenizer_debug", "run.steps=2"): a config that the repository holds, with changes."""
    from ttecg.train.config import load_config, override

    return lambda name, *changes: override(load_config(REPOSITORY / "configs" / f"{name}.py"), list(changes))


@dataclasses.dataclass(frozen=True)
class DebugRuns:
    """Work directories of the three stages."""

    text: pathlib.Path
    tokenizer: pathlib.Path
    generator: pathlib.Path


@pytest.fixture(scope="session")
def debug_runs(config_of, tmp_path_factory) -> DebugRuns:
    """The three stages as the debug configs train them, once for all tests. Read only."""
    from ttecg.train import generator, text_tokenizer, tokenizer

    root = tmp_path_factory.mktemp("runs")
    runs = DebugRuns(root / "text", root / "tokenizer", root / "generator")
    text_tokenizer.run(config_of("text_tokenizer"), runs.text)
    tokenizer.run(config_of("tokenizer_debug", "run.mesh_data=1"), runs.tokenizer)
    from_there = (f"text={runs.text}", f"tokenizer={runs.tokenizer}")
    generator.run(config_of("generator_debug", "run.mesh_data=1", *from_there), runs.generator)
    return runs


@pytest.fixture(scope="session")
def debug_bundle(debug_runs, tmp_path_factory) -> pathlib.Path:
    """The bundle made of `debug_runs`. Read only."""
    from ttecg.bundle import export

    return export(debug_runs.generator, tmp_path_factory.mktemp("bundles") / "debug")


@pytest.fixture(scope="session")
def debug_model(debug_bundle):
    """The bundle, loaded."""
    import ttecg

    return ttecg.load(debug_bundle)
