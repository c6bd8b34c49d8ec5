"""Report text, as typed by people or machines in German, English or Swedish, to canonical English prompts.

`lexicon.csv` (beside this file) holds the vocabulary; this module reads it, finds its terms in a report, and
applies the few rules that need more than one term. Every prompt of ttecg, in training and at the command line,
goes through `canonical`, so "Sinus rhythm with LBBB" and "sinusrhythmus, linksschenkelblock" are one prompt.

    python -m ttecg.data.reports coverage  ptbxl_database.csv --folds 9,10
    python -m ttecg.data.reports agreement ptbxl_database.csv --folds 9,10
"""

import argparse
import ast
import csv
import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ttecg.data.findings import FINDINGS, PHRASE_OF_SCP
from ttecg.data.lexicon import BREAK, COMMA, LEADS, Word, lexicon, split

NOTHING = "no finding stated"  # the prompt of a report that says nothing about the ECG ("trace only requested")

_AF = "atrial fibrillation"
_RAPID, _SLOW = "rapid ventricular response", "slow ventricular response"
_ACUTE = {
    "anterior myocardial infarction": "acute anterior st elevation",
    "anteroseptal myocardial infarction": "acute anterior st elevation",
    "anterolateral myocardial infarction": "acute anterior st elevation",
    "inferior myocardial infarction": "acute inferior st elevation",
    "inferolateral myocardial infarction": "acute inferior st elevation",
    "lateral myocardial infarction": "acute lateral st elevation",
    "myocardial infarction": "acute myocardial infarction",
}
_ACUTE |= {phrase: phrase for phrase in _ACUTE.values()}
_INCOMPLETE = {
    "left bundle branch block": "incomplete left bundle branch block",
    "right bundle branch block": "incomplete right bundle branch block",
    "bundle branch block": "intraventricular conduction delay",
}
_INCOMPLETE |= {phrase: phrase for phrase in _INCOMPLETE.values()}
_LOCAL = {"acute": _ACUTE, "incomplete": _INCOMPLETE}  # modifiers of the finding that stands beside them
_SINUS = ("sinus bradycardia", "sinus tachycardia", "sinus arrhythmia")
_OTHER_RHYTHMS = frozenset(
    (_AF, f"{_AF} with {_RAPID}", f"{_AF} with {_SLOW}", "atrial flutter", "supraventricular tachycardia",
     "supraventricular arrhythmia", "ventricular tachycardia", "ventricular fibrillation", "ventricular rhythm",
     "junctional rhythm", "ectopic atrial rhythm", "ventricular paced rhythm", "atrial paced rhythm",
     "complete av block", "second-degree av block type wenckebach", "second-degree av block type mobitz")
)  # fmt: skip
_TACHYCARDIAS = frozenset(("supraventricular tachycardia", "ventricular tachycardia", "ventricular fibrillation"))
# What may stand beside "normal ecg"; any other finding takes that phrase away ("LBBB, otherwise normal ECG").
_GOES_WITH_NORMAL = frozenset(
    ("normal ecg", "sinus rhythm", *_SINUS, "atrial premature beats", "ventricular premature beats",
     "supraventricular arrhythmia", "normal axis", "horizontal axis", "vertical axis", "indeterminate axis",
     "first-degree av block", "low voltage", "upper normal voltage", "normal variant", "normal pr interval",
     "early repolarisation", "artefact", "no previous ecg change", "late r wave transition",
     "early r wave transition", "ventricular escape beats", "supraventricular escape beats")
)  # fmt: skip
_POSITIVE = frozenset(("sinus rhythm", "normal axis", "normal ecg"))  # "no block and normal axis" keeps the axis
_OR = frozenset(("or", "nor", "oder", "noch", "eller"))
_AND = frozenset(("and", "und", "sowie", "och", "as", "well"))

# PTB-XL writes likelihood 0 ("unknown") for statements of form and rhythm; in a diagnostic statement it is "no".
_FORM_OR_RHYTHM = frozenset(
    """NDT NST_ DIG LNGQT ABQRS PVC STD_ VCLVH QWAVE LOWT NT_ PAC LPR INVT LVOLT HVOLT TAB_ STE_ PRC(S)
    SR AFIB STACH SARRH SBRAD PACE SVARR BIGU AFLT SVTAC PSVT TRIGU""".split()
)
# An arrhythmia is no tachycardia, and inferoposterior is no inferolateral: the report's wording is followed here.
_SCP_TEXT = PHRASE_OF_SCP | {
    "SVARR": "supraventricular arrhythmia",
    "IPMI": "inferior myocardial infarction. posterior myocardial infarction",
}

_PER_MINUTE = r"(?:/\s*min\w*|bpm|b\.p\.m\.?|per\s+min\w*|pro\s+min\w*|p\.?\s?m\.?\b|(?:beats?|schl\w+|slag)\s*(?:/|per|pro|a)?\s*min\w*)"
_NUMBER = r"(?P<n{0}>\d{{2,3}}(?:[.,]\d+)?)(?![\d.,]*\d)(?:\s*(?:-|–|to|bis)\s*(?P<m{0}>\d{{2,3}})(?!\d))?"
_BOUND = (r"(?P<b{0}>[<>]|\b(?:under|below|less\s+than|unter|over|above|more\s+than|about|around|approximately|"
          r"(?:ü|ue|u)ber|ca\.?|etwa|circa|rund)\s)?\s*")  # fmt: skip
_NAMED = (r"(?:\b(?:heart|pulse|ventricular|vent\.?|kammer|v|herz)[\s-]*(?:rate|freq\w*|fre[kq]\w*)|(?<!atrial )(?<!flutter )\brate|"
          r"\bpuls\w*|\b(?:herz|kammer|ventrikel)?fre[qk]u?en[zs]\b|\bherzschlag|\bh\.?[rf]\.?\b)")  # fmt: skip
_NOT_A_RATE = r"(?!\s*(?:ms|msec|sec|s\b|mm|mv|%|°|grad|degree|years?|jahre|hz|kg|cm|mmhg))"
_RATE = re.compile(
    rf"{_NAMED}\s*(?:\(?\s*(?:of|is|was|at|von|mit|um|bei|liegt|ist|betr(?:ä|ae|a)gt|[:=])\s*)*{_BOUND.format(1)}"
    rf"{_NUMBER.format(1)}(?:\s*{_PER_MINUTE}|{_NOT_A_RATE})"
    rf"|{_BOUND.format(2)}(?<![\d.,/])\b{_NUMBER.format(2)}\s*{_PER_MINUTE}",
    re.IGNORECASE,
)
_LOWER, _UPPER = ("<", "under", "below", "less", "unter"), (">", "over", "above", "more", "über", "ueber", "uber")


def canonical(report: str) -> str:
    """The prompt that a report stands for: canonical phrases in the order of FINDINGS, then the lexicon's further
    phrases by alphabet, then the words that the lexicon does not know, as typed but lower-cased; joined by ". ".

    Negated findings and words of doubt ("possible", "v. a.") are left out. A stated heart rate acts as bradycardia
    below 60/min and tachycardia above 100/min and is otherwise left to `stated_heart_rate`. A report without any
    content gives `NOTHING`. canonical(canonical(x)) == canonical(x). ValueError where the report is empty or blank.
    """
    if not isinstance(report, str) or not report.strip():
        raise ValueError("report is empty: describe the ECG in words, for example 'sinus rhythm. normal ecg'")
    return _canonical(report)


@functools.lru_cache(maxsize=65536)
def _canonical(report: str) -> str:
    text = report
    for _ in range(8):  # words that become neighbours may form a term, so until nothing changes
        reading = _read(text)
        prompt = ". ".join(reading.phrases + reading.unknown) or NOTHING
        if prompt == text:
            break
        text = prompt
    return prompt


def phrases(report: str) -> tuple[str, ...]:
    """The canonical phrases of a report, in prompt order, without the words that the lexicon does not know."""
    return _read(canonical(report)).phrases


def from_scp(codes: Mapping[str, float] | Sequence[str]) -> str:
    """The prompt of SCP-ECG statements, from their codes or from PTB-XL's {code: likelihood in percent}.

    Likelihoods above 0 and below 15 are left out; 0 ("unknown") counts for statements of form and rhythm only.
    ValueError names a code that is not one of PTB-XL's 71; a record with no usable code gives `NOTHING`."""
    return canonical(". ".join(_SCP_TEXT[code] for code in _accepted(codes)) or NOTHING)


def _accepted(codes: Mapping[str, float] | Sequence[str]) -> list[str]:
    if isinstance(codes, str):
        raise ValueError(f"SCP codes: give a list or a mapping of codes, not the string {codes!r}")
    unknown = [code for code in codes if code not in _SCP_TEXT]
    if unknown:
        raise ValueError(f"SCP code {unknown[0]!r} is not known: use those of PTB-XL's scp_statements.csv")
    if not isinstance(codes, Mapping):
        return list(codes)
    return [code for code, p in codes.items() if p >= 15 or (p == 0 and code in _FORM_OR_RHYTHM)]


def stated_heart_rate(report: str) -> float | None:
    """The first ventricular rate that a report states, beats per minute, or None ("HF 45/min" -> 45.0).

    A range gives its middle; a bound gives a value 10 % inside it: "rate < 50" -> 45.0, "over 100 bpm" -> 110.0."""
    rates = _rates(report)
    return rates[0][1] if rates else None


def _rates(report: str) -> list[tuple[re.Match, float]]:
    found = []
    for match in _RATE.finditer(report):
        side = "1" if match["n1"] else "2"
        value = float(match["n" + side].replace(",", "."))
        if match["m" + side]:
            value = (value + float(match["m" + side])) / 2
        bound = (match["b" + side] or "").lower()
        value *= 0.9 if bound.startswith(_LOWER) else 1.1 if bound.startswith(_UPPER) else 1.0
        if 20 <= value <= 350:
            found.append((match, round(value, 1)))
    return found


@dataclasses.dataclass(frozen=True)
class _Reading:
    """One pass over a report. words: those read; mapped, dropped: how many belong to phrases, to filler."""

    phrases: tuple[str, ...]
    unknown: tuple[str, ...]
    words: int
    mapped: int
    dropped: int


@dataclasses.dataclass
class _Span:
    """Words that belong together: a term of the lexicon with its meaning, or (meaning None) one unknown word."""

    words: list[Word]
    meaning: str | None
    modifier: str = ""
    done: bool = False

    @property
    def speaks(self) -> bool:
        return bool(self.meaning) and not self.done

    @property
    def said(self) -> list[str]:
        """The phrases of the span, without modifiers."""
        return [p for p in (self.meaning or "").split(". ") if p and p[0] not in "<>~" and p not in ("not>", "<not")]


def _read(report: str) -> _Reading:
    rates = _rates(report)
    text = report
    for match, _ in rates:
        text = text.replace(match.group(), " , ", 1)
    spans = _spans(split(text))
    _negate(spans)
    _attach(spans)
    modifiers = {p[1:] for s in spans if s.speaks for p in s.meaning.split(". ") if p.startswith("~")}
    if rates and rates[0][1] > 100:
        modifiers.add("tachycardia")
    if rates and rates[0][1] < 60:
        modifiers.add("bradycardia")
    found = {phrase for s in spans if s.speaks for phrase in s.said} | _territories(spans)
    found |= {s.meaning[1:] for s in spans if s.speaks and s.meaning[0] in "<>" and s.meaning != "<not"}
    rate_words = sum(len(m.group().split()) for m, _ in rates)
    counted = [(sum(w.count for w in s.words), s.meaning) for s in spans if s.words[0].key not in (BREAK, COMMA)]
    return _Reading(
        phrases=tuple(sorted(_combine(found, modifiers), key=_place)),
        unknown=tuple(_unknown_runs(spans)),
        words=sum(n for n, _ in counted) + rate_words,
        mapped=sum(n for n, meaning in counted if meaning) + rate_words,
        dropped=sum(n for n, meaning in counted if meaning == ""),
    )


def _spans(words: list[Word]) -> list[_Span]:
    """Cuts the words into terms, longest first from the left; a list of leads alone is a term of its own."""
    spans, i, lex = [], 0, lexicon()
    while i < len(words):
        length, meaning = lex.longest(words, i)
        if not length:
            length, meaning = 1, "" if words[i].key in (BREAK, COMMA, LEADS) else None
        spans.append(_Span(words[i : i + length], meaning))
        i += length
    return spans


def _negate(spans: list[_Span]) -> None:
    """Marks negated terms as done. A negation that finds nothing to negate becomes unknown words again."""
    for i, span in enumerate(spans):
        if span.meaning == "<not":
            target = next((s for s in reversed(spans[max(0, i - 4) : i]) if s.speaks or s.words[0].key == BREAK), None)
            hit = target is not None and target.speaks
            if hit:
                target.done = True
        elif span.meaning == "not>":
            hit = _negate_forward(spans, i + 1)
        else:
            continue
        span.meaning = "" if hit else None
    for span in spans:
        if span.done and span.meaning == "normal ecg":
            span.meaning, span.done = "abnormal ecg", False


def _negate_forward(spans: list[_Span], i: int) -> bool:
    """Negates the first term from i on, and those that or, nor, and, / or a list with "or" at its end tie to it."""
    hit, strange, tied, loosely = False, 0, True, False
    for j in range(i, len(spans)):
        key = spans[j].words[0].key
        if key == BREAK or spans[j].meaning in ("not>", "<not"):
            break
        if key == COMMA:
            tied = not hit or _or_follows(spans, j)
        elif spans[j].meaning == "" and len(spans[j].words) == 1 and key in _OR | _AND:
            tied, loosely = True, key in _AND
        elif spans[j].speaks:
            if not tied or (hit and loosely and _POSITIVE.intersection(spans[j].said)):
                break
            spans[j].done, hit, tied = True, True, False
            if spans[j].meaning[0] in "<>":
                tied = True  # "no acute infarction": the modifier and its noun
        elif spans[j].meaning is None:
            strange += 1
            if hit or strange > 3:
                break
    return hit


def _or_follows(spans: list[_Span], i: int) -> bool:
    for span in spans[i:]:
        if span.words[0].key == BREAK or span.meaning == "not>":
            return False
        if span.words[0].key in _OR:
            return True
    return False


def _attach(spans: list[_Span]) -> None:
    """Local modifiers change the finding beside them: ">acute" looks ahead and then back, "<acute" back first."""
    for i, span in enumerate(spans):
        if not span.speaks or span.meaning[0] not in "<>" or span.meaning == "<not":
            continue
        changes = _LOCAL[span.meaning[1:]]
        ways = [spans[i + 1 :], spans[:i][::-1]]
        for way in ways if span.meaning[0] == ">" else ways[::-1]:
            target = _beside(way, changes)
            if target:
                target.meaning = ". ".join(changes.get(p, p) for p in target.meaning.split(". "))
                span.done = True
                break


def _beside(spans: list[_Span], changes: dict) -> _Span | None:
    """The next term that can be changed, over filler and at most two unknown words, within the sentence."""
    strange = 0
    for span in spans:
        if span.words[0].key == BREAK or strange > 2:
            return None
        if span.meaning and span.meaning[0] not in "<>":
            return span if not span.done and changes.keys() & set(span.said) else None
        strange += span.meaning is None
    return None


def _territories(spans: list[_Span]) -> set[str]:
    """The lead lists of a report as territories, from lists that stand alone or inside a term with a meaning."""
    leads = [w.leads for s in spans for w in s.words
             if w.leads and not s.done and (s.meaning or len(s.words) == 1)]  # fmt: skip
    return {territory for some in leads for territory in _territory(some)}


@functools.lru_cache(maxsize=4096)
def _territory(leads: frozenset[str]) -> tuple[str, ...]:
    inferior = leads & {"ii", "iii", "avf"}
    if leads <= {"avr"}:
        return ("lead avr",)
    if leads & {"i", "avl"} and inferior == {"ii"}:
        inferior = frozenset()  # I, II, aVL with V5, V6: the left side of the heart
    lateral = leads & {"i", "avl", "v5", "v6"}
    septal = leads & {"v1", "v2"}
    anterior = leads & {"v3", "v4"}
    if anterior == {"v4"} and lateral and not septal:
        anterior = frozenset()
    if inferior and lateral and (septal or anterior):
        return ("most leads",)
    front = "anteroseptal" if septal and anterior else "septal" if septal else "anterior" if anterior else ""
    if front and lateral:
        return ("anterolateral leads",)
    if inferior and lateral:
        return ("inferolateral leads",)
    parts = [front, "inferior" if inferior else "", "lateral" if lateral else ""]
    return tuple(f"{part} leads" for part in parts if part)


def _combine(found: set[str], modifiers: set[str]) -> set[str]:
    """What several terms mean together: rate with rhythm, extra beats with their pattern, and what goes without saying."""
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
    if found & {"ventricular bigeminy", "ventricular trigeminy"}:
        found.discard("ventricular premature beats")
    if found - _GOES_WITH_NORMAL:
        found.discard("normal ecg")
    if "atrial flutter" in found:
        found.discard("second-degree av block type mobitz")  # "flutter with 2:1 conduction"
    regions = {w for p in found if not p.endswith(" leads") for w in p.removeprefix("acute ").split()[:1]}
    return {p for p in found if not (p.endswith(" leads") and p.split()[0] in regions)}


_ORDER = {phrase: i for i, phrase in enumerate(FINDINGS)}


def _place(phrase: str) -> tuple[int, str]:
    return _ORDER.get(phrase, len(_ORDER)), phrase


def _unknown_runs(spans: list[_Span]) -> list[str]:
    """Neighbouring unknown words as one piece of text each."""
    runs, open_ = [], False
    for span in spans:
        text = " ".join(w.text for w in span.words)
        if span.meaning is not None:
            open_ = False
        elif open_:
            runs[-1] += " " + text
        else:
            runs.append(text)
            open_ = True
    return runs


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How far the lexicon reaches on a set of reports (blank ones left out; shares in 0..1).

    covered = mapped (belongs to a phrase) + dropped (function words, words of doubt, boilerplate), of all words."""

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
                f"{self.fully_covered:.1%} of reports fully covered, {self.with_phrase:.1%} with at least one phrase\n"
                f"most frequent words not covered: {words or 'none'}")  # fmt: skip


def coverage(reports: Iterable[str]) -> Coverage:
    """Coverage of some reports by the lexicon; ValueError where all are blank."""
    readings = [_read(report) for report in reports if report.strip()]
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
        with_phrase=sum(bool(r.phrases) for r in readings) / len(readings),
        uncovered=tuple(left.most_common(30)),
    )


AGREEMENT_CODES = ("SR", "AFIB", "AFLT", "SBRAD", "STACH", "PACE", "PVC", "PAC", "1AVB", "CLBBB", "CRBBB", "IRBBB",
                   "LAFB", "IVCD", "IMI", "ASMI", "LVH", "LNGQT", "NORM")  # fmt: skip


def agreement(rows: Iterable[Mapping[str, str]], codes: Sequence[str] = AGREEMENT_CODES) -> dict[str, tuple]:
    """{code: (precision, recall, reports with the phrase, records with the code)} of report text against the
    `scp_codes` of PTB-XL rows. A record has a code if `from_scp` would use any code of the same phrase; all kinds
    of atrial fibrillation count as one, since SCP does not tell the response of the ventricles."""
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
    return {c: (both / max(said, 1), both / max(meant, 1), said, meant) for c, (both, said, meant) in tallies.items()}


def _rows(path: str, folds: str | None, columns: Sequence[str]) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [c for c in columns if not rows or c not in rows[0]]
    if missing:
        raise ValueError(f"{path}: a table with a column {missing[0]!r} is needed")
    return [r for r in rows if folds is None or r["strat_fold"] in folds.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m ttecg.data.reports", description="What the report lexicon covers.")
    parser.add_argument("question", choices=("coverage", "agreement"))
    parser.add_argument("table", help="CSV with a column 'report' (agreement: also 'scp_codes')")
    parser.add_argument("--folds", help="only these values of 'strat_fold', for example 9,10")
    options = parser.parse_args(arguments)
    columns = ["report"] + ["strat_fold"] * bool(options.folds) + ["scp_codes"] * (options.question == "agreement")
    try:
        rows = _rows(options.table, options.folds, columns)
        if options.question == "coverage":
            print(coverage(row["report"] for row in rows))
            return
        print("code   precision  recall  said  coded")
        for code, (precision, recall, said, coded) in agreement(rows).items():
            print(f"{code:6} {precision:9.3f} {recall:7.3f} {said:5} {coded:6}")
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
