"""The text of a compiled program as data: computations, their instructions, and sizes of arrays."""

import dataclasses
import math
import re

_HEAD = re.compile(r"^(?:ENTRY )?(%?[\w.\-]+) \(.*\{$")
_NAME = re.compile(r"^\s+(ROOT )?(%?[\w.\-]+) = ")
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\](\{[^}]*\})?")


@dataclasses.dataclass(frozen=True)
class Instruction:
    name: str
    opcode: str
    shape: str  # as written, layouts included
    operands: tuple[str, ...]
    line: str
    root: bool


def size_of(shape: str, memory: bool = False) -> float:
    """Bytes of an array or tuple as written in a program; memory: only of what lies in main memory."""
    total = 0.0
    for kind, dims, layout in _ARRAY.findall(shape):
        if memory and re.search(r"S\([1-9]", layout):
            continue
        total += math.prod(map(int, filter(None, dims.split(",")))) * _bits(kind) / 8
    return total


def _bits(kind: str) -> int:
    if kind == "pred":
        return 8
    digits = re.match(r"[a-z]+(\d+)", kind)
    return int(digits[1]) if digits else 0  # tokens and the like


def computations(text: str) -> tuple[dict[str, list[Instruction]], str]:
    found, entry, current = {}, "", None
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head and " = " not in line.split("(")[0]:
            current = found.setdefault(head[1].lstrip("%"), [])
            entry = head[1].lstrip("%") if line.startswith("ENTRY") else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and _NAME.match(line):
            current.append(_instruction(line))
    return found, entry


def _instruction(line: str) -> Instruction:
    start = _NAME.match(line)
    rest = line[start.end() :]
    cut = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    shape, rest = rest[:cut], rest[cut:].lstrip()
    opening = rest.index("(")
    inside = rest[opening + 1 : _closing(rest, opening)]
    operands = tuple(re.findall(r"%([\w.\-]+)", inside))
    return Instruction(start[2].lstrip("%"), rest[:opening], shape, operands, line, bool(start[1]))


def _closing(text: str, opening: int) -> int:
    depth = 0
    for i in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if not depth:
            return i
    raise ValueError(f"a bracket does not close in the compiled program: {text[:200]}")


def attribute(line: str, name: str) -> str:
    found = re.search(rf"\b{name}=%?([\w.\-]+)", line)
    return found[1] if found else ""


def callees(op: Instruction) -> list[str]:
    """Computations that an instruction runs, reducers left out."""
    names = [
        attribute(op.line, key)
        for key in ("calls", "condition", "body", "true_computation", "false_computation")
    ]
    if op.opcode == "call":
        names.append(attribute(op.line, "to_apply"))
    several = re.search(r"(?:branch_computations|called_computations)=\{([^}]*)\}", op.line)
    names += [name.strip().lstrip("%") for name in several[1].split(",")] if several else []
    return [name for name in names if name]
