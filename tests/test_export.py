"""What `ttecg generate` leaves on disk: records wfdb reads, pictures, a manifest; nothing after a failure."""

import dataclasses
import json

import numpy as np
import pytest
import wfdb

from ttecg.data.files import read_ecg
from ttecg.ecg import ECG, INDEPENDENT, LEADS, to_twelve
from ttecg.export import WARNING, Origin, check_out, write_generated

ORIGIN = Origin(
    name="ecg-0001",
    report="Sinusbradykardie, linksschenkelblock",
    prompt="sinus bradycardia. left bundle branch block",
    age=63.0,
    sex="female",
    heart_rate=48.0,
    pr_ms=None,
    qrs_ms=140.0,
    qt_ms=None,
    axis_deg=None,
    rr=(1.25, 1.2),
    seed=7,
    index=0,
    sampling={"temperature": 0.9, "top_k": None, "top_p": None, "guidance": None},
    model="demo",
    model_hash="0123abcd",
    ttecg="0.1.0",
)


def an_ecg(rate: float = 500.0, seed: int = 0) -> ECG:
    """Ten seconds that are no heart, but twelve leads that obey Einthoven."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(10 * rate)) / rate
    beats = np.exp(-(((t % 0.8) - 0.4) ** 2) / 2e-4)
    signal = beats[:, None] * rng.normal(0.8, 0.5, 8) + 0.01 * rng.normal(size=(len(t), 8))
    return ECG(to_twelve(signal), LEADS, rate, info={"synthetic": True, "prompt": "x"})


def test_wfdb_reads_what_is_written(tmp_path):
    ecg = an_ecg()
    written = write_generated([(ORIGIN, ecg)], tmp_path / "out", None)
    assert written == [ORIGIN]
    record = wfdb.rdrecord(str(tmp_path / "out" / "ecg-0001"))
    assert tuple(record.sig_name) == LEADS and record.fs == 500 and record.p_signal.shape == (5000, 12)
    assert set(record.units) == {"mV"} and set(record.fmt) == {"16"}
    assert np.abs(record.p_signal - ecg.signal).max() <= 0.0016
    digits = wfdb.rdrecord(str(tmp_path / "out" / "ecg-0001"), physical=False).d_signal.astype(int)
    assert np.abs(digits[:, 2] - (digits[:, 1] - digits[:, 0])).max() <= 1


def test_header_says_what_it_is(tmp_path):
    write_generated([(ORIGIN, an_ecg())], tmp_path / "out", None)
    comments = "\n".join(wfdb.rdheader(str(tmp_path / "out" / "ecg-0001")).comments)
    for text in (
        WARNING,
        ORIGIN.report,
        ORIGIN.prompt,
        "63",
        "Female",
        "heart_rate 48 per minute, qrs_ms 140 ms",
        "demo",
        "0123abcd",
        "Seed: 7",
    ):
        assert text in comments
    ecg = read_ecg(tmp_path / "out" / "ecg-0001")
    assert (ecg.age, ecg.sex, ecg.report) == (63.0, "female", ORIGIN.report)


def test_other_rates_and_leads_become_twelve_at_500(tmp_path):
    write_generated([(ORIGIN, an_ecg(250.0).select(INDEPENDENT))], tmp_path / "out", None)
    ecg = read_ecg(tmp_path / "out" / "ecg-0001")
    assert ecg.leads == LEADS and ecg.signal.shape == (5000, 12) and ecg.rate == 500


def test_manifest_has_a_line_for_each_ecg(tmp_path):
    second = dataclasses.replace(ORIGIN, name="ecg-0002", report="unauffälliges EKG", index=1)
    write_generated([(ORIGIN, an_ecg()), (second, an_ecg(seed=1))], tmp_path / "out", None)
    lines = (tmp_path / "out" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["name"] for row in rows] == ["ecg-0001", "ecg-0002"]
    assert rows[0] == json.loads(json.dumps(dataclasses.asdict(ORIGIN)))
    assert rows[1]["report"] == "unauffälliges EKG"


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_same_ecgs_same_bytes_with_pictures(tmp_path, kind):
    for name in ("a", "b"):
        write_generated([(ORIGIN, an_ecg())], tmp_path / name, kind)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(["ecg-0001.dat", "ecg-0001.hea", f"ecg-0001.{kind}", "manifest.jsonl"])
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_a_failure_leaves_nothing(tmp_path):
    def ecgs():
        yield ORIGIN, an_ecg()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_generated(ecgs(), tmp_path / "new" / "deep" / "out", None)
    assert not any(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_generated(ecgs(), tmp_path / "empty", None)
    assert not any((tmp_path / "empty").iterdir())
    with pytest.raises(ValueError, match="called 'ecg-0001'"):
        write_generated([(ORIGIN, an_ecg()), (ORIGIN, an_ecg())], tmp_path / "out", None)
    with pytest.raises(ValueError, match="no ECG"):
        write_generated([], tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def test_out_must_be_new_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    write_generated([(ORIGIN, an_ecg())], tmp_path / "empty", None)
    before = sorted(path.name for path in (tmp_path / "empty").iterdir())
    with pytest.raises(ValueError, match="not empty"):
        write_generated([(ORIGIN, an_ecg())], tmp_path / "empty", None)
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == before
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="--out"):
            check_out(path)
