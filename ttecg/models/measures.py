"""The numbers that a drafting generator writes between the report and the waveform, as bins: one token for each.

Bin 0 says that a number cannot be measured (no P wave, no other beats). `data.measures` measures them.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number and its bins: (low, high, step) in its unit; values beyond are put into the first or last bin."""

    name: str
    unit: str
    low: float
    high: float
    step: float

    @property
    def bins(self) -> int:
        """Number of bins, without the one for what cannot be measured."""
        return round((self.high - self.low) / self.step)

    def bin(self, value: float | None) -> int:
        if value is None or not np.isfinite(value):
            return 0
        return 1 + int(np.clip((value - self.low) // self.step, 0, self.bins - 1))

    def value(self, number: int) -> float:
        """The middle of a bin; NaN for what cannot be measured."""
        return np.nan if number == 0 else self.low + (number - 0.5) * self.step


MEASURES = (
    Measure("heart_rate", "/min", 25, 225, 5),
    Measure("rr_cv", "", 0, 0.4, 0.02),
    Measure("other_beats", "", 0.5, 8.5, 1),
    Measure("pr_ms", "ms", 80, 400, 10),
    Measure("qrs_ms", "ms", 60, 240, 6),
    Measure("qt_ms", "ms", 240, 640, 10),
    Measure("axis_deg", "degrees", -180, 180, 10),
    Measure("sokolow_mv", "mV", 0, 8, 0.25),  # S V1 + the larger R of V5, V6
    Measure("r_avl_mv", "mV", 0, 2.4, 0.1),
    Measure("s_v3_mv", "mV", 0, 4, 0.15),
    Measure("r_v1_mv", "mV", 0, 2.4, 0.1),
    Measure("q_inferior", "leads", 0, 4, 1),  # of II, III, aVF
    Measure("q_anterior", "leads", 0, 5, 1),  # of V1-V4
    Measure("st_inferior_mv", "mV", -0.5, 0.7, 0.04),
    Measure("st_anterior_mv", "mV", -0.5, 0.9, 0.04),
    Measure("st_lateral_mv", "mV", -0.5, 0.7, 0.04),
    Measure("t_ii_mv", "mV", -0.8, 1.2, 0.06),
    Measure("t_v2_mv", "mV", -1.2, 1.8, 0.08),
    Measure("t_v5_mv", "mV", -1.2, 1.6, 0.08),
)
NAMES = tuple(m.name for m in MEASURES)
BINS = 1 + max(m.bins for m in MEASURES)


def allowed() -> np.ndarray:
    """(M, BINS) bool: which bins a measure has. Only PR and other beats may be drawn as not measurable."""
    table = np.arange(BINS)[None] <= np.array([m.bins for m in MEASURES])[:, None]
    table[:, 0] = [m.name in ("pr_ms", "other_beats") for m in MEASURES]
    return table


def bins(values: dict[str, float | None]) -> np.ndarray:
    """(M,) uint8 bins of values by name."""
    return np.array([m.bin(values.get(m.name)) for m in MEASURES], np.uint8)
