"""The command line: what it writes, and that every wrong input is one line, status 2 and no file."""

import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import wfdb

import ttecg
from ttecg import cli
from ttecg.data.files import read_ecg
from ttecg.data.prompt import Prompt
from ttecg.data.reports import understood
from ttecg.data.simulator import simulate
from ttecg.ecg import LEADS

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLAIN = ["generate", "sinus rhythm", "--no-pictures", "--out", "out"]


class FakeBundle:
    """Answers like a model, from the simulator; keeps what it was asked."""

    name, hash = "fake", "c0ffee"

    def __init__(self):
        self.asked = []

    def generate(self, report, *, num=1, seed=0, progress=None, **conditions):
        self.asked.append({"report": report, "num": num, "seed": seed, **conditions})
        ecgs = [
            self._ecg(Prompt(report, heart_rate=conditions.get("heart_rate")), seed, i) for i in range(num)
        ]
        progress(num)
        return ecgs

    def generate_many(self, asked, policy, *, rr, batch):
        for prompt, (seed, index) in asked:
            self.asked.append({"report": prompt.report, "seed": seed, "rr": rr})
            yield self._ecg(prompt, seed, index)

    def sampling(self, **changes):
        return changes

    def beat_plan(self, rr):
        return rr

    def check_numbers(self, names):
        assert "qrs_ms" not in names

    def with_decoder(self, kind):
        assert kind == "vq"
        return self

    def sampling_memory(self, policy, batch):
        return batch

    def _ecg(self, prompt, seed, index):
        info = {"synthetic": True, "prompt": understood(prompt.report), **prompt.numbers}
        return simulate(["sinus rhythm"], 1000 * seed + index).replace(info=info)


@pytest.fixture
def bundle(monkeypatch, tmp_path):
    fake = FakeBundle()
    monkeypatch.setattr("ttecg.generate.load", lambda name: fake)
    monkeypatch.setattr("ttecg.runtime.keep_compiled_programs", lambda: None)
    monkeypatch.chdir(tmp_path)
    return fake


def refused(capsys, argv) -> str:
    """Runs a wrong command line in the current folder: its one line. Nothing may be written."""
    before = sorted(pathlib.Path().rglob("*"))
    assert cli.main([str(word) for word in argv]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ttecg: error: ") and captured.err.count("\n") == 1, captured.err
    assert not captured.out
    assert sorted(pathlib.Path().rglob("*")) == before
    return captured.err


# ---- generate ------------------------------------------------------------------------------------


def test_generate_writes_records_pictures_and_manifest(bundle, capsys):
    argv = ["generate", "Sinusbradykardie", "--age", "63", "--sex", "F", "--heart-rate", "48", "--num", "2"]
    assert cli.main([*argv, "--seed", "5", "--temperature", "0.8", "--out", "out/new"]) == 0
    names = sorted(path.name for path in pathlib.Path("out/new").iterdir())
    endings = ("dat", "hea", "png")
    assert names == [f"ecg-000{i}.{e}" for i in (1, 2) for e in endings] + ["manifest.jsonl"]
    assert os.listdir("out") == ["new"]
    record = wfdb.rdrecord("out/new/ecg-0001")
    assert record.p_signal.shape == (5000, 12) and record.fs == 500 and tuple(record.sig_name) == LEADS
    row = json.loads(pathlib.Path("out/new/manifest.jsonl").read_text().splitlines()[1])
    expected = {"name": "ecg-0002", "report": "Sinusbradykardie", "prompt": "sinus bradycardia", "age": 63.0,
                "sex": "female", "heart_rate": 48.0, "seed": 5, "index": 1, "model": "fake",
                "model_hash": "c0ffee", "ttecg": ttecg.__version__}  # fmt: skip
    assert {key: row[key] for key in expected} == expected and row["sampling"]["temperature"] == 0.8
    assert bundle.asked[0]["temperature"] == 0.8 and bundle.asked[0]["top_p"] is None
    assert "out/new/ecg-0001.png  sinus bradycardia" in capsys.readouterr().out


def test_what_is_not_understood_is_said_and_a_generated_record_stays_synthetic(bundle, capsys):
    assert cli.main(["generate", "sinus rhythm, banana helicopter", "--out", "out/words"]) == 0
    assert "not understood, and so perhaps not shown: banana helicopter" in capsys.readouterr().err
    assert read_ecg("out/words/ecg-0001").info["synthetic"] is True
    assert cli.main(["generate", "sinus rhythm", "--out", "out/known"]) == 0
    assert "not understood" not in capsys.readouterr().err
    assert cli.main(["generate", "AF, rate 300/min", "--heart-rate", "90", "--out", "out/rate"]) == 0
    told = capsys.readouterr()
    assert "stated, but not followed: rate 300/min" in told.err
    assert "atrial fibrillation with rapid ventricular response (heart_rate 90)" in told.out
    rows = ["sinus rhythm"] * 20 + ["banana. sinus rhythm"]
    pathlib.Path("r.csv").write_text("\n".join(["report", *rows]))
    assert cli.main(["generate", "--reports", "r.csv", "--no-pictures", "--out", "out/table"]) == 0
    assert "in 1 of 2 reports, not understood, and so perhaps not shown: banana" in capsys.readouterr().err


def test_same_seed_same_bytes_other_seed_others(bundle):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert cli.main(["generate", "sinus rhythm", "--seed", str(seed), "--out", out]) == 0
    for path in pathlib.Path("a").iterdir():
        assert path.read_bytes() == pathlib.Path("b", path.name).read_bytes(), path.name
    assert pathlib.Path("a/ecg-0001.dat").read_bytes() != pathlib.Path("c/ecg-0001.dat").read_bytes()


def test_reports_from_a_table(bundle):
    table = 'Report;Age;sex;name\n"lbbb; sinus rhythm";70;m;first\n\nafib;;Female;\n'
    pathlib.Path("r.csv").write_text(table, encoding="utf-8-sig")
    argv = ["generate", "--reports", "r.csv", "--num", "2", "--seed", "9", "--age", "50", "--no-pictures"]
    assert cli.main([*argv, "--out", "out"]) == 0
    rows = [json.loads(line) for line in pathlib.Path("out/manifest.jsonl").read_text().splitlines()]
    names = ["first-0001", "first-0002", "ecg-0002-0001", "ecg-0002-0002"]
    assert [row["name"] for row in rows] == names
    assert [(row["age"], row["sex"], row["seed"]) for row in rows[::2]] == [
        (70, "male", 9),
        (50, "female", 10),
    ]
    assert all(pathlib.Path("out", f"{name}.hea").is_file() for name in names)


def test_the_table_of_the_demo_is_good(bundle):
    argv = ["generate", "--reports", str(ROOT / "examples" / "reports.csv"), "--no-pictures", "--out", "out"]
    assert cli.main(argv) == 0
    assert len({asked["report"] for asked in bundle.asked}) >= 3


@pytest.mark.parametrize(
    "text", ["0.8\n0.75\n0.9\n", "rr_ms\n800\n750\n900\n", "# from a watch\n800, 750; 900", "0.8 0.75 0.9"]
)
def test_rr_in_seconds_or_milliseconds(bundle, text):
    pathlib.Path("rr.txt").write_text(text)
    assert cli.main([*PLAIN, "--rr", "rr.txt"]) == 0
    assert bundle.asked[0]["rr"] == pytest.approx([0.8, 0.75, 0.9])
    assert json.loads(pathlib.Path("out/manifest.jsonl").read_text())["rr"] == pytest.approx([0.8, 0.75, 0.9])


@pytest.mark.parametrize(
    "words, names",
    [
        (["generate", "", "--out", "out"], "report"),
        (["generate", " \t", "--out", "out"], "report"),
        (["generate", "--out", "out"], "--reports"),
        (["generate", "af", "--reports", "r.csv", "--out", "out"], "--reports"),
        (["generate", "af"], "--out"),
        (["generate", "atrial", "fibrillation", "--out", "out"], "quotes"),
        ([*PLAIN, "--age", "-3"], "--age"),
        ([*PLAIN, "--age", "131"], "--age"),
        ([*PLAIN, "--age", "nan"], "--age"),
        ([*PLAIN, "--age", "old"], "--age"),
        ([*PLAIN, "--sex", "x"], "--sex"),
        ([*PLAIN, "--heart-rate", "9000"], "--heart-rate"),
        ([*PLAIN, "--heart-rate", "5"], "--heart-rate"),
        ([*PLAIN, "--qrs-ms", "5"], "--qrs-ms 5 is not between 60 and 240 ms"),
        ([*PLAIN, "--num", "0"], "--num"),
        ([*PLAIN, "--num", "two"], "--num"),
        ([*PLAIN, "--num", "100000000"], "--reports"),
        ([*PLAIN, "--seed", "-1"], "--seed"),
        ([*PLAIN, "--temperature", "-0.1"], "--temperature"),
        ([*PLAIN, "--temperature", "inf"], "--temperature"),
        ([*PLAIN, "--top-k", "-1"], "--top-k"),
        ([*PLAIN, "--top-p", "2"], "--top-p"),
        ([*PLAIN, "--top-p", "0"], "--top-p"),
        ([*PLAIN, "--guidance", "-1"], "--guidance"),
        ([*PLAIN, "--picture-format", "gif"], "gif"),
        ([*PLAIN, "--temprature", "1"], "did you mean --temperature"),
        ([*PLAIN, "--rr", "none.txt"], "none.txt"),
        (["generate", "--reports", "none.csv", "--out", "out"], "none.csv"),
    ],
)
def test_wrong_arguments_of_generate(bundle, capsys, words, names):
    assert names in refused(capsys, words)
    assert not bundle.asked


@pytest.mark.parametrize(
    "content, names",
    [
        (b"", "report"),
        (b"\n\n", "report"),
        (b"report\n", "no report"),
        (b"text,age\naf,3\n", "'report'"),
        (b"report,hart_rate\naf,60\n", "'heart_rate'"),
        (b"report,age\naf,3\n\n,4\n", "line 4"),
        (b"report,age\naf,-3\n", "line 2: age -3"),
        (b"report,age\naf,old\n", "line 2: age 'old'"),
        (b"report,sex\naf,f\naf,x\n", "line 3: sex 'x'"),
        (b"report,heart_rate\naf,1000\n", "line 2: heart_rate 1000"),
        (b"report\nsinus rhythm, normal ecg\n", "line 2: 2 cells"),
        (b"report,name\naf,../../x\n", "line 2: name"),
        (b"report,name\naf,a\naf,A\n", "line 3"),
        (b'report\n"af\n', "line 2"),
        (b"report\n\xff\xfe\x00\n", "UTF-8"),
    ],
)
def test_wrong_tables(bundle, capsys, content, names):
    pathlib.Path("r.csv").write_bytes(content)
    line = refused(capsys, ["generate", "--reports", "r.csv", "--out", "out"])
    assert "r.csv" in line and names in line


@pytest.mark.parametrize(
    "text", ["", "rr\n", "0.8\nx\n", "0.1\n0.8\n", "4\n", "0.8\n800\n", "-0.8\n", "nan\n"]
)
def test_wrong_rr_files(bundle, capsys, text):
    pathlib.Path("rr.txt").write_text(text)
    assert "rr.txt" in refused(capsys, [*PLAIN, "--rr", "rr.txt"])


def test_rr_and_heart_rate_contradict(bundle, capsys):
    pathlib.Path("rr.txt").write_text("0.8\n")
    assert "--heart-rate" in refused(capsys, [*PLAIN, "--rr", "rr.txt", "--heart-rate", "60"])


def test_out_that_holds_something_is_refused(bundle, capsys):
    pathlib.Path("out").mkdir()
    pathlib.Path("out/mine.txt").write_text("precious")
    assert "--out" in refused(capsys, PLAIN)
    assert pathlib.Path("out/mine.txt").read_text() == "precious"
    assert not bundle.asked


def test_a_failing_model_leaves_nothing(bundle, capsys, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("the model\ngave NaN")

    monkeypatch.setattr(bundle, "generate", fail)
    assert refused(capsys, PLAIN) == "ttecg: error: the model; gave NaN\n"
    monkeypatch.setenv("TTECG_TRACEBACK", "1")
    with pytest.raises(FloatingPointError):
        cli.main(PLAIN)


def test_interrupt(bundle, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "generate", interrupt)
    assert cli.main(PLAIN) == 130
    assert capsys.readouterr().err == "ttecg: interrupted\n"
    assert not any(pathlib.Path().iterdir())


# ---- the other verbs -----------------------------------------------------------------------------


def test_simulate_inspect_plot(bundle, capsys):
    argv = ["data", "simulate", "--num", "2", "--findings", "left bundle branch block", "--heart-rate", "55"]
    assert cli.main([*argv, "--sex", "m", "--out", "sim"]) == 0
    records = sorted(pathlib.Path("sim").rglob("*.hea"))
    assert len(records) == 2 and pathlib.Path("sim/records.csv").is_file()
    capsys.readouterr()
    assert cli.main(["data", "inspect", str(records[0])]) == 0
    said = capsys.readouterr().out
    for text in (
        "12 leads",
        "500 Hz",
        "10.0 s",
        "male",
        "left bundle branch block",
        "QRS",
        "problems   none",
    ):
        assert text in said, said
    pathlib.Path("sim/broken.hea").write_text("nonsense")
    assert cli.main(["data", "inspect", "sim"]) == 0
    said = capsys.readouterr().out
    assert "broken: BROKEN" in said and "3 records, 2 without problems" in said
    assert cli.main(["plot", str(records[0].with_suffix("")), "--layout", "12x1", "--out", "x.svg"]) == 0
    assert pathlib.Path("x.svg").read_text().startswith("<?xml")


def test_prepare_and_inspect_a_prepared_set(bundle, capsys):
    assert cli.main(["data", "simulate", "--num", "12", "--out", "sim"]) == 0
    prepare = ["data", "prepare", "folder", "--source", "sim", "--table", "sim/records.csv", "--rate", "100"]
    assert cli.main([*prepare, "--out", "set"]) == 0
    capsys.readouterr()
    assert cli.main(["data", "inspect", "set"]) == 0
    said = capsys.readouterr().out
    assert (
        "prepared from folder, 100 Hz" in said and "patients   12" in said and "12 records have one" in said
    )
    assert "--table" in refused(capsys, ["data", "prepare", "ludb", "--source", "sim", "--table", "x.csv"])
    dat = next(pathlib.Path("sim").rglob("*.dat"))
    dat.write_bytes(dat.read_bytes()[:1000])
    assert dat.stem in refused(capsys, [*prepare, "--out", "other"])


def test_simulations_of_different_seeds_differ(bundle):
    for seed in (0, 1):
        assert cli.main(["data", "simulate", "--num", "1", "--seed", str(seed), "--out", f"s{seed}"]) == 0
    first, second = (
        wfdb.rdrecord(str(next(pathlib.Path(f"s{s}").rglob("*.hea")).with_suffix(""))) for s in (0, 1)
    )
    assert not np.array_equal(first.p_signal, second.p_signal)


def test_reports_are_counted(bundle, capsys):
    pathlib.Path("r.csv").write_text("report,strat_fold\nsinusrhythmus,9\nlinksschenkelblock,1\n")
    assert cli.main(["data", "reports", "r.csv", "--folds", "9,10"]) == 0
    assert "1 reports" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, names",
    [
        (["frobnicate"], "generate"),
        (["genrate", "af"], "did you mean generate"),
        (["data"], "simulate"),
        (["data", "prepar"], "did you mean prepare"),
        (["train"], "generator"),
        (["--frob"], "--help"),
        (["plot", "none", "--out", "x.png"], "none"),
        (["plot", "none", "--out", "x.gif"], "x.gif"),
        (["plot", "none", "--out", "no/such/x.png"], "no/such/x.png"),
        (["plot", "--out", "x.png"], "RECORD"),
        (["data", "inspect", "none"], "none"),
        (["data", "inspect", "."], "no WFDB record"),
        (["data", "reports", "none.csv"], "none.csv"),
        (["data", "simulate", "--num", "0", "--out", "o"], "--num"),
        (["data", "simulate", "--num", "1", "--findings", "nonsense", "--out", "o"], "nonsense"),
        (["data", "simulate", "--num", "1", "--heart-rate", "60", "--out", "o"], "--findings"),
        (["data", "simulate", "--num", "1", "--rate", "9000", "--out", "o"], "rate"),
        (["data", "simulate", "--num", "1", "--out", "."], "--out"),
        (["data", "prepare", "mitbih", "--source", "."], "mitbih"),
        (["data", "prepare", "ptbxl", "--source", "none", "--out", "o"], "none"),
        (["data", "prepare", "folder", "--source", ".", "--rate", "9000", "--out", "o"], "9000"),
        (["train", "tokenizer", "--config", "none.py", "--workdir", "w"], "none.py"),
        (["train", "tokenizer", "--workdir", "w"], "--config"),
        (["export", "none", "--out", "o"], "none"),
        (["export", ".", "--out", "o"], "no work directory"),
        (["bench", "generate"], "--config"),
        (["bench", "generate", "--model", "demo", "--batch", "0"], "--batch"),
        (["bench", "data", "--data", "none", "--batch", "0"], "--batch 0"),
        (["evaluate", "adherence", "--num", "0"], "--num"),
        (["evaluate", "privacy", "--data", "none", "--num", "0"], "--num 0"),
        (["evaluate", "privacy", "--data", "none", "--seed", "-1"], "--seed -1"),
        (["evaluate", "reconstruction", "--data", "none", "--leads"], "--leads"),
        (["evaluate", "reconstruction", "--data", "none", "--seed", "-1"], "--seed -1"),
        (["evaluate", "reconstruction", "--data", "none", "--out", __file__], "is a file"),
        (["evaluate", "two-lead", "--data", "none", "--seed", "-1"], "--seed -1"),
        (["evaluate", "tokenizer", "--model", "demo", "--data", "none", "--out", __file__], "is a file"),
        (["ablate", "leads", "--data", "none", "--out", "o", "--all", "--leads", "I"], "leave --leads out"),
        (["ablate", "leads", "--data", "none", "--out", __file__ + "/o"], "cannot write"),
        (["data", "inspect", ".", "--detector", "other"], "--quality"),
        (["data", "simulate", "--num", "1", "--seed", "-1", "--out", "o"], "--seed -1"),
        (["data", "prepare", "simulator", "--count", "5", "--processes", "0"], "--processes 0"),
    ],
)
def test_wrong_arguments_of_other_verbs(bundle, capsys, words, names):
    assert names in refused(capsys, words)


def test_corrupt_records_are_named(bundle, capsys):
    assert cli.main(["data", "simulate", "--num", "1", "--out", "sim"]) == 0
    dat = next(pathlib.Path("sim").rglob("*.dat"))
    dat.write_bytes(dat.read_bytes()[:-40])
    capsys.readouterr()
    for argv in (["plot", dat, "--out", "x.png"], ["data", "inspect", dat]):
        assert dat.stem in refused(capsys, argv)


# ---- training ------------------------------------------------------------------------------------


def test_train_text_tokenizer(bundle, capsys):
    config = (
        "from ttecg.train.text_tokenizer import TextTokenizerTraining\nconfig = TextTokenizerTraining()\n"
    )
    pathlib.Path("c.py").write_text(config)
    argv = ["train", "text-tokenizer", "--config", "c.py", "--workdir", "w"]
    assert "no field" in refused(capsys, [*argv, "--set", "vocabulary=400"])
    assert cli.main([*argv, "--set", "vocab=400", "--set", "seed=1"]) == 0
    assert "results in w" in capsys.readouterr().out
    assert json.loads(pathlib.Path("w/config.json").read_text())["vocab"] == 400
    assert "--resume" in refused(capsys, [*argv, "--set", "vocab=400", "--set", "seed=1"])
    assert "TextTokenizerTraining" in refused(
        capsys, ["train", "tokenizer", "--config", "c.py", "--workdir", "v"]
    )


def test_bench_takes_a_generators_config(bundle, capsys):
    config = str(ROOT / "configs" / "tokenizer_debug.py")
    assert "TokenizerTraining" in refused(capsys, ["bench", "generate", "--config", config])


@pytest.mark.parametrize("task", ["RecorderTraining", "BeatBasisTraining", "TokenizerTraining"])
def test_export_says_where_parts_of_a_generator_go(task, tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"task": task}))
    assert cli.main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "export the generator" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_export_offers_every_setting_of_the_sampler():
    from ttecg.commands.model import Export
    from ttecg.models.sampling import SamplingPolicy

    defaults = {field.name: field.default for field in dataclasses.fields(Export)}
    for field in dataclasses.fields(SamplingPolicy):
        assert defaults[field.name] == field.default


# ---- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_has_examples_that_parse(verb, capsys):
    assert cli.main([*verb.split(), "--help"]) == 0
    said = capsys.readouterr().out
    for example in cli.command_class(verb).examples:
        assert example in said
        words = shlex.split(example)
        assert words[0] == "ttecg" and " ".join(words[1:]).startswith(verb)
        assert cli.parse(words[1:]) is not None
        for word in words:
            if word.startswith(("configs/", "examples/")):
                assert (ROOT / word).is_file(), word


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["data", "--help"], ["train", "-h"]])
def test_overviews(words, capsys):
    assert cli.main(words) == 0
    assert "ttecg" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ttecg {ttecg.__version__}\n"


# ---- as a process --------------------------------------------------------------------------------


def test_the_package_and_help_are_light():
    code = (
        "import sys, ttecg, ttecg.cli; assert ttecg.cli.main(['generate', '--help']) == 0; "
        "print(sorted({'jax', 'numpy', 'scipy', 'matplotlib', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_misspelt_arguments_of_a_process(tmp_path, encoding):
    argv = [sys.executable, "-m", "ttecg", "plot", "x", "--layouts", "3x4"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (2, "ttecg: error: missing: --out (help: ttecg plot --help)\n")
    done = subprocess.run([*argv, "--out", "y"], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stderr.startswith(
        "ttecg: error: Unrecognized options: --layouts, 3x4; did you mean --layout?"
    )


def test_status_of_a_process(tmp_path):
    argv = [sys.executable, "-m", "ttecg", "generate", "af", "--age", "-3", "--out", "out"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ttecg: error: --age -3 is not between 0 and 130 years\n"


def test_terminated_work_leaves_nothing(tmp_path):
    code = (
        "import sys, time, ttecg.cli as c, ttecg.export as e, ttecg.commands.generate as g\n"
        "def slow(self):\n"
        "    with e._new_folder(self.out):\n"
        "        print('writing', flush=True); time.sleep(60)\n"
        "g.Generate.run = slow\n"
        "sys.exit(c.main(['generate', 'af', '--out', 'a/b']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert process.wait(timeout=30) == 143 and time.monotonic() - started < 20
    process.stdout.close()
    assert not any(tmp_path.iterdir())


def test_a_report_without_words_is_refused(tmp_path, capsys):
    assert cli.main(["generate", " ,.;!? ", "--out", str(tmp_path / "out")]) == 2
    assert "has no words" in capsys.readouterr().err and not (tmp_path / "out").exists()
