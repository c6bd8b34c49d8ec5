"""Voltages put back on z-scored ECGs: exact limb ratios, plausible scales, training folds only."""

import csv

import numpy as np
import pytest

from ttecg.data import shape_set
from ttecg.ecg import ECG, LEADS, einthoven_residual, to_twelve


def fake(seed, gain=1.0, **facts):
    """Ten seconds at 100 Hz; three waves of random direction per beat, so the leads differ in shape."""
    random = np.random.default_rng(seed)
    t = np.arange(1000) / 100
    beats = np.arange(0.5, 10, random.uniform(0.6, 1.0))
    waves = np.stack(
        [
            np.exp(-0.5 * ((t[:, None] - beats - d) / s) ** 2).sum(1)
            for d, s in ((-0.16, 0.03), (0, 0.02), (0.03, 0.02), (0.28, 0.06))
        ],
        axis=1,
    )
    x_T8 = gain * waves @ random.normal(size=(4, 8)) + 0.01 * random.normal(size=(1000, 8))
    return ECG(to_twelve(x_T8), rate=100.0, id=str(seed), **facts)


@pytest.fixture(scope="module")
def model():
    """Recordings with the label HVOLT are three times as high."""
    return shape_set.fit_voltages(training())


def training():
    return [
        fake(
            i,
            3.0 if i % 2 else 1.0,
            labels=("HVOLT",) if i % 2 else (),
            age=40.0 + i % 30,
            sex=("male", "female")[i % 2],
            info={"patient_id": str(i)},
        )
        for i in range(60)
    ]


def test_limb_ratios_are_recovered_exactly_up_to_scale():
    for seed in range(5):
        ecg = fake(seed)
        deviation = ecg.signal.std(0)
        z = (ecg.signal - ecg.signal.mean(0)) / deviation
        true = np.log(deviation[:6]) - np.log(deviation[:6]).mean()
        np.testing.assert_allclose(shape_set.limb_ratios(z), true, atol=1e-6)
        np.testing.assert_allclose(shape_set.limb_ratios(np.round(z, 3)), true, atol=0.01)


def test_restored_leads_are_the_shapes_times_a_scale_and_obey_einthoven(model):
    z, _ = shape_set.standardise(fake(100))
    for seed in (None, 7):
        x = shape_set.restore(model, np.round(z, 3), seed=seed)
        assert einthoven_residual(ECG(x, rate=100)) < 1e-9
        for lead in range(12):
            assert np.corrcoef(x[:, lead], z[:, lead])[0, 1] > 0.999
        np.testing.assert_allclose(
            np.log(x.std(0))[:6] - np.log(x.std(0))[:6].mean(), shape_set.limb_ratios(z), atol=0.02
        )


def test_findings_move_the_voltage(model):
    z, _ = shape_set.standardise(fake(101))
    low, high = (shape_set.restore(model, z, 50, "male", labels).std() for labels in ((), ("HVOLT",)))
    assert high > 1.25 * low
    # age and sex may be unknown
    assert np.isfinite(shape_set.restore(model, z)).all()


def test_draws_repeat_with_their_seed_and_spread_as_the_residuals_do(model):
    z, _ = shape_set.standardise(fake(102))
    draws = np.array([shape_set.restore(model, z, seed=s).std(0) for s in range(40)])
    np.testing.assert_array_equal(draws[3], shape_set.restore(model, z, seed=3).std(0))
    spread = np.log(draws[:, 6:]).std(0)
    np.testing.assert_allclose(spread, model.residual_NxS[:, 1:].std(0), rtol=0.5)


def test_cross_validation_beats_the_constant():
    result = shape_set.cross_validate(training(), parts=3)
    assert result["model"].mean() < 0.8 * result["constant"].mean()
    assert result["true"].shape == result["drawn"].shape == (60, 8)


def test_mistakes_are_named(model):
    with pytest.raises(ValueError, match="too few"):
        shape_set.fit_voltages([fake(0)])
    with pytest.raises(ValueError, match=r"\(T, 12\)"):
        shape_set.restore(model, np.zeros((100, 8)))
    flat = fake(5)
    with pytest.raises(ValueError, match="5: lead V2 is flat"):
        shape_set.standardise(flat.replace(signal=flat.signal * (np.arange(12) != LEADS.index("V2"))))


@pytest.fixture
def files(tmp_path):
    z = np.stack([shape_set.standardise(fake(i))[0] for i in range(4)])
    np.savez(
        tmp_path / "shape.npz",
        ecg_id=np.array([11, 12, 13, 14]),
        signal_milli_sd=np.rint(1000 * z).astype(np.int16),
    )
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["ecg_id", "patient_id", "strat_fold", "super_class", "sub_class", "rhythm", "form"])
        for i, fold in ((11, 1), (12, 8), (13, 9), (14, 10)):
            write.writerow([i, f"{i}.0", fold, "['STTC']", "['NST']", "['AFIB']", "['NST', 'PVC']"])
    with open(tmp_path / "reports.csv", "w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["ecg_id", "age", "sex", "report", "scp_codes"])
        write.writerow([12, "300.0", "1", "vorhofflimmern", "{'NDT': 100.0, 'AFIB': 0.0}"])
    return tmp_path / "shape.npz", tmp_path / "labels.csv", tmp_path / "reports.csv"


def test_loading_merges_the_tables_and_leaves_folds_9_and_10_out(files, model):
    ecgs = shape_set.load_shape_set(*files, model)
    assert [e.id for e in ecgs] == ["11", "12"] and len(ecgs) == 2
    coarse, exact = ecgs
    assert coarse.labels == ("NST_", "PVC", "AFIB") and coarse.report is None and coarse.age is None
    assert exact.labels == ("NDT", "AFIB") and exact.report == "vorhofflimmern"
    assert exact.age == 90 and exact.sex == "female" and exact.rate == 100
    assert exact.info == {
        "patient_id": "12",
        "fold": 8,
        "source": "ptbxl_shape",
        "superclass": ("STTC",),
        "amplitude": "drawn",
    }
    assert exact.signal.dtype == np.float32 and einthoven_residual(exact) < 0.005
    np.testing.assert_array_equal(ecgs[-1].signal, exact.signal)
    with pytest.raises(IndexError):
        ecgs[2]
    only = shape_set.load_shape_set(files[0], files[1], None, training(), folds=(9,))
    assert [e.id for e in only] == ["13"]


def test_files_that_do_not_belong_together_are_named(files, model, tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="expected ecg_id"):
        shape_set.load_shape_set(tmp_path / "other.npz", *files[1:], model)
    files[1].write_text(files[1].read_text().replace("\n14,", "\n15,"))
    with pytest.raises(ValueError, match="no line for ecg_id 14"):
        shape_set.load_shape_set(*files, model)


def test_voltages_of_real_recordings_come_back(shared_data):
    """Fitted on one half of 200 recordings in mV, the error on the other half is well under a constant's."""
    wfdb = pytest.importorskip("wfdb")
    with open(shared_data / "ptbxl" / "ptbxl_database.csv", newline="") as file:
        lines = [line for line in csv.DictReader(file) if int(line["strat_fold"]) <= 8][:200]
    ecgs = []
    for line in lines:
        signal = wfdb.rdrecord(str(shared_data / "ptbxl" / line["filename_lr"])).p_signal
        ecgs.append(
            ECG(
                signal,
                rate=100.0,
                id=line["ecg_id"],
                age=min(float(line["age"] or 60), 90.0),
                sex=("male", "female")[int(line["sex"])],
                info={"patient_id": line["patient_id"]},
            )
        )
    result = shape_set.cross_validate(ecgs, parts=2)
    assert result["model"].mean() < 0.8 * result["constant"].mean()
    np.testing.assert_allclose(result["drawn"].mean(0), result["true"].mean(0), atol=0.15)
    np.testing.assert_allclose(result["drawn"].std(0), result["true"].std(0), rtol=0.25)
