"""Prepared sets: complete or absent, faithful to the microvolt, read by index; every bad record is named."""

import csv
import functools
import hashlib
import http.server
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ttecg.data.dataset import describe, open_dataset
from ttecg.data.download import download, parse_sums
from ttecg.data.files import read_ecg, write_ecg
from ttecg.data.prepare import default_out, prepare
from ttecg.data.rows import hashed_fold
from ttecg.ecg import ECG, LEADS, to_twelve

CODES = "{'NORM': 100.0, 'SR': 0.0}"


def make_ecg(seed, seconds=3, rate=100.0, **facts):
    noise = np.random.default_rng(seed).normal(size=(int(seconds * rate), 8))
    return ECG(to_twelve(np.rint(400 * noise) / 1000), rate=rate, **facts)


def write_table(path, lines):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


@pytest.fixture
def ptbxl(tmp_path):
    """PTB-XL in miniature: ten records, one per fold, at 100 Hz."""
    folder = tmp_path / "ptbxl"
    lines = []
    for i in range(1, 11):
        name = f"records100/00000/{i:05d}_lr"
        write_ecg(make_ecg(i), folder / name)
        lines.append({"ecg_id": i, "patient_id": f"{100 + i}.0", "age": 300 if i == 3 else 40 + i,
                      "sex": i % 2, "report": "sinusrhythmus übrig", "scp_codes": CODES, "strat_fold": i,
                      "filename_lr": name, "filename_hr": name})  # fmt: skip
    write_table(folder / "ptbxl_database.csv", lines)
    return folder


@pytest.fixture
def recordings(tmp_path):
    """Somebody's own recordings, at 100 Hz, in subfolders."""
    for i in range(12):
        ecg = make_ecg(i, seconds=3 + i % 2, age=50.0, report=f"report {i}", labels=("AFIB",))
        write_ecg(ecg, tmp_path / "own" / f"day{i % 3}" / f"rec{i}")
    return tmp_path / "own"


def listing(folder):
    return sorted(p.name for p in folder.iterdir())


def test_ptbxl_comes_back_to_the_microvolt(ptbxl, tmp_path):
    out = prepare("ptbxl", ptbxl, tmp_path / "set", 100)
    assert describe(out)["records"] == {"train": 8, "validation": 1, "test": 1}
    data = open_dataset(out, "all")
    assert len(data) == 10 and [ecg.id for ecg in data] == [str(i) for i in range(1, 11)]
    for i, ecg in enumerate(data, 1):
        stored = read_ecg(ptbxl / f"records100/00000/{i:05d}_lr")
        assert ecg.signal.dtype == np.float32 and ecg.leads == LEADS and ecg.rate == 100
        np.testing.assert_array_equal(np.rint(ecg.signal * 1000), np.rint(stored.signal * 1000))
        assert ecg.info == {
            "patient_id": str(100 + i),
            "fold": i,
            "source": "ptbxl",
            "likelihoods": (100.0, 0.0),
        }
        assert ecg.report == "sinusrhythmus übrig" and ecg.labels == ("NORM", "SR")
        assert ecg.age == (90 if i == 3 else 40 + i) and ecg.sex == ("female" if i % 2 else "male")


def test_splits_are_the_folds_and_indices_behave(ptbxl, tmp_path):
    out = prepare("ptbxl", ptbxl, tmp_path / "set", 100)
    folds = {s: {ecg.info["fold"] for ecg in open_dataset(out, s)} for s in ("train", "validation", "test")}
    assert folds == {"train": set(range(1, 9)), "validation": {9}, "test": {10}}
    both = open_dataset(out, "test+validation")
    assert [ecg.info["fold"] for ecg in both] == [10, 9] and both[-1].id == both[1].id == "9"
    for index in (2, -3):
        with pytest.raises(IndexError):
            both[index]
    assert open_dataset(out)[np.int64(3)].id == "4"


def test_the_same_set_is_kept_and_another_refused(ptbxl, tmp_path, capsys):
    out = prepare("ptbxl", ptbxl, tmp_path / "set", 100)
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    assert prepare("ptbxl", ptbxl, out, 100) == out and "there already" in capsys.readouterr().err
    with pytest.raises(ValueError, match="skip_bad False, not True"):
        prepare("ptbxl", ptbxl, out, 100, skip_bad=True)
    table = ptbxl / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("sinusrhythmus", "normales ekg"))
    with pytest.raises(ValueError, match="of other records"):
        prepare("ptbxl", ptbxl, out, 100)
    with pytest.raises(ValueError, match="exists and is no prepared set"):
        prepare("ptbxl", ptbxl, ptbxl, 100)
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before


def damage(ptbxl):
    """Two broken files, one nonsensical line."""
    (ptbxl / "records100/00000/00002_lr.dat").unlink()
    path = ptbxl / "records100/00000/00005_lr.dat"
    path.write_bytes(path.read_bytes()[:100])
    table = ptbxl / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("\n7,107.0,47", "\n7,107.0,aged"))


def test_bad_records_stop_it_and_are_all_named(ptbxl, tmp_path):
    damage(ptbxl)
    with pytest.raises(ValueError, match="3 of 10 records cannot be used") as error:
        prepare("ptbxl", ptbxl, tmp_path / "new" / "set", 100)
    for reason in ("2: ", "is missing", "5: ", "truncated", "7: ", "line 8: age 'aged' is not a number"):
        assert reason in str(error.value)
    assert listing(tmp_path) == ["ptbxl"]


def test_bad_records_can_be_skipped_and_are_listed(ptbxl, tmp_path):
    damage(ptbxl)
    out = prepare("ptbxl", ptbxl, tmp_path / "set", 100, skip_bad=True)
    assert [ecg.id for ecg in open_dataset(out, "all")] == ["1", "3", "4", "6", "8", "9", "10"]
    with open(out / "skipped.csv", newline="") as file:
        assert sorted(line["id"] for line in csv.DictReader(file)) == ["2", "5", "7"]
    assert describe(out)["skipped"] == 3


def test_a_split_all_of_whose_records_are_bad_is_named(ptbxl, tmp_path):
    data = ptbxl / "records100/00000/00009_lr.dat"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ValueError, match="no record of the split validation can be used") as error:
        prepare("ptbxl", ptbxl, tmp_path / "set", 100, skip_bad=True)
    assert "9: " in str(error.value) and "--skip-bad" not in str(error.value)
    assert listing(tmp_path) == ["ptbxl"]


def test_suspect_records_are_flagged(ptbxl, tmp_path):
    path = ptbxl / "records100/00000/00004_lr"
    ecg = read_ecg(path)
    write_ecg(ecg.replace(signal=ecg.signal * (np.arange(12) != 8)), path)
    out = prepare("ptbxl", ptbxl, tmp_path / "set", 100)
    assert (out / "flagged.csv").read_text().split() == ["id,reason", "4,lead", "V3", "is", "flat"]


WRONG_TABLE = {
    "fold": (",7,records100", ",11,records100", "fold '11'"),
    "sex": (",0,sinus", ",2,sinus", "sex '2'"),
    "codes": (CODES, "__import__('os').abort()", "scp_codes"),
    "twice": ("\n2,102.0", "\n1,102.0", "occurs twice"),
}


@pytest.mark.parametrize("old, new, message", WRONG_TABLE.values(), ids=WRONG_TABLE.keys())
def test_bad_lines_of_the_table_are_named(ptbxl, tmp_path, old, new, message):
    table = ptbxl / "ptbxl_database.csv"
    text = table.read_text(encoding="utf-8")
    assert old in text
    table.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        prepare("ptbxl", ptbxl, tmp_path / "set", 100)


@pytest.mark.parametrize("arguments, message", [
    (("mimic", "ptbxl"), "choose one of ptbxl, ludb, folder"),
    (("ptbxl", "nowhere"), "no such folder"),
    (("ptbxl", "."), "no ptbxl_database.csv"),
    (("ptbxl", "ptbxl", None, 250), "--rate 100 or --rate 500"),
    (("ptbxl", "ptbxl", None, 500), "no records500/"),
    (("folder", "ptbxl", None, 9000), "--rate 9000"),
    (("ludb", "ptbxl"), "no records data/1.hea"),
    (("folder", "empty"), "no WFDB record"),
])  # fmt: skip
def test_a_wrong_request_gets_one_line_and_nothing_is_written(
    ptbxl, tmp_path, monkeypatch, arguments, message
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        prepare(*arguments)
    assert "\n" not in str(error.value) and listing(tmp_path) == ["empty", "ptbxl"]


def test_what_is_no_set_says_how_to_make_one(ptbxl, tmp_path):
    with pytest.raises(ValueError, match="ttecg data prepare"):
        open_dataset(tmp_path / "nothing")
    out = prepare("ptbxl", ptbxl, tmp_path / "set", 100)
    with pytest.raises(ValueError, match="train, validation, test, all"):
        open_dataset(out, "tset")
    (out / "features.json").rename(tmp_path / "features.json")
    with pytest.raises(ValueError, match="features.json is missing or damaged"):
        open_dataset(out)
    (tmp_path / "features.json").rename(out / "features.json")
    part = next(out.glob("*train*"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(ValueError, match="train.array_record.* is missing or damaged"):
        open_dataset(out)
    with pytest.raises(ValueError, match="but damaged"):
        prepare("ptbxl", ptbxl, out, 100)
    (out / "ttecg.json").write_text('{"format": 1}')
    with pytest.raises(ValueError, match="another version"):
        open_dataset(out)
    (out / "ttecg.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        open_dataset(out)
    assert default_out("ptbxl", 500) == pathlib.Path("data/ptbxl-500")


KILLED = """
import sys, time
from ttecg.data import prepare
load = prepare.load
def slowly(*args):
    time.sleep(0.2)
    return load(*args)
prepare.load = slowly
prepare.prepare("ptbxl", sys.argv[1], sys.argv[2], 100)
"""


def test_a_killed_preparation_leaves_no_set_and_does_not_block_the_next(ptbxl, tmp_path):
    out, partial = tmp_path / "sets" / "a", tmp_path / "sets" / ".a.partial"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(ptbxl), str(out)])
    try:
        until = time.monotonic() + 20
        while not (partial.is_dir() and any(partial.iterdir())) and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(ValueError, match="another process is writing it"):
            prepare("ptbxl", ptbxl, out, 100)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists() and partial.exists()
    assert len(open_dataset(prepare("ptbxl", ptbxl, out, 100), "all")) == 10
    assert listing(tmp_path / "sets") == ["a"]


def test_a_folder_without_a_table(recordings, tmp_path):
    out = prepare("folder", recordings, tmp_path / "set")
    data = {ecg.id: ecg for ecg in open_dataset(out, "all")}
    assert set(data) == {f"day{i % 3}/rec{i}" for i in range(12)}
    ecg = data["day2/rec5"]
    assert (ecg.report, ecg.labels, ecg.age, ecg.signal.shape) == ("report 5", ("AFIB",), 50.0, (400, 12))
    assert ecg.info["likelihoods"] == (100.0,)
    assert {key: ecg.info["fold"] for key, ecg in data.items()} == {key: hashed_fold(key) for key in data}


def test_a_folder_is_resampled(recordings, tmp_path):
    ecg = open_dataset(prepare("folder", recordings, tmp_path / "set", 250), "all")[0]
    assert ecg.rate == 250 and ecg.signal.shape == (750, 12)


def test_a_folder_with_a_table(recordings, tmp_path):
    table = write_table(tmp_path / "t.csv", [
        {"File": "rec0", "Text": "von Hand", "Gender": "w", "AGE": "", "labels": "LVH; SR", "patient": "p",
         "split": "val"},
        {"File": "day1/rec1.dat", "Text": "", "Gender": "M", "AGE": "7", "labels": CODES, "patient": "q",
         "split": ""},
    ])  # fmt: skip
    with pytest.raises(ValueError, match="sex 'w' is not understood"):
        prepare("folder", recordings, tmp_path / "set", table=table)
    table.write_text(table.read_text().replace(",w,", ",F,"))
    out = prepare("folder", recordings, tmp_path / "set", table=table)
    assert describe(out)["not_in_table"] == 10
    ecg = open_dataset(out, "validation")[0]
    assert (ecg.report, ecg.sex, ecg.age, ecg.labels) == ("von Hand", "female", 50.0, ("LVH", "SR"))
    other = next(e for e in open_dataset(out, "all") if e.id == "day1/rec1")
    assert (other.report, other.age, other.labels) == ("report 1", 7.0, ("NORM", "SR"))
    assert other.info["likelihoods"] == (100.0, 0.0) and other.info["fold"] == hashed_fold("q")


def test_mimic_style_reports_are_joined_in_order(recordings, tmp_path):
    line = {
        "study_id": "rec3",
        "report_0": "Sinus rhythm",
        "report_10": "last",
        "report_1": "",
        "report_2": "LVH",
    }
    out = prepare("folder", recordings, tmp_path / "set", table=write_table(tmp_path / "t.csv", [line]))
    assert open_dataset(out, "all")[0].report == "Sinus rhythm. LVH. last"


@pytest.mark.parametrize("line, message", [
    ({"file": "rec99"}, "no such record"),
    ({"file": ""}, "not named"),
    ({"name": "rec1"}, "no column names the record"),
    ({"file": "rec1", "fold": "0"}, "fold '0'"),
    ({"file": "rec1", "split": "dev-ish"}, "split 'dev-ish'"),
    ({"file": "rec1", "age": "-4"}, "age -4"),
])  # fmt: skip
def test_a_bad_table_is_named(recordings, tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        prepare("folder", recordings, tmp_path / "set", table=write_table(tmp_path / "t.csv", [line]))
    assert listing(tmp_path) == ["own", "t.csv"]


def test_a_patient_keeps_one_fold_and_folds_are_even():
    folds = np.bincount([hashed_fold(f"patient {i}") for i in range(4000)], minlength=11)
    assert folds[0] == 0 and folds[1:].min() > 320 and folds[1:].max() < 480


@pytest.fixture
def server(ptbxl):
    """PhysioNet in miniature on this machine: (address, the folder that it serves)."""
    files = [p for p in sorted(ptbxl.rglob("*")) if p.is_file()]
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()} {p.relative_to(ptbxl)}\n" for p in files]
    (ptbxl / "SHA256SUMS.txt").write_text("".join(sums) + "0" * 64 + " records500/00000/00001_hr.dat\n")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=ptbxl)
    ) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/", ptbxl
        httpd.shutdown()
        thread.join()


def test_download_fetches_what_is_needed_and_only_once(server, tmp_path):
    address, origin = server
    copy = download("ptbxl", tmp_path / "copy", 100, address)
    assert len(open_dataset(prepare("ptbxl", copy, tmp_path / "set", 100), "all")) == 10
    assert not (copy / "records500").exists()
    (copy / "ptbxl_database.csv").write_text("damaged")
    untouched = copy / "records100/00000/00001_lr.dat"
    before = untouched.stat().st_mtime_ns
    download("ptbxl", copy, 100, address)
    assert (copy / "ptbxl_database.csv").read_bytes() == (origin / "ptbxl_database.csv").read_bytes()
    assert untouched.stat().st_mtime_ns == before


def test_a_download_that_is_altered_or_missing_is_refused(server, tmp_path):
    address, origin = server
    (origin / "records100/00000/00003_lr.dat").write_bytes(b"altered")
    with pytest.raises(ValueError, match="00003_lr.dat: has not the SHA-256 sum"):
        download("ptbxl", tmp_path / "copy", 100, address)
    assert not (tmp_path / "copy/records100/00000/00003_lr.dat").exists()
    with pytest.raises(ConnectionError, match="cannot be fetched"):
        download("ptbxl", tmp_path / "copy", 500, address)
    with pytest.raises(ValueError, match="cannot be downloaded"):
        download("folder", tmp_path / "copy")


@pytest.mark.parametrize("path", ["../../evil", "/etc/evil", "a/../../evil"])
def test_sums_cannot_point_outside(path):
    with pytest.raises(ValueError, match="inside the folder"):
        parse_sums(f"{'0' * 64}  {path}\n")


def test_importing_is_light():
    code = "import sys, ttecg.data.prepare, ttecg.data.dataset, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow_datasets", "wfdb", "tensorflow", "jax"} & set(json.loads(done.stdout))


def test_nothing_is_said_about_tensorflow(ptbxl, tmp_path):
    code = (
        "import sys; from ttecg.data.prepare import prepare; prepare('ptbxl', sys.argv[1], sys.argv[2], 100)"
    )
    command = [sys.executable, "-c", code, str(ptbxl), str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        done.stdout == "" and "tensorflow" not in done.stderr.lower() and "warning" not in done.stderr.lower()
    )


def test_real_ptbxl_and_ludb(shared_data, tmp_path):
    out = prepare("ptbxl", shared_data / "ptbxl", tmp_path / "ptbxl", 100)
    assert describe(out)["records"] == {"train": 353, "validation": 81, "test": 66}
    patients = [
        {ecg.info["patient_id"] for ecg in open_dataset(out, s)} for s in ("train", "validation", "test")
    ]
    assert len(set.union(*patients)) == sum(map(len, patients)) == 466
    ecg = open_dataset(out)[0]
    stored = read_ecg(shared_data / "ptbxl/records100/00000/00001_lr").signal
    np.testing.assert_array_equal(np.rint(ecg.signal * 1000), np.rint(stored * 1000))
    out = prepare("ludb", shared_data / "ludb", tmp_path / "ludb")
    assert describe(out)["records"] == {"train": 80, "validation": 10, "test": 10}
