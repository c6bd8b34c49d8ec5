"""Report text, as typed by people or machines in German, English or Swedish, to canonical English prompts.

Every prompt of ttecg, in training and at the command line, goes through `canonical`, so "Sinus rhythm with
LBBB" and "sinusrhythmus, linksschenkelblock" are one prompt. `lexicon.csv` holds the vocabulary,
`report_reading` finds it in a text, and this module says what several findings mean together.

    python -m ttecg.data.reports coverage  ptbxl_database.csv --folds 9,10
    python -m ttecg.data.reports agreement ptbxl_database.csv --folds 9,10
"""

import argparse
import ast
import csv
import dataclasses
import functools
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ttecg.data.findings import FINDINGS, PHRASE_OF_SCP
from ttecg.data.report_reading import Reading, read

NOTHING = "no finding stated"  # the prompt of a report without content ("trace only requested")

_AF = "atrial fibrillation"
_RAPID, _SLOW = "rapid ventricular response", "slow ventricular response"
_SINUS = ("sinus bradycardia", "sinus tachycardia", "sinus arrhythmia")
_OTHER_RHYTHMS = frozenset(
    (_AF, f"{_AF} with {_RAPID}", f"{_AF} with {_SLOW}", "atrial flutter", "supraventricular tachycardia",
     "supraventricular arrhythmia", "ventricular tachycardia", "ventricular fibrillation",
     "ventricular rhythm", "junctional rhythm", "ectopic atrial rhythm", "ventricular paced rhythm",
     "atrial paced rhythm", "complete av block", "second-degree av block type wenckebach",
     "second-degree av block type mobitz")
)  # fmt: skip
_TACHYCARDIAS = frozenset(
    ("supraventricular tachycardia", "ventricular tachycardia", "ventricular fibrillation")
)
# What may stand beside "normal ecg"; any other finding takes that phrase away ("LBBB, otherwise normal ECG").
_GOES_WITH_NORMAL = frozenset(
    ("normal ecg", "sinus rhythm", *_SINUS, "atrial premature beats", "ventricular premature beats",
     "supraventricular arrhythmia", "normal axis", "horizontal axis", "vertical axis", "indeterminate axis",
     "first-degree av block", "intraventricular conduction delay", "low voltage", "upper normal voltage",
     "t wave changes", "t wave inversion", "st elevation", "normal variant", "normal pr interval",
     "early repolarisation", "artefact", "late r wave transition", "early r wave transition",
     "ventricular escape beats", "supraventricular escape beats", "irregular rhythm", "lead avr")
)  # fmt: skip
# Likelihood 0 is "unknown" in PTB-XL's statements of form and rhythm, and "no" in its diagnoses.
_FORM_OR_RHYTHM = frozenset(
    """NDT NST_ DIG LNGQT ABQRS PVC STD_ VCLVH QWAVE LOWT NT_ PAC LPR INVT LVOLT HVOLT TAB_ STE_ PRC(S)
    SR AFIB STACH SARRH SBRAD PACE SVARR BIGU AFLT SVTAC PSVT TRIGU""".split()
)


def canonical(report: str) -> str:
    """The prompt that a report stands for: canonical phrases in the order of FINDINGS, then the lexicon's
    further phrases by alphabet, then the words that the lexicon does not know, as typed but lower-cased;
    joined by ". ".

    Left out are negated findings, words of doubt ("possible", "v. a."), of degree and age ("mild", "alt"),
    and boilerplate. Numbers are left to `data.stated`; of a heart rate stays bradycardia below 60/min, and
    tachycardia above 100/min. A report without content gives `NOTHING`.
    canonical(canonical(x)) == canonical(x). ValueError where the report is empty or blank."""
    if not isinstance(report, str) or not report.strip():
        raise ValueError("report is empty: describe the ECG in words, for example 'sinus rhythm. normal ecg'")
    return _canonical(report)


@functools.lru_cache(maxsize=65536)
def _canonical(report: str) -> str:
    text = report
    for _ in range(8):  # unknown words that become neighbours may form a term: until nothing changes
        reading = read(text)
        prompt = ". ".join(_in_order(reading) + reading.unknown) or NOTHING
        if prompt == text or not reading.unknown:
            break
        text = prompt
    return prompt


def phrases(report: str) -> tuple[str, ...]:
    """The canonical phrases of a report, in prompt order, without words that the lexicon does not know."""
    return _in_order(read(canonical(report)))


def understood(report: str) -> str:
    """`canonical` without words that no phrase explains; with them where no phrase is there; "" of a blank report."""
    return (". ".join(phrases(report)) or canonical(report)) if report.strip() else ""


def from_scp(codes: Mapping[str, float] | Sequence[str]) -> str:
    """The prompt of SCP-ECG statements, from their codes or from PTB-XL's {code: likelihood in percent}.

    Likelihoods above 0 and below 15 are left out; 0 ("unknown") counts for statements of form and rhythm
    only. ValueError names a code that is not one of PTB-XL's 71; a record with no usable code gives
    `NOTHING`."""
    return canonical(". ".join(PHRASE_OF_SCP[code] for code in _accepted(codes)) or NOTHING)


def _accepted(codes: Mapping[str, float] | Sequence[str]) -> list[str]:
    if isinstance(codes, str):
        raise ValueError(f"SCP codes: give a list or a mapping of codes, not the string {codes!r}")
    unknown = [code for code in codes if code not in PHRASE_OF_SCP]
    if unknown:
        raise ValueError(f"SCP code {unknown[0]!r} is not known: use those of PTB-XL's scp_statements.csv")
    if not isinstance(codes, Mapping):
        return list(codes)
    return [code for code, p in codes.items() if p >= 15 or (p == 0 and code in _FORM_OR_RHYTHM)]


def _combine(found: Iterable[str], modifiers: frozenset[str]) -> set[str]:
    """What several terms mean together: rate and rhythm, extra beats and their pattern, normal or not."""
    found = set(found)
    tachy, brady = "tachycardia" in modifiers, "bradycardia" in modifiers
    rapid, slow = _RAPID in found or "rapid" in modifiers, _SLOW in found or "slow" in modifiers
    found -= {_RAPID, _SLOW}
    others = found & _OTHER_RHYTHMS
    if others:
        rapid, slow = rapid or (tachy and not others & _TACHYCARDIAS), slow or brady
    else:
        found |= {"sinus tachycardia"} if tachy else set()
        found |= {"sinus bradycardia"} if brady else set()
    variants = {f"{_AF} with {_RAPID}", f"{_AF} with {_SLOW}"}
    if _AF in found and rapid != slow:
        found.add(f"{_AF} with {_RAPID if rapid else _SLOW}")
    elif not others & (variants | {_AF}):
        found |= ({_RAPID} if rapid else set()) | ({_SLOW} if slow else set())
    if found & variants:
        found.discard(_AF)
    if found.intersection(_SINUS):
        found.discard("sinus rhythm")
    for pattern in modifiers & {"bigeminy", "trigeminy"}:
        atrial = "atrial premature beats" in found and "ventricular premature beats" not in found
        found.add(f"{'atrial' if atrial else 'ventricular'} {pattern}")
    for block in found & {"left bundle branch block", "right bundle branch block"}:
        found -= {f"incomplete {block}", "intraventricular conduction delay"}  # contained in a complete block
    if found & {"ventricular bigeminy", "ventricular trigeminy"}:
        found.discard("ventricular premature beats")
    if any(p not in _GOES_WITH_NORMAL and not p.endswith(" leads") for p in found):
        found.discard("normal ecg")
    if "atrial flutter" in found:
        found.discard("second-degree av block type mobitz")  # "flutter with 2:1 conduction"
    regions = {w for p in found if not p.endswith(" leads") for w in p.removeprefix("acute ").split()[:1]}
    return {p for p in found if not (p.endswith(" leads") and p.split()[0] in regions)}


_ORDER = {phrase: i for i, phrase in enumerate(FINDINGS)}


def _in_order(reading: Reading) -> tuple[str, ...]:
    found = _combine(reading.found, reading.modifiers)
    return tuple(sorted(found, key=lambda phrase: (_ORDER.get(phrase, len(_ORDER)), phrase)))


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How far the lexicon reaches on a set of reports (blank ones left out; shares in 0..1).

    covered = mapped (belongs to a phrase) + dropped (function words, words of doubt, boilerplate), of all
    words."""

    reports: int
    words: int
    covered: float
    mapped: float
    dropped: float
    fully_covered: float
    with_phrase: float
    uncovered: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        words = ", ".join(f"{word} ({n})" for word, n in self.uncovered)
        return (f"{self.reports} reports, {self.words} words: {self.covered:.1%} of words covered "
                f"({self.mapped:.1%} in phrases, {self.dropped:.1%} filler and boilerplate)\n"
                f"{self.fully_covered:.1%} of reports fully covered, "
                f"{self.with_phrase:.1%} with at least one phrase\n"
                f"most frequent words not covered: {words or 'none'}")  # fmt: skip


def coverage(reports: Iterable[str]) -> Coverage:
    """Coverage of some reports by the lexicon; ValueError where all are blank."""
    readings = [read(report) for report in reports if report.strip()]
    if not readings:
        raise ValueError("coverage: no report with text in it")
    words = sum(r.words for r in readings)
    left = Counter(word for r in readings for run in r.unknown for word in run.split())
    return Coverage(
        reports=len(readings),
        words=words,
        covered=sum(r.mapped + r.dropped for r in readings) / max(words, 1),
        mapped=sum(r.mapped for r in readings) / max(words, 1),
        dropped=sum(r.dropped for r in readings) / max(words, 1),
        fully_covered=sum(not r.unknown for r in readings) / len(readings),
        with_phrase=sum(bool(r.found or r.modifiers) for r in readings) / len(readings),
        uncovered=tuple(left.most_common(30)),
    )


AGREEMENT_CODES = tuple(
    "SR AFIB AFLT SBRAD STACH PACE PVC PAC 1AVB CLBBB CRBBB IRBBB LAFB IVCD IMI ASMI LVH LNGQT NORM".split()
)


def agreement(rows: Iterable[Mapping[str, str]], codes: Sequence[str] = AGREEMENT_CODES) -> dict[str, tuple]:
    """{code: (precision, recall, reports with the phrase, records with the code)} of report text against
    the `scp_codes` of PTB-XL rows. A record has a code if `from_scp` would use any code of the same phrase;
    all kinds of atrial fibrillation count as one, since SCP does not tell the response of the
    ventricles."""
    tallies = {code: [0, 0, 0] for code in codes}
    for row in rows:
        if not row["report"].strip():
            continue
        said = {_AF if p.startswith(_AF) else p for p in phrases(row["report"])}
        if said & {"ventricular bigeminy", "ventricular trigeminy"}:
            said.add("ventricular premature beats")
        meant = {PHRASE_OF_SCP[code] for code in _accepted(ast.literal_eval(row["scp_codes"]))}
        for code, tally in tallies.items():
            phrase = PHRASE_OF_SCP[code]
            for i, yes in enumerate((phrase in said and phrase in meant, phrase in said, phrase in meant)):
                tally[i] += yes
    return {
        c: (both / max(said, 1), both / max(meant, 1), said, meant)
        for c, (both, said, meant) in tallies.items()
    }


def read_reports(table: str | pathlib.Path, folds: Iterable[int] | None = None) -> list[str]:
    """The column `report` of a table like PTB-XL's, of all rows or of these `strat_fold`s; blank ones left
    out."""
    columns = ["report"] if folds is None else ["report", "strat_fold"]
    return [row["report"] for row in _rows(table, folds, columns) if row["report"].strip()]


def _rows(path: str | pathlib.Path, folds: Iterable[int] | None, columns: Sequence[str]) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [c for c in columns if not rows or c not in rows[0]]
    if missing:
        raise ValueError(f"{path}: a table with a column {missing[0]!r} is needed")
    wanted = None if folds is None else {str(fold) for fold in folds}
    return [r for r in rows if wanted is None or r["strat_fold"] in wanted]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ttecg.data.reports", description="What the report lexicon covers."
    )
    parser.add_argument("question", choices=("coverage", "agreement"))
    parser.add_argument("table", help="CSV with a column 'report' (agreement: also 'scp_codes')")
    parser.add_argument("--folds", help="only these values of 'strat_fold', for example 9,10")
    options = parser.parse_args(arguments)
    folds = options.folds.split(",") if options.folds else None
    try:
        if options.question == "coverage":
            print(coverage(read_reports(options.table, folds)))
            return
        columns = ["report", "scp_codes"] + ["strat_fold"] * bool(folds)
        rows = _rows(options.table, folds, columns)
        print("code   precision  recall  said  coded")
        for code, (precision, recall, said, coded) in agreement(rows).items():
            print(f"{code:6} {precision:9.3f} {recall:7.3f} {said:5} {coded:6}")
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
