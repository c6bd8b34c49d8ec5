"""What a compiled program does, read from its text: collectives, loops, and bytes moved to and from memory.

Everything is per device. The body of a loop counts as often as it runs: XLA notes that for loops of known length, and
otherwise the condition compares a counter with a constant, which bounds a loop that may end early.
"""

import dataclasses
import math
import re

from ttecg.plan.hlo import Instruction, attribute, callees, computations, size_of

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# these name or regroup arrays, or are counted by what they call
_FREE = (
    "parameter",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "constant",
    "while",
    "conditional",
    "call",
    "after-all",
)
_LOOKUPS = ("dynamic-slice", "gather")  # they read as much as they return


@dataclasses.dataclass(frozen=True)
class Collective:
    """count of one kind per step; size: bytes of the whole array or tuple on one device, before a reduction or after a
    gathering; wire: bytes that one device sends, by a ring."""

    kind: str
    count: float
    size: float
    wire: float


class Program:
    """The computations of a compiled module, and how often each runs."""

    def __init__(self, text: str):
        self.computations, self.entry = computations(text)
        self.runs, self.fused, self.bounded = self._count()

    def _count(self):
        """({computation: runs}, computations within fusions, whether a loop's length is a bound only)."""
        runs, fused, bounded = {self.entry: 1.0}, set(), False
        for name in reversed(self.computations):  # callers stand below what they call
            for op in self.computations[name] if name in runs else ():
                trips, known = self._trips(op) if op.opcode == "while" else (1, True)
                bounded |= not known
                for callee in callees(op):
                    runs[callee] = runs.get(callee, 0.0) + runs[name] * trips
                    if op.opcode == "fusion" or name in fused:
                        fused.add(callee)
        return runs, fused, bounded

    def _trips(self, op: Instruction) -> tuple[int, bool]:
        """(how often a loop runs, whether that is certain)."""
        known = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', op.line)
        if known:
            return int(known[1]), True
        condition = attribute(op.line, "condition")
        limits = self._limits(condition)
        if not limits:
            raise ValueError(f"the length of loop {op.name} cannot be read from the compiled program")
        return min(limits), self.computations[condition][-1].opcode == "compare"

    def _limits(self, condition: str) -> list[int]:
        """Constants that a condition, or what it calls, compares a counter with."""
        ops = {op.name: op for op in self.computations[condition]}
        found = []
        for op in ops.values():
            found += [limit for callee in callees(op) for limit in self._limits(callee)]
            found += [int(c) for c in _passed_constants(op, ops)]
            if op.opcode == "compare" and "direction=LT" in op.line:
                found += [int(c) for c in _constants(op, ops)]
        return found

    def collectives(self) -> list[Collective]:
        """By kind, in a fixed order; sums over the program. One exchange split into parts (channel) counts once."""
        total = {kind: [0.0, 0.0, 0.0] for kind in KINDS}
        seen = set()
        for name, ops in self.computations.items():
            shapes = {op.name: op.shape for op in ops}
            for op in ops if self.runs.get(name) else ():
                kind = op.opcode.removesuffix("-start")
                if kind not in KINDS:
                    continue
                if kind == "all-reduce" and "all-reduce-scatter" in name:
                    kind = "reduce-scatter"  # how libtpu writes it
                channel = re.search(r"channel_id=(\d+)", op.line)
                if name in self.fused and channel:
                    if (kind, channel[1]) in seen:
                        continue
                    seen.add((kind, channel[1]))
                given = sum(size_of(shapes[o]) for o in op.operands)
                size, wire = _exchange(kind, given, _group(op.line))
                for i, value in enumerate((1.0, size, wire)):
                    total[kind][i] += self.runs[name] * value if wire else 0.0
        return [Collective(kind, *values) for kind, values in total.items() if values[0]]

    def bytes_moved(self) -> float:
        """Bytes to and from memory: operands and results of whatever is not fused, those on the chip left out."""
        total = 0.0
        for name, ops in self.computations.items():
            if self.runs.get(name) and name not in self.fused:
                shapes = {op.name: op.shape for op in ops}
                total += self.runs[name] * sum(self._traffic(op, shapes) for op in ops)
        return total

    def _traffic(self, op: Instruction, shapes: dict) -> float:
        if op.opcode in _FREE or op.opcode.endswith("-done"):
            return 0.0
        reads = [size_of(shapes[o], memory=True) for o in op.operands]
        if op.opcode in _LOOKUPS:
            return 2.0 * size_of(op.shape, memory=True)
        if op.opcode == "dynamic-update-slice":
            return 2.0 * reads[1]
        written = size_of(op.shape, memory=True)
        if op.opcode != "fusion":
            return sum(reads) + written
        windows, updated = self._windows(attribute(op.line, "calls"))
        # an array updated in place is written where the slice is, not whole
        written -= sum(reads[i] * (1.0 - windows[i]) for i in updated)
        return sum(size * windows.get(i, 1.0) for i, size in enumerate(reads)) + max(written, 0.0)

    def _windows(self, fusion: str) -> tuple[dict[int, float], set[int]]:
        """({parameter of a fusion: share of it that is touched} where only slices are read or written, those that are
        written)."""
        ops = {op.name: op for op in self.computations[fusion]}
        touched, updated = {}, set()
        for op in ops.values():
            if op.opcode not in (*_LOOKUPS, "dynamic-update-slice"):
                continue
            source = ops[_through(op.operands[0], ops)]
            if source.opcode == "parameter":
                number = int(re.search(r"parameter\((\d+)\)", source.line)[1])
                part = op.shape if op.opcode in _LOOKUPS else ops[op.operands[1]].shape
                touched[number] = min(1.0, size_of(part) / max(size_of(source.shape), 1))
                updated |= {number} if op.opcode == "dynamic-update-slice" else set()
        return touched, updated


def _exchange(kind: str, given: float, group: int) -> tuple[float, float]:
    """(size, bytes that one device sends) of a collective whose operands are `given` bytes, among `group` devices."""
    if kind == "collective-permute":
        return given, given
    ring = (group - 1) / group
    if kind == "all-gather":
        return given * group, given * (group - 1)
    return given, given * ring * (2 if kind == "all-reduce" else 1)


def _group(line: str) -> int:
    """How many devices take part in one exchange."""
    if "source_target_pairs=" in line:
        return 2
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", line)
    if listed:
        return listed[1].count(",") + 1
    tiled = re.search(r"replica_groups=\[(\d+),(\d+)\]<=", line)
    if tiled:
        return int(tiled[2])
    axes = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", line)
    if axes:
        sizes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", axes[1])}
        used = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", axes[2])
        return math.prod(int(part) if part else sizes[name] for name, part in used)
    raise ValueError(
        f"the groups of a collective cannot be read from the compiled program: {line.strip()[:200]}"
    )


def _constants(op: Instruction, ops: dict) -> list[str]:
    found = (re.search(r"\b[su]\d+\[\].* constant\((\d+)\)", ops[o].line) for o in op.operands if o in ops)
    return [match[1] for match in found if match]


def _passed_constants(op: Instruction, ops: dict) -> list[str]:
    """Integers that a fused comparison is handed."""
    return _constants(op, ops) if op.opcode == "fusion" else []


def _through(name: str, ops: dict) -> str:
    """The operand behind bitcasts and conversions that a fusion makes on the way."""
    while ops[name].opcode in ("bitcast", "copy", "convert") and ops[name].operands:
        name = ops[name].operands[0]
    return name
