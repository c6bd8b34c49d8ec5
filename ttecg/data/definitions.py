"""What the phrases of a report mean in numbers: ranges of `models.measures` that define a finding.

A generator learns from reports, whose readers do not always keep to the definitions: of the ECGs that PTB-XL calls old
inferior infarction, half have the Q waves. Who asks for a finding by name wants to see it, so that the numbers that
define it are drawn inside its ranges.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from ttecg.data.prompt import Prompt
from ttecg.data.reports import phrases
from ttecg.models import beat_plan, measures


@dataclasses.dataclass(frozen=True)
class Between:
    """low <= number < high; absent: the number must not be there (no P wave, no other beats)."""

    low: float = -math.inf
    high: float = math.inf
    absent: bool = False

    def bins(self, measure: measures.Measure) -> np.ndarray:
        """(BINS,) bool: the bins of a measure that lie inside, the middle of the bin deciding."""
        values = np.array([measure.value(i) for i in range(1, measure.bins + 1)])
        kept = np.zeros(measures.BINS, bool)
        kept[0] = self.absent
        kept[1 : 1 + measure.bins] = (self.low <= values) & (values < self.high) & (not self.absent)
        return kept


_NONE = Between(absent=True)
_REGULAR = Between(high=0.1)
_FIBRILLATION = {"rr_cv": Between(low=0.14), "pr_ms": _NONE, "p_ii_mv": _NONE}
_EARLY_WIDE = {"other_early": Between(low=0.5, high=0.78), "other_qrs_ms": Between(low=130)}
_SINUS = {"pr_ms": Between(low=130, high=216), "p_ii_mv": Between(low=0.02)}
_INFERIOR_Q, _ANTERIOR_Q = {"q_inferior": Between(low=2)}, {"q_anterior": Between(low=3)}
_UP, _DOWN = Between(low=10), Between(high=-10)

# phrase -> measure -> range; of two ranges that exclude each other the phrase that stands first here wins
DEFINITIONS: dict[str, dict[str, Between]] = {
    # rhythm: Surawicz and Knilans; ESC guidelines on atrial fibrillation, 2020, and supraventricular tachycardia, 2019
    "sinus bradycardia": {"heart_rate": Between(high=58), **_SINUS},
    "sinus tachycardia": {"heart_rate": Between(low=102), "rr_cv": _REGULAR},
    "atrial fibrillation": _FIBRILLATION,
    "atrial fibrillation with rapid ventricular response": {"heart_rate": Between(low=100), **_FIBRILLATION},
    "atrial fibrillation with slow ventricular response": {"heart_rate": Between(high=60), **_FIBRILLATION},
    # conducted 2:1 unless something else is asked, and so as even as the flutter is
    "atrial flutter": {
        "flutter": Between(low=0.7),
        "heart_rate": Between(low=125, high=175),
        "rr_cv": Between(high=0.02),
    },
    "ventricular premature beats": {"other_beats": Between(low=2), **_EARLY_WIDE},
    "ventricular bigeminy": {"other_beats": Between(low=3), **_EARLY_WIDE},
    "ventricular trigeminy": {"other_beats": Between(low=2), **_EARLY_WIDE},
    # conduction: AHA/ACCF/HRS recommendations, part III, 2009
    "ventricular paced rhythm": {
        "qrs_ms": Between(low=156, high=205),
        "axis_deg": Between(low=-170, high=-58),
    },
    "first-degree av block": {"pr_ms": Between(low=224, high=264), "p_ii_mv": Between(low=0.035)},
    "left bundle branch block": {
        "qrs_ms": Between(low=129, high=190),
        "area_v1": _DOWN,
        "area_i": _UP,
        "area_left": _UP,
    },
    "right bundle branch block": {
        "qrs_ms": Between(low=129, high=170),
        "late_v1_mv": Between(low=0.08),
        "late_left_mv": Between(high=-0.05),
    },
    "incomplete left bundle branch block": {"qrs_ms": Between(low=108, high=122)},
    "incomplete right bundle branch block": {"qrs_ms": Between(low=96, high=122)},
    "intraventricular conduction delay": {"qrs_ms": Between(low=111, high=136)},
    "left anterior fascicular block": {"axis_deg": Between(low=-90, high=-40)},
    "left posterior fascicular block": {"axis_deg": Between(low=90, high=180)},
    # a QTc of at least 440 ms at 60 beats per minute: AHA/ACCF/HRS recommendations, part IV, 2009 (450, 460 in women)
    "long qt interval": {"qt_ms": Between(low=440)},
    # axis and voltage: Sokolow and Lyon, 1949
    "left axis deviation": {"axis_deg": Between(low=-90, high=-30)},
    "right axis deviation": {"axis_deg": Between(low=90, high=180)},
    "left ventricular hypertrophy": {"sokolow_mv": Between(low=4)},
    # infarction: Fourth Universal Definition of Myocardial Infarction, 2018
    "inferior myocardial infarction": _INFERIOR_Q,
    "inferolateral myocardial infarction": _INFERIOR_Q,
    "anterior myocardial infarction": _ANTERIOR_Q,
    "anteroseptal myocardial infarction": _ANTERIOR_Q,
    "anterolateral myocardial infarction": _ANTERIOR_Q,
    "acute anterior st elevation": {"st_anterior_mv": Between(low=0.2)},
    "acute inferior st elevation": {"st_inferior_mv": Between(low=0.1)},
    "acute lateral st elevation": {"st_lateral_mv": Between(low=0.1)},
    # what no other finding contradicts
    "normal ecg": {
        "heart_rate": Between(low=60, high=100),
        "rr_cv": _REGULAR,
        "other_beats": _NONE,
        "other_early": _NONE,
        "other_qrs_ms": _NONE,
        "qrs_ms": Between(high=105),
        "axis_deg": Between(low=-30, high=100),
        "q_inferior": Between(high=1),
        "q_anterior": Between(high=1),
        **_SINUS,
    },
    "sinus rhythm": {"heart_rate": Between(low=62, high=98), "rr_cv": _REGULAR, **_SINUS},
}
# measure -> range where none of these phrases speaks of it. Under 2 % of PTB-XL 1-500 so reported lie beyond it:
# tests/data/test_definitions.py
UNSAID: dict[str, tuple[Between, frozenset[str]]] = {
    "qrs_ms": (
        Between(high=120),
        frozenset(
            ("left bundle branch block", "incomplete left bundle branch block", "right bundle branch block",
             "incomplete right bundle branch block", "left anterior fascicular block",
             "left posterior fascicular block", "intraventricular conduction delay",
             "wolff-parkinson-white pattern", "ventricular paced rhythm", "ventricular rhythm",
             "ventricular tachycardia", "ventricular fibrillation", "ventricular escape beats",
             "complete av block", "electrolyte disturbance")
        ),
    ),
    "pr_ms": (
        Between(high=240),
        frozenset(
            ("first-degree av block", "second-degree av block type wenckebach",
             "second-degree av block type mobitz", "complete av block")
        ),
    ),
}  # fmt: skip
_IRREGULAR = {
    "atrial premature beats",
    "ventricular premature beats",
    "irregular rhythm",
    "supraventricular arrhythmia",
}


def allowed_bins(prompt: Prompt, plan=None) -> np.ndarray:
    """(M, BINS) bool: the bins that the measures may have under a prompt. What is asked for by number (rate and
    variation of a given beat plan, too) is one bin; what the report names is inside its definition, and what it would
    name if it were otherwise is inside `UNSAID`."""
    found = measures.allowed()
    asked = _asked(prompt, plan)
    said = set(phrases(prompt.report)) if prompt.report.strip() else set()
    for i, measure in enumerate(measures.MEASURES):
        if measure.name in asked:
            found[i] = np.arange(measures.BINS) == measure.bin(asked[measure.name])
            continue
        for bins in _said(measure, said):
            both = found[i] & bins
            found[i] = both if both.any() else found[i]
    return found


def _said(measure: measures.Measure, said: set[str]) -> Iterator[np.ndarray]:
    """(BINS,) bool each: the bins of a measure that the phrases of a report name or leave, the weightiest first."""
    for phrase, ranges in DEFINITIONS.items():
        if phrase in said and measure.name in ranges and not (measure.name == "rr_cv" and said & _IRREGULAR):
            yield ranges[measure.name].bins(measure)
    if said and measure.name in UNSAID and not said & UNSAID[measure.name][1]:
        kept = UNSAID[measure.name][0].bins(measure)
        kept[0] = True  # what cannot be measured may stay so
        yield kept


def _asked(prompt: Prompt, plan) -> dict[str, float]:
    rr = np.diff(beat_plan.decode(plan)) if plan is not None else ()
    if len(rr) > 1:
        return prompt.numbers | {"heart_rate": 60 / np.median(rr), "rr_cv": rr.std() / rr.mean()}
    return prompt.numbers
