"""When the atria and the ventricles beat: one function per kind of rhythm, all times in seconds.

Every rhythm covers a margin before and after the recording, so that its edges look like its middle.
Beat kinds: "N" conducted or junctional, "A" atrial premature, "V" ventricular premature, "E" ventricular
escape, "P" paced. P-wave kinds: "N" sinus, "A" ectopic, "R" retrograde.
"""

import dataclasses

import numpy as np

MARGIN = 1.6  # s of beats on either side of the recording


@dataclasses.dataclass
class Rhythm:
    """qrs (B,): QRS onsets in s, rising, with B kinds. p (A,): P onsets in s with A kinds.
    pr: the PR interval that a reader would state, s, None where there is none.
    atrial: None, "fibrillation" or "flutter", which turns at flutter_rate Hz and stands at flutter_phase
    cycles at time 0."""

    qrs: np.ndarray
    kinds: list[str]
    p: np.ndarray
    p_kinds: list[str]
    pr: float | None = None
    atrial: str | None = None
    flutter_rate: float = 0.0
    flutter_phase: float = 0.0


def build_rhythm(rng, findings: frozenset[str], rate: float, duration: float, heart) -> Rhythm:
    """The rhythm that the findings name, at `rate` ventricular beats per minute over `duration` s.

    `heart` gives age, PR interval and P duration (ttecg.data.simulator_beats.Heart)."""
    has = findings.__contains__
    if has("complete av block"):
        return _complete_block(rng, rate, duration, heart, paced=has("ventricular paced rhythm"))
    if has("ventricular paced rhythm"):
        return _paced(rng, findings, rate, duration, heart)
    if any(f.startswith("atrial fibrillation") for f in findings):
        return _fibrillation(rng, rate, duration, heart, has("ventricular premature beats"))
    if has("atrial flutter"):
        return _flutter(rng, rate, duration)
    if has("supraventricular tachycardia"):
        return _supraventricular(rng, rate, duration, heart)
    if has("junctional rhythm"):
        return _junctional(rng, rate, duration)
    if has("second-degree av block type wenckebach"):
        return _wenckebach(rng, rate, duration, heart)
    return _sinus(rng, findings, rate, duration, heart)


# ---- intervals -----------------------------------------------------------------------------------


def sinus_intervals(rng, rate: float, count: int, age: float, arrhythmia: bool = False) -> np.ndarray:
    """(count,) RR intervals in s: breathing (less with age and rate), a slow wave, jitter."""
    youth = np.clip((85 - age) / 60, 0.15, 1.1) * np.clip(75 / rate, 0.35, 1.3)
    breath = rng.uniform(0.10, 0.17) if arrhythmia else youth * rng.uniform(0.008, 0.045)
    beat = np.arange(count)
    per_beat = np.clip(rng.uniform(0.2, 0.32) * 60 / rate, 0.08, 0.4)  # breaths per beat
    rr = 1 + breath * np.sin(2 * np.pi * (per_beat * beat + rng.random()))
    rr += rng.uniform(0.002, 0.014) * np.sin(2 * np.pi * (0.3 * per_beat * beat + rng.random()))
    rr += rng.normal(0, rng.uniform(0.002, 0.008), count)
    return rr * 60 / rate


def irregular_intervals(rng, rate: float, count: int) -> np.ndarray:
    """(count,) RR intervals of atrial fibrillation, s: independent, skewed, cut where the node blocks."""
    spread = rng.uniform(0.19, 0.30)
    mean = 60 / rate
    return np.maximum(np.exp(rng.normal(0, spread, count) - spread**2 / 2) * mean, max(0.27, 0.6 * mean))


def place(rng, rr: np.ndarray, rate: float, duration: float) -> np.ndarray:
    """Beat times in s from relative intervals, stretched so that those in the recording average 60 / rate."""
    before = MARGIN + rng.random() * 60 / rate
    rr = np.array(rr, float)
    for _ in range(4):
        times = np.concatenate([[0.0], np.cumsum(rr)]) - before
        inside = times[(times >= 0) & (times < duration)]
        if len(inside) > 1:
            rr *= 60 / rate * (len(inside) - 1) / (inside[-1] - inside[0])
    return np.concatenate([[0.0], np.cumsum(rr)]) - before


def _count(rate: float, duration: float) -> int:
    return int((duration + 2 * MARGIN) * rate / 60 * 1.35) + 5


def _regular(rng, rate: float, duration: float, jitter: float) -> np.ndarray:
    count = _count(rate, duration)
    return place(rng, (1 + rng.normal(0, jitter, count)) * 60 / rate, rate, duration)


# ---- rhythms -------------------------------------------------------------------------------------


def _sinus(rng, findings, rate, duration, heart) -> Rhythm:
    rr = sinus_intervals(rng, rate, _count(rate, duration), heart.age, "sinus arrhythmia" in findings)
    times = place(rng, rr, rate, duration)
    kinds = np.full(len(times), "N")
    if "atrial premature beats" in findings:
        early = _isolated(rng, times, duration)
        rr[early - 1] *= rng.uniform(0.58, 0.80, len(early))
        rr[early] *= rng.uniform(1.03, 1.18, len(early))
        times = place(rng, rr, rate, duration)
        kinds[early] = "A"
    pr = heart.pr + rng.normal(0, 0.0015, len(times))
    p = times - pr
    p_kinds = kinds.copy()
    p[kinds == "A"] -= 0.01
    kinds[_ventricular(rng, findings, times, kinds, duration)] = "V"
    early = kinds == "V"
    times = times - early * 60 / rate * (1 - rng.uniform(0.55, 0.72))
    return Rhythm(times, list(kinds), p, list(p_kinds), pr=heart.pr)


def _isolated(rng, times, duration) -> np.ndarray:
    """Indices of one to three beats well inside the recording, no two of them neighbours."""
    inside = np.flatnonzero((times > 0.8) & (times < duration - 1.0))
    if not len(inside):
        raise ValueError(f"duration: {duration:g} s is too short for a premature beat; give at least 5 s")
    picked = []
    for i in rng.permutation(inside)[: rng.integers(1, 4) * 3]:
        if all(abs(i - j) > 2 for j in picked) and len(picked) < 3:
            picked.append(i)
    return np.sort(np.array(picked))


def _ventricular(rng, findings, times, kinds, duration) -> np.ndarray:
    """Indices of beats that a ventricular premature beat replaces."""
    if "ventricular bigeminy" in findings:
        return np.arange(rng.integers(2), len(times), 2)
    if "ventricular trigeminy" in findings:
        return np.arange(rng.integers(3), len(times), 3)
    if "ventricular premature beats" in findings:
        picked = _isolated(rng, times, duration)
        free = [i for i in picked if "A" not in kinds[i - 1 : i + 2]]
        return np.array(free or picked[:1], int)
    return np.zeros(0, int)


def _fibrillation(rng, rate, duration, heart, premature) -> Rhythm:
    times = place(rng, irregular_intervals(rng, rate, _count(rate, duration)), rate, duration)
    kinds = np.full(len(times), "N")
    if premature:
        early = _isolated(rng, times, duration)
        kinds[early] = "V"
        times[early] -= 0.3 * (times[early] - times[early - 1])
    return Rhythm(times, list(kinds), np.zeros(0), [], atrial="fibrillation")


def _flutter(rng, rate, duration) -> Rhythm:
    """One QRS every k turns of the circuit; k fixed where a circuit of 240-340/min allows it, else mixed."""
    count = _count(rate, duration)
    fixed = [k for k in (2, 3, 4, 5, 6) if 240 <= k * rate <= 340]
    if fixed and rng.random() < 0.6:
        turns = np.full(count, rng.choice(fixed), float)
    else:
        mean = rng.uniform(265, 315) / rate
        low = max(1, int(mean) - 1 if mean > 2.5 else int(mean))
        high = low + (3 if mean > 2.5 else 2)
        p_high = np.clip((mean - low) / (high - low), 0.1, 0.9)
        turns = np.where(rng.random(count) < p_high, high, low).astype(float)
        for i in np.flatnonzero(rng.random(count) < 0.3):
            turns[i] = np.round(mean)
    times = place(rng, turns, rate, duration)
    turn = (times[-1] - times[0]) / turns.sum()
    phase = rng.random()
    return Rhythm(
        times + rng.normal(0, 0.003, len(times)), ["N"] * len(times), np.zeros(0), [],
        atrial="flutter", flutter_rate=1 / turn, flutter_phase=(phase - times[0] / turn) % 1,
    )  # fmt: skip


def _supraventricular(rng, rate, duration, heart) -> Rhythm:
    times = _regular(rng, rate, duration, 0.004)
    if rng.random() < 0.5:
        return Rhythm(times, ["N"] * len(times), np.zeros(0), [])
    p = times + heart.qrs_dur + rng.uniform(0.0, 0.05)
    return Rhythm(times, ["N"] * len(times), p, ["R"] * len(p))


def _junctional(rng, rate, duration) -> Rhythm:
    times = _regular(rng, rate, duration, 0.008)
    draw = rng.random()
    if draw < 0.4:
        return Rhythm(times, ["N"] * len(times), np.zeros(0), [])
    pr = rng.uniform(0.085, 0.112)
    p = times - pr if draw < 0.75 else times + rng.uniform(0.12, 0.17)
    return Rhythm(times, ["N"] * len(times), p, ["R"] * len(p), pr=pr if draw < 0.75 else None)


def _paced(rng, findings, rate, duration, heart) -> Rhythm:
    """Tracking the atria, at fixed rate over fibrillation, or at fixed rate beside P waves of their own."""
    fibrillating = any(f.startswith("atrial fibrillation") for f in findings)
    sinus = any(f.startswith("sinus") for f in findings)
    mode = "fixed" if fibrillating else "tracking" if sinus else rng.choice(["tracking", "fixed", "beside"])
    if mode == "tracking":
        times = place(rng, sinus_intervals(rng, rate, _count(rate, duration), 80.0), rate, duration)
        pr = rng.uniform(0.14, 0.19)  # to the QRS; the spike comes a little earlier
        return Rhythm(times, ["P"] * len(times), times - pr, ["N"] * len(times), pr=pr)
    times = _regular(rng, rate, duration, 0.0008)
    if mode == "fixed":
        return Rhythm(times, ["P"] * len(times), np.zeros(0), [], atrial="fibrillation")
    p = _regular(rng, rng.uniform(max(50, rate + 8), rate + 40), duration, 0.012)
    return Rhythm(times, ["P"] * len(times), p, ["N"] * len(p))


def _complete_block(rng, rate, duration, heart, paced) -> Rhythm:
    times = _regular(rng, rate, duration, 0.001 if paced else 0.008)
    wide = rng.random() < (0.8 if rate < 40 else 0.3)
    kind = "P" if paced else "E" if wide else "N"
    atrial_rate = max(rng.uniform(66, 105), rate * 1.25)
    rr = sinus_intervals(rng, atrial_rate, _count(atrial_rate, duration), 70.0)
    p = place(rng, rr, atrial_rate, duration)
    return Rhythm(times, [kind] * len(times), p, ["N"] * len(p))


def _wenckebach(rng, rate, duration, heart) -> Rhythm:
    """Groups of 3 to 5 P waves: PR grows by ever smaller steps, the last P of each group is not conducted."""
    group = int(rng.integers(3, 6))
    atrial_rate = rate * group / (group - 1)
    rr = sinus_intervals(rng, atrial_rate, _count(atrial_rate, duration), 60.0)
    steps = rng.uniform(0.05, 0.11) * 0.6 ** np.arange(group - 2)
    pr = heart.pr + np.concatenate([[0.0], np.cumsum(steps)])
    first = int(rng.integers(group))
    for _ in range(4):
        p = np.concatenate([[0.0], np.cumsum(rr)]) - MARGIN - 0.5
        at = (np.arange(len(p)) + first) % group
        conducted = at < group - 1
        qrs = p[conducted] + pr[at[conducted]]
        inside = qrs[(qrs >= 0) & (qrs < duration)]
        rr *= 60 / rate * (len(inside) - 1) / (inside[-1] - inside[0])
    return Rhythm(qrs, ["N"] * len(qrs), p, ["N"] * len(p), pr=float(np.median(pr)))
