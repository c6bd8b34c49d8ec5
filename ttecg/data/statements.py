"""What a classifier is to say about an ECG: label sets, and the targets that an ECG's labels give.

    names = label_names(("superclass", "subset"))  # NORM, MI, STTC, CD, HYP, arrhythmia
    target = targets(ecg.labels, names)  # 1, 0, or NaN where the labels do not tell

PTB-XL's SCP codes are taken as its benchmark takes them (Strodthoff et al. 2021): every code that is named counts,
whatever its likelihood, and a record without any diagnostic statement has no superclass. `statements.csv` is PTB-XL's
table of statements; `statement_wordings.csv` maps wordings of LUDB and of the simulator. A line that maps to none
clearly is left out, and what a vocabulary has no word for is NaN, not 0.
"""

import csv
import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from ttecg.data.findings import FINDINGS

CLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
ARRHYTHMIA = "arrhythmia"  # a rhythm statement other than SR
LABEL_SETS = ("superclass", "subset", "rhythm", "all")
_TABLE, _WORDINGS = "statements.csv", "statement_wordings.csv"


@dataclasses.dataclass(frozen=True)
class Statement:
    """One SCP-ECG statement: superclass and subclass where it is diagnostic, else empty; form or rhythm, or both."""

    code: str
    description: str
    superclass: str
    subclass: str
    form: bool
    rhythm: bool


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What labels say: codes and superclasses that hold, and those of which it is not known whether they hold."""

    codes: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    unknown_codes: frozenset[str] = frozenset()
    unknown_classes: frozenset[str] = frozenset()


@functools.cache
def statements() -> dict[str, Statement]:
    """PTB-XL's 71 statements by code."""
    return {
        r["code"]: Statement(
            r["code"], r["description"], r["class"], r["subclass"], bool(r["form"]), bool(r["rhythm"])
        )
        for r in _rows(_TABLE)
    }


def label_names(sets: Sequence[str]) -> tuple[str, ...]:
    """The names of one or several label sets, each name once: "superclass" (5), "subset" (MI and arrhythmia), "rhythm"
    (12 codes), "all" (71 codes). ValueError for an unknown set or none."""
    unknown = [name for name in sets if name not in LABEL_SETS]
    if unknown or not sets:
        raise ValueError(f"labels: {unknown[0] if unknown else '(none)'} is not of {', '.join(LABEL_SETS)}")
    return tuple(dict.fromkeys(name for s in sets for name in _names(s)))


def _names(label_set: str) -> tuple[str, ...]:
    if label_set == "superclass":
        return CLASSES
    if label_set == "subset":
        return "MI", ARRHYTHMIA
    return tuple(code for code, s in statements().items() if s.rhythm or label_set == "all")


def targets(labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(len(names),) float32: 1 holds, 0 does not, NaN not known."""
    meaning = read(tuple(labels))
    return np.array([_target(meaning, name) for name in names], np.float32)


def _target(m: Meaning, name: str) -> float:
    if name in CLASSES:
        known = bool(m.classes) and name not in m.unknown_classes
        return float(name in m.classes) if known or name in m.classes else np.nan
    rhythms = {code for code in m.codes if statements()[code].rhythm}
    if name == ARRHYTHMIA:
        return float(bool(rhythms - {"SR"})) if rhythms else np.nan
    if name in m.codes:
        return 1.0
    silent = not m.codes and not m.classes
    return np.nan if silent or name in m.unknown_codes or (statements()[name].rhythm and not rhythms) else 0.0


@functools.lru_cache(maxsize=65_536)
def read(said: tuple[str, ...]) -> Meaning:
    """What an ECG's labels mean: SCP codes, PTB-XL's coarser names of subclasses, LUDB's lines, or findings."""
    table, vocabulary = statements(), _vocabulary()
    labels = [label if label in vocabulary else label.partition(":")[0] for label in said]
    known = [vocabulary[label] for label in labels if label in vocabulary]
    if not known:
        return Meaning()
    codes = frozenset().union(*(m.codes for m in known))
    classes = frozenset().union(*(m.classes for m in known), {table[c].superclass for c in codes}) - {""}
    unknown_codes = frozenset().union(*(m.unknown_codes for m in known))
    for words in (_ludb(), _findings()):
        if any(label in words for label in labels):
            unknown_codes |= set(table).difference(*(m.codes for m in words.values()))
    if _normal(said):
        classes |= {"NORM"}
    return Meaning(
        codes,
        classes,
        unknown_codes - codes,
        frozenset().union(*(m.unknown_classes for m in known)) - classes,
    )


def _normal(labels) -> bool:
    """LUDB says that an ECG is normal by saying nothing but sinus rhythm and an axis that is normal or nearly so."""
    axis = [label for label in labels if label.startswith("Electric axis of the heart")]
    fine = {f"Electric axis of the heart: {kind}" for kind in ("normal", "vertical", "horizontal")}
    return bool(axis) and set(labels) <= fine | {"Rhythm: Sinus rhythm"} and "Rhythm: Sinus rhythm" in labels


@functools.cache
def _vocabulary() -> dict[str, Meaning]:
    table = statements()
    codes = {code: Meaning(frozenset({code})) for code in table}
    return _subclasses() | _findings() | _ludb() | codes


@functools.cache
def _subclasses() -> dict[str, Meaning]:
    """A subclass is named where the code is not known; PTB-XL's lists of labels drop the underscores."""
    found = {}
    for s in statements().values():
        if s.subclass:
            one = found.get(s.subclass, Meaning())
            found[s.subclass] = Meaning(
                classes=frozenset({s.superclass}), unknown_codes=one.unknown_codes | {s.code}
            )
    return found | {name.strip("_"): meaning for name, meaning in found.items()}


@functools.cache
def _findings() -> dict[str, Meaning]:
    """A phrase of several codes means one of them, the first unless more is known."""
    of_codes = {
        phrase: Meaning(frozenset(codes[:1]), unknown_codes=frozenset(codes[1:]))
        for phrase, codes in FINDINGS.items()
        if codes
    }
    return of_codes | _worded("finding")


@functools.cache
def _ludb() -> dict[str, Meaning]:
    return _worded("ludb")


def _worded(vocabulary: str) -> dict[str, Meaning]:
    found: dict[str, Meaning] = {}
    for row in _rows(_WORDINGS):
        if row["vocabulary"] == vocabulary:
            before, name = found.get(row["label"], Meaning()), row["class"]
            unknown = {name.rstrip("?")} if name.endswith("?") else set()
            found[row["label"]] = Meaning(
                before.codes | ({row["code"]} - {""}),
                before.classes | ({name} - unknown - {""} if not unknown else set()),
                before.unknown_codes,
                before.unknown_classes | unknown,
            )
    return found


def _rows(name: str) -> list[dict]:
    with pathlib.Path(__file__).with_name(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
