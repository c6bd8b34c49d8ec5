"""Age, sex, report and labels as lines of text: the comments of a WFDB header or at the head of a CSV file.

Understood spellings: "age: 51", "<age>: 51", "Age: 74"; "sex: F", "Sex: Female", "gender: male"; "Dx: a,b",
"diagnosis: a", "Labels: a; b", "Report: text"; and LUDB's "<diagnoses>:", whose statements follow one by one.
"""

import re
import unicodedata

from ttecg.ecg import ECG

_KEY = re.compile(r"<?\s*([A-Za-z][\w ]*?)\s*>?\s*[:=]\s*(.*)$")
_DIAGNOSES = ("dx", "diagnosis", "diagnoses", "diagnose", "reason for admission", "additional diagnoses")
_UNKNOWN = ("", "unknown", "nan", "n/a", "none", "-1")
_SEX = {"m": "male", "male": "male", "man": "male", "f": "female", "female": "female", "woman": "female"}


def parse_sex(text: str) -> str | None:
    """ "male", "female", or None where it is empty or unknown; ValueError for anything else."""
    word = text.strip().lower()
    if word in _UNKNOWN or word in ("u", "x", "o", "other"):
        return None
    if word not in _SEX:
        raise ValueError(f"sex {text.strip()!r} is not understood: write male or female")
    return _SEX[word]


def parse_age(text: str) -> float | None:
    """Years; None where empty or unknown; 90 for PTB-XL's 300, which means over 89. ValueError otherwise."""
    word = text.strip().lower().removesuffix("y").strip()
    if word in _UNKNOWN or word == "-1.0":
        return None
    try:
        age = float(word)
    except ValueError:
        raise ValueError(f"age {text.strip()!r} is not a number of years") from None
    if age == 300:
        return 90.0
    if not 0 <= age <= 120:
        raise ValueError(f"age {age:g} is not between 0 and 120 years")
    return age


def parse_comments(lines) -> dict:
    """age, sex, report, labels as the ECG type has them, and `rest`: the lines that state none of these."""
    facts = {"age": None, "sex": None, "report": None, "labels": ()}
    rest, statements = [], None
    for line in (line.strip() for line in lines):
        found = _KEY.match(line)
        key, value = (found.group(1).lower(), found.group(2).strip()) if found else ("", line)
        if statements is not None and line and not line.startswith("<"):
            statements.append(line.rstrip("."))
        elif key == "diagnoses" and not value:
            statements = []
        elif not _understand(facts, key, value) and line:
            rest.append(line)
    if statements:
        facts["labels"] += tuple(dict.fromkeys(statements))
        facts["report"] = facts["report"] or ". ".join(dict.fromkeys(statements))
    return facts | {"rest": tuple(rest)}


def _understand(facts, key, value) -> bool:
    try:
        if key == "age":
            facts["age"] = parse_age(value)
        elif key in ("sex", "gender"):
            facts["sex"] = parse_sex(value)
        elif key == "report":
            facts["report"] = value or None
        elif key in _DIAGNOSES or key == "labels":
            parts = (part.strip() for part in value.split(";" if key == "labels" else ","))
            facts["labels"] += tuple(part for part in parts if part.lower() not in _UNKNOWN)
        else:
            return False
    except ValueError:
        return False  # the line stays in `rest`, as it was written
    return True


def comment_lines(ecg: ECG, extra=()) -> list[str]:
    """What is known of `ecg`, its info["comments"], then `extra`: lines that `parse_comments` reads back."""
    lines = []
    if ecg.age is not None:
        lines.append(f"Age: {ecg.age:g}")
    if ecg.sex:
        lines.append(f"Sex: {ecg.sex.capitalize()}")
    if ecg.labels:
        lines.append("Labels: " + "; ".join(ecg.labels))
    if ecg.report:
        lines.append("Report: " + ecg.report)
    lines += [line for line in ecg.info.get("comments", ()) if line not in extra]
    return [plain(line) for line in (*lines, *extra)]


def plain(text: str) -> str:
    """On one line, with blanks for what controls a terminal."""
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())
