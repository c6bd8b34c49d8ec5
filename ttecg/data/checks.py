"""What is wrong with a recording: defects, which make it unusable, and flags, which a reader should know.

`problems(ecg)` is both, each a short reason such as "lead V3 is flat".
"""

import numpy as np

from ttecg.ecg import ECG, LEADS

SHORTEST_S = 2.0
SLOWEST_HZ = 50.0
LARGEST_MV = 30.0  # paced spikes and wandering baselines stay below; microvolts labelled mV do not
SMALLEST_MV = 0.01  # no lead swings more: volts labelled mV
FLAT_MV = 0.005  # a whole lead that moves less is not connected
FLAT_S = 1.0  # no heart is still for so long in the middle of a connected lead: asystole is flagged too
CLIPPED_S = 0.02  # a saturated amplifier holds its largest value this long, several times
CLIPPED_MV = 1.0
EINTHOVEN_MV = 0.1


class BrokenRecord(ValueError):
    """A recording that cannot be used: the message names the record, the reason and the mend."""


def problems(ecg: ECG, leads=LEADS) -> list[str]:
    """Short reasons why `ecg` is unusable or suspect, worst first; [] if it is sound and has all `leads`."""
    return defects(ecg, leads) + flags(ecg)


def defects(ecg: ECG, leads=LEADS) -> list[str]:
    """Reasons not to use `ecg` at all: missing leads, NaN, impossible voltage, too short, too slow."""
    found = [f"missing lead {name}" for name in leads if not _can_select(ecg, name)]
    if ecg.duration < SHORTEST_S:
        found.append(f"shorter than {SHORTEST_S:g} s ({ecg.duration:.2f} s)")
    if ecg.rate < SLOWEST_HZ:
        found.append(f"a sampling rate of {ecg.rate:g} Hz is too low for an ECG")
    x = np.asarray(ecg.signal, np.float64)
    if x.size == 0:
        return found
    bad = ~np.isfinite(x)
    found += [f"lead {name} has {n} NaN samples" for name, n in zip(ecg.leads, bad.sum(0), strict=True) if n]
    return found + _voltage(np.where(bad, 0.0, x))


def _can_select(ecg: ECG, name: str) -> bool:
    if name in ecg.leads:
        return True
    try:
        ecg.lead(name)
    except ValueError:
        return False
    return True


def _voltage(x_TL) -> list[str]:
    typical = float(np.quantile(np.abs(x_TL - np.median(x_TL, axis=0)), 0.99, axis=0).max())
    swing = float(np.ptp(x_TL, axis=0).max())
    if typical > LARGEST_MV:
        return [f"voltage {typical:.0f} mV is implausible: perhaps uV labelled mV"]
    if swing < SMALLEST_MV:
        return [f"no lead moves by more than {swing:.2g} mV: not connected, or perhaps V labelled mV"]
    return []


def flags(ecg: ECG) -> list[str]:
    """Reasons to look at `ecg` twice: flat or clipped leads, limb leads that contradict one another."""
    x = np.nan_to_num(np.asarray(ecg.signal, np.float64))
    if len(x) < 2:
        return []
    found = []
    for name, lead in zip(ecg.leads, x.T, strict=True):
        found += _lead_flags(name, lead, ecg.rate)
    return found + _limb_flags(ecg)


def _lead_flags(name: str, x_T, rate: float) -> list[str]:
    if np.ptp(x_T) < FLAT_MV:
        return [f"lead {name} is flat"]
    starts, lengths = _runs(x_T)
    found = []
    if lengths.max() > FLAT_S * rate:
        found.append(f"lead {name} is flat for {lengths.max() / rate:.1f} s")
    for extreme in (x_T.max(), x_T.min()):
        held = (x_T[starts] == extreme) & (lengths >= max(3, CLIPPED_S * rate)) & (lengths <= FLAT_S * rate)
        if held.sum() >= 2 and abs(extreme - np.median(x_T)) > CLIPPED_MV:
            found.append(f"lead {name} is clipped at {extreme:.2f} mV")
    return found


def _runs(x_T):
    """Where runs of equal samples start, and how long they are."""
    starts = np.flatnonzero(np.r_[True, np.diff(x_T) != 0])
    return starts, np.diff(np.r_[starts, len(x_T)])


def _limb_flags(ecg: ECG) -> list[str]:
    if "I" not in ecg.leads or "II" not in ecg.leads:
        return []
    law = {"III": "II - I", "aVR": "-(I + II)/2", "aVL": "I - II/2", "aVF": "II - I/2"}
    derived = ecg.select(("I", "II")).select(tuple(law))
    found = []
    for name, formula in law.items():
        if name in ecg.leads:
            off = float(np.nan_to_num(np.abs(ecg.lead(name) - derived.lead(name))).max())
            if off > EINTHOVEN_MV:
                found.append(f"{name} differs from {formula} by {off:.2g} mV")
    return found
