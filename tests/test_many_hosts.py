"""Two processes of four devices each train as one: killed, or told to stop, and started again, also as one process,
they end as a run that nobody disturbed."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ttecg.train.checkpoint import Checkpoints

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
LOCAL = REPOSITORY / "launch" / "local.sh"
STEPS, EVERY = 24, 4
SMALL = {
    "model.widths": "(8,)",
    "crop": 64,
    "validation": 2,
    "run.steps": STEPS,
    "run.checkpoint_every": EVERY,
    "run.log_every": 1,
    "run.eval_every": STEPS,
}
ENVIRONMENT = {
    **os.environ,
    "JAX_NUM_CPU_DEVICES": "4",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(REPOSITORY),
}
# a process notes its id, for the test that kills it
NOTE_PID = 'echo $$ > "$0-$JAX_PROCESS_ID" && exec "$@"'


def command(task: str, workdir: pathlib.Path, settings: dict) -> list[str]:
    """The command that trains as a debug config says."""
    config = str(REPOSITORY / "configs" / f"{task}_debug.py")
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return [
        sys.executable, "-m", "ttecg", "train", task, "--config", config, "--workdir", str(workdir), *words
    ]  # fmt: skip


def training(workdir: pathlib.Path, *more: str) -> list[str]:
    """The command that trains a network of eight channels."""
    return [*command("unet", workdir, SMALL), *more]


def alone(workdir: pathlib.Path, *more: str) -> subprocess.CompletedProcess:
    """The training in one process that no launcher started."""
    return subprocess.run(
        training(workdir, *more), capture_output=True, text=True, timeout=170, env=ENVIRONMENT, check=False
    )


def start(workdir: pathlib.Path, *more: str) -> subprocess.Popen:
    """The training as a job of two processes. Its output and their ids go to files beside the work directory."""
    return two_of(
        workdir, ["bash", "-c", NOTE_PID, f"{workdir}.pid", *training(workdir, "--distributed", *more)]
    )


def two_of(workdir: pathlib.Path, words: list[str]) -> subprocess.Popen:
    """Two processes of a command; their output goes to a file beside the work directory."""
    with open(f"{workdir}.out", "ab") as out:
        return subprocess.Popen([str(LOCAL), "2", *words], stdout=out, stderr=out, env=ENVIRONMENT)


def output(workdir: pathlib.Path) -> str:
    return pathlib.Path(f"{workdir}.out").read_text(errors="replace")


def end(job: subprocess.Popen, workdir: pathlib.Path, status: int = 0):
    """Waits for the end of a job, which has to be of this status."""
    try:
        found = job.wait(timeout=170)
    finally:
        job.terminate()
    assert found == status, output(workdir)[-5000:]


def hit(workdir: pathlib.Path, job: subprocess.Popen, step: int, process: int, how: signal.Signals):
    """Sends a signal to a process once the checkpoint of a step is there."""
    while not (workdir / "checkpoints" / str(step)).exists():
        assert job.poll() is None, output(workdir)[-5000:]
        time.sleep(0.01)
    os.kill(int(pathlib.Path(f"{workdir}.pid-{process}").read_text()), how)


def losses(workdir: pathlib.Path) -> list[float]:
    """Of every step, once."""
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    return [line["loss"] for line in lines]


def latest(workdir: pathlib.Path) -> int:
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.latest


def weights(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_weights()[0]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> pathlib.Path:
    """The work directory of a run of two processes that nobody disturbs, with all its checkpoints."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    end(start(workdir, "--set", f"run.keep={STEPS}"), workdir)
    return workdir


@pytest.mark.slow
def test_a_job_that_was_killed_and_one_that_was_told_to_stop_end_as_one_that_was_not(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    job = start(workdir)
    hit(workdir, job, EVERY, 1, signal.SIGKILL)
    end(job, workdir, 128 + signal.SIGKILL)
    saved = latest(workdir)
    job = start(workdir, "--resume")
    hit(workdir, job, saved + EVERY, 1, signal.SIGTERM)
    end(job, workdir)
    assert "asked to stop: saved step" in output(workdir)
    end(start(workdir, "--resume"), workdir)
    assert losses(workdir) == losses(undisturbed)
    expected = weights(undisturbed)
    for name, value in weights(workdir).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one_that_has_half_the_devices(undisturbed, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    for checkpoint in (workdir / "checkpoints").iterdir():
        if int(checkpoint.name) > EVERY:
            shutil.rmtree(checkpoint)
    said = alone(workdir, "--resume")
    assert said.returncode == 0, said.stderr
    np.testing.assert_allclose(losses(workdir), losses(undisturbed), atol=1e-5)


@pytest.mark.slow
def test_what_is_wrong_for_all_processes_ends_all_with_one_line_each(undisturbed):
    before = len(output(undisturbed))
    end(start(undisturbed, "--set", "optimizer.learning_rate=0.5"), undisturbed, 2)
    said = output(undisturbed)[before:]
    assert said.count("was started with another optimizer") == 2 and "Traceback" not in said, said


@pytest.mark.slow
def test_what_comes_from_data_and_other_models_reaches_all_processes(debug_runs, tmp_path):
    """A decoder takes codes, which one process writes, and arrays of the tokenizer, which lie on each one's device."""
    workdir = tmp_path / "run"
    settings = {
        "tokenizer": debug_runs.tokenizer,
        "sources": ("simulator:4",),
        "validation": 2,
        "model.width": 8,
        "model.kernels": "(3,)",
        "model.dilations": "(1,)",
        "judges.periods": "(2,)",
        "judges.scales": 1,
        "crop": 16,
        "run.steps": 2,
    }
    end(two_of(workdir, [*command("decoder", workdir, settings), "--distributed"]), workdir)
    assert latest(workdir) == 2 and len(list(workdir.glob("codes-*.npz"))) == 1


def test_a_process_without_a_job_is_told_how_jobs_start(tmp_path):
    said = alone(tmp_path / "new", "--distributed")
    assert said.returncode == 2 and "leave --distributed out" in said.stderr, said.stderr
    assert len(said.stderr.splitlines()) == 1 and not (tmp_path / "new").exists()
