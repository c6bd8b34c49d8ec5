"""Sets made in shards: the same files for any number of processes and after any kill; batches equal single reads."""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ttecg import cli
from ttecg.data import shards
from ttecg.data.builder import features, write_info
from ttecg.data.dataset import describe, drawn_batch, open_dataset
from ttecg.data.prepare import prepare, prepare_simulated
from ttecg.data.simulated import Simulated
from ttecg.data.simulated_dataset_builder import Builder, example
from ttecg.data.write_folder import write_folder
from ttecg.ecg import LEADS, to_eight, to_twelve
from ttecg.processes import workers

# a tiny set of small shards, by as many processes as asked
PREPARE = """
import sys
from ttecg.data import shards
from ttecg.data.prepare import prepare_simulated
shards.SHARD = 5
if __name__ == "__main__":
    prepare_simulated(60, sys.argv[1], 100, processes=int(sys.argv[2]))
"""


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Sixty simulated ECGs in shards of five, made by one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD", 5)
        return prepare_simulated(60, tmp_path_factory.mktemp("simulated") / "set", 100)


@pytest.fixture
def start(tmp_path):
    """start(out, processes): the same set made by a program of its own."""
    script, running = tmp_path / "make.py", []
    script.write_text(PREPARE)

    def begin(out, processes: int) -> subprocess.Popen:
        command = [sys.executable, str(script), str(out), str(processes)]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def shards_of(out, at_least: int) -> dict[str, int]:
    """{name: time of change} of the shards that are done, once there are so many."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        done = list((out.parent / f".{out.name}.partial").glob("set/*.array_record-*"))
        if len(done) >= at_least:
            return {path.name: path.stat().st_mtime_ns for path in done}
        time.sleep(0.005)
    raise AssertionError(f"{out} was not begun")


def test_any_number_of_processes_makes_the_same_files(simulated, start, tmp_path):
    process = start(tmp_path / "three", 3)
    assert process.wait(timeout=120) == 0 and files(tmp_path / "three") == files(simulated)
    assert len(list(simulated.glob("simulator-train.array_record-*-of-00010"))) == 10


@pytest.mark.parametrize("finished", [0, 1, 6])
def test_a_killed_run_goes_on_where_it_was(simulated, start, tmp_path, finished):
    out = tmp_path / "sets" / "killed"
    process = start(out, 2)
    kept = shards_of(out, finished)
    process.kill()
    process.wait()
    assert not out.exists()
    assert start(out, 2).wait(timeout=120) == 0 and files(out) == files(simulated)
    assert all((out / name).stat().st_mtime_ns == changed for name, changed in kept.items())
    assert [path.name for path in out.parent.iterdir()] == ["killed"]


def test_a_killed_worker_ends_the_run_which_can_go_on(simulated, tmp_path):
    with pytest.raises(OSError, match="the same command goes on from here"), workers(2) as run:
        list(run(_die_at_three, range(5)))


def _die_at_three(task: int) -> int:
    if task == 3:
        signal.raise_signal(signal.SIGKILL)
    return task


def test_what_a_run_left_for_another_set_is_not_mixed_in(simulated, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 5)
    out, calls = tmp_path / "set", []

    def broken(done):
        calls.append(done)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        run = lambda function, tasks: map(broken, map(function, tasks))  # noqa: E731
        patch.setattr(shards, "workers", lambda processes: contextlib.nullcontext(run))
        with pytest.raises(KeyboardInterrupt):
            prepare_simulated(70, out, 100)
    assert calls == [5] and shards_of(out, 1)
    assert files(prepare_simulated(60, out, 100)) == files(simulated)


def test_a_set_left_finished_but_not_cleared_away(simulated, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shards, "SHARD", 5)
    out = prepare_simulated(60, tmp_path / "set", 100)
    (tmp_path / ".set.partial" / "notes").mkdir(parents=True)
    assert prepare_simulated(60, out, 100) == out and "there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(ValueError, match="of other records"):
        prepare_simulated(70, out, 100)


def test_the_prepared_ecgs_are_those_of_the_simulator(simulated):
    assert describe(simulated)["records"] == {"train": 48, "validation": 6, "test": 6}
    for split in ("train", "validation", "test"):
        records, drawn = open_dataset(simulated, split), Simulated(48, split, 100.0)
        for i in (0, 5):
            stored, ecg = records[i], drawn[i]
            assert stored.leads == LEADS and stored.signal.dtype == np.float32
            np.testing.assert_allclose(to_eight(stored.signal), to_eight(ecg.signal), atol=5.1e-4)
            np.testing.assert_allclose(stored.signal, to_twelve(to_eight(stored.signal)), atol=1e-6)
            assert (stored.id, stored.report, stored.labels) == (ecg.id, ecg.report, ecg.labels)
            assert (stored.age, stored.sex, stored.rate) == (ecg.age, ecg.sex, 100.0)


def test_a_batch_equals_single_reads(simulated):
    records = open_dataset(simulated, "all")
    indices = np.array([3, 59, -1, 0, 3, 17, 48])
    batch = records.read_batch(indices)
    assert batch["signal"].shape == (7, 1000, 8) and batch["signal"].dtype == np.float32
    for b, i in enumerate(indices):
        ecg = records[i]
        np.testing.assert_array_equal(batch["signal"][b], to_eight(ecg.signal))
        assert (batch["age"][b], batch["rate"][b]) == (ecg.age, ecg.rate)
        assert all(batch[name][b] == getattr(ecg, name) for name in ("id", "sex", "report", "labels"))
    with pytest.raises(IndexError, match="record 60 of 60"):
        records.read_batch([0, 60])


def test_the_batch_of_a_step_depends_on_seed_and_step_alone(simulated):
    straight = [drawn_batch(open_dataset(simulated), 7, 8, step)["id"].tolist() for step in range(4)]
    resumed = open_dataset(simulated)
    assert [drawn_batch(resumed, 7, 8, step)["id"].tolist() for step in (3, 2)] == straight[:1:-1]
    assert straight[0] != straight[1] and straight[0] != drawn_batch(resumed, 8, 8, 0)["id"].tolist()
    halves = [drawn_batch(resumed, 7, 8, 0, (host, 2))["id"].tolist() for host in (0, 1)]
    assert halves[0] + halves[1] == straight[0]


def test_tfds_reads_the_set(simulated):
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(str(simulated)).as_data_source("train")
    ecg = open_dataset(simulated)[47]
    assert len(source) == 48 and source[47]["id"].decode() == ecg.id
    np.testing.assert_array_equal(source[47]["signal"] / np.float32(1000), to_eight(ecg.signal))


def test_recordings_of_several_lengths_are_read_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 3)
    ecgs = [Simulated(8, rate=100.0)[i] for i in range(8)]
    ecgs[2] = ecgs[2].replace(signal=ecgs[2].signal[:800])
    folder = write_folder((e.replace(info={"fold": 1}) for e in ecgs), tmp_path / "records")
    records = open_dataset(prepare("folder", folder, tmp_path / "set"))
    long = [i for i, ecg in enumerate(records) if len(ecg.signal) == 1000]
    assert len(long) == 7 == len(records) - 1
    np.testing.assert_array_equal(records.read_batch(long)["signal"][6], to_eight(records[long[6]].signal))
    with pytest.raises(ValueError, match="of (800|1000) and of (800|1000) samples make no batch"):
        records.read_batch(range(8))


def test_sets_of_the_format_before_are_read(simulated, tmp_path, monkeypatch):
    """Its signals were compressed."""
    import tensorflow_datasets as tfds

    old = tfds.features.FeaturesDict(
        {**features(8), "signal": tfds.features.Tensor(shape=(None, 8), dtype=np.int16, encoding="zlib")}
    )
    monkeypatch.setattr("ttecg.data.builder.features", lambda leads: old)
    monkeypatch.setattr("ttecg.data.builder._serializer", _serializer_of(old))
    out = tmp_path / "old"
    out.mkdir()
    shard = out / "simulator-train.array_record-00000-of-00001"
    shards.write_file(shard, (example(i, "train", 100.0)[0] for i in range(4)))
    write_info(Builder, out, "simulator", {"train": [4]})
    about = {
        "format": 2,
        "name": "simulator",
        "records": {"train": 4},
        "files": {shard.name: shard.stat().st_size},
    }
    (out / "ttecg.json").write_text(json.dumps(about))
    assert shard.stat().st_size < (simulated / "simulator-train.array_record-00000-of-00010").stat().st_size
    np.testing.assert_array_equal(open_dataset(out)[3].signal, open_dataset(simulated)[3].signal)


def _serializer_of(structure):
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    return lambda leads: ExampleSerializer(structure.get_serialized_info())


@pytest.mark.parametrize("count, rate, message", [(9, 100, "--count 9"), (10, 20, "--rate 20")])
def test_a_wrong_request_leaves_nothing(tmp_path, count, rate, message):
    with pytest.raises(ValueError, match=message):
        prepare_simulated(count, tmp_path / "new" / "set", rate)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words, message", [
    (["simulator"], "--count"),
    (["ptbxl", "--source", ".", "--count", "10"], "--count"),
    (["ptbxl"], "--source"),
    (["simulator", "--count", "10", "--source", "."], "--source"),
    (["simulator", "--count", "10", "--skip-bad"], "--skip-bad"),
    (["simulator", "--count", "10", "--processes", "0"], "--processes 0"),
])  # fmt: skip
def test_arguments_that_do_not_go_together_are_named(tmp_path, capsys, words, message):
    assert cli.main(["data", "prepare", *words, "--out", str(tmp_path / "set")]) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1 and not list(tmp_path.iterdir())
