"""Numbers that a report states: "atrial fibrillation, rate 130/min, QRS 140 ms, axis -40" has three."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ttecg.data.numbers import NUMBERS

_PER_MINUTE = (
    r"(?:/\s*min\w*|bpm|b\.p\.m\.?|(?:per|pro)\s+min\w*|p\.?\s?m\.?\b"
    r"|(?:beats?|schl\w+|slag|s)\s*(?:/|per|pro|a)?\s*min\w*)"
)
_NUMBER = r"(?P<n{0}>\d{{2,3}}(?:[.,]\d+)?)(?![\d.,]*\d)(?:\s*(?:-|–|to|bis)\s*(?P<m{0}>\d{{2,3}})(?!\d))?"
_BOUND = (
    r"(?P<b{0}>[<>≤≥]|\b(?:under|below|less\s+than|unter|over|above|more\s+than|about|around|approximately|approx\.?"
    r"|(?:ü|ue|u)ber|ca\.?|etwa|circa|rund)\s)?\s*"
)
_NAMED = (
    r"(?:\b(?:heart|pulse|ventricular|vent\.?|kammer|v|herz)[\s-]*(?:rate|fre[kq]\w*)"
    r"|(?<!atrial )(?<!flutter )\brate|\b(?:ruhe)?puls\w*|\b(?:herz|kammer|ventrikel)?fre[qk]u?en[zs]\b"
    r"|\bherzschlag|\bh\.?[rf]\.?\b"
    r"|(?P<kept>rh?yth?m\w*|\bnsr|\bsr|\ba-?f(?:ib)?|\bvhf|flimmern|flattern|flutter|fibrillation"
    r"|y[ck]ardi\w*)(?=\s+(?:at|mit|um|@)\s))"
)
_LINK = (
    r"(?:\(?\s*(?:of|is|was|at|only|just|now|von|mit|um|bei|nur|jetzt|aktuell|liegt|ist|@"
    r"|betr(?:ä|ae|a)gt|[:=])\s*)*"
)
_NOT_A_RATE = r"(?!\s*(?:ms|msec|sec|s\b|mm|mv|%|°|grad|degree|years?|jahre|hz|kg|cm|mmhg))"
_RATE = re.compile(
    rf"{_NAMED}\s*{_LINK}{_BOUND.format(1)}{_NUMBER.format(1)}(?:\s*{_PER_MINUTE}|{_NOT_A_RATE})"
    rf"|{_BOUND.format(2)}(?<![\d.,/])\b{_NUMBER.format(2)}\s*{_PER_MINUTE}",
    re.IGNORECASE,
)
_LOWER = ("<", "≤", "under", "below", "less", "unter")
_UPPER = (">", "≥", "over", "above", "more", "über", "ueber", "uber")

_ABOUT = r"\b(?:of|is|was|at|with|about|around|approximately|approx\.?|von|mit|ist|bei|auf|etwa|ca\.?)(?!\w)"
_LIMIT = r"(?P<b>[<>≤≥]\s?=?|\b(?:under|below|less\s+than|unter|over|above|more\s+than|(?:ü|ue|u)ber)\b)?\s*"
_TIME = r"(?:[\s-]*(?:interval\w*|duration|width|time|dauer|zeit|breite|complex\w*|komplex\w*|tid|bredd))?\b"
_CHANGED = (
    r"(?:normal|prolonged|long|short|shortened|wide|widened|broad|narrow|lengthened|verl(?:ä|ae|a)ngert\w*|kurz\w*"
    r"|verk(?:ü|ue|u)rzt\w*|f(?:ö|oe|o)rl(?:ä|ae|a)ngd|lange?\w?|verbreitert\w*|breite?\w?|schmale?\w?)"
)
_BEFORE = rf"(?P<before>\b{_CHANGED}\s+)?"
_AFTER = rf"(?P<after>\s+(?:(?:is|ist|slightly|mildly|markedly|borderline|leicht|deutlich)\s+)*{_CHANGED}\b)?"
_NOTHING_ELSE = r"(?![\d.,]*\d|\s*(?:[-–/%°]|to\b|bis\b|mm|mv|deg|grad|bpm|per\b|pro\b))"
_MS = (
    r"(?P<n>\d{2,3})(?:\s*(?:-|–|to|bis)\s*(?P<m>\d{2,3}))?"
    rf"(?:\s*(?:ms(?:ec)?|milli\w+)\b|{_NOTHING_ELSE})(?:\s*breit\b)?"
)
_S = r"(?P<n>0[.,]\d{2,3})(?![\d.,]*\d|\s*[-–/]\s*\d)(?:\s*(?:s|secs?|seconds?|sek|sekunden?)\b|(?!\s*m))"
_AXIS = r"(?P<n>[-−–+]?\d{1,3})(?![\d.,]*\d)(?:\s*(?:°|deg\w*|grad)|(?!\s*(?:[-–/%]|to\b|bis\b)))"
_WAVES = (("pr_ms", r"p[\s-]?[rq]"), ("qrs_ms", "qrsd?"), ("qt_ms", "qt"))
_SHAPES = [
    (name, factor, re.compile(pattern, re.IGNORECASE))
    for name, factor, pattern in (
        *(
            (name, factor, rf"{_BEFORE}\b{wave}{_TIME}{_AFTER}(?:[\s(:=,~–-]|{_ABOUT})*{_LIMIT}{number}")
            for name, wave in _WAVES
            for factor, number in ((1, _MS), (1000, _S))
        ),
        ("qt_ms", 1, r"\bqt\s*/\s*qt[\s-]?c\w?[\s:=]*(?P<n>\d{3})\s*/\s*(?P<qtc>\d{3})(?:\s*ms(?:ec)?)?\b"),
        (
            "axis_deg",
            1,
            rf"\b(?:(?:qrs|herz)[\s-]*)?(?:axis|achse|axel)(?P<after>\s+deviation)?(?=[\s(:=])(?:[\s(:=,~]|{_ABOUT})*{_AXIS}",
        ),
        (
            "axis_deg",
            1,
            r"\bp[\s/-]*(?:qrs|r)[\s/-]*t\s+axes[\s:=]*-?\d{1,3}[\s/,]+(?P<n>-?\d{1,3})[\s/,]+-?\d{1,3}\b(?:\s*(?:°|deg\w*))?",
        ),
    )
]


class Stated(NamedTuple):
    """name and unit as in `data.numbers`; text: where it is said; kept: what of it says more than the number."""

    name: str
    value: float
    text: str
    kept: str


def stated(report: str) -> list[Stated]:
    """Ventricular rates of 20-350/min, and PR, QRS and QT intervals and axes that an ECG may be asked for, as a report
    states them. A range gives its middle; a bound a value 10 % inside it: "rate < 50" -> 45, "PR > 200 ms" -> 220."""
    return [*_rates(report), *_shapes(report)]


def stated_numbers(report: str) -> dict[str, float]:
    """The numbers of `data.numbers` that a report states, each as it is stated first: "HF 45/min" -> 45."""
    return first_of(stated(report))


def first_of(numbers: Iterable[Stated]) -> dict[str, float]:
    """Of each name the first that an ECG may be asked for."""
    found: dict[str, float] = {}
    for number in numbers:
        low, high, _ = NUMBERS[number.name]
        if low <= number.value <= high:
            found.setdefault(number.name, number.value)
    return found


def not_followed(report: str, asked: Mapping[str, float | None]) -> list[str]:
    """What a report states in numbers that are others than those asked for."""
    return [n.text.strip() for n in stated(report) if n.value != asked.get(n.name)]


def _rates(report: str) -> list[Stated]:
    found = []
    for match in _RATE.finditer(report):
        side = "1" if match["n1"] else "2"
        value = _number(match["n" + side], match["m" + side], match["b" + side])
        if 20 <= value <= 350:
            found.append(Stated("heart_rate", round(value, 1), match.group(), match["kept"] or ""))
    return found


def _shapes(report: str) -> list[Stated]:
    found = []
    for name, factor, pattern in _SHAPES:
        low, high, _ = NUMBERS[name]
        for match in pattern.finditer(report):
            part = match.groupdict()
            value = round(factor * _number(part["n"], part.get("m"), part.get("b")), 1)
            if low <= value <= high:
                found.append(Stated(name, value, match.group(), _kept(match, part)))
    return found


def _kept(match: re.Match, part: dict) -> str:
    if part.get("qtc"):
        return f"QTc {part['qtc']} ms"
    if part.get("before") or part.get("after"):
        return match.group()[: match.start("n") - match.start()].rstrip(" (:=,<>≤≥~")
    return ""


def _number(text: str, end: str | None, bound: str | None) -> float:
    """The middle of a range, 10 % inside of a bound."""
    value = float(text.replace(",", ".").replace("−", "-").replace("–", "-"))
    if end:
        value = (value + float(end)) / 2
    bound = (bound or "").lower()
    return value * (0.9 if bound.startswith(_LOWER) else 1.1 if bound.startswith(_UPPER) else 1.0)
