"""Synthetic ECGs for scarce classes: how many, what is refused and counted, whence each came, and that an interrupted
run ends in the same bytes."""

import collections
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from ttecg import augment as module
from ttecg import augment_blocks, cli
from ttecg.augment import augment, class_names, read_provenance
from ttecg.augment_blocks import BLOCK
from ttecg.data.batches import open_sources
from ttecg.data.dataset import describe, open_dataset
from ttecg.data.prepare import prepare
from ttecg.data.statements import CLASSES
from ttecg.data.write_folder import write_folder
from ttecg.ecg import ECG, INDEPENDENT, to_twelve

ROOT = pathlib.Path(__file__).resolve().parents[1]
RATE = 100.0
FLAT, NOISY, OTHER = 7, 5, 4  # every so many numbers an ECG is refused for this reason


def signal_of(seed: int, index: int) -> np.ndarray:
    """(T, 12) mV, on whole microvolts."""
    rng = np.random.default_rng((seed, index))
    x = np.rint(1000 * np.clip(0.3 * rng.normal(size=(1000, 8)), -3, 3) + rng.random((1000, 8))) / 1000
    if index % FLAT == 0:
        x[:, 3] = 0
    return to_twelve(x)


class Maker:
    """Answers like a text-to-ECG bundle. stop: the request at which it is interrupted."""

    name, hash = "fake", "c0ffee"

    def __init__(self, stop=None):
        self.asked, self.stop = [], stop

    def generate_many(self, asked):
        for prompt, (seed, index) in asked:
            if len(self.asked) == self.stop:
                raise KeyboardInterrupt
            self.asked.append((prompt, seed, index))
            info = {"prompt": prompt.report.lower(), "index": index, "seed": seed}
            yield ECG(signal_of(seed, index), rate=RATE, report=prompt.report, info=info)


class Judge:
    """Sees the class surely in recordings, and in synthetic ECGs by their numbers."""

    kind, names, hash = "classifier", CLASSES, "judge"

    def probabilities(self, ecgs):
        sure = [0.9 if e.info.get("index", 1) % OTHER else 0.1 for e in ecgs]
        return np.tile(np.array(sure)[:, None], (1, len(self.names)))


class Detector:
    hash = "detector"

    def scores(self, ecg, rhythm=True):
        return {"record": 1.0 if ecg.info["index"] % NOISY == 0 else 0.4}


def reasons(index: int) -> list[str]:
    """What shall be said of an ECG, by its number."""
    every = {"fault": FLAT, "noise": NOISY, "class": OTHER}
    return [reason for reason, n in every.items() if index % n == 0]


def put_fakes(monkeypatch, stop=None) -> Maker:
    maker = Maker(stop)
    monkeypatch.setattr("ttecg.generate.load", lambda name: maker)
    monkeypatch.setattr("ttecg.encoders.load", lambda name: Judge())
    monkeypatch.setattr("ttecg.quality.load", lambda name: Detector())
    monkeypatch.setattr("ttecg.runtime.keep_compiled_programs", lambda: None)
    return maker


@pytest.fixture
def tools(monkeypatch):
    """tools(stop=None): puts the fakes in place and gives the maker."""
    put_fakes(monkeypatch)
    return functools.partial(put_fakes, monkeypatch)


RECORDS = (
    [("NORM", "sinus rhythm", 1)] * 70
    + [("LVH", f"linksventrikuläre Hypertrophie {i}", 1) for i in range(3)]
    + [("IMI", f"inferior infarct {i}", 1) for i in range(8)]
    + [("LVH", "left ventricular hypertrophy, of the test", 10), ("NORM", "sinus rhythm", 9)]
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """70 NORM, 3 HYP, 8 MI to train on; a record of each split has a report."""
    return made(tmp_path_factory.mktemp("data"), RECORDS)


def made(folder, rows) -> pathlib.Path:
    ecgs = [
        ECG(signal_of(99, 7 * i + 1), rate=RATE, age=40.0 + i % 30, sex="male" if i % 2 else "female", report=text,
            labels=(code,), id=f"r{i:03d}", info={"patient_id": f"p{i // 2}", "fold": fold})
        for i, (code, text, fold) in enumerate(rows)
    ]  # fmt: skip
    write_folder(ecgs, folder / "records")
    return prepare("folder", folder / "records", folder / "set")


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}


def test_balance_fills_every_class_up_to_the_largest(data, tools, tmp_path):
    rows = augment(data, tmp_path / "out", balance=True)
    assert {r["class"]: (r["recorded"], r["wanted"], r["kept"]) for r in rows} == {
        "HYP": (3, 67, 67),
        "MI": (8, 62, 62),
    }
    assert describe(tmp_path / "out")["records"] == {"train": 129}
    labels = collections.Counter(e.labels for e in open_dataset(tmp_path / "out"))
    assert labels == {("LVH",): 67, ("IMI",): 62}


def test_every_refusal_is_counted_with_its_reason(data, tools, tmp_path):
    (row,) = augment(data, tmp_path / "out", ["HYP"], target_count=43)
    said = collections.Counter()
    kept, asked = 0, 0
    while kept < 40:  # blocks are made whole
        for index in range(asked, asked + BLOCK):
            found = reasons(index)
            said.update(found[:1])
            kept += not found
        asked += BLOCK
    assert {k: row[f"refused: {k}"] for k in augment_blocks.REASONS} == dict(said)
    assert row["asked"] == asked and row["kept"] == 40
    indices = [line["index"] for line in read_provenance(tmp_path / "out")]
    assert indices == [i for i in range(asked) if not reasons(i)][:40]


def test_filters_can_be_left_out_but_faults_never_pass(data, tools, tmp_path):
    augment(data, tmp_path / "out", ["HYP"], target_count=33, classifier="", quality="")
    lines = read_provenance(tmp_path / "out")
    assert [line["index"] for line in lines] == [i for i in range(40) if i % FLAT][:30]
    assert {(line["probability"], line["noise"]) for line in lines} == {(None, None)}


def test_each_ecg_says_whence_it_came(data, tools, tmp_path):
    maker = tools()
    augment(data, tmp_path / "out", ["HYP", "MI"], target_count=20, seed=5)
    records = {e.id: e for e in open_dataset(data)}
    prompts = {index: prompt for prompt, _, index in maker.asked}
    made, lines = open_dataset(tmp_path / "out"), read_provenance(tmp_path / "out")
    assert len(made) == len(lines) == 17 + 12
    for ecg, line in zip(made, lines):
        source, prompt = records[line["source"]], prompts[line["index"]]
        assert (ecg.report, ecg.age, ecg.sex, ecg.labels) == (
            source.report,
            source.age,
            source.sex,
            source.labels,
        )
        assert (prompt.report, prompt.age, prompt.sex) == (source.report, source.age, source.sex)
        assert line["prompt"] == source.report.lower() and line["id"] == ecg.id
        assert (line["seed"], line["model"], line["model_hash"]) == (5, "fake", "c0ffee")
        assert line["probability"] == 0.9 and line["noise"] == 0.4
        assert ecg.info["patient_id"] == source.info["patient_id"] and ecg.info["fold"] == 1
        np.testing.assert_allclose(
            ecg.select(INDEPENDENT).signal,
            signal_of(5, line["index"])[:, [0, 1, 6, 7, 8, 9, 10, 11]],
            atol=1e-6,
        )
    assert {line["source"] for line in lines if line["class"] == "HYP"} == {
        "000/r070",
        "000/r071",
        "000/r072",
    }
    assert len({e.id for e in made}) == len(made)


def test_one_trains_on_it_beside_the_real_ones(data, tools, tmp_path):
    augment(data, tmp_path / "out", ["HYP"], target_count=20)
    sources, mixture = open_sources([str(data), str(tmp_path / "out")], "train")
    assert [len(s) for s in sources] == [81, 17] and mixture.sizes == (81, 17)
    (only,), _ = open_sources([str(data), str(tmp_path / "out")], "test")
    assert [e.report for e in only] == ["left ventricular hypertrophy, of the test"]


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(data, tools, tmp_path):
    straight = tools()
    augment(data, tmp_path / "a" / "out", balance=True)
    for stop in (0, BLOCK + 5, 3 * BLOCK):
        tools(stop)
        with pytest.raises(KeyboardInterrupt):
            augment(data, tmp_path / "b" / "out", balance=True)
        assert not (tmp_path / "b" / "out").exists()
    last = tools()
    augment(data, tmp_path / "b" / "out", balance=True)
    assert files(tmp_path / "b" / "out") == files(tmp_path / "a" / "out")
    assert last.asked == straight.asked[-len(last.asked) :] and len(last.asked) < len(straight.asked)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["out"]


def test_another_process_writes_the_same_bytes(data, tools, tmp_path):
    augment(data, tmp_path / "a", balance=True)
    code = f"""
import runpy, pytest
fakes = runpy.run_path({__file__!r})
with pytest.MonkeyPatch.context() as patch:
    fakes["put_fakes"](patch)
    fakes["augment"]({str(data)!r}, {str(tmp_path / "b")!r}, balance=True)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=ROOT, capture_output=True)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_an_interruption_while_the_set_is_put_together(data, tools, tmp_path, monkeypatch):
    augment(data, tmp_path / "a" / "out", balance=True)
    with monkeypatch.context() as patch:
        patch.setattr(
            module.synthetic_set, "write_info", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())
        )
        with pytest.raises(KeyboardInterrupt):
            augment(data, tmp_path / "b" / "out", balance=True)
    maker = tools()
    augment(data, tmp_path / "b" / "out", balance=True)
    assert files(tmp_path / "b" / "out") == files(tmp_path / "a" / "out") and not maker.asked


def test_a_finished_set_is_left_alone(data, tools, tmp_path, capsys):
    augment(data, tmp_path / "out", ["HYP"], target_count=20)
    before, maker = files(tmp_path / "out"), tools()
    augment(data, tmp_path / "out", ["HYP"], target_count=20)
    assert "there already" in capsys.readouterr().out and not maker.asked
    assert files(tmp_path / "out") == before


def test_seeds_give_other_ecgs(data, tools, tmp_path):
    for seed in (1, 2):
        augment(data, tmp_path / str(seed), ["HYP"], target_count=20, seed=seed)
    a, b = (np.stack([e.signal for e in open_dataset(tmp_path / str(s))]) for s in (1, 2))
    assert not (a == b).all(axis=(1, 2)).any()


def test_it_stops_and_says_so_where_too_few_pass(data, tools, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        Detector, "scores", lambda self, e, rhythm=True: {"record": float(e.info["index"] % 40 != 1)}
    )
    maker = tools()
    (row,) = augment(data, tmp_path / "out", ["HYP"], target_count=43)
    assert len(maker.asked) == row["asked"] <= 40 * 5 + BLOCK
    assert row["kept"] == describe(tmp_path / "out")["records"]["train"] < 40
    assert f"HYP: {40 - row['kept']} short" in capsys.readouterr().out
    assert row["refusal rate"] == pytest.approx(1 - row["kept"] / row["asked"])


def test_nothing_is_written_where_nothing_passes(data, tools, tmp_path, monkeypatch):
    monkeypatch.setattr(Detector, "scores", lambda self, e, rhythm=True: {"record": 1.0})
    with pytest.raises(ValueError, match="kept no ECG"):
        augment(data, tmp_path / "out", ["HYP"], target_count=20)
    assert not (tmp_path / "out").exists()


def test_class_names_of_sets_and_single_labels():
    assert class_names(["superclass"]) == CLASSES
    assert class_names(["AFIB", "subset", "AFIB"]) == ("AFIB", "MI", "arrhythmia")


@pytest.mark.parametrize(
    "words, names",
    [
        (["--labels", "HYPER", "--balance"], "HYPER"),
        (["--labels", "superclass"], "HYP 3"),
        (["--labels", "superclass", "--balance", "--target-count", "9"], "--balance"),
        (["--labels", "HYP", "--target-count", "2"], "nothing is to be made"),
        (["--labels", "CD", "--target-count", "9"], "CD"),
        (["--labels", "HYP", "CD", "--target-count", "9"], "CD"),
        (["--labels", "LVH", "--target-count", "9"], "--classifier"),
        (["--labels", "HYP", "--target-count", "-1"], "--target-count"),
        (["--labels", "HYP", "--balance", "--processes", "0"], "--processes"),
        (["--labels", "HYP", "--balance", "--seed", "-1"], "--seed"),
        (["--balance"], "--labels"),
    ],
)
def test_wrong_input_is_one_line(data, tools, tmp_path, capsys, words, names):
    maker = tools()
    assert cli.main(["augment", "--data", str(data), "--out", str(tmp_path / "out"), *words]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ttecg: error")]
    assert len(said) == 1 and names in said[0]
    assert not list(tmp_path.iterdir()) and not maker.asked


def test_another_run_is_not_mixed_in(data, tools, tmp_path):
    tools(BLOCK + 1)
    with pytest.raises(KeyboardInterrupt):
        augment(data, tmp_path / "out", ["HYP"], target_count=60)
    with pytest.raises(ValueError, match="another run"):
        augment(data, tmp_path / "out", ["HYP"], target_count=60, seed=1)
    tools()
    augment(data, tmp_path / "out", ["HYP"], target_count=60)
    with pytest.raises(ValueError, match="exists"):
        augment(data, tmp_path / "out", ["HYP"], target_count=60, seed=1)


def test_no_reports_is_one_line(tools, tmp_path):
    silent = made(tmp_path, [("LVH", "", 1)] * 3 + [("NORM", "", 1)] * 3)
    with pytest.raises(ValueError, match="report"):
        augment(silent, tmp_path / "out", balance=True)


def test_records_without_a_report_count_as_there(tools, tmp_path):
    rows = [("NORM", "sinus rhythm", 1)] * 12 + [("LVH", "hypertrophy", 1)] * 2 + [("LVH", "", 1)] * 6
    (row,) = augment(made(tmp_path, rows), tmp_path / "out", ["superclass"], balance=True)
    assert (row["recorded"], row["wanted"]) == (8, 4)
    assert {line["report"] for line in read_provenance(tmp_path / "out")} == {"hypertrophy"}


def test_an_ecg_counts_for_all_its_classes(tools, tmp_path):
    """Of two scarce classes that come together, the second is not made over again."""
    rows = [("NORM", "sinus rhythm", 1)] * 20 + [("LVH", "hypertrophy", 1)] * 4 + [("IMI", "infarct", 1)] * 5
    ecgs = [
        ECG(signal_of(9, 7 * i + 1), rate=RATE, report=text, id=f"r{i:03d}", info={"fold": fold},
            labels=("LVH", "IMI") if code != "NORM" else ("NORM",))
        for i, (code, text, fold) in enumerate(rows)
    ]  # fmt: skip
    write_folder(ecgs, tmp_path / "records")
    data = prepare("folder", tmp_path / "records", tmp_path / "set")
    augment(data, tmp_path / "out", balance=True)
    assert describe(tmp_path / "out")["records"]["train"] == 20 - 9


def test_provenance_is_json_of_a_line_each(data, tools, tmp_path):
    augment(data, tmp_path / "out", ["HYP"], target_count=10)
    for line in (tmp_path / "out" / module.PROVENANCE).read_text(encoding="utf-8").splitlines():
        assert "linksventrikuläre" in json.loads(line)["report"]


def _ended(task):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_an_error_and_no_endless_wait(data, monkeypatch):
    """Whoever runs short of memory loses a process first."""
    monkeypatch.setattr(augment_blocks, "make_block", _ended)
    with pytest.raises(OSError, match="goes on from here"):
        with augment_blocks.open_pool(None, str(data), None, (), None, 2) as run_blocks:
            list(run_blocks([("work", 0, "HYP", 0)]))
