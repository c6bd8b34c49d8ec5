"""The judge of generated ECGs measures what simulated ones truly have, and sees what no electrode records."""

import json

import numpy as np
import pytest

from ttecg.data.simulator import simulate
from ttecg.ecg import LEADS
from ttecg.evaluate import adherence, report


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


@pytest.mark.parametrize("name", ["I", "II", "III", "aVR", "aVL", "aVF"])
def test_limb_leads_must_agree(name):
    ecg = simulate(["sinus rhythm"], 1)
    broken = ecg.signal.copy()
    broken[:, LEADS.index(name)] += 0.3
    assert adherence.faults(ecg.replace(signal=broken)) == ["Einthoven"]


def test_short_ecgs_and_the_last_seconds_are_looked_at():
    good = simulate(["sinus rhythm"], 1)
    assert adherence.faults(good.crop(0, 1.5)) == []
    still = good.signal.copy()
    still[3900:, 4] = 0.1
    assert "flat" in adherence.faults(good.replace(signal=still))
    assert "flat" in adherence.faults(good.replace(signal=still).crop(8, 1))


def test_prompts_are_two_english_and_two_german_and_no_canonical_report():
    from ttecg.data.reports import canonical

    for line in adherence.LINES:
        assert len(set(line.prompts)) == 4
        for prompt in line.prompts:
            assert prompt.lower() != canonical(prompt)


class Simulator:
    """Says and makes the same whatever it is asked for."""

    name, hash = "sim", "0"

    def generate_many(self, asked):
        for prompt, (seed, i) in asked:
            yield simulate(["sinus rhythm", "normal ecg"], seed + i, heart_rate=prompt.heart_rate or 75)


def test_rows_say_what_was_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(adherence, "load", lambda model: Simulator())
    chosen = [line for line in adherence.LINES if line.heart_rate == 75 or "LBBB" in line.finding.name]
    monkeypatch.setattr(adherence, "LINES", chosen)
    near, block = adherence.evaluate("sim", num=1, out=tmp_path)
    assert near["n"] == 4 and near["pass"] == 1 and near["error"] < 3 and near["faulty"] == 0
    assert block["pass"] == 0 and block["error"] is None
    found = json.loads((tmp_path / "adherence.json").read_text())
    assert found["rows"] == [near, block]
    assert found["all of --heart-rate"] == {"pass": near["pass"], "error": near["error"]}


def test_recorded_shares_stand_beside(monkeypatch):
    monkeypatch.setattr(adherence, "load", lambda model: Simulator())
    chosen = [line for line in adherence.LINES if line.heart_rate == 75 or "LBBB" in line.finding.name]
    monkeypatch.setattr(adherence, "LINES", chosen)
    block = simulate(["sinus rhythm", "left bundle branch block"], 0).replace(labels=("CLBBB", "SR"))
    normal = simulate(["sinus rhythm", "normal ecg"], 0).replace(labels=("NORM", "SR"))
    monkeypatch.setattr(adherence, "open_dataset", lambda data, split: [block, normal])
    near, row = adherence.evaluate("sim", num=1, data="set")
    assert row["recorded pass"] == 1 and row["normal pass"] == 0 and row["other pass"] is None
    assert near["recorded"] is None


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
