"""Does a generated ECG show what was asked for? `ttecg evaluate adherence --model demo --num 10 --data data/ptbxl-500`.

Each line asks with prompts in English and German that are worded otherwise than the training reports, and measures by
published criteria (`findings`). Beside the share that passes stand those of recorded ECGs: of that label, normal, and
others. An ECG that cannot be measured counts as a failure.
"""

import numpy as np
from tqdm import tqdm

from ttecg.data.dataset import open_dataset
from ttecg.data.prompt import Prompt
from ttecg.ecg import ECG, LEADS, to_eight, to_twelve
from ttecg.evaluate import report
from ttecg.evaluate.adherence_lines import LINES, Line
from ttecg.evaluate.findings_recorded import recorded_rows
from ttecg.evaluate.findings_signs import Signs, signs
from ttecg.generate import TextToECG, load

FLAT_S, FLAT_MV = 2.0, 0.02  # a lead that moves less for so long is flat
_NO_RECORDS = dict.fromkeys(("recorded", "patients", "recorded pass", "normal pass", "other pass"))


def faults(ecg: ECG) -> list[str]:
    """What no electrode would record: NaN, a lead flat for 2 s (or all of a shorter ECG), a clipped lead, limb leads
    that break Einthoven's and Goldberger's laws."""
    x, found = ecg.select(LEADS).signal, []
    if not np.isfinite(x).all():
        return ["NaN"]
    window = min(round(FLAT_S * ecg.rate), len(x))
    starts = [*range(0, len(x) - window, max(1, window // 2)), len(x) - window]
    if min(np.ptp(x[i : i + window], axis=0).min() for i in starts) < FLAT_MV:
        found.append("flat")
    tall = np.abs(to_eight(x))
    if tall.max() > 10 or ((tall == tall.max(0)).sum(0) > 5).any():
        found.append("clipped")
    microvolts = np.round(1000 * x)
    if np.abs(microvolts - to_twelve(to_eight(microvolts)))[:, 2:6].max() > 2:  # III, aVR, aVL, aVF
        found.append("Einthoven")
    return found


def evaluate(
    model="demo", num: int = 10, seed: int = 0, data=None, split: str = "all", out=None
) -> list[dict]:
    """One row per line: share of `num` ECGs per prompt that pass, mean absolute error of the rate where one was asked
    for, medians, faults; with `data`, a prepared set, the shares of its recorded ECGs. Prints, writes adherence.json.
    """
    recorded = look(data, split) if data else {}
    generator: TextToECG = load(model)
    rows = [asked(generator, line, num, seed) for line in tqdm(LINES, desc="prompts")]
    rows = [row | (recorded.get(row["asked"], _NO_RECORDS) if data else {}) for row in rows]
    print(f"model {generator.name} ({generator.hash}), seed {seed}")
    print("medians of rate (/min), RR variation, PR and QRS (ms), and of the share of beats that are alike")
    print(report.table([{k: v for k, v in row.items() if k != "by prompt"} for row in rows]))
    all_rates = together(rows)
    if all_rates:
        print(
            f"all of --heart-rate: {all_rates['pass']:.3f} pass, mean absolute error {all_rates['error']:.2f}/min"
        )
    about = {
        "model": generator.name, "hash": generator.hash, "seed": seed,
        "data": data and str(data), "split": split, "all of --heart-rate": all_rates,
    }  # fmt: skip
    if out:
        report.save(out, "adherence", about, rows)
    return rows


def asked(generator: TextToECG, line: Line, num: int, seed: int) -> dict:
    """The row of one line, of `num` ECGs for each of its prompts."""
    prompts = (
        (Prompt(prompt, heart_rate=line.heart_rate), (seed + p, i))
        for p, prompt in enumerate(line.prompts)
        for i in range(num)
    )
    ecgs = list(generator.generate_many(prompts))
    seen = [signs(ecg) for ecg in ecgs]
    passed = np.array([line.finding.shown(s) for s in seen])
    return {
        "asked": line.finding.name,
        "n": len(ecgs),
        "pass": float(passed.mean()),
        "error": _rate_error(seen, line.heart_rate),
        **_medians(seen),
        "faulty": sum(bool(faults(e)) for e in ecgs),
        "by prompt": {p: float(share) for p, share in zip(line.prompts, passed.reshape(-1, num).mean(1))},
    }


def together(rows: list[dict]) -> dict | None:
    """Share that passes and mean absolute error over all lines that ask for a rate; None without one."""
    asked_for = [row for row in rows if row["error"] is not None]
    return (
        {k: float(np.mean([row[k] for row in asked_for])) for k in ("pass", "error")} if asked_for else None
    )


def _rate_error(seen: list[Signs], wanted: float | None) -> float | None:
    """Mean absolute error per minute over ECGs whose rate can be measured; None where no rate was asked for."""
    found = np.array([s.rate for s in seen])
    known = np.isfinite(found)
    return float(np.abs(found[known] - wanted).mean()) if wanted and known.any() else None


def _medians(seen: list[Signs]) -> dict[str, float | None]:
    found = {}
    for name in ("rate", "variation", "pr", "qrs", "steady"):
        values = np.array([getattr(s, name) for s in seen])
        found[name] = float(np.nanmedian(values)) if np.isfinite(values).any() else None
    return found


def look(data, split: str = "all") -> dict[str, dict]:
    """How recorded ECGs of a prepared set meet the criteria; see `recorded_rows`."""
    records = ((ecg, signs(ecg)) for ecg in tqdm(open_dataset(data, split), desc="recorded"))
    return recorded_rows(records, [line.finding for line in LINES if line.finding.codes])
