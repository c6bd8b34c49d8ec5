"""Does a generated ECG show what was asked for? `ttecg evaluate adherence --model demo --num 20`.

Each line asks with prompts in English and German that are worded otherwise than the training reports, and measures.
R peaks come from wfdb's XQRS on the lead with the steepest QRS, a detector that no part of the generator knows. QRS
width is that of `data.beats.qrs_width`, which was checked against the cardiologists' marks of LUDB; NeuroKit2's
delineators do not tell real bundle branch blocks from real normal ECGs (see the model card), so they cannot judge.
An ECG that cannot be measured counts as a failure.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from ttecg.data.beats import qrs_width
from ttecg.ecg import ECG, LEADS, to_eight
from ttecg.evaluate import report
from ttecg.generate import TextToECG, load


@dataclasses.dataclass(frozen=True)
class Line:
    """What is asked, and the test of what must be seen."""

    name: str
    prompts: tuple[str, ...]
    passes: Callable[["Measured"], bool]
    heart_rate: float | None = None


@dataclasses.dataclass(frozen=True)
class Measured:
    """Rate per minute, coefficient of variation of RR, QRS width in ms; nan where not measurable."""

    rate: float
    variation: float
    qrs: float


_SINUS = ("the heart is in normal sinus rhythm", "regelrechter Sinusrhythmus, unauffaelliger Befund")
_LBBB = ("complete LBBB", "kompletter Linksschenkelblock mit breitem QRS")
LINES = (
    Line("bradycardia < 60", ("slow heart rate, sinus node rhythm", "sehr langsamer Herzschlag, Sinusbradykardie"),
         lambda m: m.rate < 60),
    Line("tachycardia > 100", ("fast heart rate, sinus tachycardia present", "schneller Puls, Sinustachykardie"),
         lambda m: m.rate > 100),
    *(Line(f"--heart-rate {rate}", _SINUS, lambda m, rate=rate: abs(m.rate - rate) <= 12, float(rate))
      for rate in (45, 60, 75, 90, 110, 140)),
    Line("atrial fibrillation, RR variation > 0.1",
         ("patient is in afib, irregularly irregular", "absolute Arrhythmie bei bekanntem Vorhofflimmern"),
         lambda m: m.variation > 0.1),
    Line("sinus rhythm, RR variation < 0.08", _SINUS, lambda m: m.variation < 0.08),
    Line("LBBB, QRS > 120 ms", _LBBB, lambda m: m.qrs > 120),
    Line("RBBB, QRS > 120 ms", ("RBBB, complete", "vollstaendiger Rechtsschenkelblock"), lambda m: m.qrs > 120),
    Line("normal, QRS < 110 ms", ("ecg without pathological findings", "altersentsprechend normales EKG"),
         lambda m: m.qrs < 110),
)  # fmt: skip


def measure(ecg: ECG) -> Measured:
    """What the lines judge by, of one ECG with twelve leads."""
    from wfdb.processing import xqrs_detect

    steepest = np.abs(np.diff(ecg.signal, axis=0)).max(0).argmax()
    peaks = xqrs_detect(ecg.signal[:, steepest], fs=ecg.rate, verbose=False) / ecg.rate
    rr = np.diff(peaks)
    width = qrs_width(ecg)
    return Measured(
        rate=60 / np.median(rr) if len(rr) else np.nan,
        variation=rr.std() / rr.mean() if len(rr) > 1 else np.nan,
        qrs=np.nan if width is None else width,
    )


def faults(ecg: ECG) -> list[str]:
    """What no electrode would record: NaN, a lead flat for 2 s, a clipped lead, leads that break Einthoven's law."""
    from ttecg.data.files import quantise

    x, found = ecg.select(LEADS).signal, []
    if not np.isfinite(x).all():
        return ["NaN"]
    window = round(2 * ecg.rate)
    spread = np.stack([np.ptp(x[i : i + window], axis=0) for i in range(0, len(x) - window + 1, window // 2)])
    if (spread < 0.02).any():
        found.append("flat")
    tall = np.abs(to_eight(x))
    if tall.max() > 10 or ((tall == tall.max(0)).sum(0) > 5).any():
        found.append("clipped")
    q = quantise(ecg.select(LEADS)).astype(int)
    if np.abs(q[:, 2] - (q[:, 1] - q[:, 0])).max() > 1:
        found.append("Einthoven")
    return found


def evaluate(model="demo", num: int = 20, seed: int = 0, out=None) -> list[dict]:
    """One row per line: share of `num` ECGs per prompt that pass, medians, faults. Prints, writes adherence.json."""
    generator: TextToECG = load(model)
    rows = []
    for line in tqdm(LINES, desc="prompts"):
        ecgs = [
            e
            for p, prompt in enumerate(line.prompts)
            for e in generator.generate(prompt, num=num, seed=seed + p, heart_rate=line.heart_rate)
        ]
        seen = [measure(e) for e in ecgs]
        middle = {
            f.name: float(np.nanmedian([getattr(m, f.name) for m in seen]))
            for f in dataclasses.fields(Measured)
        }
        rows.append(
            {
                "asked": line.name,
                "n": len(ecgs),
                "pass": float(np.mean([line.passes(m) for m in seen])),
                **middle,
                "faulty": sum(bool(faults(e)) for e in ecgs),
            }
        )
    print(
        f"model {generator.name} ({generator.hash}), seed {seed}; medians of rate (/min), RR variation, QRS (ms)"
    )
    print(report.table(rows))
    if out:
        report.save(out, "adherence", {"model": generator.name, "hash": generator.hash, "seed": seed}, rows)
    return rows
