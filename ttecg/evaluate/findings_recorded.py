"""How often recorded ECGs meet the criteria of a finding: those labelled with it, normal ones, and all others.

A criterion that 60 % of the labelled ECGs meet cannot ask 92 % of a generated one without asking for more than an ECG
of that label; one that normal ECGs meet proves little.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ttecg.data.statements import read, statements
from ttecg.ecg import ECG
from ttecg.evaluate.findings import Finding
from ttecg.evaluate.findings_signs import Signs

CERTAIN = 80.0  # per cent; a diagnostic statement of lower likelihood leaves it open whether its record has the finding


def recorded_rows(records: Iterable[tuple[ECG, Signs]], findings: Sequence[Finding]) -> dict[str, dict]:
    """By name of the finding: how many ECGs and patients are labelled with it, and the shares that show it of those, of
    normal ones (no statement but NORM and SR) and of others (neither; None where there are none)."""
    records = list(records)
    ids = [str(ecg.info.get("patient_id") or ecg.id) for ecg, _ in records]
    normal = np.array([_is_normal(ecg) for ecg, _ in records], bool)
    rows = {}
    for finding in findings:
        shown = np.array([finding.shown(s) for _, s in records], bool)
        labelled = np.array([_labelled(ecg, finding) for ecg, _ in records], float)
        has, others = labelled == 1, (labelled == 0) & ~normal
        rows[finding.name] = {
            "recorded": int(has.sum()),
            "patients": len({i for i, yes in zip(ids, has) if yes}),
            "recorded pass": _share(shown[has]),
            "normal pass": _share(shown[normal]),
            "other pass": _share(shown[others]),
        }
    return rows


def _share(shown_N: np.ndarray) -> float | None:
    return float(shown_N.mean()) if len(shown_N) else None


def _is_normal(ecg: ECG) -> bool:
    found = read(tuple(ecg.labels))
    return found.classes == {"NORM"} and found.codes <= {"NORM", "SR"}


def _labelled(ecg: ECG, finding: Finding) -> float:
    """1 with the finding, 0 without, NaN in doubt."""
    all_codes = read(tuple(ecg.labels))
    certain = read(_certain(ecg)).codes
    if certain.intersection(finding.codes):
        return np.nan if all_codes.codes.intersection(finding.without) else 1.0
    open_ = (all_codes.codes | all_codes.unknown_codes).intersection(finding.codes)
    return np.nan if open_ else 0.0


def _certain(ecg: ECG) -> tuple[str, ...]:
    """Labels without diagnostic statements of low likelihood; of form and rhythm PTB-XL states none."""
    likelihoods = ecg.info.get("likelihoods") or [100.0] * len(ecg.labels)
    table = statements()
    return tuple(
        label
        for label, p in zip(ecg.labels, likelihoods)
        if p >= CERTAIN or label in table and not table[label].superclass
    )
