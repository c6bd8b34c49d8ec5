"""Do the noise detectors see noise? `ttecg evaluate quality --model quality --data data/ptbxl-500`.

Recordings as they are against the same with noise of each kind added at known signal-to-noise ratios. "residual" noise
is real: what the next recording of the set holds beside its usual beat.
"""

import numpy as np
from tqdm import tqdm

from ttecg import quality
from ttecg.data.dataset import open_dataset
from ttecg.ecg import INDEPENDENT
from ttecg.evaluate import report
from ttecg.evaluate.auroc import interval, patient_draws, weighted_auroc
from ttecg.train.noise_detector import KINDS, noised

DETECTORS = {"autoencoder": "noise", "rhythm": "rhythm"}


def evaluate(
    model=quality.KIND, data=None, split: str = "test", snrs=(0.0, 6.0, 12.0), num=0, seed=0, out=None
):
    """A row for each kind of noise (and all kinds together) and ratio: area under the ROC curve of each detector, 95 %
    over patients. Prints, writes quality.json."""
    detector, records = quality.load(model), open_dataset(data, split)
    count = min(num or len(records), len(records))
    if count < 2:
        raise ValueError(f"{data}, {split}: {count} records; at least 2 are needed")
    rng, found = np.random.default_rng(seed), []
    patients = []
    for i in tqdm(range(count), desc="recordings", unit="ECG", disable=None):
        ecg, other = records[i], records[(i + 1) % count]
        patients.append(str(ecg.info.get("patient_id") or ecg.id))
        scores = {None: detector.scores(ecg.select(INDEPENDENT))}
        for kind in KINDS:
            for snr in snrs:
                scores[kind, snr] = detector.scores(noised(ecg, kind, snr, rng, other))
        found.append({k: [s[name] for name in DETECTORS.values()] for k, s in scores.items()})
    rows = _rows(found, patients, snrs, seed)
    about = {"model": detector.name, "hash": detector.hash, "data": str(data), "split": split, "records": count,
             "patients": len(set(patients)), "seed": seed}  # fmt: skip
    print(
        f"{detector.name} ({detector.hash}), {count} records of {about['patients']} patients; AUROC, 95 % over patients"
    )
    print(
        report.table(
            [
                {k: "-".join(f"{x:.3f}" for x in v) if isinstance(v, tuple) else v for k, v in r.items()}
                for r in rows
            ]
        )
    )
    if out:
        report.save(out, "quality", about, rows)
    return rows


def _rows(found, patients, snrs, seed: int) -> list[dict]:
    weights = patient_draws(patients, 1000, seed)
    weights = np.concatenate([np.ones((1, len(patients))), weights])
    rows = []
    for kind in (*KINDS, "all kinds"):
        for snr in snrs:
            row = {"noise": kind, "dB": snr}
            for d, name in enumerate(DETECTORS):
                kinds = KINDS if kind == "all kinds" else (kind,)
                clean = [f[None][d] for f in found]
                noisy = [f[k, snr][d] for k in kinds for f in found]
                target = np.repeat([0.0, 1.0], [len(clean), len(noisy)])
                area = weighted_auroc(clean + noisy, target, np.tile(weights, 1 + len(kinds)))
                row |= {name: float(area[0]), f"{name} 95 %": interval(area[1:])}
            rows.append(row)
    return rows
