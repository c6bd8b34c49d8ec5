"""Which findings the simulator knows, which exclude each other, and which heart rates they allow."""

from ttecg.data.findings import FINDINGS

SUPPORTED: tuple[str, ...] = tuple(FINDINGS)

_FIBRILLATION = tuple(f for f in FINDINGS if f.startswith("atrial fibrillation"))
_SINUS = ("sinus rhythm", "sinus bradycardia", "sinus tachycardia", "sinus arrhythmia")
_NO_SINUS = (*_FIBRILLATION, "atrial flutter", "supraventricular tachycardia", "junctional rhythm")
_AV_BLOCK = ("first-degree av block", "second-degree av block type wenckebach", "complete av block")
_NEED_SINUS = (
    *_SINUS,
    *_AV_BLOCK,
    "atrial premature beats",
    "ventricular bigeminy",
    "ventricular trigeminy",
    "wolff-parkinson-white pattern",
    "left atrial enlargement",
    "right atrial enlargement",
)
_BUNDLE = (
    "left bundle branch block",
    "incomplete left bundle branch block",
    "right bundle branch block",
    "incomplete right bundle branch block",
    "intraventricular conduction delay",
    "wolff-parkinson-white pattern",
    "ventricular paced rhythm",
    "abnormal qrs",
)
_LEFT_SPREAD = (
    "left bundle branch block",
    "incomplete left bundle branch block",
    "ventricular paced rhythm",
    "wolff-parkinson-white pattern",
    "intraventricular conduction delay",
)
_FASCICLES = ("left anterior fascicular block", "left posterior fascicular block")
_AXES = ("normal axis", "left axis deviation", "right axis deviation")
_VOLTAGE = ("low voltage", "high voltage", "left ventricular hypertrophy", "right ventricular hypertrophy")
_OLD_INFARCTS = tuple(f for f in FINDINGS if f.endswith("myocardial infarction"))
_Q_WAVES = (*_OLD_INFARCTS, "pathological q waves", "ventricular aneurysm")
_ACUTE = tuple(f for f in FINDINGS if f.startswith("acute"))
_T = (
    "anterior ischaemia",
    "inferior ischaemia",
    "lateral ischaemia",
    "t wave inversion",
    "t wave changes",
    "ischaemic st-t changes",
    "digitalis effect",
    "electrolyte disturbance",
)
_ST = (
    "st elevation",
    "st depression",
    "non-specific st changes",
    "anterior subendocardial injury",
    "inferior subendocardial injury",
    "lateral subendocardial injury",
)
_ECTOPY = ("ventricular premature beats", "ventricular bigeminy", "ventricular trigeminy")

# Any finding of the left group excludes any other finding of the right group.
_CONFLICTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("sinus bradycardia",), ("sinus tachycardia", "supraventricular tachycardia")),
    (_NO_SINUS, _NO_SINUS),
    (_NO_SINUS, _NEED_SINUS),
    (
        ("ventricular paced rhythm",),
        (
            "atrial flutter",
            "supraventricular tachycardia",
            "junctional rhythm",
            *_FIBRILLATION[1:],
            "sinus tachycardia",
            "sinus bradycardia",
            "sinus arrhythmia",
            "first-degree av block",
            "second-degree av block type wenckebach",
            "atrial premature beats",
            *_ECTOPY,
        ),
    ),
    (_AV_BLOCK, _AV_BLOCK),
    (
        ("complete av block", "second-degree av block type wenckebach"),
        (
            "atrial premature beats",
            *_ECTOPY,
            "sinus tachycardia",
            "sinus bradycardia",
            "sinus arrhythmia",
            "wolff-parkinson-white pattern",
        ),
    ),
    (("complete av block",), ("sinus rhythm",)),
    (
        ("supraventricular tachycardia", "junctional rhythm", "atrial flutter"),
        (*_ECTOPY, "atrial premature beats"),
    ),
    (("ventricular bigeminy", "ventricular trigeminy"), ("atrial premature beats", "sinus arrhythmia")),
    (_ECTOPY, _ECTOPY),
    (("sinus tachycardia",), ("sinus arrhythmia",)),
    (("first-degree av block",), ("wolff-parkinson-white pattern", "sinus tachycardia")),
    (_BUNDLE, _BUNDLE),
    (_FASCICLES, (*_FASCICLES, *_LEFT_SPREAD)),
    (_AXES, _AXES),
    (_FASCICLES, ("normal axis",)),
    (("left anterior fascicular block",), ("right axis deviation", "right ventricular hypertrophy")),
    (("left posterior fascicular block",), ("left axis deviation", "left ventricular hypertrophy")),
    (("ventricular paced rhythm",), _AXES),
    (("right ventricular hypertrophy",), ("normal axis", "left axis deviation")),
    (("low voltage",), _VOLTAGE),
    (("right axis deviation",), ("left ventricular hypertrophy", "high voltage")),
    (("right ventricular hypertrophy",), _VOLTAGE),
    (("left ventricular hypertrophy", "high voltage", "right ventricular hypertrophy"), _BUNDLE),
    (_LEFT_SPREAD, (*_Q_WAVES, *_ACUTE)),
    (("left ventricular hypertrophy", "right ventricular hypertrophy", "high voltage"), _Q_WAVES),
    (("right ventricular hypertrophy",), (*_ACUTE, *_ST, *_T)),
    (_LEFT_SPREAD, (*_ST, *_T)),
    (_T, _T),
    (_ST, _ST),
    (_ACUTE, (*_ACUTE, *_ST, *_T, "ventricular aneurysm")),
    (("ventricular aneurysm",), (*_ST, *_T)),
    (
        ("posterior myocardial infarction",),
        (
            "anterior myocardial infarction",
            "anteroseptal myocardial infarction",
            "anterolateral myocardial infarction",
            "right bundle branch block",
            "incomplete right bundle branch block",
            "right ventricular hypertrophy",
        ),
    ),
    (("long qt interval",), ("digitalis effect", "sinus tachycardia", "supraventricular tachycardia")),
    (("normal ecg",), tuple(f for f in FINDINGS if f not in ("normal ecg", "normal axis", *_SINUS))),
)

EXCLUDES: dict[str, frozenset[str]] = {
    f: frozenset(
        other
        for a, b in _CONFLICTS
        for here, there in ((a, b), (b, a))
        if f in here
        for other in there
        if other != f
    )
    for f in SUPPORTED
}

# finding -> (lowest, highest) ventricular rate per minute that the words allow
_LIMITS = {
    "sinus bradycardia": (25, 59.99),
    "sinus tachycardia": (100.01, 220),
    "atrial fibrillation with rapid ventricular response": (100.01, 220),
    "atrial fibrillation with slow ventricular response": (25, 59.99),
    "atrial flutter": (40, 175),
    "supraventricular tachycardia": (120, 250),
    "junctional rhythm": (30, 130),
    "second-degree av block type wenckebach": (30, 110),
    "complete av block": (20, 65),
    "ventricular paced rhythm": (40, 130),
    "first-degree av block": (25, 130),
    "ventricular bigeminy": (40, 180),
    "ventricular trigeminy": (40, 180),
}
_ANY_RATE = (25, 220)


def check_findings(findings) -> frozenset[str]:
    """The findings as a set; ValueError names what is unknown or which two contradict each other."""
    if isinstance(findings, str):
        raise ValueError(f"findings: give a sequence of findings, for example [{findings!r}]")
    for f in findings:
        if f not in EXCLUDES:
            raise ValueError(f"findings: {f!r} is unknown; the simulator supports: {', '.join(SUPPORTED)}")
    for f in findings:
        clash = sorted(EXCLUDES[f].intersection(findings))
        if clash:
            raise ValueError(
                f"findings: {f!r} contradicts {clash[0]!r}; leave one out. "
                f"The simulator supports: {', '.join(SUPPORTED)}"
            )
    if not findings:
        raise ValueError(f"findings: none given; the simulator supports: {', '.join(SUPPORTED)}")
    return frozenset(findings)


def rate_limits(findings: frozenset[str]) -> tuple[float, float]:
    """(lowest, highest) ventricular rate per minute that all findings allow."""
    ranges = [_LIMITS[f] for f in findings if f in _LIMITS] + [_ANY_RATE]
    return max(low for low, _ in ranges), min(high for _, high in ranges)
