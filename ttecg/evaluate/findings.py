"""When does an ECG show a finding? Published criteria over what `findings_signs` measures.

What cannot be measured shows nothing. How often recorded ECGs of the label meet a criterion, and normal ones do, is
told by `findings_recorded`: read a share of generated ECGs beside these.
"""

import dataclasses
from collections.abc import Callable

from ttecg.data.beats_waves import Waves
from ttecg.evaluate.findings_signs import Signs

STEADY = (
    0.5  # share of beats that must be of one kind; 99 of 100 recorded ECGs with premature beats have 0.54
)
PR_BIAS_MS = 10.0  # by which PR over all leads exceeds that of the median lead on LUDB (median of 87 records)


@dataclasses.dataclass(frozen=True)
class Finding:
    """Its name; whether signs meet its criterion; the SCP-ECG codes of which each labels a recorded ECG as one that has
    it, and those that leave a recorded ECG so labelled in doubt."""

    name: str
    criterion: Callable[[Signs], bool]
    codes: tuple[str, ...]
    without: tuple[str, ...] = ()

    def shown(self, s: Signs) -> bool:
        """Whether an ECG with a usual beat meets the criterion; without one, nothing that is measured of it counts."""
        return bool(s.steady >= STEADY and self.criterion(s))


def normal_sinus(s: Signs) -> bool:
    """60-100/min, RR variation under 0.1, a steady P that is upright in II and down in aVR, PR at least 120 ms
    (AHA/ACC electrocardiography, Surawicz and Knilans); PR 200 ms is left to `first_degree`."""
    return 60 <= s.rate <= 100 and s.variation < 0.1 and s.p_upright and s.pr >= 120


def fibrillation(s: Signs) -> bool:
    """Irregular RR without a repeating P (ESC guideline on atrial fibrillation, 2020)."""
    return s.variation > 0.1 and not s.p


def flutter(s: Signs) -> bool:
    """One regular atrial rate of 220-350/min (ESC guideline on supraventricular tachycardia, 2019); `data.flutter`
    says how it is seen. The limits lie between recorded flutter and recorded sinus tachycardia, fibrillation and sinus
    rhythm."""
    return s.flutter.locked >= 0.40 or s.flutter.rest >= 0.18 or s.flutter.pauses >= 0.70


def left_bundle(s: Signs) -> bool:
    """QRS >= 120 ms, V1 mostly negative, I and V5 or V6 mostly positive, no Q in I (AHA/ACCF/HRS 2009, part III)."""
    left = max(s.leads["V5"].area, s.leads["V6"].area)
    return s.qrs >= 120 and s.leads["V1"].area < 0 < min(left, s.leads["I"].area) and s.leads["I"].q < 0.1


def right_bundle(s: Signs) -> bool:
    """QRS >= 120 ms that ends upwards in V1 and downwards in I or V6 (AHA/ACCF/HRS 2009, part III)."""
    return s.qrs >= 120 and s.leads["V1"].late > 0 > min(s.leads["I"].late, s.leads["V6"].late)


def first_degree(s: Signs) -> bool:
    """PR over 200 ms as a lead shows it, regular enough to have one."""
    return s.pr > 200 + PR_BIAS_MS


def left_hypertrophy(s: Signs) -> bool:
    """Sokolow-Lyon 1949: S in V1 and the taller R of V5 and V6 at least 3.5 mV, or R in aVL at least 1.1 mV. Cornell
    (Casale 1985): R in aVL and S in V3 over 2.8 mV, of women over 2.0; 2.8 where sex is not known."""
    sokolow = _depth(s.leads["V1"]) + max(s.leads["V5"].r, s.leads["V6"].r)
    cornell = s.leads["aVL"].r + _depth(s.leads["V3"])
    return sokolow >= 3.5 or s.leads["aVL"].r >= 1.1 or cornell > (2.0 if s.sex == "female" else 2.8)


def inferior_infarction(s: Signs) -> bool:
    """In two of II, III, aVF: a Q of 30 ms and 0.1 mV, or QS; or ST up by 0.1 mV (Fourth Universal Definition of
    Myocardial Infarction, 2018). A fifth of R is asked of Q besides, since tall normal R waves have such Q waves."""
    leads = [s.leads[name] for name in ("II", "III", "aVF")]
    return sum(map(_pathological_q, leads)) >= 2 or sum(w.st >= 0.1 for w in leads) >= 2


def anterior_infarction(s: Signs) -> bool:
    """A Q of 20 ms or QS in V2 or V3; or ST up in two neighbours of V1-V4, by 0.2 mV in V2 and V3 (0.15 of women), 0.1
    elsewhere (Fourth Universal Definition of Myocardial Infarction, 2018)."""
    middle = 0.15 if s.sex == "female" else 0.2
    up = [s.leads[n].st >= least for n, least in zip(("V1", "V2", "V3", "V4"), (0.1, middle, middle, 0.1))]
    q = any(w.qs or (w.q_ms >= 20 and w.q >= 0.05) for w in (s.leads["V2"], s.leads["V3"]))
    return q or any(a and b for a, b in zip(up, up[1:]))


def premature_ventricular(s: Signs) -> bool:
    """At least one; see `findings_ectopy`."""
    return s.premature > 0


def paced(s: Signs) -> bool:
    """QRS >= 150 ms with a superior axis, as from the right ventricle's apex: -50 to -180 degrees, or -30 where no P
    could have led to it. The spike itself does not tell: at 0.5-40 Hz what is left of it in ten recorded ECGs is no
    sharper than the first bends of bundle branch block."""
    return s.qrs >= 150 and s.axis <= (-50 if s.pr > 120 else -30)


def _depth(w: Waves) -> float:
    return w.q if w.qs else w.s


def _pathological_q(w: Waves) -> bool:
    return w.q >= 0.1 and (w.qs or w.q_ms >= 30 and w.q >= w.r / 5)


BRADYCARDIA = Finding("bradycardia, rate < 60", lambda s: s.rate < 60, ("SBRAD",))
TACHYCARDIA = Finding("tachycardia, rate > 100", lambda s: s.rate > 100, ("STACH",))
FIBRILLATION = Finding(
    "atrial fibrillation, RR variation > 0.1, no P", fibrillation, ("AFIB",), ("AFLT", "PACE")
)
FLUTTER = Finding("atrial flutter, atrial rate 220-350", flutter, ("AFLT",), ("SR",))
SINUS = Finding("normal sinus rhythm, 60-100, regular, P upright", normal_sinus, ("SR",), ("PVC", "PAC"))
NARROW = Finding("normal ECG, QRS < 110 ms", lambda s: s.qrs < 110, ("NORM",))
LEFT_BUNDLE = Finding("LBBB, QRS >= 120 ms, shape of V1, I, V5-V6", left_bundle, ("CLBBB",))
RIGHT_BUNDLE = Finding("RBBB, QRS >= 120 ms, late R in V1, S in I or V6", right_bundle, ("CRBBB",))
FIRST_DEGREE = Finding("first-degree AV block, PR > 200 ms", first_degree, ("1AVB",))
LEFT_HYPERTROPHY = Finding("LVH, Sokolow-Lyon or Cornell", left_hypertrophy, ("LVH",))
INFERIOR = Finding("inferior infarction, Q or ST in II, III, aVF", inferior_infarction, ("IMI",))
ANTERIOR = Finding("anterior infarction, Q or ST in V1-V4", anterior_infarction, ("AMI", "ASMI"))
PREMATURE = Finding("ventricular premature beats, early, wide", premature_ventricular, ("PVC",))
PACED = Finding("ventricular pacing, QRS >= 150 ms, superior axis", paced, ("PACE",))
