"""Numbers read off whole simulated ECGs agree with what the simulator was told."""

import numpy as np
import pytest

from ttecg.data.measures import measure
from ttecg.data.simulator import simulate
from ttecg.data.usual_beats import usual_beats
from ttecg.ecg import INDEPENDENT
from ttecg.models.layout import window
from ttecg.models.measures import BINS, MEASURES, NAMES, allowed, bins, bins_of, value

RATE = 250.0


def numbers(findings, seed=2, **options):
    ecg = simulate(findings, seed, noise=0.0, rate=RATE, **options)
    x, peaks = ecg.select(INDEPENDENT).signal, np.asarray(ecg.info["r_peaks"])
    _, kinds = usual_beats(x, peaks, RATE, *window(RATE))
    return measure(x, peaks, kinds, RATE), ecg.info


def test_rate_and_pr_are_those_of_the_simulator():
    found, truth = numbers(["sinus rhythm"], heart_rate=72)
    assert abs(found["heart_rate"] - 72) < 3 and found["rr_cv"] < 0.08
    assert abs(found["pr_ms"] - truth["pr_ms"]) < 25 and found["other_beats"] is found["other_early"] is None


def test_premature_beats_are_counted_and_early():
    found, truth = numbers(["sinus rhythm", "ventricular premature beats"])
    assert found["other_beats"] == sum(t == "V" for t in truth["beat_types"]) and found["other_early"] < 0.85


def test_flutter_waves_show():
    flutter, sinus = (
        [numbers([name], s)[0]["flutter"] for s in range(8)] for name in ("atrial flutter", "sinus rhythm")
    )
    assert np.median(flutter) > 0.25 > np.median(sinus)


@pytest.mark.parametrize("measure_", MEASURES, ids=NAMES)
def test_bins_hold_their_values(measure_):
    numbers = np.arange(1, measure_.bins + 1)
    assert [measure_.bin(measure_.value(n)) for n in numbers] == numbers.tolist()
    values = np.asarray(value(measure_.name, numbers))
    np.testing.assert_allclose(values, [measure_.value(n) for n in numbers], atol=1e-4)
    np.testing.assert_array_equal(bins_of({measure_.name: values})[measure_.name], numbers)
    assert measure_.bin(None) == measure_.bin(np.nan) == 0 and np.isnan(measure_.value(0))
    assert np.isnan(value(measure_.name, 0)) and bins_of({measure_.name: np.nan})[measure_.name] == 0
    assert measure_.bin(-1e9) == 1 and measure_.bin(1e9) == measure_.bins < BINS


def test_nothing_measured_is_bin_zero_and_few_may_be_drawn_so():
    assert not bins({}).any()
    absent = {NAMES[i] for i in np.flatnonzero(allowed()[:, 0])}
    assert absent == {"other_beats", "other_early", "other_qrs_ms", "flutter", "pr_ms", "p_ii_mv"}
