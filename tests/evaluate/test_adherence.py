"""The judge of generated ECGs measures what simulated ones truly have, and sees what no electrode records."""

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.evaluate import adherence, report


@pytest.mark.parametrize("rate", [50, 75, 130])
def test_rate_is_that_of_the_simulated_heart(rate):
    seen = adherence.measure(simulate(["sinus rhythm"], 3, heart_rate=rate))
    assert abs(seen.rate - rate) < 4
    assert seen.variation < 0.08


def test_fibrillation_and_bundle_branch_block_are_seen():
    fibrillation = [adherence.measure(simulate(["atrial fibrillation"], s)) for s in range(4)]
    assert np.median([m.variation for m in fibrillation]) > 0.1
    blocked = [adherence.measure(simulate(["sinus rhythm", "left bundle branch block"], s)) for s in range(4)]
    normal = [adherence.measure(simulate(["sinus rhythm", "normal ecg"], s)) for s in range(4)]
    assert np.median([m.qrs for m in blocked]) > 120 > 110 > np.median([m.qrs for m in normal])


def test_an_ecg_that_cannot_be_measured_passes_no_line():
    silent = simulate(["sinus rhythm"], 0).replace(signal=np.zeros((5000, 12)))
    assert not any(line.passes(adherence.measure(silent)) for line in adherence.LINES)


def test_faults_are_named():
    good = simulate(["sinus rhythm"], 1)
    assert adherence.faults(good) == []
    flat, clipped, broken, missing = (good.signal.copy() for _ in range(4))
    flat[2500:, 8] = 0.1
    clipped[:, 6] = np.clip(clipped[:, 6], -0.1, 0.1)
    broken[:, 2] += 0.3
    missing[7, 0] = np.nan
    named = [adherence.faults(good.replace(signal=x)) for x in (flat, clipped, broken, missing)]
    assert [n[-1] for n in named] == ["flat", "clipped", "Einthoven", "NaN"]


def test_no_prompt_is_worded_as_a_canonical_report():
    from ttecg.data.reports import canonical

    for line in adherence.LINES:
        for prompt in line.prompts:
            assert prompt.lower() != canonical(prompt)


def test_bootstrap_holds_the_mean_and_narrows():
    values = np.random.default_rng(0).normal(5, 1, 400)
    low, high = report.bootstrap(values)
    wide = report.bootstrap(values[:20])
    assert low < values.mean() < high
    assert high - low < wide[1] - wide[0]
    assert abs((high - low) - 4 * values.std() / 20) < 0.05


def test_table_is_aligned():
    lines = report.table([{"name": "a", "x": 1.0}, {"name": "long", "x": 22.5}]).splitlines()
    assert lines == ["name       x", "a      1.000", "long  22.500"]
