"""What all tests share: eight fake CPU devices, compiled programs kept for the session, a bundle trained in seconds,
and the way to the real recordings where they are at hand."""

import dataclasses
import gc
import importlib.metadata
import os
import pathlib
import platform
import tempfile
import time

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]

# Read by JAX when it is first imported, which is later.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests compile more than they compute. XLA of JAX 0.10 has an older emitter too, which compiles a training step in a
# third of the time. It computes anew what several read, so no instructions that round a sum of a product once: they
# would round it differently for each. Small programs are not worth splitting, nor asking another library about.
_FLAGS = "--xla_backend_optimization_level=0"
if platform.machine() == "x86_64" and importlib.metadata.version("jaxlib").startswith("0.10."):
    _FLAGS += " --xla_cpu_use_fusion_emitters=false --xla_cpu_max_isa=AVX"
    _FLAGS += " --xla_cpu_parallel_codegen_split_count=1 --xla_cpu_use_xnnpack=false"
os.environ.setdefault("XLA_FLAGS", _FLAGS)
# traced programs are many objects that stay: to look through all of them seldom is enough
gc.set_threshold(100_000, 50, 100)
_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_CACHE = None
if _WORKER or "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # each worker has its own: JAX does not write an entry in one piece, so one worker could read half of another's
    _CACHE = tempfile.TemporaryDirectory(prefix="ttecg-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"  # to write and read takes time, too


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


def _made_once(tmp_path_factory, name: str, make) -> pathlib.Path:
    """The folder that `make(folder)` fills, by the first worker that needs it; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if _WORKER else base) / name
    done, failed = folder.with_name(f"{name}.done"), folder.with_name(f"{name}.failed")
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + 600
        while not done.exists():
            assert not failed.exists() and time.monotonic() < until, (
                f"{folder} was not made by another worker"
            )
            time.sleep(0.2)
        return folder
    try:
        make(folder)
    except BaseException:
        failed.touch()
        raise
    done.touch()
    return folder


@dataclasses.dataclass(frozen=True)
class DebugRuns:
    """Work directories of the three stages."""

    text: pathlib.Path
    tokenizer: pathlib.Path
    generator: pathlib.Path


@pytest.fixture(scope="session")
def debug_runs(config_of, tmp_path_factory) -> DebugRuns:
    """The three stages as the debug configs train them, once for all tests. Read only."""

    def make(root):
        from ttecg.train import generator, text_tokenizer, tokenizer

        text_tokenizer.run(config_of("text_tokenizer"), root / "text")
        tokenizer.run(config_of("tokenizer_debug", "run.mesh_data=1"), root / "tokenizer")
        there = (f"text={root / 'text'}", f"tokenizer={root / 'tokenizer'}")
        generator.run(config_of("generator_debug", "run.mesh_data=1", *there), root / "generator")

    root = _made_once(tmp_path_factory, "debug_runs", make)
    return DebugRuns(root / "text", root / "tokenizer", root / "generator")


@pytest.fixture(scope="session")
def debug_bundle(debug_runs, tmp_path_factory) -> pathlib.Path:
    """The bundle made of `debug_runs`. Read only."""
    from ttecg.bundle import export

    def make(folder):
        export(debug_runs.generator, folder / "debug")

    return _made_once(tmp_path_factory, "debug_bundles", make) / "debug"


@pytest.fixture(scope="session")
def debug_model(debug_bundle):
    """The bundle, loaded."""
    import ttecg

    return ttecg.load(debug_bundle)


@pytest.fixture(scope="session")
def learn():
    """learn(objective, batch, steps, change=None) -> [(state, {metric: number})] of steps on one batch; change(state)
    alters the first state in place."""
    import jax

    from ttecg.train.loop import RunConfig
    from ttecg.train.objective import update
    from ttecg.train.state import init_state

    def run(objective, batch, steps, change=None):
        config = RunConfig(steps=max(steps, 1000))
        step = jax.jit(lambda s, k: update(objective, config, s, batch, k))
        state = init_state(objective.functional, objective.optimizer.create(config.steps), jax.random.key(0))
        if change:
            change(state)
        made = []
        for i in range(steps):
            state, metrics = step(state, jax.random.fold_in(jax.random.key(2), i))
            made.append((state, {k: float(v) for k, v in metrics.items()}))
        return made

    return run
