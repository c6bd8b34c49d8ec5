"""ECGs of a table in shards: whoever is killed whenever, and however many make them, the files are the same."""

import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import wfdb

from ttecg import cli, generate_sharded
from ttecg.data.dataset import open_dataset
from ttecg.data.reports import canonical
from ttecg.ecg import ECG, LEADS, to_twelve

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROWS = 11
COMMAND = ["generate", "--reports", "r.csv", "--num", "2", "--no-pictures", "--batch", "2", "--out"]


class Maker:
    """Answers like a text-to-ECG bundle. stop: the request at which it is interrupted."""

    name, hash = "fake", "c0ffee"

    def __init__(self, stop=None):
        self.asked, self.stop = [], stop

    def sampling(self, **changes):
        return changes

    def beat_plan(self, rr):
        return rr

    def check_numbers(self, names):
        assert "qrs_ms" not in names

    def with_decoder(self, kind):
        return self

    def generate_many(self, asked, policy, *, rr, batch):
        for prompt, drawn in asked:
            if len(self.asked) == self.stop:
                raise KeyboardInterrupt
            self.asked.append(drawn)
            signal_TxL = np.random.default_rng(drawn).normal(size=(50, 8))
            yield ECG(to_twelve(signal_TxL), LEADS, 500.0, info={"prompt": canonical(prompt.report)})


@pytest.fixture
def maker(monkeypatch, tmp_path):
    """maker(stop=None): puts a fake in place of the model."""
    lines = [f"{'sinus rhythm' if i % 2 else 'Vorhofflimmern'},{30 + i}" for i in range(ROWS)]
    (tmp_path / "r.csv").write_text("\n".join(["report,age", *lines]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ttecg.runtime.keep_compiled_programs", lambda: None)
    monkeypatch.setattr("jax.local_device_count", lambda: 1)
    monkeypatch.setattr("ttecg.shard_files.PER_FOLDER", 5)

    def put(stop=None) -> Maker:
        fake = Maker(stop)
        monkeypatch.setattr("ttecg.generate.load", lambda name: fake)
        return fake

    put()
    return put


def files(folder) -> dict[str, bytes]:
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def manifest(folder) -> list[dict]:
    text = pathlib.Path(folder, "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_row_is_there_once_in_order_and_in_folders(maker):
    assert cli.main([*COMMAND, "out"]) == 0
    lines = manifest("out")
    drawn = [(row, index) for row in range(ROWS) for index in range(2)]
    assert [(line["seed"], line["index"], line["age"]) for line in lines] == [
        (r, i, 30 + r) for r, i in drawn
    ]
    assert [line["name"] for line in lines] == [
        f"{number // 5:03d}/ecg-{row + 1:04d}-{index + 1:04d}" for number, (row, index) in enumerate(drawn)
    ]
    for line in lines:
        record = wfdb.rdrecord(f"out/{line['name']}")
        expected = np.random.default_rng((line["seed"], line["index"])).normal(size=(50, 8))
        np.testing.assert_allclose(record.p_signal[:, :2], expected[:, :2], atol=0.001)
        assert f"Seed: {line['seed']}, index {line['index']}" in record.comments
    assert len(files("out")) == 2 * len(lines) + 2
    assert sorted(p.name for p in pathlib.Path("out").iterdir() if p.is_file()) == [
        "generate.json",
        "manifest.jsonl",
    ]


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(maker):
    straight = maker()
    assert cli.main([*COMMAND, "a"]) == 0
    for stop in (9, 1, 8):
        maker(stop)
        assert cli.main([*COMMAND, "b"]) == 130
        assert not pathlib.Path("b/manifest.jsonl").exists()
    last = maker()
    assert cli.main([*COMMAND, "b"]) == 0
    assert files("a") == files("b")
    assert last.asked == straight.asked[16:]


def test_interrupted_at_any_moment_of_its_end(maker, monkeypatch):
    """Every move of a file is one moment."""
    move, count = os.replace, 0

    def run(out, stop) -> int:
        """Status of a run that is interrupted at a move."""

        def counted(*names):
            nonlocal count
            count += 1
            if count == stop:
                raise KeyboardInterrupt
            move(*names)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", counted)
            return cli.main([*COMMAND, out])

    assert run("straight", None) == 0
    moments, count = count, 0
    assert moments > 2 * 22
    for stop in range(moments, 0, -7):
        assert run(f"out{stop}", stop) == 130
        assert cli.main([*COMMAND, f"out{stop}"]) == 0
        assert files(f"out{stop}") == files("straight"), stop
        count = 0


def test_a_prepared_set_is_what_the_records_are(maker):
    argv = [*COMMAND, "set", "--format", "array_record"]
    assert cli.main([*COMMAND, "out"]) == 0
    maker(9)
    assert cli.main(argv) == 130
    maker()
    assert cli.main(argv) == 0
    ecgs, lines = open_dataset("set", "train"), manifest("set")
    assert len(ecgs) == len(lines) == 2 * ROWS
    for ecg, line, there in zip(ecgs, lines, manifest("out")):
        assert ecg.id == line["name"] == there["name"].split("/")[1]
        assert (ecg.report, ecg.age, ecg.rate) == (line["report"], line["age"], 500)
        record = wfdb.rdrecord(f"out/{there['name']}")
        np.testing.assert_allclose(ecg.signal, record.p_signal, atol=0.0016)
    assert cli.main([*COMMAND, "straight", "--format", "array_record"]) == 0
    assert files("set") == files("straight")


def test_a_failure_before_anything_is_complete_leaves_nothing(maker):
    maker(stop=3)
    assert cli.main([*COMMAND, "out"]) == 130
    assert [p.name for p in pathlib.Path().iterdir()] == ["r.csv"]


def test_what_is_finished_is_left_alone(maker, capsys):
    assert cli.main([*COMMAND, "out"]) == 0
    before, again = files("out"), maker()
    assert cli.main([*COMMAND, "out"]) == 0
    assert "there already" in capsys.readouterr().out and not again.asked and files("out") == before


@pytest.mark.parametrize(
    "more, said",
    [
        (["--seed", "1"], "--seed 0, not 1"),
        (["--num", "3"], "--num 2, not 3"),
        (["--top-k", "5"], "--top-k None, not 5"),
        (["--age", "5"], "--age None, not 5"),
        (["--batch", "4"], "--batch 2, not 4"),
        (["--reports", "s.csv"], "--reports another"),
    ],
)
@pytest.mark.parametrize("stop", [None, 10])
def test_another_command_is_refused(maker, capsys, more, said, stop):
    pathlib.Path("s.csv").write_text("report\naf\n")
    maker(stop)
    assert cli.main([*COMMAND, "out"]) == (130 if stop else 0)
    before, other = files("out"), maker()
    capsys.readouterr()
    assert cli.main([*COMMAND, "out", *more]) == 2
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1 and not other.asked and files("out") == before


def test_two_at_once_are_refused(maker, capsys, monkeypatch):
    def second(*_):
        assert cli.main([*COMMAND, "out"]) == 2
        assert "another process is writing" in capsys.readouterr().err
        raise KeyboardInterrupt

    monkeypatch.setattr(generate_sharded, "_make", second)
    assert cli.main([*COMMAND, "out"]) == 130


def test_wrong_numbers_are_refused(maker, capsys):
    for more in (["--batch", "0"], ["--batch", "2000"], ["--processes", "0"]):
        assert cli.main([*COMMAND, "out", *more]) == 2
        assert more[0] in capsys.readouterr().err
    assert cli.main(["generate", "af", "--batch", "4", "--out", "out"]) == 2
    assert "--reports" in capsys.readouterr().err and not pathlib.Path("out").exists()


def test_a_killed_run_of_processes_goes_on_and_ends_in_the_same_bytes(debug_bundle, tmp_path):
    """Two hosts make the same files as two processes that were killed and one that went on."""
    (tmp_path / "r.csv").write_text("\n".join(["report", *["sinus rhythm", "afib"] * 10]))
    command = [sys.executable, "-m", "ttecg", *COMMAND[:3], "--no-pictures", "--batch", "1"]
    command += ["--model", str(debug_bundle), "--out"]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    together = [str(ROOT / "launch" / "local.sh"), "2", *command, "a", "--distributed"]
    subprocess.run(together, cwd=tmp_path, env=environment, check=True, timeout=300)

    def begin(*more):
        return subprocess.Popen([*command, "b", *more], cwd=tmp_path, env=environment)

    first = begin("--processes", "2")
    _wait_for_part(tmp_path / "b", first)
    first.kill()
    first.wait(60)
    assert not (tmp_path / "b" / "manifest.jsonl").exists()
    assert begin().wait(300) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")


def _wait_for_part(out, process):
    until = time.monotonic() + 300
    while not any(out.glob(".partial/*.jsonl")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
