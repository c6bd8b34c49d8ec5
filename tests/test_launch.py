"""Launchers are sound shell and YAML, say what they would run, and end and start again the processes that they run."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
LAUNCH = REPOSITORY / "launch"
LOCAL = LAUNCH / "local.sh"
SCRIPTS = [LOCAL, LAUNCH / "tpu_pod.sh", LAUNCH / "slurm.sbatch"]
TRAINING = ("unet", "configs/unet_base.py", "runs/unet")
TRAIN = "train unet --config configs/unet_base.py --workdir runs/unet --distributed"


def shell(*command, **environment) -> subprocess.CompletedProcess:
    """Runs a command to its end, within a minute, with text for output."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}, check=False
    )


def dry(*command, cwd=None) -> list[str]:
    """The lines that a launcher says it would run."""
    said = shell(*map(str, command), LAUNCH_DRY_RUN="1")
    assert said.returncode == 0, said.stderr
    return said.stdout.splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_explains_itself_and_is_sound(script):
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and lines[1].startswith("# ") and "set -euo pipefail" in lines
    assert any(line.startswith("#   ") and script.name in line for line in lines), "no example at the top"
    assert shell("bash", "-n", str(script)).returncode == 0
    assert shell("bash", str(script)).returncode == 2, "a call without arguments is a wrong one"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    tool = shutil.which("shellcheck", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
    if tool is None:
        pytest.skip("shellcheck is not installed; it comes with the dev extra")
    said = shell(tool, str(script))
    assert said.returncode == 0, said.stdout


def test_dry_runs_say_what_would_be_run():
    (line,) = dry(LAUNCH / "slurm.sbatch", *TRAINING, "--set", "run.steps=3")
    assert line == f"srun --kill-on-bad-exit=1 ttecg {TRAIN} --set run.steps=3"
    lines = dry(LAUNCH / "tpu_pod.sh", "my-tpu", "us-west4-a", *TRAINING)
    assert lines[0].startswith("git archive") and all("--zone=us-west4-a" in line for line in lines[1:])
    assert all("ssh my-tpu" in line and "--worker=all" in line for line in lines[2:])
    assert TRAIN in lines[-1] and "--resume" in lines[-1]
    lines = dry(LOCAL, 2, "ttecg", *TRAIN.split())
    assert [line.split()[2:4] for line in lines] == [
        ["JAX_NUM_PROCESSES=2", f"JAX_PROCESS_ID={index}"] for index in range(2)
    ]
    assert all(line.endswith(f"ttecg {TRAIN}") for line in lines) and len({x.split()[0] for x in lines}) == 1


def test_slurm_resumes_a_run_that_is_there_and_saves_before_its_time_is_up(tmp_path):
    (tmp_path / "config.json").touch()
    assert dry(LAUNCH / "slurm.sbatch", "unet", "c.py", tmp_path)[0].endswith("--distributed --resume")
    options = [line for line in (LAUNCH / "slurm.sbatch").read_text().splitlines() if "#SBATCH" in line]
    assert {"#SBATCH --requeue", "#SBATCH --signal=TERM@120"} <= set(options)


def assert_shape(value, shape, where="file"):
    """What a YAML file must hold: a type, a value, a predicate, or such for each of some keys or for every item."""
    if isinstance(shape, dict):
        assert isinstance(value, dict) and set(shape) <= set(value), (
            f"{where} lacks {set(shape) - set(value)}"
        )
        for key, inner in shape.items():
            assert_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list) and value, f"{where} is no list, or empty"
        for index, item in enumerate(value):
            assert_shape(item, shape[0], f"{where}[{index}]")
    elif isinstance(shape, type):
        assert type(value) is shape, f"{where} is {value!r}"
    elif callable(shape):
        assert shape(value), f"{where} is {value!r}"
    else:
        assert value == shape, f"{where} is {value!r}, not {shape!r}"


def trains(script: str) -> bool:
    """Whether a script starts the training of environment variables, resumes it, and is sound shell."""
    parts = ("ttecg train", '"$TASK"', '"$CONFIG"', '"$WORKDIR"', "--distributed", "echo --resume")
    return all(part in script for part in parts) and shell("bash", "-n", "-c", script).returncode == 0


POD = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": lambda seconds: seconds >= 60,
    "nodeSelector": {
        "cloud.google.com/gke-tpu-accelerator": str,
        "cloud.google.com/gke-tpu-topology": str,
    },
    "containers": [
        {
            "name": str,
            "image": str,
            "env": [{"name": str, "value": str}],
            "command": lambda words: words[:2] == ["bash", "-c"] and trains(words[2]),
            "resources": {"limits": {"google.com/tpu": int}},
            "volumeMounts": [{"name": str, "mountPath": str}],
        }
    ],
    "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}}],
}
JOB = {"parallelism": int, "completions": int, "backoffLimit": 0, "template": {"spec": POD}}
JOBSET = {
    "apiVersion": "jobset.x-k8s.io/v1alpha2",
    "kind": "JobSet",
    "metadata": {"name": str},
    "spec": {
        "failurePolicy": {"maxRestarts": lambda count: count > 0},
        "replicatedJobs": [{"name": str, "replicas": 1, "template": {"spec": JOB}}],
    },
}
SKYPILOT = {
    "name": str,
    "num_nodes": int,
    "resources": {"accelerators": str, "job_recovery": {"max_restarts_on_errors": int}},
    "workdir": ".",
    "file_mounts": dict,
    "envs": {"TASK": str, "CONFIG": str, "WORKDIR": str},
    "setup": str,
    "run": lambda script: trains(script) and "JAX_COORDINATOR_ADDRESS" in script,
}


@pytest.mark.parametrize("name, shape", [("gke_jobset.yaml", JOBSET), ("skypilot.yaml", SKYPILOT)])
def test_a_yaml_file_has_what_its_reader_needs(name, shape):
    text = (LAUNCH / name).read_text()
    assert text.startswith("# ") and f"launch/{name}" in text
    assert_shape(yaml.safe_load(text), shape)


def test_the_slice_has_the_chips_that_its_hosts_ask_for():
    job = yaml.safe_load((LAUNCH / "gke_jobset.yaml").read_text())["spec"]["replicatedJobs"][0]["template"][
        "spec"
    ]
    pod = job["template"]["spec"]
    width, height = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
    chips = pod["containers"][0]["resources"]["limits"]["google.com/tpu"]
    assert job["parallelism"] == job["completions"] and job["parallelism"] * chips == width * height


def test_one_process_that_fails_ends_the_others_and_its_status_is_the_jobs():
    began = time.monotonic()
    said = shell("bash", str(LOCAL), "3", "bash", "-c", "((JAX_PROCESS_ID == 1)) && exit 7; exec sleep 50")
    assert said.returncode == 7 and time.monotonic() - began < 20
    assert "a process ended with status 7" in said.stderr


@pytest.mark.parametrize("words", [("--workdir", "{}"), ("--workdir={}",)])
def test_a_job_is_started_again_with_resume_once_it_has_a_run(tmp_path, words):
    words = [word.format(tmp_path) for word in words]
    again = 'echo "$JAX_PROCESS_ID $*" >> log; touch config.json; [[ $* == *--resume ]]'
    command = ["bash", "-c", f"cd '{tmp_path}' && {again}", "x", *words]
    said = shell("bash", str(LOCAL), "--restarts", "3", "1", *command)
    assert said.returncode == 0 and "starting again (1 of 3)" in said.stderr, said.stderr
    assert (tmp_path / "log").read_text().splitlines() == [
        f"0 {' '.join(words)}",
        f"0 {' '.join(words)} --resume",
    ]


@pytest.mark.parametrize("status, starts", [(2, 1), (5, 3)])
def test_a_wrong_input_is_not_tried_again_and_other_failures_not_for_ever(tmp_path, status, starts):
    said = shell(
        "bash", str(LOCAL), "--restarts", "2", "1", "bash", "-c", f"echo x >> '{tmp_path}/log'; exit {status}"
    )
    assert said.returncode == status and (tmp_path / "log").read_text() == "x\n" * starts


def test_sigterm_goes_to_every_process(tmp_path):
    wait = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    job = subprocess.Popen(["bash", str(LOCAL), "2", "bash", "-c", wait], stdout=subprocess.PIPE, text=True)
    assert [job.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
    job.send_signal(signal.SIGTERM)
    assert job.communicate(timeout=20)[0] == "saved\n" * 2 and job.returncode == 0
