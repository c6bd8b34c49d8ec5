"""What is read off usual beats in JAX is what the readers of whole ECGs find."""

import jax
import numpy as np
import pytest

from ttecg.data import beats as on_ecgs
from ttecg.data.beats import FINE, qrs_bounds
from ttecg.data.simulator import simulate
from ttecg.data.usual_beats import usual_beats
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models import beat_measures
from ttecg.models.beat_measures import has_q
from ttecg.models.layout import lay_out_batch, window
from ttecg.models.measures import NAMES

RATE = 250.0
BEFORE, LENGTH = window(RATE)
read = jax.jit(beat_measures.read, static_argnums=(1, 2))
intervals = jax.jit(beat_measures.intervals, static_argnums=(2, 3))


def beat_of(findings, seed):
    ecg = simulate(findings, seed, noise=0.0, rate=RATE)
    x = ecg.select(INDEPENDENT).signal
    return usual_beats(x, np.asarray(ecg.info["r_peaks"]), RATE, BEFORE, LENGTH)[0][0], ecg.info


def numbers(*findings, seeds=6):
    return {
        k: np.asarray(v)
        for k, v in read(np.stack([beat_of(findings, s)[0] for s in range(seeds)]), BEFORE, RATE).items()
    }


@pytest.mark.parametrize("finding", ["sinus rhythm", "left bundle branch block", "right bundle branch block"])
def test_qrs_begins_and_ends_where_data_beats_says(finding):
    beats, found = [beat_of([finding], s)[0] for s in range(6)], numbers(finding)
    fine = np.arange(round((LENGTH - 1) * FINE / RATE) + 1) * RATE / FINE
    for i, beat in enumerate(beats):
        x = np.stack([np.interp(fine, np.arange(LENGTH), lead) for lead in beat.T.astype(float)], 1)
        onset, offset = qrs_bounds(x, round(BEFORE * FINE / RATE))
        assert found["qrs_ms"][i] == pytest.approx((offset - onset) * 1000 / FINE, abs=0.01)
        assert found["qr_ms"][i] == pytest.approx(BEFORE * 1000 / RATE - onset * 1000 / FINE, abs=0.01)


@pytest.mark.parametrize("finding", ["sinus rhythm", "sinus tachycardia", "left bundle branch block"])
def test_pr_and_qt_of_a_beat_are_those_of_its_ecg(finding):
    beats, rr, truth = [], [], []
    for seed in range(6):
        ecg = simulate([finding], seed, noise=0.0, rate=RATE)
        peaks = np.asarray(ecg.info["r_peaks"])
        beats.append(usual_beats(ecg.select(INDEPENDENT).signal, peaks, RATE, BEFORE, LENGTH)[0][0])
        rr.append(np.median(np.diff(peaks)) / RATE)
        truth.append(on_ecgs.intervals(ecg))
    for name, found in intervals(np.stack(beats), np.array(rr), BEFORE, RATE).items():
        off = np.abs(found - np.array([t[name] for t in truth]))
        assert np.median(off) < 6 and off.max() < 20, name


@pytest.mark.parametrize("rate", [60, 100, 140])
def test_pr_and_qt_of_a_beat_are_those_of_its_ecg_at_any_rate(rate):
    """P of one beat lies on T of the one before it, or is cut off by it."""
    beats = np.stack([beat_of(["sinus rhythm"], seed)[0] for seed in range(6)])
    peaks = np.tile(np.arange(0.3, 10, 60 / rate), (6, 1))
    ecgs = lay_out_batch(beats[:, None], peaks, np.zeros(peaks.shape, int), 2500, RATE, BEFORE)
    truth = [on_ecgs.intervals(ECG(np.asarray(x, float), INDEPENDENT, RATE), peaks[0] * RATE) for x in ecgs]
    for name, found in intervals(beats, np.full(6, 60 / rate), BEFORE, RATE).items():
        off = np.abs(found - np.array([t[name] for t in truth], float))
        assert np.nanmedian(off) < 8 and np.isfinite(off).sum() > 3, (name, off)


def test_without_p_and_t_waves_there_is_no_pr_and_no_qt():
    beats = np.stack([beat_of(["sinus rhythm"], seed)[0] for seed in range(6)])
    beats[1, BEFORE + round(0.08 * RATE) :] = beats[1, : BEFORE - round(0.06 * RATE)] = 0
    for name, found in intervals(beats, np.ones(6), BEFORE, RATE).items():
        assert np.isfinite(found[:2]).tolist() == [True, False], name


def test_width_and_axis_are_those_of_the_simulator():
    found = numbers("sinus rhythm")
    truth = [beat_of(["sinus rhythm"], s)[1] for s in range(6)]
    assert set(found) < set(NAMES)
    assert np.abs(found["qrs_ms"] - [t["qrs_ms"] for t in truth]).max() < 20
    assert np.abs(found["axis_deg"] - [t["axis_deg"] for t in truth]).max() < 15


def test_findings_show_in_their_numbers():
    normal = numbers("sinus rhythm")
    tall, inferior = (
        numbers("sinus rhythm", f) for f in ("left ventricular hypertrophy", "inferior myocardial infarction")
    )
    assert np.median(tall["sokolow_mv"]) > 1.3 * np.median(normal["sokolow_mv"])
    assert inferior["q_inferior"].mean() > 1 + normal["q_inferior"].mean()
    left, right = numbers("left bundle branch block"), numbers("right bundle branch block")
    assert (left["area_v1"] < 0).all() and (left["area_i"] > 0).all() and (left["late_v1_mv"] < 0).all()
    assert np.median(right["late_v1_mv"]) > 0 > np.median(right["late_left_mv"])


def test_a_q_wave_is_wide_and_deep():
    r = np.concatenate([np.zeros(5), np.sin(np.linspace(0, np.pi, 20))])
    q = np.concatenate([-0.4 * np.sin(np.linspace(0, np.pi, 20)), r[5:]])

    def found(x):
        return bool(has_q(x, 0, len(x) - 1))

    assert not found(r) and found(q) and found(-r) and not found(np.concatenate([q[:20:5], r[5:]]))
