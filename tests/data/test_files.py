"""Files: what is written is what is read, whatever the format, unit or order of leads; damage is named."""

import numpy as np
import pytest
import wfdb

from ttecg.data.comments import comment_lines, parse_comments
from ttecg.data.files import BrokenRecord, fitting_gain, quantise, read_ecg, write_ecg
from ttecg.ecg import ECG, LEADS, einthoven_residual, to_twelve

WFDB_LIKE = ("r.hea", "r.mat", "r")


def make_ecg(seed=0, seconds=4, rate=500.0, scale=0.5, **facts):
    """Smooth noise that obeys Einthoven's law, mV."""
    noise = np.random.default_rng(seed).normal(size=(int(seconds * rate), 8))
    smooth = np.stack([np.convolve(lead, np.ones(9) / 9, "same") for lead in noise.T], axis=1)
    return ECG(to_twelve(smooth * scale), rate=rate, **facts)


@pytest.fixture
def record(tmp_path):
    """A sound record on disk: its path without ending."""
    write_ecg(make_ecg(), tmp_path / "r")
    return tmp_path / "r"


def edit(record, old, new, count=-1):
    path = record.with_suffix(".hea")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


@pytest.mark.parametrize("name", ["r.hea", "r.mat", "r", "r.csv", "r.npz"])
def test_what_is_written_is_read(tmp_path, name):
    facts = dict(age=63.0, sex="female", report="Vorhofflimmern; übrig: 50 %", labels=("AFIB", "LVH"), id="r")
    ecg = make_ecg(**facts)
    paths = write_ecg(ecg, tmp_path / name, ["synthetic"])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
    back = read_ecg(tmp_path / name)
    tolerance = 0.0013 if name in WFDB_LIKE else 1e-5
    np.testing.assert_allclose(back.signal, ecg.signal, atol=tolerance)
    assert back.leads == LEADS and back.rate == 500.0
    assert {key: getattr(back, key) for key in facts} == facts
    assert back.info["comments"] == ("synthetic",)


def test_a_plain_reader_sees_twelve_leads_in_mV(record):
    plain = wfdb.rdrecord(str(record))
    assert plain.sig_name == list(LEADS) and set(plain.units) == {"mV"} and plain.fs == 500
    assert set(plain.adc_gain) == {1000.0} and set(plain.fmt) == {"16"}
    np.testing.assert_allclose(plain.p_signal, make_ecg().signal, atol=0.0013)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_einthoven_holds_to_one_unit_in_the_integers(dtype):
    ecg = make_ecg(scale=3.0)
    d = quantise(ecg.replace(signal=ecg.signal.astype(dtype))).astype(int)
    lead = dict(zip(LEADS, d.T, strict=True))
    assert (lead["III"] == lead["II"] - lead["I"]).all()
    assert np.abs(2 * lead["aVR"] + lead["I"] + lead["II"]).max() <= 1
    assert np.abs(2 * lead["aVL"] - 2 * lead["I"] + lead["II"]).max() <= 1
    assert np.abs(2 * lead["aVF"] - 2 * lead["II"] + lead["I"]).max() <= 1


def test_a_limb_lead_that_was_measured_apart_is_kept(tmp_path):
    ecg = make_ecg()
    signal = ecg.signal.copy()
    signal[100, LEADS.index("III")] += 0.5
    write_ecg(ecg.replace(signal=signal), tmp_path / "r")
    assert einthoven_residual(read_ecg(tmp_path / "r")) == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("largest, gain", [(1.0, 1000), (32.7, 1000), (33.0, 500), (400.0, 50)])
def test_a_large_voltage_gets_a_coarser_step_and_no_overflow(tmp_path, largest, gain):
    ecg = make_ecg()
    ecg = ecg.replace(signal=(ecg.signal / np.abs(ecg.signal).max() * largest).astype(np.float32))
    assert fitting_gain(ecg) == gain
    write_ecg(ecg, tmp_path / "r")
    np.testing.assert_allclose(read_ecg(tmp_path / "r").signal, ecg.signal, atol=1.3 / gain)


def test_nan_survives_and_kilovolts_are_refused(tmp_path):
    signal = make_ecg().signal.copy()
    signal[7, 3] = np.nan
    write_ecg(make_ecg().replace(signal=signal), tmp_path / "r")
    assert np.argwhere(np.isnan(read_ecg(tmp_path / "r").signal)).tolist() == [[7, 3]]
    with pytest.raises(ValueError, match="check the unit"):
        write_ecg(make_ecg(scale=1e6), tmp_path / "k")
    with pytest.raises(ValueError, match="letters, digits"):
        write_ecg(make_ecg(), tmp_path / "a name")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.dat", "r.hea"]


def test_same_ecg_same_bytes(tmp_path):
    for folder in "ab":
        write_ecg(make_ecg(age=5.0), tmp_path / folder / "r")
    for name in ("r.hea", "r.dat"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nothing_is_left_of_a_write_that_fails(tmp_path, record, monkeypatch):
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def half(*_, write_dir, **__):
        (tmp_path / write_dir / "r.dat").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(wfdb, "wrsamp", half)
    monkeypatch.setattr(np, "savetxt", lambda file, *_, **__: half(write_dir=tmp_path / "none"))
    for name in ("r", "r.csv"):
        with pytest.raises(OSError):
            write_ecg(make_ecg(seed=1), tmp_path / name)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("unit, scale", [("uV", 1e-3), ("µV", 1e-3), ("V", 1e3), ("mv", 1.0)])
def test_units_become_millivolts(record, unit, scale):
    edit(record, "/mV", f"/{unit}")
    np.testing.assert_allclose(read_ecg(record).signal, make_ecg().signal * scale, atol=0.0013 * scale)


def test_leads_go_by_name_not_by_place(tmp_path):
    mimic = ("I", "II", "III", "AVR", "AVF", "AVL", "V1", "V2", "V3", "V4", "V5", "V6")
    d = quantise(make_ecg().select(mimic)).astype(int)
    wfdb.wrsamp("r", 500, ["mV"] * 12, list(mimic), d_signal=d, fmt=["16"] * 12, adc_gain=[1000] * 12,
                baseline=[0] * 12, write_dir=str(tmp_path))  # fmt: skip
    ecg = read_ecg(tmp_path / "r")
    assert ecg.leads[4:6] == ("aVF", "aVL")
    np.testing.assert_allclose(ecg.select(LEADS).signal, make_ecg().signal, atol=0.0013)


def test_signals_that_are_no_voltage_are_left_out_and_named(tmp_path):
    wfdb.wrsamp("r", 500, ["mV", "mmHg"], ["II", "ABP"], d_signal=np.ones((1000, 2), int), fmt=["16"] * 2,
                adc_gain=[1000, 10], baseline=[0, 0], write_dir=str(tmp_path))  # fmt: skip
    ecg = read_ecg(tmp_path / "r")
    assert ecg.leads == ("II",) and ecg.info["left_out"] == ("ABP",)


def truncate(record):
    path = record.with_suffix(".dat")
    path.write_bytes(path.read_bytes()[:5000])


def flip_a_bit(record):
    path = record.with_suffix(".dat")
    raw = bytearray(path.read_bytes())
    raw[1234] ^= 4
    path.write_bytes(raw)


DAMAGE = {
    "no header": (lambda r: r.with_suffix(".hea").unlink(), "no r.hea"),
    "no samples": (lambda r: r.with_suffix(".dat").unlink(), "r.dat is missing"),
    "truncated": (truncate, "truncated: 208 samples of the 2000"),
    "bit flipped": (flip_a_bit, "wrong checksum in lead"),
    "empty header": (lambda r: r.with_suffix(".hea").write_text(""), "r.hea is empty"),
    "no header at all": (lambda r: r.with_suffix(".hea").write_text("Dear Sir,\nplease"), "no WFDB header"),
    "a lead lost": (lambda r: edit(r, "r 12 ", "r 13 "), "announces 13 leads and describes 12"),
    "no rate": (lambda r: edit(r, "r 12 500 2000", "r 12"), "states no sampling rate"),
    "negative rate": (lambda r: edit(r, " 500 2000", " -500 2000"), "sampling rate|WFDB header"),
    "no voltage": (lambda r: edit(r, "/mV", "/mmHg"), "unit 'mmHg' is none of mV, uV, V"),
    "not calibrated": (lambda r: edit(r, "1000(0)/mV", "0"), "no gain"),
    "not named": (lambda r: edit(r, " V6", ""), "does not name its leads"),
    "named twice": (lambda r: edit(r, " V6", " v5"), "named twice"),
    "unknown format": (lambda r: edit(r, "r.dat 16 ", "r.dat 999 "), "cannot be read"),
    "other folder": (lambda r: edit(r, "r.dat", "../r.dat"), "outside of its folder"),
    "segments": (lambda r: edit(r, "r 12 ", "r/2 12 "), "several segments"),
}


@pytest.mark.parametrize("damage, message", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_in_one_line(record, damage, message):
    damage(record)
    with pytest.raises((BrokenRecord, FileNotFoundError, ValueError), match=message) as error:
        read_ecg(record)
    assert "\n" not in str(error.value) and record.name in str(error.value)


def test_a_wrong_checksum_can_be_waived(record):
    flip_a_bit(record)
    assert read_ecg(record, checksum=False).signal.shape == (2000, 12)


def test_a_mangled_header_never_raises_anything_else(record):
    path = record.with_suffix(".hea")
    sound, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        raw = bytearray(sound)
        for at in rng.integers(0, len(raw), 3):
            raw[at] = rng.integers(9, 255)
        path.write_bytes(raw)
        try:
            read_ecg(record)
        except (ValueError, FileNotFoundError) as error:
            assert "\n" not in str(error)


def test_csv_understands_what_people_have(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,AVF (uV),lead I,pulse\n0.000,500,0.1,7\n0.002,,0.2,7\n0.004,250,0.3,7\n")
    ecg = read_ecg(path)
    assert ecg.leads == ("aVF", "I") and ecg.rate == 500 and ecg.info["left_out"] == ("pulse",)
    np.testing.assert_allclose(ecg.signal, [[0.5, 0.1], [np.nan, 0.2], [0.25, 0.3]])
    path.write_text("# units: uV\nI;II\n100,5;2\n1;2\n")
    np.testing.assert_allclose(read_ecg(path, rate=250).signal, [[0.1005, 0.002], [0.001, 0.002]])


@pytest.mark.parametrize("text, message", [
    ("", "no table"),
    ("0.1,0.2\n0.3,0.4\n", "names no lead"),
    ("I,II\n1,2\n", "states no sampling rate"),
    ("# rate: -5\nI,II\n1,2\n", "not a positive number"),
    ("# rate: 500\nI,II\n1,2\n3\n", "line 4 does not hold 2 numbers"),
    ("# rate: 500\nI,II\n1,x\n", "line 3 does not hold 2 numbers"),
    ("# rate: 500\nI,II\n", "no samples"),
    ("# rate: 500\n# units: bar\nI,II\n1,2\n", "unit 'bar'"),
    ("# rate: 100\ntime,I\n0,1\n0.002,2\n", "contradictory"),
    ("time,I\n0,1\n0.002,2\n0.009,2\n", "not evenly spaced"),
    ("time,I\n0,1\n0,2\n", "does not increase"),
])  # fmt: skip
def test_a_bad_csv_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BrokenRecord, match=message) as error:
        read_ecg(tmp_path / "a.csv")
    assert "\n" not in str(error.value) and "a.csv" in str(error.value)


@pytest.mark.parametrize("content, message", [
    (dict(signal=np.array([{}])), "pickled objects are refused"),
    (dict(signal=np.zeros((5, 1))), "no array leads or rate"),
    (dict(signal=np.zeros((5, 1), np.int16), leads=["I"], rate=500), "floating point"),
    (dict(signal=np.zeros((1, 5)), leads=["I"], rate=500), "shape"),
    (dict(signal=np.zeros((5, 1)), leads=["I"], rate=0), "not a positive number"),
])  # fmt: skip
def test_a_bad_npz_is_refused(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(ValueError, match=message):
        read_ecg(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(BrokenRecord, match="no readable NPZ"):
        read_ecg(tmp_path / "a.npz")


def test_integers_with_a_unit_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", signal=np.full((5, 1), 1500, np.int16), leads=["avl"], rate=500, units="uV")
    ecg = read_ecg(tmp_path / "a.npz")
    assert ecg.leads == ("aVL",) and (ecg.signal == 1.5).all()


def test_a_rate_that_contradicts_the_file_is_refused(record):
    assert read_ecg(record, rate=500).rate == 500
    with pytest.raises(ValueError, match="states 500"):
        read_ecg(record, rate=100)


@pytest.mark.parametrize("lines, age, sex, labels", [
    (["age: 51", "sex: F"], 51.0, "female", ()),
    (["<age>: 51", "<sex>: M", "<diagnoses>:", "Rhythm: Sinus rhythm.", "LVH. "], 51.0, "male",
     ("Rhythm: Sinus rhythm", "LVH")),
    (["Age: 74", "Sex: Female", "Dx: 426783006,270492004", "Rx: Unknown"], 74.0, "female",
     ("426783006", "270492004")),
    (["Age: NaN", "Sex: Unknown", "Dx: Unknown"], None, None, ()),
    (["Age: 300"], 90.0, None, ()),
    (["Age: -4", "Sex: often"], None, None, ()),
])  # fmt: skip
def test_comments_state_the_patient(lines, age, sex, labels):
    facts = parse_comments(lines)
    assert (facts["age"], facts["sex"], facts["labels"]) == (age, sex, labels)


def test_what_controls_a_terminal_is_not_written():
    lines = comment_lines(ECG(np.zeros((10, 1)), ("I",), 500.0, report="AF\x1b[31m\x07,\nrapid"), ("a\tb",))
    assert "Report: AF [31m , rapid" in lines and "a b" in lines


def test_what_a_comment_means_nobody_knows_stays(record):
    facts = parse_comments(["Age: -4", "Rx: Unknown", "machine 7"])
    assert facts["rest"] == ("Age: -4", "Rx: Unknown", "machine 7")


def test_ptbxl_and_ludb_are_in_millivolts(shared_data):
    ptbxl = read_ecg(shared_data / "ptbxl" / "records500" / "00000" / "00001_hr")
    plain = wfdb.rdrecord(str(shared_data / "ptbxl" / "records500" / "00000" / "00001_hr"))
    np.testing.assert_array_equal(ptbxl.signal, plain.p_signal)
    for number in range(2, 201, 2):
        ecg = read_ecg(shared_data / "ludb" / "data" / str(number))
        assert ecg.leads == LEADS and ecg.sex in ("male", "female") and ecg.labels
        assert einthoven_residual(ecg) < 0.00051
        assert 0.3 < np.ptp(ecg.lead("II")) < 8
