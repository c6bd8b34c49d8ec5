"""Usual beats of simulated ECGs."""

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.data.usual_beats import usual_beats
from ttecg.ecg import INDEPENDENT
from ttecg.models.layout import lay_out_batch, window

RATE = 250.0
BEFORE, LENGTH = window(RATE)


def beats_of(findings, seed=1, noise=0.0, **options):
    ecg = simulate(findings, seed, noise=noise, rate=RATE, **options)
    x, peaks = ecg.select(INDEPENDENT).signal, np.asarray(ecg.info["r_peaks"])
    return x, peaks, *usual_beats(x, peaks, RATE, BEFORE, LENGTH), ecg.info["beat_types"]


def drafted(beats, peaks, kinds, samples=2500):
    slots = np.full((1, 40), np.inf, np.float32)
    slots[0, : len(peaks)] = peaks / RATE
    told = np.zeros((1, 40), int)
    told[0, : len(kinds)] = kinds
    return np.asarray(lay_out_batch(beats[None], slots, told, samples, RATE, BEFORE))[0]


@pytest.mark.parametrize("findings", (["sinus rhythm"], ["left bundle branch block"], ["sinus tachycardia"]))
def test_laid_out_they_are_the_ecg(findings):
    x, peaks, beats, kinds, _ = beats_of(findings)
    assert beats.shape == (2, LENGTH, 8) and not kinds.any() and not beats[1].any()
    draft = drafted(beats, peaks, kinds)
    away = draft[250:-250] - x[250:-250]  # at the ends a neighbour outside the record is only guessed
    assert np.sqrt((away**2).mean()) < 0.15 * x.std()


def test_premature_ventricular_beats_are_another_kind():
    x, peaks, beats, kinds, types = beats_of(["sinus rhythm", "ventricular premature beats"], seed=3)
    assert "V" in types and [t == "V" for t in types] == list(kinds == 1)
    assert np.corrcoef(beats[0].ravel(), beats[1].ravel())[0, 1] < 0.7


def test_noise_leaves_the_usual_beat():
    clean = beats_of(["sinus rhythm"], heart_rate=80)[2][0]
    noisy = beats_of(["sinus rhythm"], heart_rate=80, noise=1.0)[2][0]
    assert np.corrcoef(clean.ravel(), noisy.ravel())[0, 1] > 0.95


def test_no_beat_and_a_beat_at_the_edge():
    x = np.random.default_rng(0).normal(size=(2500, 8))
    beats, kinds = usual_beats(x, [], RATE, BEFORE, LENGTH)
    assert not beats.any() and len(kinds) == 0
    beats, kinds = usual_beats(x, [2], RATE, BEFORE, LENGTH)
    assert np.isfinite(beats).all() and list(kinds) == [0]
