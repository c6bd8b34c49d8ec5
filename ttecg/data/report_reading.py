"""One pass over a report: what it asserts in terms of the lexicon, which numbers it states, what is left over.

Terms are cut out longest first; negated ones are struck; "acute" and "incomplete" change the finding beside
them; lists of leads become territories. `ttecg.data.reports` decides what several findings mean together.
"""

import dataclasses
import functools
import itertools

from ttecg.data.lexicon import BREAK, COMMA, LEADS, Word, lexicon, split
from ttecg.data.stated import first_of, stated

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
_POSITIVE = frozenset(("sinus rhythm", "normal axis", "normal ecg"))  # kept in "no block and normal axis"
_OR = frozenset(("or", "nor", "oder", "noch", "eller"))
_AND = frozenset(("and", "und", "sowie", "och", "as", "well"))


@dataclasses.dataclass(frozen=True)
class Reading:
    """found: phrases asserted. modifiers: words that tell of the whole record ("tachycardia", "bigeminy").
    unknown: runs of words that the lexicon does not know. words: those read; mapped and dropped: how many
    of them belong to phrases, and to words that say nothing (function words, doubt, boilerplate)."""

    found: frozenset[str]
    modifiers: frozenset[str]
    unknown: tuple[str, ...]
    words: int
    mapped: int
    dropped: int


def read(report: str) -> Reading:
    """Reads any text. A stated rate acts as bradycardia below 60/min and as tachycardia above 100/min."""
    numbers, text = stated(report), report
    for number in numbers:
        text = text.replace(number.text, f"{number.kept} , ", 1)
    spans = _spans(split(text))
    _negate(spans)
    _attach(spans)
    spoken = [(span, phrase) for span in spans if span.speaks for phrase in span.meaning.split(". ")]
    modifiers = {p[1:] for _, p in spoken if p[0] == "~"}
    rates = [number.value for number in numbers if number.name == "heart_rate"]
    rate = first_of(numbers).get("heart_rate", rates[0] if rates else None)
    modifiers |= {"tachycardia"} if rate and rate > 100 else set()
    modifiers |= {"bradycardia"} if rate and rate < 60 else set()
    found = {p.lstrip("<>") for _, p in spoken if p[0] != "~"}
    number_words = sum(len(number.text.split()) for number in numbers)
    counted = [
        (sum(w.count for w in s.words), s.meaning) for s in spans if s.words[0].key not in (BREAK, COMMA)
    ]
    return Reading(
        found=frozenset(found | _territories(spans)),
        modifiers=frozenset(modifiers),
        unknown=tuple(_unknown_runs(spans)),
        words=sum(n for n, _ in counted) + number_words,
        mapped=sum(n for n, meaning in counted if meaning) + number_words,
        dropped=sum(n for n, meaning in counted if meaning == ""),
    )


@dataclasses.dataclass
class _Span:
    """Words that belong together: a term and its meaning, or, with meaning None, one unknown word."""

    words: list[Word]
    meaning: str | None
    done: bool = False

    @property
    def speaks(self) -> bool:
        return bool(self.meaning) and not self.done

    @property
    def said(self) -> list[str]:
        """The phrases of the span, without modifiers."""
        return [p for p in (self.meaning or "").split(". ") if p and p[0] not in "<>~" and p != "not>"]


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
            hit = _negate_back(spans[max(0, i - 4) : i])
        elif span.meaning == "not>":
            hit = _negate_forward(spans, i + 1)
        else:
            continue
        span.meaning = "" if hit or _of_nothing(spans[i + 1 :]) else None
    for span in spans:
        if span.done and span.meaning == "normal ecg":
            span.meaning, span.done = "abnormal ecg", False


def _of_nothing(spans: list[_Span]) -> bool:
    """Whether up to the next comma or stop all words say nothing ("no change")."""
    said = [s.meaning for s in itertools.takewhile(lambda s: s.words[0].key not in (BREAK, COMMA), spans)]
    return bool(said) and not any(meaning is None or meaning for meaning in said)


def _negate_back(spans: list[_Span]) -> bool:
    for span in reversed(spans):
        if span.speaks or span.words[0].key == BREAK:
            span.done = span.speaks
            return span.done
    return False


def _negate_forward(spans: list[_Span], i: int) -> bool:
    """Negates the first term from i on, and those tied to it by or, nor, and, /, or a list that ends so."""
    hit, strange, tied, loosely = False, 0, True, False
    for j in range(i, len(spans)):
        key = spans[j].words[0].key
        if key == BREAK or spans[j].meaning in ("not>", "<not"):
            break
        if key == COMMA:
            tied = _or_follows(spans, j)
            if not hit and not tied:  # "no chest pain, LBBB"
                break
        elif spans[j].meaning == "" and len(spans[j].words) == 1 and key in _OR | _AND:
            if key in _AND and not hit:
                return j > i  # "no block and ...": what was negated has no phrase of its own
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
        if any(word.key in _OR for word in span.words):
            return True
    return False


def _attach(spans: list[_Span]) -> None:
    """Local modifiers change the finding beside them; ">acute" looks ahead first, "<acute" back first."""
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
    """The territories of the lead lists that stand alone or inside a term with a meaning."""
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
