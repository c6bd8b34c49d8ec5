"""The vocabulary of reports: `lexicon.csv`, how it is written, and how its terms are found in text.

Columns of the file: term, phrase, language (de, en, sv, or any). Lines that start with # are comments.

A term is a row of words, compared after folding: lower case, no accents, ae = ä = a, oe = ö = o, ue = ü = u,
ss = ß. Hyphens, brackets and quotation marks count as blanks, "extrasystole(n)" as "extrasystolen", "&" as
"and", "/" as "or"; a comma may stand anywhere inside a term, the end of a sentence nowhere.
    word*        any word that starts so
    (a|b c|)     one of these; here also nothing
    LEADS        a list of leads ("v4-6", "ii, iii, avf")
    {name}       the term of the row whose phrase is {name}
At each place of a report the longest term wins. Every phrase is a term too and means itself.

A phrase is a canonical English phrase, or several joined by ". "; empty for words that say nothing; or
    not>  <not           negates what follows, what precedes
    >acute  <acute       changes the finding beside it, looking ahead first, or back first (also incomplete)
    ~tachycardia         tells of the whole record (also bradycardia, rapid, slow, bigeminy, trigeminy)
"""

import csv
import dataclasses
import functools
import itertools
import pathlib
import re
import unicodedata

BREAK, COMMA, LEADS = ".", ",", "LEADS"  # keys that no folded word can have

_UMLAUTS = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "å": "a", "é": "e", "è": "e", "ø": "o", "æ": "a"})
_LEAD = r"(?:a[\s-]?v[\s-]?[rlf]|iii|ii|i|v[\s-]?[1-6]{1,6})"
_BETWEEN = r"(?:\s*(?:[,/+&-]|\.(?=[aiv])|\b(?:und|and|bis|to|through)\b|u\.)\s*-?\s*)"
_NEXT = rf"(?:(?:{_BETWEEN}|\s+){_LEAD}(?![\w#])|{_BETWEEN}(?:[1-6]{{1,2}}(?!\.?\d|\s*:)|[lfr])(?![\w#]))"
_LEAD_RUN = re.compile(rf"(?<![\w#]){_LEAD}{_NEXT}*(?![\w#])")
_ORDINAL_BEFORE = re.compile(r"(?:block|blk|avb|grad|grades|degree|typ|type|mobitz|mit|2nd|1st)[\s(,-]*$")
_ORDINAL_AFTER = re.compile(r"\s*(?:°|º|\.?\s*-?grad|degree|st\b|nd\b)")
_LEAD_BEFORE = re.compile(
    r"(?:\b(?:in|lead|leads|ableitung|ableitungen|abl\.?|over|uber|über|ueber)\s|[,/]\s*)$"
)
_TOKEN = re.compile(r"\x00\d+|\d+\.\d+|[^\W_]+|[.,;\n!?/]")
_SUFFIX = re.compile(r"(?<=\w)\((\w{1,2})\)")
_SPELLED_OUT = (
    (r"(?s)\bedit:.*", " . "),  # codes of a later reader of PTB-XL: not part of the report
    (r"\bv\.\s?a\.", " va "),
    (r"\b(?:z|st)\.\s?n\.", " zn "),
    (r"\bu\.\s?a\.", " ua "),
    (r"\bo\.\s?b\b\.?", " unauffällig "),
    (r"['’]s\b", ""),
    (r"&", " and "),
    (r"°", " degree "),
    (r"(?<=\w)#|#(?=\w)", "u"),  # PTB-XL lost some umlauts: "f#r"
)
_ABBREVIATIONS = frozenset(
    """intraventr ventr supraventr neg pos ant post inf lat sept mogl unbest chron kompl inkompl vollst
    unvollst unspez indiff path patholog va ca dd bzw poss prob fragl prog progr amplitudenkrit asc desc
    biphas vent min max re li abl bds ausgepr evtl vgl ggf vs dr pat supp wahrsch intermitt isch incl approx
    resp spez zt ev""".split()
)
_COUNTED = frozenset(("grad", "grades", "degree", "gr"))
_FUZZY_ONE, _FUZZY_TWO = 7, 12  # letters of a word from which one, two slips of the pen are forgiven
_ENDING = 4  # letters that inflection adds to a stem: "inferior*", "inferioren"


@dataclasses.dataclass(frozen=True)
class Word:
    """A word as typed (lower case) and folded; a list of leads is one Word that counts as several."""

    text: str
    key: str
    leads: frozenset[str] = frozenset()
    count: int = 1


@functools.lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Folds spelling variants of one word together ("Ischämie", "ischaemie" -> "ischamie")."""
    word = unicodedata.normalize("NFKC", word).casefold().translate(_UMLAUTS)
    return word.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def split(text: str) -> list[Word]:
    """Words, lists of leads, commas and sentence ends of a report, in order."""
    text = unicodedata.normalize("NFKC", text).casefold()
    for old, new in _SPELLED_OUT:
        text = re.sub(old, new, text)
    text = _SUFFIX.sub(r"\1", text)
    runs: list[str] = []

    def keep(match: re.Match) -> str:
        ordinal, run = _lead_list(match)
        if not run:
            return match.group()
        runs.append(run)
        return f"{ordinal} \x00{len(runs) - 1} "

    tokens = _TOKEN.findall(_LEAD_RUN.sub(keep, text))
    return [_word(tokens, i, runs) for i in range(len(tokens))]


def _lead_list(match: re.Match) -> tuple[str, str]:
    """(ordinal, leads) of a run: "ii" may count ("AV block II", "II. Grades"), "i" may be a pronoun."""
    run, text = match.group(), match.string
    first = re.match(r"(iii|ii|i)\b[\s,/-]*", run)
    if not first:
        return "", run
    before, rest = text[: match.start()], run[first.end() :]
    if _ORDINAL_BEFORE.search(before) or (not rest and _ORDINAL_AFTER.match(text[match.end() :])):
        return first.group(1), rest
    if run == "i" and not _LEAD_BEFORE.search(before):
        return run, ""
    return "", run


def _word(tokens: list[str], i: int, runs: list[str]) -> Word:
    token = tokens[i]
    if token[0] == "\x00":
        run = runs[int(token[1:])]
        return Word(run, LEADS, lead_set(run), len(re.findall(r"\w+", run)))
    if token == "/":
        return Word("", "or")
    if token in (";", "\n", "!", "?") or (token == "." and not _abbreviates(tokens, i)):
        return Word("", BREAK)
    if token in (".", ","):
        return Word("", COMMA)
    return Word(token, fold(token))


def _abbreviates(tokens: list[str], i: int) -> bool:
    if i == 0 or i + 1 == len(tokens):
        return False
    before, after = fold(tokens[i - 1]), fold(tokens[i + 1])
    return before in _ABBREVIATIONS or (after in _COUNTED and before in ("1", "2", "3", "i", "ii", "iii"))


@functools.lru_cache(maxsize=4096)
def lead_set(run: str) -> frozenset[str]:
    """Leads of a list as lower-case names: "v4-6" -> v4, v5, v6; "i, l, v56" -> i, avl, v5, v6."""
    leads, last, chest, ranged = [], 0, False, False
    for part in re.findall(r"a[\s-]?v[\s-]?[rlf]|iii|ii|i|[lfr]\b|v|\d|-|bis|to|through", run):
        if part == "v":
            chest = True
        elif part.isdigit():
            number = int(part)
            start = last + 1 if ranged and chest and last else number
            leads += [f"v{n}" for n in range(start, number + 1)] or [f"v{number}"]
            last, ranged, chest = number, False, True
        elif part in ("-", "bis", "to", "through"):
            ranged = last > 0
        else:
            leads.append("av" + part if part in "lfr" else re.sub(r"[\s-]", "", part))
            last, ranged = 0, False
    return frozenset(leads)


class _Node:
    __slots__ = ("exact", "prefixes", "meaning", "known")

    def __init__(self):
        self.exact: dict[str, _Node] = {}
        self.prefixes: dict[str, _Node] = {}
        self.meaning: str | None = None
        self.known: dict[str, tuple[_Node, ...]] = {}

    def follow(self, key: str) -> tuple["_Node", ...]:
        """Children that take this word; an exact one comes last, so that a stack looks at it first."""
        nodes = self.known.get(key)
        if nodes is None:
            found = [child for prefix, child in self.prefixes.items() if key.startswith(prefix)]
            found += [self.exact[key]] if key in self.exact else []
            nodes = tuple(found)
            if found:
                self.known[key] = nodes
        return nodes


class Lexicon:
    """Terms in a trie of words, from rows (term, phrase, language); ValueError for a term of two meanings."""

    def __init__(self, rows: list[tuple[str, str, str]]):
        self.root, self.rows = _Node(), rows
        self._exact_words: set[str] = set()
        self._prefix_words: set[str] = set()
        macros = {phrase: term for term, phrase, _ in rows if phrase.startswith("{")}
        for term, phrase, _ in rows:
            if not phrase.startswith("{"):
                for words in expand(term, macros):
                    self._add(words, phrase, term)
                for piece in phrase.split(". "):
                    if piece.strip("<>~") == piece != "":
                        self._add(tuple(w.key for w in split(piece)), piece, piece)
        self.spelling = functools.lru_cache(maxsize=65536)(self._spelling)
        self._long = [w for w in sorted(self._exact_words | self._prefix_words) if len(w) >= _FUZZY_ONE]

    def _add(self, words: tuple[str, ...], phrase: str, term: str) -> None:
        node = self.root
        for word in words:
            key, children = (word[:-1], node.prefixes) if word.endswith("*") else (word, node.exact)
            (self._prefix_words if word.endswith("*") else self._exact_words).add(key)
            node = children.setdefault(key, _Node())
        if node.meaning is not None and node.meaning != phrase:
            raise ValueError(
                f"lexicon: {' '.join(words)!r} (from {term!r}) means {node.meaning!r} and {phrase!r}"
            )
        node.meaning = phrase

    def longest(self, words: list[Word], start: int) -> tuple[int, str | None]:
        """(number of words, meaning) of the longest term that starts here; (0, None) where there is none."""
        best, stack = (0, None), [(self.root, start)]
        while stack:
            node, i = stack.pop()
            if node.meaning is not None and i - start > best[0] and words[i - 1].key != COMMA:
                best = (i - start, node.meaning)
            if i == len(words) or words[i].key == BREAK:
                continue
            key = words[i].key
            if key == COMMA:
                stack += [(node, i + 1)] * (i > start)
            else:
                key = key if words[i].leads else self.spelling(key)
                stack += [(child, i + 1) for child in node.follow(key)]
        return best

    def _spelling(self, key: str) -> str:
        """The word itself where the lexicon has it or nothing like it, else what it seems to misspell."""
        return key if self._known(key) else self._nearest(key)

    def _known(self, key: str) -> bool:
        stems = (key[: len(key) - n] for n in range(_ENDING + 1))
        return key in self._exact_words or not self._prefix_words.isdisjoint(stems)

    def _nearest(self, key: str) -> str:
        if len(key) < _FUZZY_ONE or not key.isalpha():
            return key
        near = [(self._slips(key, word), word) for word in self._long if word[0] == key[0]]
        fewest = min((n for n, _ in near), default=9)
        best = max((word for n, word in near if n == fewest), key=len, default=key)
        rivals = [word for n, word in near if n == fewest and not best.startswith(word)]
        return key if fewest == 9 or rivals else best

    def _slips(self, key: str, word: str) -> int:
        """Slips between a word of a report and one of the lexicon; 9 where they are too many."""
        limit, stem = 1 + (len(word) >= _FUZZY_TWO), word in self._prefix_words
        if not -limit <= len(key) - len(word) <= limit + _ENDING * stem:
            return 9
        number = slips(key, word, stem)
        return number if number <= limit else 9


def expand(term: str, macros: dict[str, str]) -> list[tuple[str, ...]]:
    """All word rows that a term stands for, folded."""
    for _ in range(3):  # macros may use macros
        term = re.sub(r"\{\w+\}", lambda m: "(" + macros[m.group()].strip() + ")", term)
    options, rest = _alternatives(term, 0)
    if rest != len(term):
        raise ValueError(f"lexicon: brackets of {term!r} do not match")
    return sorted({words for words in options if words})


def _alternatives(term: str, i: int) -> tuple[list[tuple[str, ...]], int]:
    options, current = [], [()]
    while i < len(term) and term[i] != ")":
        if term[i] == "|":
            options, current, i = options + current, [()], i + 1
        elif term[i] == "(":
            inner, i = _alternatives(term, i + 1)
            if i == len(term):
                raise ValueError(f"lexicon: brackets of {term!r} do not match")
            current, i = [a + b for a, b in itertools.product(current, inner)], i + 1
        else:
            words, i = _literal(term, i)
            current = [a + words for a in current]
    return options + current, i


def _literal(term: str, i: int) -> tuple[tuple[str, ...], int]:
    end = next((j for j in range(i, len(term)) if term[j] in "()|"), len(term))
    return tuple(w if w == LEADS else fold(w) for w in term[i:end].split()), end


def slips(a: str, b: str, stem: bool = False) -> int:
    """Letters added, missing, wrong or swapped with their neighbour between a and b (optimal string
    alignment distance); with stem, between b and the best beginning of a."""
    before, row = None, list(range(len(b) + 1))
    best = row[-1]
    for i, x in enumerate(a, 1):
        before, last, row = (row if i == 1 else last), row, [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        best = min(best, row[-1])
    return best if stem else row[-1]


def read_rows(path: pathlib.Path) -> list[tuple[str, str, str]]:
    """(term, phrase, language) of every row of a lexicon file."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    if not rows or rows[0] != ["term", "phrase", "language"]:
        raise ValueError(f"{path}: the first row must be term,phrase,language")
    for row in rows[1:]:
        if len(row) != 3:
            raise ValueError(f"{path}: three columns are needed, got {row}")
    return [(term, phrase, language) for term, phrase, language in rows[1:]]


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon that ships with ttecg."""
    return Lexicon(read_rows(pathlib.Path(__file__).with_name("lexicon.csv")))
