"""Who comes to the simulator: findings as patients combine them, with a heart rate, age and sex that suit.

The weights do not copy the share of each finding in hospitals: rare ones are drawn often enough to be learnt.
"""

import numpy as np

from ttecg.data.simulator_findings import EXCLUDES, rate_limits
from ttecg.ecg import SEXES

_RHYTHMS = {
    ("sinus rhythm",): 46,
    ("sinus bradycardia",): 6,
    ("sinus tachycardia",): 6,
    ("sinus rhythm", "sinus arrhythmia"): 3,
    ("sinus bradycardia", "sinus arrhythmia"): 1,
    ("atrial fibrillation",): 6,
    ("atrial fibrillation with rapid ventricular response",): 4,
    ("atrial fibrillation with slow ventricular response",): 3,
    ("atrial flutter",): 5,
    ("supraventricular tachycardia",): 3,
    ("junctional rhythm",): 3,
    ("ventricular paced rhythm",): 3,
    ("atrial fibrillation", "ventricular paced rhythm"): 1,
    ("sinus rhythm", "ventricular paced rhythm"): 1,
    ("complete av block",): 3,
    ("sinus rhythm", "second-degree av block type wenckebach"): 3,
}
_BEATS = {
    (): 62,
    ("atrial premature beats",): 8,
    ("ventricular premature beats",): 9,
    ("ventricular bigeminy",): 3,
    ("ventricular trigeminy",): 3,
    ("first-degree av block",): 9,
}
_CONDUCT = {
    (): 52,
    ("left bundle branch block",): 7,
    ("incomplete left bundle branch block",): 3,
    ("right bundle branch block",): 6,
    ("right bundle branch block", "left anterior fascicular block"): 3,
    ("right bundle branch block", "left posterior fascicular block"): 1,
    ("incomplete right bundle branch block",): 5,
    ("left anterior fascicular block",): 7,
    ("left posterior fascicular block",): 3,
    ("intraventricular conduction delay",): 4,
    ("wolff-parkinson-white pattern",): 3,
    ("abnormal qrs",): 2,
}
_CHAMBERS = {
    (): 70,
    ("left ventricular hypertrophy",): 10,
    ("right ventricular hypertrophy",): 3,
    ("low voltage",): 5,
    ("high voltage",): 3,
    ("left atrial enlargement",): 3,
    ("right atrial enlargement",): 2,
    ("left ventricular hypertrophy", "left atrial enlargement"): 2,
}
_AXIS = {(): 66, ("normal axis",): 10, ("left axis deviation",): 14, ("right axis deviation",): 6}
_WALLS = {
    (): 58,
    ("anterior myocardial infarction",): 4,
    ("anteroseptal myocardial infarction",): 6,
    ("anterolateral myocardial infarction",): 4,
    ("inferior myocardial infarction",): 8,
    ("inferolateral myocardial infarction",): 3,
    ("lateral myocardial infarction",): 3,
    ("posterior myocardial infarction",): 2,
    ("acute anterior st elevation",): 3,
    ("acute inferior st elevation",): 4,
    ("acute lateral st elevation",): 2,
    ("inferior myocardial infarction", "acute inferior st elevation"): 1.5,
    ("anteroseptal myocardial infarction", "acute anterior st elevation"): 1.5,
    ("anterior myocardial infarction", "ventricular aneurysm"): 1.5,
    ("pathological q waves",): 2,
}
_RECOVERY = {
    (): 55,
    ("st depression",): 5,
    ("non-specific st changes",): 4,
    ("st elevation",): 2,
    ("t wave inversion",): 5,
    ("t wave changes",): 6,
    ("anterior ischaemia",): 3,
    ("inferior ischaemia",): 2.5,
    ("lateral ischaemia",): 3,
    ("ischaemic st-t changes",): 3,
    ("anterior subendocardial injury",): 2,
    ("inferior subendocardial injury",): 2,
    ("lateral subendocardial injury",): 2,
    ("digitalis effect",): 2.5,
    ("long qt interval",): 5,
    ("electrolyte disturbance",): 2,
}


def _pick(rng, table: dict) -> tuple[str, ...]:
    weights = np.array(list(table.values()), float)
    return list(table)[rng.choice(len(weights), p=weights / weights.sum())]


def _consistent(findings) -> bool:
    return not any(EXCLUDES[f].intersection(findings) for f in findings)


def draw_findings(rng: np.random.Generator) -> tuple[str, ...]:
    """The findings of one plausible patient, rhythm first; three in ten have sinus rhythm and nothing else.

    Parts that contradict what is already there are drawn again, so rare findings keep their share."""
    if rng.random() < 0.3:
        return _draw_healthy(rng)
    while True:
        findings = _pick(rng, _RHYTHMS)
        for table in (_CONDUCT, _WALLS, _CHAMBERS, _RECOVERY, _BEATS, _AXIS):
            part = _pick(rng, table)
            if _consistent(findings + part):
                findings += part
        if len(findings) > 1 or findings[0] != "sinus rhythm":
            return findings


def _draw_healthy(rng) -> tuple[str, ...]:
    rhythm = _pick(
        rng,
        {
            ("sinus rhythm",): 70,
            ("sinus bradycardia",): 12,
            ("sinus tachycardia",): 8,
            ("sinus rhythm", "sinus arrhythmia"): 7,
            ("sinus bradycardia", "sinus arrhythmia"): 3,
        },
    )
    axis = ("normal axis",) if rng.random() < 0.35 else ()
    normal = ("normal ecg",) if rng.random() < 0.65 and "sinus tachycardia" not in rhythm else ()
    return rhythm + axis + normal


def draw_rate(rng: np.random.Generator, findings: frozenset[str], age: float) -> float:
    """A ventricular rate per minute as patients with these findings have it."""
    has = findings.__contains__
    if has("complete av block"):
        rate = 60 if has("ventricular paced rhythm") else rng.uniform(28, 48)
    elif has("ventricular paced rhythm"):
        rate = rng.choice([60, 60, 65, 70, 70, 75, 80]) + rng.normal(0, 0.3)
    elif has("sinus bradycardia") or has("atrial fibrillation with slow ventricular response"):
        rate = 59 - 17 * rng.beta(1.2, 2.2)
    elif has("sinus tachycardia"):
        rate = 101 + 49 * rng.beta(1.1, 2.4 + age / 60)
    elif has("atrial fibrillation with rapid ventricular response"):
        rate = 102 + 58 * rng.beta(1.4, 2.2)
    elif has("atrial fibrillation"):
        rate = np.clip(rng.normal(80, 11), 60, 99)
    elif has("atrial flutter"):
        rate = rng.uniform(250, 320) / rng.choice([2, 2, 2.5, 3, 3.5, 4, 4])
    elif has("supraventricular tachycardia"):
        rate = rng.uniform(145, 205)
    elif has("junctional rhythm"):
        rate = rng.uniform(40, 60) if rng.random() < 0.7 else rng.uniform(61, 95)
    elif has("second-degree av block type wenckebach"):
        rate = rng.uniform(44, 75)
    else:
        rate = np.clip(rng.normal(73 - 0.03 * (age - 50), 10), 60.5, 99)
    low, high = rate_limits(findings)
    return float(np.clip(rate, low, high))


_YOUNG = frozenset(
    ("sinus rhythm", "sinus bradycardia", "sinus tachycardia", "sinus arrhythmia", "normal axis",
     "normal ecg", "supraventricular tachycardia", "wolff-parkinson-white pattern")
)  # fmt: skip


def draw_person(rng: np.random.Generator, findings: frozenset[str]) -> tuple[float, str]:
    """Age in years and sex: the healthy are younger, whoever has more to state is older."""
    young = findings <= _YOUNG
    age = np.clip(rng.normal(50, 17) if young else rng.normal(67, 13), 18, 95)
    return float(round(age)), SEXES[int(rng.random() < (0.54 if young else 0.44))]
