"""Who the simulator draws, what it refuses, and how its healthy compare with real ones."""

import csv

import numpy as np
import pytest
import wfdb

from ttecg.data.simulator import SUPPORTED, draw_findings, simulate
from ttecg.data.simulator_findings import EXCLUDES
from ttecg.ecg import INDEPENDENT, bandpass, to_eight

RATE = 500


@pytest.mark.parametrize(
    "findings",
    [
        ("atrial fibrillation", "first-degree av block"),
        ("atrial fibrillation", "sinus rhythm"),
        ("left bundle branch block", "right bundle branch block"),
        ("sinus bradycardia", "sinus tachycardia"),
        ("left axis deviation", "right axis deviation"),
        ("low voltage", "left ventricular hypertrophy"),
        ("normal ecg", "inferior myocardial infarction"),
        ("left anterior fascicular block", "normal axis"),
    ],
)
def test_contradictions_are_named(findings):
    with pytest.raises(ValueError, match=f"{findings[0]}.*contradicts.*{findings[1]}"):
        simulate(findings, 0)


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match="'flutter of the heart' is unknown; the simulator supports"):
        simulate(["flutter of the heart"], 0)
    with pytest.raises(ValueError, match="none given"):
        simulate([], 0)
    with pytest.raises(ValueError, match="sequence"):
        simulate("sinus rhythm", 0)
    for name, value in {"age": -1, "sex": "x", "rate": 9, "duration": 0, "noise": -1}.items():
        with pytest.raises(ValueError, match=name):
            simulate(["sinus rhythm"], 0, **{name: value})


@pytest.mark.parametrize(
    ("finding", "rate"),
    [
        ("sinus bradycardia", 72),
        ("sinus tachycardia", 80),
        ("atrial fibrillation with rapid ventricular response", 70),
        ("atrial fibrillation with slow ventricular response", 90),
        ("complete av block", 110),
    ],
)
def test_heart_rate_that_contradicts_a_finding_is_refused(finding, rate):
    with pytest.raises(ValueError, match="heart_rate"):
        simulate([finding], 0, heart_rate=rate)


def test_drawn_patients_are_consistent_and_varied():
    rng = np.random.default_rng(0)
    drawn = [draw_findings(rng) for _ in range(3000)]
    count = {f: sum(f in d for d in drawn) / len(drawn) for f in SUPPORTED}
    assert min(count.values()) > 0.004, min(count, key=count.get)
    assert sum(c > 0.01 for c in count.values()) >= 40
    assert 0.2 < np.mean([set(d) <= {"sinus rhythm", "sinus bradycardia", "sinus tachycardia", "normal axis",
                                     "sinus arrhythmia", "normal ecg"} for d in drawn]) < 0.42  # fmt: skip
    for d in drawn:
        assert len(set(d)) == len(d)
        assert not any(EXCLUDES[f].intersection(d) for f in d)


def test_drawn_patients_simulate():
    rng = np.random.default_rng(1)
    for seed in range(60):
        ecg = simulate(draw_findings(rng), seed, rate=250)
        assert np.isfinite(ecg.signal).all()
        assert np.all(np.diff(ecg.info["r_peaks"]) > 0.15 * 250)


def test_voltages_are_those_of_real_normals(shared_data):
    """Median R, S and T of simulated normals within a third, or 0.1 mV, of PTB-XL normals, lead by lead."""
    with open(shared_data / "ptbxl" / "ptbxl_database.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if "'NORM'" in r["scp_codes"] and int(r["strat_fold"]) <= 8][
            :40
        ]
    real = [wfdb.rdsamp(str(shared_data / "ptbxl" / r["filename_hr"]))[0] for r in rows]
    fake = [simulate(["normal ecg"], s).signal for s in range(40)]

    def spread(signals):
        eight = [to_eight(bandpass(x, RATE, 0.5, 45)) for x in signals]
        return np.median([np.quantile(x, [0.002, 0.9, 0.998], axis=0) for x in eight], axis=0)

    a, b = spread(real), spread(fake)
    assert np.all(np.abs(a - b) < np.maximum(0.1, 0.4 * np.abs(a))), (INDEPENDENT, a - b)
