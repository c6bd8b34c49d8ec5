"""R peaks, rates and intervals: on hand-made beats whose truth is known, and against LUDB's annotations."""

import numpy as np
import pytest

from ttecg.data import beats
from ttecg.ecg import ECG, INDEPENDENT, LEADS, lead_name, to_twelve

# relative heights of P, QRS and T in I, II, V1-V6
_LEADS_8 = np.array([0.6, 1.0, -0.5, -0.8, 0.7, 1.2, 1.3, 1.0])


def bumps(rate, centres, height, sigma, seconds=10.0):
    t = np.arange(round(seconds * rate)) / rate
    return sum(height * np.exp(-0.5 * ((t - c) / sigma) ** 2) for c in centres)


_TIMES = np.arange(0.5, 10, 0.8)


def make(rate=500.0, times=_TIMES, qrs=0.010, p=0.15, t=0.3, noise=0.0, seconds=10.0):
    """P at -160 ms, R at `times`, T at +260 ms; qrs is the standard deviation of the R wave in seconds."""
    times = np.asarray(times)
    wave = bumps(rate, times, 1.0, qrs, seconds)
    if p:
        wave = wave + bumps(rate, times - 0.16, p, 0.02, seconds)
    if t:
        wave = wave + bumps(rate, times + 0.26, t, 0.04, seconds)
    x = wave[:, None] * _LEADS_8 + noise * np.random.default_rng(0).normal(size=(len(wave), 8))
    return ECG(to_twelve(x), rate=rate)


@pytest.mark.parametrize("rate", [100.0, 128.0, 250.0, 360.0, 500.0, 1000.0])
def test_peaks_are_where_they_were_put(rate):
    times = np.array([0.4, 1.3, 2.0, 3.1, 3.7, 4.5, 5.6, 6.4, 7.2, 8.3, 9.5])
    found = beats.r_peaks(make(rate, times, noise=0.01))
    assert found.dtype.kind == "i"
    np.testing.assert_allclose(found / rate, times, atol=max(0.5 / rate, 0.004) + 0.003)


def test_one_lead_suffices_and_leads_are_found_by_name():
    times = np.arange(0.6, 9.8, 0.9)
    whole = make(times=times)
    for leads in (("II",), ("I", "II"), ("aVR",), tuple(reversed(LEADS))):
        np.testing.assert_allclose(beats.r_peaks(whole.select(leads)) / 500, times, atol=0.006)


def test_a_loose_electrode_does_not_hide_the_beats():
    ecg = make(noise=0.01)
    x = np.array(ecg.signal)
    x[:, LEADS.index("V3")] += 3 * np.random.default_rng(1).normal(size=len(x))
    x[100, LEADS.index("V6")] = np.nan
    np.testing.assert_allclose(beats.r_peaks(ecg.replace(signal=x)), beats.r_peaks(ecg), atol=3)


def test_tall_t_waves_and_early_beats():
    for height in (0.9, 1.8):
        np.testing.assert_allclose(beats.r_peaks(make(t=height)) / 500, _TIMES, atol=0.006)
    times = np.array([0.5, 1.4, 2.3, 2.75, 4.1, 5.0, 5.9, 6.8, 7.7, 8.6])
    np.testing.assert_allclose(beats.r_peaks(make(times=times)) / 500, times, atol=0.006)


def test_beats_at_the_ends_count_when_their_peak_is_inside():
    ecg = make()
    cut = ecg.crop(0.48, 8.05)  # R at 0.02 s and, 10 ms before the end, at 8.02 s
    found = beats.r_peaks(cut) / 500
    np.testing.assert_allclose(found, np.arange(0.02, 8.03, 0.8), atol=0.006)
    after = ecg.crop(0.53, 8.0)  # the first R lies 30 ms before the beginning
    assert beats.r_peaks(after)[0] / 500 == pytest.approx(0.77, abs=0.006)


def test_heart_rate_and_its_variation():
    for bpm in (40, 60, 75, 110, 150, 180):
        t = 0.25 if bpm < 120 else 0.0
        ecg = make(times=np.arange(0.4, 9.9, 60 / bpm), t=t, p=0.1)
        assert beats.heart_rate(ecg) == pytest.approx(bpm, rel=0.01)
        assert beats.rr_cv(ecg) < 0.01
    rr = np.random.default_rng(3).uniform(0.6, 1.2, 9)
    uneven = make(times=0.5 + np.cumsum(rr), p=0)
    assert beats.rr_cv(uneven) == pytest.approx(np.std(rr[1:]) / np.mean(rr[1:]), abs=0.01)
    assert beats.heart_rate(make(times=[5.0])) is None and beats.rr_cv(make(times=[3.0, 6.0])) is None


def test_qrs_width_follows_the_pulse():
    widths = [beats.qrs_width(make(qrs=sigma)) for sigma in (0.010, 0.015, 0.020, 0.026)]
    assert all(a < b for a, b in zip(widths, widths[1:], strict=False))
    # a Gaussian's slope falls under 6 % of its greatest at 3.2 standard deviations on either side
    assert widths[1] == pytest.approx(2 * 3.2 * 15, abs=20)
    assert widths[0] < 90 and widths[3] > 150


@pytest.mark.parametrize("rate", [100.0, 250.0, 1000.0])
def test_qrs_width_hardly_depends_on_the_rate(rate):
    assert beats.qrs_width(make(rate, qrs=0.014)) == pytest.approx(beats.qrs_width(make(qrs=0.014)), abs=6)


def test_intervals():
    got = beats.intervals(make(noise=0.003))
    assert got["heart_rate"] == pytest.approx(75, rel=0.01) and got["rr_cv"] < 0.01
    assert 150 < got["pr_ms"] < 220 and 320 < got["qt_ms"] < 400
    assert got["qrs_ms"] == pytest.approx(beats.qrs_width(make()), abs=6)
    # lead I 0.6, lead II 1.0: aVF 0.7
    assert got["axis_deg"] == pytest.approx(np.degrees(np.arctan2(0.7 * 2 / np.sqrt(3), 0.6)), abs=2)


def test_an_st_segment_that_falls_is_no_t_wave():
    """ST is higher than the T wave after it."""
    st = bumps(500.0, _TIMES + 0.11, 0.3, 0.04)[:, None] * _LEADS_8
    ecg = make(t=0.15)
    got = beats.intervals(ecg.replace(signal=ecg.signal + to_twelve(st)))
    assert abs(got["qt_ms"] - beats.intervals(make(t=0.15))["qt_ms"]) < 30


def test_the_axis_turns_with_the_leads():
    for i, ii, degrees in ((1, 0.5, 0), (0.001, 1, 90), (1, -0.5, -49), (-1, -0.5, 180)):
        x = bumps(500, _TIMES, 1.0, 0.012)[:, None] * np.array([i, ii, *_LEADS_8[2:]])
        got = beats.intervals(ECG(to_twelve(x)))["axis_deg"]
        assert abs((got - degrees + 180) % 360 - 180) < 2
    assert beats.intervals(make().select(("V1", "V2")))["axis_deg"] is None


def test_no_steady_p_wave_no_pr():
    assert beats.intervals(make(p=0))["pr_ms"] is None
    restless = make(p=0)
    flutter = 0.1 * np.sin(2 * np.pi * 6.1 * np.arange(5000) / 500)
    signal = restless.signal + flutter[:, None] * to_twelve(_LEADS_8[None])
    got = beats.intervals(restless.replace(signal=signal))
    assert got["pr_ms"] is None and got["heart_rate"] == pytest.approx(75, rel=0.02)


@pytest.mark.parametrize("rate", [20.0, 100.0, 500.0])
@pytest.mark.parametrize(
    "name", ["flat", "constant", "nan", "noise", "tiny", "inf", "short", "empty", "step", "huge"]
)
def test_odd_signals_never_raise(name, rate):
    random = np.random.default_rng(0).normal(size=(1200, 12))
    signal = {
        "flat": np.zeros((1200, 12)),
        "constant": np.ones((1200, 12)),
        "nan": np.full((1200, 12), np.nan),
        "noise": random,
        "tiny": 1e-6 * random,
        "inf": np.full((1200, 12), np.inf),
        "short": random[:5],
        "empty": random[:0],
        "step": np.repeat([0.0, 1.0], 600)[:, None] * np.ones(12),
        "huge": 1e6 * random,
    }[name]
    ecg = ECG(signal, rate=rate)
    peaks = beats.r_peaks(ecg)
    assert (np.diff(peaks) > 0).all() and ((peaks >= 0) & (peaks < len(signal))).all()
    if name in ("flat", "constant", "nan", "tiny", "inf", "short", "empty"):
        assert len(peaks) == 0
        assert set(beats.intervals(ecg).values()) == {None}
        assert beats.heart_rate(ecg) is None and beats.rr_cv(ecg) is None and beats.qrs_width(ecg) is None
    beats.intervals(ecg)


def test_peaks_agree_with_ludb(shared_data):
    wfdb = pytest.importorskip("wfdb")
    missed = extra = total = 0
    widths = []
    for name in ("2", "8", "24", "44", "60", "90", "104", "108", "150", "196"):
        path = str(shared_data / "ludb" / "data" / name)
        record = wfdb.rdrecord(path, physical=False)
        ecg = ECG(record.d_signal / 1000, tuple(lead_name(n) for n in record.sig_name))
        marks = wfdb.rdann(path, "v2")
        true = marks.sample[[s == "N" for s in marks.symbol]] / 500
        found = beats.r_peaks(ecg) / 500
        found = found[(found > true[0] - 0.2) & (found < true[-1] + 0.2)]
        apart = np.abs(found[:, None] - true)
        missed, extra = missed + (apart.min(0) > 0.1).sum(), extra + (apart.min(1) > 0.1).sum()
        total += len(true)
        widths.append(beats.qrs_width(ecg.select(INDEPENDENT)))
    assert total > 80 and missed == 0 and extra == 0
    assert all(w > 120 for w in np.array(widths)[[1, 2, 3, 5, 6, 7]])  # bundle branch blocks and paced beats
