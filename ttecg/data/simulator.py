"""ECGs from findings: a patient is drawn, the heart beats as a moving dipole, twelve leads watch it.

    >>> ecg = simulate(["atrial fibrillation", "right bundle branch block"], seed=0)
    >>> ecg.signal.shape, ecg.report
    ((5000, 12), 'atrial fibrillation. right bundle branch block')

The record knows its truth: `info` holds R peaks, beat types, intervals, axis and rate. The model is that of
McSharry et al., IEEE Trans. Biomed. Eng. 50 (2003), carried from one lead into dipole space.
"""

import copy
from collections.abc import Sequence

import numpy as np

from ttecg.data.simulator_beats import Heart, Waves, draw_heart, frontal_axis, turn_frontal
from ttecg.data.simulator_conduction import ventricular_beat
from ttecg.data.simulator_findings import SUPPORTED, check_findings, rate_limits
from ttecg.data.simulator_noise import fibrillation, flutter, recording_noise
from ttecg.data.simulator_pathology import apply_findings
from ttecg.data.simulator_population import draw_findings, draw_person, draw_rate
from ttecg.data.simulator_rhythm import Rhythm, build_rhythm
from ttecg.ecg import ECG, SEXES, to_twelve

# The atria lie far from the left chest leads, which see less of them than the dipole says.
ATRIA_SEEN = np.array([1.15, 1.0, 1.0, 1.0, 0.75, 0.62, 0.60, 0.60])

__all__ = ["SUPPORTED", "draw_findings", "simulate"]


def simulate(
    findings: Sequence[str],
    seed: int,
    *,
    heart_rate: float | None = None,
    age: float | None = None,
    sex: str | None = None,
    rate: float = 500.0,
    duration: float = 10.0,
    noise: float = 1.0,
) -> ECG:
    """A 12-lead ECG, (round(duration * rate), 12) float64 mV, that shows `findings` (names in SUPPORTED).

    heart_rate: mean ventricular rate per minute, drawn to suit the findings where None; age (years) and sex
    likewise. rate: samples per second. noise scales everything that is not heart; 0 gives the clean signal.
    The same arguments give the same record bit for bit. Regular rhythms meet heart_rate within 3/min, atrial
    fibrillation within 8/min.

    info: r_peaks (sample indices of all QRS), beat_types (N, A atrial, V ventricular, E escape, P paced),
    pr_ms, qrs_ms, qt_ms, axis_deg of the ruling beat, heart_rate (mean over the record); None where undefined
    (PR in atrial fibrillation).

    ValueError names an unknown or contradictory finding, or a heart rate that the findings exclude."""
    names = check_findings(findings)
    _check_numbers(age, sex, rate, duration, noise)
    rng = np.random.default_rng(seed)
    drawn_age, drawn_sex = draw_person(rng, names)
    age, sex = float(drawn_age if age is None else age), sex or drawn_sex
    heart_rate = _heart_rate(rng, names, heart_rate, age)
    heart = draw_heart(rng, age, sex)
    apply_findings(rng, names, heart)
    rhythm = build_rhythm(rng, names, heart_rate, duration, heart)
    heart.pr = rhythm.pr or heart.pr
    samples = round(duration * rate)
    breath_hz = rng.uniform(0.18, 0.33)
    signal, facts = _render(rng, heart, rhythm, heart_rate, samples, rate, breath_hz)
    if noise:
        signal += noise * recording_noise(rng, samples, rate, breath_hz)
    if len(facts["r_peaks"]) > 1:
        heart_rate = 60 * rate / float(np.diff(facts["r_peaks"]).mean())
    names = tuple(findings)
    return ECG(
        to_twelve(signal),
        rate=float(rate),
        age=age,
        sex=sex,
        report=". ".join(names),
        labels=names,
        id=f"sim-{seed}",
        info=facts | {"heart_rate": heart_rate},
    )


def _check_numbers(age, sex, rate, duration, noise) -> None:
    if age is not None and not 0 <= age <= 120:
        raise ValueError(f"age: {age} is not within 0-120 years")
    if sex is not None and sex not in SEXES:
        raise ValueError(f"sex: {sex!r} is not one of {', '.join(SEXES)}")
    if not 50 <= rate <= 4000:
        raise ValueError(f"rate: {rate} is not within 50-4000 samples per second")
    if not 2.5 <= duration <= 600:
        raise ValueError(f"duration: {duration} is not within 2.5-600 s")
    if not noise >= 0:
        raise ValueError(f"noise: {noise} is negative; 0 is clean, 1 is usual")


def _heart_rate(rng, names, asked, age) -> float:
    drawn = draw_rate(rng, names, age)
    if asked is None:
        return drawn
    low, high = rate_limits(names)
    if not low <= asked <= high:
        raise ValueError(
            f"heart_rate: {asked:g}/min contradicts {', '.join(sorted(names))}, "
            f"which allows {low:.0f}-{high:.0f}/min"
        )
    return float(asked)


# ---- rendering -----------------------------------------------------------------------------------


def _render(rng, heart, rhythm, heart_rate, samples, rate, breath_hz) -> tuple[np.ndarray, dict]:
    """(samples, 8) clean signal in mV and the facts about it."""
    out = np.zeros((samples, 8))
    swing = rng.normal(0, 0.030, 8) + rng.normal(0, 0.025)  # what breathing does to each lead's gain
    phase = rng.random()

    def gain(times):
        return 1 + np.sin(2 * np.pi * (breath_hz * times + phase))[:, None] * swing

    kinds = np.array(rhythm.kinds)
    qt = _qt(heart, rhythm, heart_rate)
    peaks = np.zeros(len(kinds))
    ruling = max(set(rhythm.kinds), key=rhythm.kinds.count) if "N" not in rhythm.kinds else "N"
    facts = {}
    for kind in dict.fromkeys(rhythm.kinds):
        form = heart
        if kind in "VEP":
            form = copy.deepcopy(heart)
            ventricular_beat(rng, form, kind)
        at = kinds == kind
        beat_qt = qt[at] + 0.65 * max(0.0, form.qrs_dur - heart.qrs_dur)
        _add(
            out,
            rate,
            rhythm.qrs[at],
            *_seen(rng, form, form.ventricular_waves(float(beat_qt.mean()))),
            beat_qt,
            gain(rhythm.qrs[at]),
        )
        peaks[at] = rhythm.qrs[at] + _peak_delay(form)
        if kind == ruling:
            facts = _facts(form, rhythm, float(np.median(beat_qt)))
    _add_atria(rng, out, rate, heart, rhythm, gain)
    index = np.round(peaks * rate).astype(int)
    inside = (index >= 0) & (index < samples)
    order = np.argsort(index[inside], kind="stable")
    return out, facts | {"r_peaks": index[inside][order], "beat_types": kinds[inside][order].tolist()}


def _qt(heart: Heart, rhythm: Rhythm, heart_rate: float) -> np.ndarray:
    """(B,) QT of each beat, s: Fridericia on a mix of the last RR and the mean, as QT lags the rate."""
    mean = 60 / heart_rate
    last = np.diff(rhythm.qrs, prepend=rhythm.qrs[0] - mean)
    return heart.qtc * np.cbrt(np.clip(0.25 * last + 0.75 * mean, 0.25, 1.6))


def _seen(rng, form: Heart, waves: Waves) -> tuple[Waves, np.ndarray]:
    """The waves and their amplitudes in the eight leads, (K, 8) mV: the dipole, and a little that is none."""
    amps = waves.dipole @ form.torso.T
    size = np.linalg.norm(waves.dipole, axis=1, keepdims=True)
    rough = rng.normal(0, 0.07, (len(amps), 6))
    amps[:, 2:] += size * (rough + 0.5 * np.roll(rough, 1, axis=1))  # neighbours on the chest share it
    return waves, amps


def _add(out, rate, times, waves: Waves, amps, qt, gain) -> None:
    """Add beats that start at `times` (B,) s, with QT (B,) s and gain (B, 8), to out (T, 8)."""
    early = waves.centre - 4.5 * waves.left
    start = float(np.min(early[waves.with_qt == 0], initial=0.0))
    ends = waves.centre + waves.with_qt * (float(np.max(qt)) if len(times) else 0.0) + 4.5 * waves.right
    window = np.arange(int(np.ceil((ends.max() - start) * rate)) + 2)
    first = np.floor((times + start) * rate).astype(int)
    keep = (first < len(out)) & (first + len(window) > 0)
    for b in np.flatnonzero(keep):
        t = (first[b] + window) / rate - times[b]
        off = t[:, None] - (waves.centre + waves.with_qt * qt[b])
        wave = np.exp(-0.5 * (off / np.where(off < 0, waves.left, waves.right)) ** 2)
        a, z = max(first[b], 0), min(first[b] + len(window), len(out))
        out[a:z] += wave[a - first[b] : z - first[b]] @ (amps * gain[b])


def _peak_delay(form: Heart) -> float:
    """Seconds from QRS onset to the largest deflection over all leads."""
    return float(np.argmax((form.qrs_leads() ** 2).sum(1))) / 100 * form.qrs_dur


def _add_atria(rng, out, rate, heart: Heart, rhythm: Rhythm, gain) -> None:
    """P waves of each kind, or the atria that flutter or fibrillate."""
    kinds = np.array(rhythm.p_kinds)
    torso = heart.torso * ATRIA_SEEN[:, None]
    for kind in dict.fromkeys(rhythm.p_kinds):
        form = copy.deepcopy(heart)
        if kind == "A":
            form.p_vec = turn_frontal(heart.p_vec, rng.uniform(-75, 30)) * rng.uniform(0.8, 1.2)
            form.p_dur = min(heart.p_dur, 0.095)
        if kind == "R":
            form.p_vec, form.p_dur = heart.p_vec * np.array([0.3, -1.0, 0.6]), 0.080
        form.torso = torso
        times = rhythm.p[kinds == kind]
        _add(out, rate, times, *_seen(rng, form, form.p_waves()), np.zeros(len(times)), gain(times))
    if rhythm.atrial == "fibrillation":
        out += fibrillation(rng, len(out), rate, torso)
    elif rhythm.atrial == "flutter":
        out += flutter(rng, len(out), rate, torso, rhythm.flutter_rate, rhythm.flutter_phase)


def _facts(form: Heart, rhythm: Rhythm, qt: float) -> dict:
    area = form.torso @ (form.qrs_vec * form.qrs_w[:, None]).sum(0)
    return {
        "pr_ms": rhythm.pr and 1000 * float(rhythm.pr),
        "qrs_ms": 1000 * float(form.qrs_dur),
        "qt_ms": 1000 * qt,
        "axis_deg": frontal_axis(area),
    }
