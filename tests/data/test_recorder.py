"""A recorder that was learned from recordings adds what they hold."""

import numpy as np
import pytest

from ttecg.data import recorder
from ttecg.data.simulator import simulate
from ttecg.ecg import INDEPENDENT

RATE = recorder.RATE


def pairs(count=12):
    for seed in range(count):
        clean, noisy = (simulate(["sinus rhythm"], seed, noise=n).select(INDEPENDENT) for n in (0.0, 1.0))
        hum = 0.02 * np.sin(2 * np.pi * 50 * np.arange(5000) / RATE + seed)[:, None]
        yield noisy.signal + hum, clean.bandpass(0.5, 40.0).signal


LEARNED = recorder.fit(pairs())


def power(x, low, high):
    f = np.abs(np.fft.rfft(x, axis=0)) ** 2 / len(x)
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    return f[(frequency >= low) & (frequency < high)].mean(0)


@pytest.mark.parametrize("band", ((0.15, 0.45), (49, 51), (60, 100)))
def test_bands_outside_are_as_strong_as_recorded(band):
    recorded = np.array([power(x, *band) for x, _ in pairs()])
    rng = np.random.default_rng(0)
    hearts = [simulate(["sinus rhythm"], seed, noise=0.0) for seed in range(12)]
    added = []
    for e in [*hearts, *hearts]:
        heart = e.select(INDEPENDENT).bandpass(0.5, 40.0).signal
        added.append(LEARNED.add(heart, e.info["r_peaks"], rng) - recorder.sharpened(heart, LEARNED.gain))
    made = np.array([power(x, *band) for x in added])
    ratio = np.exp(np.log(made).mean(0) - np.log(recorded).mean(0))
    assert (ratio > 0.4).all() and (ratio < 2.5).all()


def test_the_heart_itself_stays():
    heart = simulate(["sinus rhythm"], 1, noise=0.0).select(INDEPENDENT).bandpass(0.5, 25.0).signal
    peaks = simulate(["sinus rhythm"], 1, noise=0.0).info["r_peaks"]
    quiet = LEARNED.add(heart, peaks, np.random.default_rng(0), amount=0.0)
    assert np.corrcoef(quiet.ravel(), heart.ravel())[0, 1] > 0.99
    loud = LEARNED.add(heart, peaks, np.random.default_rng(0))
    assert loud.std() > quiet.std() and np.isfinite(loud).all()
    np.testing.assert_array_equal(loud, LEARNED.add(heart, peaks, np.random.default_rng(0)))


def test_a_blunt_qrs_stays_blunt_and_a_sharp_one_gets_sharper():
    t, peaks = np.arange(5000) / RATE, np.arange(250, 5000, 400)

    def added(width):
        heart = sum(np.exp(-0.5 * ((t - p / RATE) / width) ** 2) for p in peaks)[:, None] * np.ones(8)
        got = LEARNED.add(heart, peaks, np.random.default_rng(0)) - recorder.sharpened(heart, LEARNED.gain)
        beats = np.mean([got[p - 30 : p + 30] for p in peaks], axis=0)
        return beats - beats.mean(0)

    blunt, sharp = added(0.04), added(0.008)
    assert (
        np.ptp(sharp) > 3 * np.ptp(blunt) and (np.abs(sharp).argmax(0) == 30).all() and (sharp[30] > 0).all()
    )


def test_a_gain_raises_only_the_edge():
    t = np.arange(5000)[:, None] / RATE
    gain = np.interp(recorder.GAINS, [20, 40], [1.0, 2.0])
    for frequency, factor in ((5, 1.0), (30, 1.5), (60, 0.0)):
        x = np.sin(2 * np.pi * frequency * t)
        y = recorder.sharpened(np.repeat(x, 8, 1), gain)
        assert abs(y[1000:-1000].std() / x.std() - factor) < 0.03


def test_few_recordings_and_no_beats():
    with pytest.raises(ValueError, match="at least 8"):
        recorder.fit(list(pairs(3)))
    assert np.isfinite(LEARNED.add(np.zeros((5000, 8)), [], np.random.default_rng(0))).all()
