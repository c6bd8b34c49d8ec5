"""Each criterion holds for simulated ECGs with the finding, not for normal ones; recorded shares counted by hand."""

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.ecg import to_eight, to_twelve
from ttecg.evaluate import findings
from ttecg.evaluate.findings_recorded import recorded_rows
from ttecg.evaluate.findings_signs import NOTHING, signs

SIMULATED = [
    (findings.BRADYCARDIA, ["sinus bradycardia"]),
    (findings.TACHYCARDIA, ["sinus tachycardia"]),
    (findings.FIBRILLATION, ["atrial fibrillation"]),
    (findings.FLUTTER, ["atrial flutter"]),
    (findings.LEFT_BUNDLE, ["sinus rhythm", "left bundle branch block"]),
    (findings.RIGHT_BUNDLE, ["sinus rhythm", "right bundle branch block"]),
    (findings.FIRST_DEGREE, ["sinus rhythm", "first-degree av block"]),
    (findings.LEFT_HYPERTROPHY, ["sinus rhythm", "left ventricular hypertrophy"]),
    (findings.INFERIOR, ["sinus rhythm", "inferior myocardial infarction"]),
    (findings.INFERIOR, ["sinus rhythm", "acute inferior st elevation"]),
    (findings.ANTERIOR, ["sinus rhythm", "anterior myocardial infarction"]),
    (findings.ANTERIOR, ["sinus rhythm", "acute anterior st elevation"]),
    (findings.PREMATURE, ["sinus rhythm", "ventricular premature beats"]),
    (findings.PACED, ["ventricular paced rhythm"]),
]
SEEDS = range(4)


@pytest.fixture(scope="module")
def normal():
    return [signs(simulate(["sinus rhythm", "normal ecg"], s, heart_rate=75)) for s in SEEDS]


@pytest.mark.parametrize("finding, names", SIMULATED, ids=lambda x: x[-1] if isinstance(x, list) else "")
def test_a_criterion_holds_with_the_finding_and_not_without(finding, names, normal):
    seen = [signs(simulate(names, s)) for s in SEEDS]
    assert sum(finding.shown(s) for s in seen) >= 3
    assert not any(finding.shown(s) for s in normal)


def test_normal_ecgs_are_normal(normal):
    assert all(findings.SINUS.shown(s) for s in normal)
    assert sum(findings.NARROW.shown(s) for s in normal) >= 2


@pytest.mark.parametrize("names", [["atrial fibrillation"], ["atrial flutter"], ["junctional rhythm"]])
def test_other_rhythms_are_no_sinus_rhythm(names):
    assert not any(findings.SINUS.shown(signs(simulate(names, s, heart_rate=80))) for s in SEEDS)


def test_bundle_branch_blocks_are_told_apart():
    left, right = (
        [signs(simulate(["sinus rhythm", f"{side} bundle branch block"], s)) for s in SEEDS]
        for side in ("left", "right")
    )
    assert sum(findings.LEFT_BUNDLE.shown(s) for s in right) <= 1
    assert sum(findings.RIGHT_BUNDLE.shown(s) for s in left) <= 1


def test_signs_are_the_truth_of_the_simulator():
    ecg = simulate(["sinus rhythm", "first-degree av block"], 1, heart_rate=70, noise=0.3)
    seen = signs(ecg)
    assert abs(seen.rate - ecg.info["heart_rate"]) < 2
    assert abs(seen.pr - findings.PR_BIAS_MS - ecg.info["pr_ms"]) < 20
    assert abs(seen.qrs - ecg.info["qrs_ms"]) < 20


def test_the_sampling_rate_does_not_matter():
    ecg = simulate(["sinus rhythm", "left ventricular hypertrophy"], 2)
    fine, coarse = signs(ecg), signs(ecg.resample(100))
    assert abs(fine.rate - coarse.rate) < 1
    assert abs(fine.leads["V5"].r - coarse.leads["V5"].r) < 0.1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("signal", [np.zeros((5000, 12)), np.full((5000, 12), np.nan), np.zeros((100, 12))])
def test_what_cannot_be_measured_shows_nothing(signal):
    seen = signs(simulate(["sinus rhythm"], 0).replace(signal=signal))
    assert not any(finding.shown(seen) for finding, _ in SIMULATED)
    assert seen == NOTHING or not np.isfinite(seen.rate)


def labelled(labels, likelihoods=None, patient="1"):
    info = {"patient_id": patient, "likelihoods": likelihoods or (100.0,) * len(labels)}
    return simulate(["sinus rhythm"], 0, duration=3).replace(labels=labels, info=info)


def test_recorded_shares_by_hand(normal):
    shown = signs(simulate(["sinus rhythm", "inferior myocardial infarction"], 0))
    assert findings.INFERIOR.shown(shown)
    records = [
        (labelled(("IMI", "SR")), shown),
        (labelled(("IMI", "SR"), patient="2"), normal[0]),
        (labelled(("IMI", "SR"), (50.0, 0.0)), shown),  # in doubt: nowhere
        (labelled(("NORM", "SR"), (100.0, 0.0)), normal[0]),
        (labelled(("NORM", "SR", "PVC"), (100.0, 0.0, 0.0)), shown),  # neither normal nor labelled
        (
            labelled(("Rhythm: Sinus rhythm", "Electric axis of the heart: normal")),
            normal[1],
        ),  # LUDB's normal
    ]
    row = recorded_rows(records, [findings.INFERIOR])[findings.INFERIOR.name]
    assert row["recorded"] == row["patients"] == 2
    assert row["recorded pass"] == 0.5 and row["normal pass"] == 0 and row["other pass"] == 1


def test_labels_that_contradict_leave_a_record_out(normal):
    records = [(labelled(("AFLT", "SR")), normal[0]), (labelled(("AFLT",)), normal[0])]
    assert recorded_rows(records, [findings.FLUTTER])[findings.FLUTTER.name]["recorded"] == 1


def test_where_each_beat_has_its_own_shape_none_is_premature():
    ecg = simulate(["sinus rhythm", "ventricular premature beats"], 1)
    seen = signs(ecg)
    assert findings.PREMATURE.shown(seen) and 0.5 < seen.steady < 1
    rng = np.random.default_rng(0)
    mixed = ecg.signal.copy()
    for beat in np.array_split(np.arange(len(mixed)), len(ecg.info["r_peaks"])):
        mixed[beat] = to_twelve(to_eight(mixed[beat]) @ rng.normal(0, 0.6, (8, 8)))
    assert signs(ecg.replace(signal=mixed)).steady < 0.5
    assert not findings.PREMATURE.shown(signs(ecg.replace(signal=mixed)))
