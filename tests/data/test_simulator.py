"""What was asked of the simulator is what an independent reader measures on the leads."""

import time
import warnings

import neurokit2 as nk
import numpy as np
import pytest
from wfdb.processing import xqrs_detect

from ttecg.data.findings import FINDINGS
from ttecg.data.simulator import SUPPORTED, draw_findings, simulate
from ttecg.ecg import einthoven_residual, to_eight

RATE = 500
SEEDS = range(6)


@pytest.mark.parametrize("seed", [124803, 141105, 170886, 23576])
def test_an_r_in_v1_with_an_s_in_v6_is_no_reason_to_grow(seed):
    ecg = simulate(draw_findings(np.random.default_rng((seed, 7))), seed, rate=100.0)
    assert 0.5 < np.abs(ecg.signal).max() < 5


def detect(ecg):
    """R peaks that wfdb's XQRS finds in the lead with the steepest QRS."""
    steep = np.abs(np.diff(ecg.signal, axis=0)).max(0)
    return xqrs_detect(ecg.signal[:, np.argmax(steep)], RATE, verbose=False)


def rr_seconds(ecg):
    return np.diff(detect(ecg)) / RATE


def delineate_ms(ecg, lead="V5"):
    """PR, QRS and QT in ms from neurokit's wavelet delineation of one lead, medians over beats."""
    x = ecg.lead(lead)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peaks = nk.ecg_peaks(x, RATE)[1]["ECG_R_Peaks"]
        marks = {k: np.array(v, float) for k, v in nk.ecg_delineate(x, peaks, RATE, method="dwt")[1].items()}
    start = marks["ECG_R_Onsets"]
    spans = (start - marks["ECG_P_Onsets"], marks["ECG_R_Offsets"] - start, marks["ECG_T_Offsets"] - start)
    return tuple(
        1000 / RATE * np.median(s[np.isfinite(s)]) if np.isfinite(s).any() else np.nan for s in spans
    )


def qrs_width_ms(ecg, kind="N"):
    """Time around the R peak in which some lead moves fast: median over the beats of a kind."""
    speed = np.sqrt((np.gradient(to_eight(ecg.signal), axis=0) ** 2).sum(1))
    speed = np.convolve(speed, np.ones(4) / 4, "same")
    widths = []
    for peak, beat in zip(ecg.info["r_peaks"], ecg.info["beat_types"], strict=True):
        if beat != kind or not 120 < peak < len(speed) - 120:
            continue
        fast = np.flatnonzero(speed[peak - 70 : peak + 80] > 0.08 * speed[peak - 40 : peak + 40].max()) - 70
        runs = np.split(fast, np.flatnonzero(np.diff(fast) > 16) + 1)  # 32 ms of rest part QRS from P and T
        run = min(runs, key=lambda r: np.abs(r).min())
        widths.append((run[-1] - run[0]) * 1000 / RATE)
    return float(np.median(widths))


def beat(ecg, before=0.12, after=0.5, kind="N"):
    """(T, 12) median beat of a kind around the R peak, relative to its first samples."""
    a, z = int(before * RATE), int(after * RATE)
    at = [p for p, k in zip(ecg.info["r_peaks"], ecg.info["beat_types"], strict=True)
          if k == kind and a <= p < len(ecg.signal) - z]  # fmt: skip
    m = np.median([ecg.signal[p - a : p + z] for p in at], axis=0)
    return m


def qrs_of(ecg, lead):
    """One lead from 60 ms before to 60 ms after the R peak, mV over the level just before QRS."""
    m = beat(ecg.select([lead]), 0.08, 0.5)[:, 0]
    return m[10:70] - np.median(m[:6])


def q_wave(ecg, lead):
    """Depth (mV) and length (ms) of what is negative before the first R in a lead."""
    q = qrs_of(ecg, lead)
    trough = int(np.argmin(q[: 1 + (int(np.argmax(q)) if q.max() > 0.05 else len(q) - 1)]))
    return -q[trough], 1000 / RATE * float((q[: trough + 10] < -0.02).sum())


def clean(findings, seed, **kw):
    return simulate([findings] if isinstance(findings, str) else findings, seed, noise=0.0, **kw)


def share(condition, findings, seeds=range(10)):
    return np.mean([bool(condition(clean(findings, s))) for s in seeds])


# ---- the record ---------------------------------------------------------------------------------


@pytest.mark.parametrize("finding", SUPPORTED)
def test_every_supported_finding_simulates(finding):
    ecg = simulate([finding], seed=3)
    assert ecg.signal.shape == (5000, 12) and ecg.signal.dtype == np.float64
    assert np.isfinite(ecg.signal).all() and np.abs(ecg.signal).max() < 8
    assert ecg.report == finding and ecg.labels == (finding,) and ecg.id == "sim-3"
    assert ecg.age is not None and ecg.sex in ("male", "female")
    assert len(ecg.info["r_peaks"]) == len(ecg.info["beat_types"]) >= 3
    assert set(ecg.info) == {"r_peaks", "beat_types", "pr_ms", "qrs_ms", "qt_ms", "axis_deg", "heart_rate"}
    assert finding in FINDINGS


def test_einthoven_holds_with_noise():
    for seed in SEEDS:
        assert einthoven_residual(simulate(["sinus rhythm"], seed)) < 1e-12


def test_same_seed_same_bits_other_seed_other_patient():
    a, b, c = (simulate(["atrial fibrillation"], s).signal for s in (7, 7, 8))
    assert np.array_equal(a, b)
    assert np.abs(a - c).max() > 0.2


def test_rate_duration_and_patient_as_asked():
    ecg = simulate(["sinus rhythm"], 1, rate=100, duration=8, age=71, sex="female")
    assert ecg.signal.shape == (800, 12) and ecg.rate == 100 and (ecg.age, ecg.sex) == (71, "female")


def test_noise_adds_to_the_same_heart():
    quiet, loud = simulate(["sinus rhythm"], 2, noise=0), simulate(["sinus rhythm"], 2, noise=1)
    assert np.array_equal(quiet.info["r_peaks"], loud.info["r_peaks"])
    assert 0.002 < np.std(loud.signal - quiet.signal) < 0.3


def test_fast_enough_to_feed_training():
    simulate(["sinus rhythm"], 0)
    times = []
    for seed in range(40):
        start = time.perf_counter()
        simulate(["sinus rhythm", "left bundle branch block"], seed)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.02  # 3 ms on one idle core


# ---- rhythm -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [45, 60, 75, 90, 110, 140])
def test_heart_rate_is_met(rate):
    for seed in SEEDS:
        ecg = clean("sinus rhythm", seed, heart_rate=rate)
        assert abs(60 / rr_seconds(ecg).mean() - rate) < 3
        assert abs(ecg.info["heart_rate"] - rate) < 3
        assert abs(clean("atrial fibrillation", seed, heart_rate=rate).info["heart_rate"] - rate) < 8


def test_rates_that_words_promise():
    for seed in SEEDS:
        assert 40 < clean("sinus bradycardia", seed).info["heart_rate"] < 60.5
        assert 99.5 < clean("sinus tachycardia", seed).info["heart_rate"] < 152
        assert clean("atrial fibrillation with rapid ventricular response", seed).info["heart_rate"] > 99
        assert clean("atrial fibrillation with slow ventricular response", seed).info["heart_rate"] < 61
        assert clean("supraventricular tachycardia", seed).info["heart_rate"] > 140
        assert clean("complete av block", seed).info["heart_rate"] < 50


def test_r_peaks_are_where_a_detector_finds_them():
    for seed in SEEDS:
        ecg = clean("sinus rhythm", seed)
        gap = np.abs(np.asarray(detect(ecg))[:, None] - ecg.info["r_peaks"]).min(1)
        assert np.mean(gap <= 0.03 * RATE) > 0.9


def test_regularity_tells_sinus_from_fibrillation():
    spread = {
        f: [np.std(r) / np.mean(r) for r in (rr_seconds(clean(f, s)) for s in range(10))]
        for f in (
            "sinus rhythm",
            "atrial fibrillation",
            "atrial fibrillation with rapid ventricular response",
        )
    }
    sinus, slow, fast = spread.values()
    assert max(sinus) < 0.08 and np.median(sinus) > 0.006
    assert min(slow) > 0.12 and min(fast) > 0.12
    arrhythmia = [np.diff(clean("sinus arrhythmia", s).info["r_peaks"]) for s in SEEDS]
    assert all(np.std(r) / np.mean(r) > 0.05 for r in arrhythmia)


def test_fibrillation_has_its_own_frequencies_and_no_p_wave():
    for seed in SEEDS:
        ecg = clean("atrial fibrillation", seed)
        assert ecg.info["pr_ms"] is None
        keep = np.ones(5000, bool)
        for p in ecg.info["r_peaks"]:
            keep[max(0, p - 40) : p + 225] = False
        x = ecg.lead("V1")
        x = np.where(keep, x - np.median(x[keep]), 0)
        power = np.abs(np.fft.rfft(x)) ** 2
        hz = np.fft.rfftfreq(5000, 1 / RATE)
        assert power[(hz > 3.5) & (hz < 9.5)].sum() > 0.5 * power[hz > 2].sum()


def test_ectopic_beats_are_early_and_ventricular_ones_wide():
    for seed in SEEDS:
        for name, kind in (("atrial premature beats", "A"), ("ventricular premature beats", "V")):
            ecg = clean(name, seed)
            rr = np.diff(ecg.info["r_peaks"])
            early = [i for i, k in enumerate(ecg.info["beat_types"]) if k == kind and 0 < i]
            assert early and all(rr[i - 1] < 0.88 * np.median(rr) for i in early)
        assert qrs_width_ms(ecg, "V") > 115 > qrs_width_ms(ecg, "N")
    kinds = clean("ventricular bigeminy", 0).info["beat_types"]
    assert all((a == "V") != (b == "V") for a, b in zip(kinds, kinds[1:], strict=False))
    kinds = clean("ventricular trigeminy", 0).info["beat_types"]
    assert np.diff(np.flatnonzero(np.array(kinds) == "V")).tolist() == [3] * (kinds.count("V") - 1)


def test_wenckebach_drops_beats_and_complete_block_does_not_follow_p():
    for seed in SEEDS:
        rr = np.diff(clean("second-degree av block type wenckebach", seed).info["r_peaks"])
        assert rr.max() > 1.3 * rr.min()
        block = clean("complete av block", seed)
        assert block.info["pr_ms"] is None and np.std(np.diff(block.info["r_peaks"])) < 15


# ---- intervals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("findings", ["normal ecg", "first-degree av block", "sinus bradycardia"])
def test_delineated_intervals_agree(findings):
    errors = []
    for seed in SEEDS:
        ecg = clean(findings, seed)
        told = (ecg.info["pr_ms"], ecg.info["qrs_ms"], ecg.info["qt_ms"])
        errors.append(
            np.subtract(np.nanmedian([delineate_ms(ecg, v) for v in ("II", "V5", "V6")], axis=0), told)
        )
    pr, qrs, qt = np.nanmedian(errors, axis=0)
    assert abs(pr) < 20 and abs(qrs) < 25 and abs(qt) < 25


def test_pr_qt_as_named():
    for seed in SEEDS:
        normal, late, long = (
            clean(f, seed) for f in ("normal ecg", "first-degree av block", "long qt interval")
        )
        assert 120 <= normal.info["pr_ms"] < 200 < late.info["pr_ms"]
        assert clean("wolff-parkinson-white pattern", seed).info["pr_ms"] < 120

        def qtc(e):
            return e.info["qt_ms"] * np.cbrt(e.info["heart_rate"] / 60)

        assert qtc(long) > 478 and 360 < qtc(normal) < 450
    measured = [delineate_ms(clean("long qt interval", s, heart_rate=60), "II")[2] for s in SEEDS]
    assert np.nanmedian(measured) > 460


def test_qt_shortens_with_rate():
    fast, slow = (clean("sinus rhythm", 1, heart_rate=r).info["qt_ms"] for r in (120, 50))
    assert 1.2 < slow / fast < 1.5


@pytest.mark.parametrize(
    ("finding", "low", "high"),
    [
        ("normal ecg", 68, 110),
        ("left bundle branch block", 121, 200),
        ("right bundle branch block", 118, 185),
        ("intraventricular conduction delay", 108, 160),
        ("incomplete right bundle branch block", 95, 128),
        ("incomplete left bundle branch block", 95, 132),
    ],
)
def test_qrs_width(finding, low, high):
    assert share(lambda e: low < qrs_width_ms(e) < high, finding) >= 0.9


def test_paced_beats_are_wide_and_regular():
    for seed in SEEDS:
        ecg = clean("ventricular paced rhythm", seed)
        assert set(ecg.info["beat_types"]) == {"P"}
        assert qrs_width_ms(ecg, "P") > 125
        assert ecg.info["axis_deg"] < -30


# ---- shape --------------------------------------------------------------------------------------


def measured_axis(ecg):
    half = 0.5 * qrs_width_ms(ecg) / 1000 + 0.02
    i, avf = (beat(ecg.select([lead]), half, half)[:, 0] for lead in ("I", "aVF"))
    i, avf = (float((x - np.linspace(x[:3].mean(), x[-3:].mean(), len(x))).sum()) for x in (i, avf))
    return np.degrees(np.arctan2(avf * 2 / np.sqrt(3), i))


@pytest.mark.parametrize(
    ("finding", "low", "high"),
    [
        ("normal axis", -35, 95),
        ("left axis deviation", -90, -25),
        ("right axis deviation", 88, 155),
        ("left anterior fascicular block", -90, -40),
        ("left posterior fascicular block", 90, 155),
    ],
)
def test_axis(finding, low, high):
    for seed in SEEDS:
        ecg = clean(["sinus rhythm", finding], seed)
        axis = measured_axis(ecg)
        assert low < axis < high
        assert abs((axis - ecg.info["axis_deg"] + 180) % 360 - 180) < 20


def test_stated_axis_survives_an_infarct():
    for seed in SEEDS:
        assert clean(["inferior myocardial infarction", "left axis deviation"], seed).info["axis_deg"] < -30
        assert -30 < clean(["inferior myocardial infarction", "normal axis"], seed).info["axis_deg"] < 90


def test_voltages():
    def sokolow(e):
        return -qrs_of(e, "V1").min() + max(qrs_of(e, "V5").max(), qrs_of(e, "V6").max())

    def limb(e):
        return max(np.ptp(qrs_of(e, lead)) for lead in ("I", "II", "III", "aVR", "aVL", "aVF"))

    assert share(lambda e: sokolow(e) > 3.5, "left ventricular hypertrophy") == 1
    assert share(lambda e: sokolow(e) < 3.5, "normal ecg") == 1
    assert share(lambda e: limb(e) < 0.5, "low voltage") == 1
    assert share(lambda e: limb(e) > 0.5, "normal ecg") == 1
    assert (
        share(lambda e: qrs_of(e, "V1").max() > -qrs_of(e, "V1").min(), "right ventricular hypertrophy")
        >= 0.8
    )


def test_bundle_branch_shapes():
    assert share(lambda e: qrs_of(e, "V1").min() < -0.4 and qrs_of(e, "V6").max() > 0.4,
                 "left bundle branch block") >= 0.9  # fmt: skip

    def late(e, lead):  # 30 to 70 ms after the largest deflection
        m = beat(e.select([lead]), 0.12, 0.12)[:, 0] - np.median(beat(e.select([lead]), 0.12, 0.12)[:8])
        return m

    assert share(lambda e: late(e, "V1").max() > 0.2, "right bundle branch block") >= 0.9
    assert share(lambda e: late(e, "I").min() < -0.08 and late(e, "V6").min() < -0.08,
                 "right bundle branch block") >= 0.9  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "leads", "spared"),
    [
        ("inferior myocardial infarction", ("III", "aVF"), "V2"),
        ("anteroseptal myocardial infarction", ("V2",), "aVF"),
        ("anterior myocardial infarction", ("V2", "V3"), "aVF"),
        ("lateral myocardial infarction", ("I", "aVL"), "V2"),
    ],
)
def test_q_waves_where_the_wall_is_dead(finding, leads, spared):
    def mean_depth(name, lead):
        return np.mean([q_wave(clean(["sinus rhythm", *name], s), lead)[0] for s in range(10)])

    for lead in leads:
        assert mean_depth([finding], lead) > mean_depth([], lead) + 0.08
        wide = share(lambda e, lead=lead: q_wave(e, lead)[0] > 0.1 and q_wave(e, lead)[1] >= 24, finding)
        assert wide >= 0.8
    assert mean_depth([finding], spared) < mean_depth([], spared) + 0.25


def st_level(ecg, lead):
    """mV 60 ms after the end of QRS, over the level before it."""
    m = beat(ecg.select([lead]), 0.08, 0.4)[:, 0]
    qrs_end = 40 + round((ecg.info["qrs_ms"] / 2 + 60) / 1000 * RATE)
    return float(m[qrs_end - 5 : qrs_end + 5].mean() - np.median(m[:6]))


@pytest.mark.parametrize(
    ("finding", "up", "down"),
    [
        ("acute anterior st elevation", "V3", None),
        ("acute inferior st elevation", "III", "aVL"),
        ("acute lateral st elevation", "aVL", "III"),
        ("inferior subendocardial injury", "aVL", "aVF"),
        ("st depression", "aVR", "V5"),
    ],
)
def test_st_changes_and_their_reciprocals(finding, up, down):
    assert share(lambda e: st_level(e, up) > 0.04, finding) >= 0.9
    if down:
        assert share(lambda e: st_level(e, down) < -0.02, finding) >= 0.9


@pytest.mark.parametrize(("wall", "lead"), [("anterior", "V3"), ("inferior", "aVF"), ("lateral", "V6")])
def test_ischaemic_t_waves_are_inverted(wall, lead):
    def t_wave(e):
        m = beat(e.select([lead]), 0.08, 0.42)[:, 0] - np.median(beat(e.select([lead]), 0.08, 0.42)[:6])
        t = m[40 + 75 :]
        return t[np.argmax(np.abs(t))]

    assert share(lambda e: t_wave(e) < -0.05, f"{wall} ischaemia") >= 0.9
    assert share(lambda e: t_wave(e) > 0, "normal ecg") >= 0.8
