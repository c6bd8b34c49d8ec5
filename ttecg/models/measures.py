"""The numbers that a drafting generator writes between the report and the waveform, as bins: one token for each.

Bin 0 says that a number cannot be measured (no P wave, no other beats). `data.measures` and `models.beat_measures`
measure them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ttecg.models.layout import AHEAD


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
    Measure("other_early", "", 0.3, 1.3, 0.05),  # RR before other beats, of the usual RR
    Measure("other_qrs_ms", "ms", 60, 240, 10),
    Measure("flutter", "", 0, 1, 0.1),  # share of a wave of 220-350/min, between QRS complexes
    Measure("pr_ms", "ms", 80, 400, 8),
    Measure("qr_ms", "ms", 8, 128, 4),  # from the onset of QRS to R
    Measure("qrs_ms", "ms", 60, 240, 6),
    Measure("qt_ms", "ms", 240, 640, 10),
    Measure("axis_deg", "degrees", -180, 180, 10),
    Measure("p_ii_mv", "mV", -0.1, 0.2, 0.0125),
    Measure("sokolow_mv", "mV", 0, 8, 0.25),  # S V1 + the larger R of V5, V6
    Measure("r_avl_mv", "mV", 0, 2.4, 0.1),
    Measure("s_v3_mv", "mV", 0, 4, 0.15),
    Measure("r_v1_mv", "mV", 0, 2.4, 0.1),
    Measure("late_v1_mv", "mV", -1, 1, 0.05),  # mean of the last third of QRS
    Measure("late_left_mv", "mV", -0.8, 0.4, 0.03),  # the lower one of I, V6
    Measure("area_v1", "mV ms", -200, 200, 10),  # of QRS
    Measure("area_i", "mV ms", -150, 150, 10),
    Measure("area_left", "mV ms", -100, 200, 10),  # the larger one of V5, V6
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


_ABSENT = ("pr_ms", "p_ii_mv", "other_beats", "other_early", "other_qrs_ms", "flutter")
_QR_MS = 36  # from the onset of QRS to R, as it usually is


def allowed() -> np.ndarray:
    """(M, BINS) bool: which bins a measure has. Only some may be drawn as not measurable."""
    table = np.arange(BINS)[None] <= np.array([m.bins for m in MEASURES])[:, None]
    table[:, 0] = [m.name in _ABSENT for m in MEASURES]
    return table


def at_rate() -> np.ndarray:
    """(BINS, M, BINS) bool: which bins a measure may have at each bin of the heart rate. P begins in that part of the
    RR interval which `layout` leaves to the coming beat, as P waves of recordings do."""
    table = np.ones((BINS, len(MEASURES), BINS), bool)
    rate, pr = (MEASURES[NAMES.index(name)] for name in ("heart_rate", "pr_ms"))
    for i in range(1, 1 + rate.bins):
        longest = AHEAD * 60_000 / rate.value(i) - _QR_MS
        table[i, NAMES.index("pr_ms"), 1:] = [pr.value(k) <= longest for k in range(1, BINS)]
    return table


def bins(values: dict[str, float | None]) -> np.ndarray:
    """(M,) uint8 bins of values by name."""
    return np.array([m.bin(values.get(m.name)) for m in MEASURES], np.uint8)


def bins_of(values: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Bins of numbers by name, in JAX."""
    found = {}
    for m in MEASURES:
        if m.name in values:
            place = jnp.floor((values[m.name] - m.low) / m.step).astype(jnp.int32)
            found[m.name] = jnp.where(jnp.isfinite(values[m.name]), 1 + jnp.clip(place, 0, m.bins - 1), 0)
    return found


def value(name: str, bins):
    """The middle of bins of one measure, in JAX; NaN for what cannot be measured."""
    m = MEASURES[NAMES.index(name)]
    return jnp.where(bins == 0, jnp.nan, m.low + (bins - 0.5) * m.step)
