"""What a report names is drawn inside its definition; what is asked for by number is that number."""

import numpy as np
import pytest

from ttecg.data.beats import intervals
from ttecg.data.dataset import open_dataset
from ttecg.data.definitions import DEFINITIONS, UNSAID, Between, allowed_bins
from ttecg.data.findings import FINDINGS
from ttecg.data.numbers import NUMBERS, SHAPE
from ttecg.data.prepare import prepare
from ttecg.data.prompt import Prompt
from ttecg.data.reports import canonical, phrases
from ttecg.evaluate.given import with_reports
from ttecg.models.beat_plan import encode
from ttecg.models.measures import MEASURES, NAMES, allowed


def values(prompt, name, plan=None):
    """The numbers that a measure may have."""
    i = NAMES.index(name)
    return [MEASURES[i].value(k) for k in np.flatnonzero(allowed_bins(prompt, plan)[i])]


def test_every_definition_is_of_a_finding_and_leaves_a_bin():
    assert set(DEFINITIONS) <= set(FINDINGS)
    for phrase, ranges in DEFINITIONS.items():
        for name, between in ranges.items():
            assert between.bins(MEASURES[NAMES.index(name)]).any(), (phrase, name)


def test_nothing_said_leaves_everything_open():
    np.testing.assert_array_equal(allowed_bins(Prompt("")), allowed())


def test_words_become_ranges():
    assert max(values(Prompt("Sinusbradykardie"), "heart_rate")) < 60
    assert min(values(Prompt("kompletter Linksschenkelblock"), "qrs_ms")) >= 120
    assert np.isnan(values(Prompt("atrial fibrillation"), "pr_ms")).all()
    assert np.isnan(values(Prompt("normal ecg"), "other_beats")).all()


def test_a_report_without_conduction_findings_has_none():
    assert max(values(Prompt("atrial fibrillation, LVH"), "qrs_ms")) < 120
    assert max(values(Prompt("atrial fibrillation, IVCD"), "qrs_ms")) > 120
    assert np.nanmax(values(Prompt("inferior infarction"), "pr_ms")) < 240
    assert np.isnan(values(Prompt("inferior infarction"), "pr_ms")).any()
    for name, (between, speak_of_it) in UNSAID.items():
        assert between.bins(MEASURES[NAMES.index(name)]).any()
        assert all(canonical(p) == p for p in speak_of_it)


def test_recordings_without_conduction_findings_have_none(shared_data, tmp_path):
    prepare("ptbxl", shared_data / "ptbxl", tmp_path / "set", 500)
    found = [
        (set(phrases(e.report)), intervals(e)) for e in with_reports(open_dataset(tmp_path / "set", "all"))
    ]
    for name, (between, speak_of_it) in UNSAID.items():
        silent = [numbers[name] for said, numbers in found if said and not said & speak_of_it]
        silent = np.array([x for x in silent if x is not None])
        assert len(silent) > 400 and np.mean(silent >= between.high) < 0.02, name


def test_what_other_findings_say_goes_before_sinus_rhythm():
    assert min(values(Prompt("sinus rhythm, first-degree AV block"), "pr_ms")) > 200
    assert max(values(Prompt("sinus rhythm with ventricular premature beats"), "rr_cv")) > 0.2
    assert max(values(Prompt("sinus rhythm"), "rr_cv")) < 0.1


@pytest.mark.parametrize("report", ["sinus tachycardia", "atrial fibrillation", ""])
def test_a_number_that_is_asked_for_goes_before_words(report):
    assert values(Prompt(report, heart_rate=52), "heart_rate") == [52.5]
    assert values(Prompt(report), "heart_rate", encode(np.arange(0.4, 10, 1.0))) == [62.5]


def test_what_can_be_asked_for_by_number_is_one_bin():
    for name, (low, high, _) in NUMBERS.items():
        found = allowed_bins(Prompt("sinus rhythm", **{name: (low + high) / 2}))
        assert found[NAMES.index(name)].sum() == 1
    for name in SHAPE:
        measure = MEASURES[NAMES.index(name)]
        assert (measure.low, measure.high, measure.unit) == NUMBERS[name]


def test_ranges_end_where_they_say():
    rate = MEASURES[NAMES.index("heart_rate")]
    kept = [rate.value(i) for i in np.flatnonzero(Between(60, 100).bins(rate))]
    assert kept == [62.5, 67.5, 72.5, 77.5, 82.5, 87.5, 92.5, 97.5]
