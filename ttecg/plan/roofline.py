"""The least time a step can take on a chip: arithmetic, memory and links, each at its full rate and all at once."""

import dataclasses

from ttecg.plan.chips import Chip
from ttecg.plan.cost import Cost


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Seconds per call of the three parts. share: of the peak that the model's own FLOPs reach at that time."""

    compute: float
    memory: float
    links: float
    share: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.memory, self.links)

    @property
    def bound(self) -> str:
        return max(("compute", "memory", "links"), key=lambda part: getattr(self, part))


def roofline(cost: Cost, useful: dict, chip: Chip, count: int) -> Roofline | None:
    """None where the program did not compile. useful: FLOPs per device that the model needs, recomputation left out."""
    if cost.bytes_moved is None:
        return None
    wire = sum(c.wire for c in cost.collectives)
    parts = (_time(cost.flops, chip), cost.bytes_moved / chip.bandwidth, wire / chip.wires(count))
    return Roofline(*parts, share=_time(useful, chip) / max(*parts, 1e-30))


def _time(flops: dict, chip: Chip) -> float:
    return sum(n / chip.peak[kind] for kind, n in flops.items())
