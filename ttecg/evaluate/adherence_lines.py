"""What adherence asks for: each finding by two English and two German prompts, none worded as a training report."""

import dataclasses

from ttecg.evaluate import findings
from ttecg.evaluate.findings import Finding

RATES = (45, 60, 75, 90, 110, 140)  # per minute
NEAR = 8.0  # per minute; an ECG asked for by rate must be so near


@dataclasses.dataclass(frozen=True)
class Line:
    """What is asked, and what must be seen. heart_rate: asked for beside the prompt, per minute."""

    finding: Finding
    prompts: tuple[str, ...]
    heart_rate: float | None = None


_SINUS = (
    "the heart is in normal sinus rhythm", "sinus node rhythm throughout the whole tracing",
    "regelrechter Sinusrhythmus, unauffaelliger Befund", "durchgehend Sinusrhythmus ohne Besonderheiten",
)  # fmt: skip


def _at(rate: int) -> Line:
    return Line(
        Finding(f"--heart-rate {rate}, within {NEAR:g}", lambda s: abs(s.rate - rate) <= NEAR, ()),
        _SINUS,
        float(rate),
    )


LINES = (
    Line(findings.BRADYCARDIA, (
        "slow heart rate, sinus node rhythm", "the heart beats slowly, bradycardia of sinus origin",
        "sehr langsamer Herzschlag, Sinusbradykardie", "in Ruhe deutlich bradykarder Sinusrhythmus")),
    Line(findings.TACHYCARDIA, (
        "fast heart rate, sinus tachycardia present", "racing pulse, tachycardia of sinus origin",
        "schneller Puls, Sinustachykardie", "bei Fieber deutlich tachykarder Sinusrhythmus")),
    *map(_at, RATES),
    Line(findings.SINUS, _SINUS),
    Line(findings.NARROW, (
        "ecg without pathological findings", "healthy heart, this ecg is completely normal",
        "altersentsprechend normales EKG", "gesundes Herz mit ganz normalem EKG")),
    Line(findings.FIBRILLATION, (
        "patient is in afib, irregularly irregular", "the atria are in atrial fibrillation, p waves are absent",
        "absolute Arrhythmie bei bekanntem Vorhofflimmern", "Vorhofflimmern, Kammern schlagen ganz unregelmaessig")),
    Line(findings.FLUTTER, (
        "typical atrial flutter with sawtooth waves", "the atria flutter, atrial flutter with conduction 2 to 1",
        "typisches Vorhofflattern mit Saegezahnmuster", "es besteht weiterhin Vorhofflattern")),
    Line(findings.LEFT_BUNDLE, (
        "complete LBBB", "broad qrs complexes of left bundle branch block shape",
        "kompletter Linksschenkelblock mit breitem QRS", "QRS verbreitert im Sinne eines Linksschenkelblocks")),
    Line(findings.RIGHT_BUNDLE, (
        "RBBB, complete", "broad qrs complexes of right bundle branch block shape",
        "kompletter Rechtsschenkelblock mit breitem QRS", "QRS verbreitert im Sinne eines Rechtsschenkelblocks")),
    Line(findings.FIRST_DEGREE, (
        "slow av conduction, first degree heart block", "the pr interval is too long, first degree av block",
        "verzoegerte Ueberleitung, AV-Block ersten Grades", "die PQ-Zeit ist zu lang, AV-Block I. Grades")),
    Line(findings.LEFT_HYPERTROPHY, (
        "LVH with tall r waves, voltage criteria met", "very high voltages from a hypertrophied left ventricle, LVH",
        "hohe R-Zacken bei Linksherzhypertrophie", "Sokolow-Index erhoeht, linksventrikulaere Hypertrophie")),
    Line(findings.INFERIOR, (
        "previous infarct of the inferior wall with q waves", "old inferior MI, q waves in II, III and aVF",
        "Zustand nach Hinterwandinfarkt mit Q-Zacken", "abgelaufener Infarkt der inferioren Wand")),
    Line(findings.ANTERIOR, (
        "previous infarct of the anterior wall with q waves", "old anterior MI, q waves in the chest leads",
        "Zustand nach Vorderwandinfarkt mit Q-Zacken", "abgelaufener Infarkt der anterioren Wand")),
    Line(findings.PREMATURE, (
        "some PVCs in between the sinus beats", "a few ectopic beats from the ventricle, PVCs",
        "dazwischen einzelne VES", "Sinusrhythmus, unterbrochen von ventrikulaeren Extrasystolen")),
    Line(findings.PACED, (
        "the pacemaker paces the ventricle", "ventricular pacing by a pacemaker in every beat",
        "Herzschrittmacher stimuliert den Ventrikel", "durchgehend Schrittmacherrhythmus, Kammer stimuliert")),
)  # fmt: skip
