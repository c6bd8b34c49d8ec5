"""Numbers read off simulated ECGs agree with what the simulator was told."""

import numpy as np
import pytest

from ttecg.data.measures import has_q, measure
from ttecg.data.simulator import simulate
from ttecg.data.usual_beats import usual_beats
from ttecg.ecg import INDEPENDENT
from ttecg.models.layout import window
from ttecg.models.measures import BINS, MEASURES, NAMES, allowed, bins

RATE = 250.0
BEFORE, LENGTH = window(RATE)


def numbers(findings, seed=2, **options):
    ecg = simulate(findings, seed, noise=0.0, rate=RATE, **options)
    x, peaks = ecg.select(INDEPENDENT).signal, np.asarray(ecg.info["r_peaks"])
    beats, kinds = usual_beats(x, peaks, RATE, BEFORE, LENGTH)
    return measure(x, peaks, kinds, beats[0], BEFORE, RATE), ecg.info


def test_intervals_are_those_of_the_simulator():
    found, truth = numbers(["sinus rhythm"], heart_rate=72)
    assert abs(found["heart_rate"] - 72) < 3 and found["rr_cv"] < 0.08
    assert abs(found["qrs_ms"] - truth["qrs_ms"]) < 20 and abs(found["axis_deg"] - truth["axis_deg"]) < 15


def test_findings_show_in_their_numbers():
    normal = [numbers(["sinus rhythm"], s)[0] for s in range(8)]
    tall = [numbers(["sinus rhythm", "left ventricular hypertrophy"], s)[0] for s in range(8)]
    assert np.median([f["sokolow_mv"] for f in tall]) > 1.3 * np.median([f["sokolow_mv"] for f in normal])
    inferior = [numbers(["sinus rhythm", "inferior myocardial infarction"], s)[0] for s in range(8)]
    assert np.mean([f["q_inferior"] for f in inferior]) > 1 + np.mean([f["q_inferior"] for f in normal])


def test_a_q_wave_is_wide_and_deep():
    r = np.concatenate([np.zeros(5), np.sin(np.linspace(0, np.pi, 20))])
    q = np.concatenate([-0.4 * np.sin(np.linspace(0, np.pi, 20)), r[5:]])
    assert not has_q(r) and has_q(q) and has_q(-r) and not has_q(np.concatenate([q[:20:5], r[5:]]))


@pytest.mark.parametrize("measure_", MEASURES, ids=NAMES)
def test_bins_hold_their_values(measure_):
    for number in range(1, measure_.bins + 1):
        assert measure_.bin(measure_.value(number)) == number
    assert measure_.bin(None) == measure_.bin(np.nan) == 0 and np.isnan(measure_.value(0))
    assert measure_.bin(-1e9) == 1 and measure_.bin(1e9) == measure_.bins < BINS


def test_nothing_measured_is_bin_zero_and_few_may_be_drawn_so():
    assert not bins({}).any()
    assert [NAMES[i] for i in np.flatnonzero(allowed()[:, 0])] == ["other_beats", "pr_ms"]
