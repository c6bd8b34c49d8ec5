"""Do the noise detectors see noise? `ttecg evaluate quality --model quality --data data/ptbxl-500`.

Recordings as they are against the same with noise of each kind at known signal-to-noise ratios, in all leads.
"residual" noise is real: what the next recording of the set holds beside its usual beat.
"""

import numpy as np
from tqdm import tqdm

from ttecg import quality
from ttecg.data.dataset import open_dataset
from ttecg.evaluate import report
from ttecg.evaluate.auroc import draws_of, interval, weighted_auroc
from ttecg.train.noise_detector import KINDS, noised

DETECTORS = {"autoencoder": "distance", "hrv": "hrv"}  # column: score
ALL = "all kinds"


def evaluate(model, data, split: str = "test", snrs=(0.0, 6.0, 12.0), out=None, num: int = 0, seed: int = 0):
    """A row for each kind of noise, and all together, and each ratio in dB: area under the ROC curve of both detectors
    with 95 % over patients, and the share that `noisy` flags. num: the first so many records; 0: all. Prints; writes
    quality.json into `out`. ValueError for fewer than two records, or no ratio."""
    if not len(snrs):
        raise ValueError("snrs: name at least one signal-to-noise ratio in dB")
    detector, records = quality.load(model), open_dataset(data, split)
    count = min(num or len(records), len(records))
    if count < 2:
        raise ValueError(f"{data}, {split}: at least 2 records are needed, {count} are there")
    found, patients = score(detector, [*map(float, snrs)], records, count, seed)
    clean = flagged([f[None] for f in found])
    about = {"model": detector.name, "hash": detector.hash, "data": str(data), "split": split, "records": count,
             "patients": len(set(patients)), "seed": seed, "clean_flagged": clean}  # fmt: skip
    rows = rows_of(found, patients, [*map(float, snrs)], seed)
    print(
        f"{detector.name} ({detector.hash}), {count} records of {about['patients']} patients; AUROC against the same "
        f"without noise, 95 % over patients; without noise {clean:.1%} are flagged as noisy"
    )
    print(report.table(rows))
    if out:
        report.save(out, "quality", about, rows)
    return rows


def score(detector, snrs, records, count: int, seed: int):
    """[{None: scores, (kind, snr): scores}] of each record, read one at a time, and patients."""
    rng, found, patients = np.random.default_rng(seed), [], []
    for i in tqdm(range(count), desc="recordings", unit="ECG", disable=None):
        ecg, other = records[i], records[(i + 1) % count]
        patients.append(str(ecg.info.get("patient_id") or ecg.id or i))
        mixed = {(kind, snr): noised(ecg, kind, snr, rng, other) for kind in KINDS for snr in snrs}
        found.append({k: detector.scores(e) for k, e in ({None: ecg} | mixed).items()})
    return found, patients


def rows_of(found, patients, snrs, seed: int) -> list[dict]:
    """See `evaluate`; the intervals are of 1000 draws of patients."""
    weight = draws_of(patients, seed=seed)
    rows = []
    for kind in (*KINDS, ALL):
        kinds = KINDS if kind == ALL else (kind,)
        for snr in snrs:
            noisy, row = [f[k, snr] for k in kinds for f in found], {"noise": kind, "dB": snr}
            for column, name in DETECTORS.items():
                values = [f[None][name] for f in found] + [f[name] for f in noisy]
                target = np.repeat([0.0, 1.0], [len(found), len(noisy)])
                area = weighted_auroc(values, target, np.tile(weight, 1 + len(kinds)))
                row |= {column: float(area[0]), f"{column} 95 %": interval(area[1:])}
            rows.append(row | {"flagged": flagged(noisy)})
    return rows


def flagged(scores: list[dict]) -> float:
    """Share that are noisier than 99 of 100 training records."""
    return float(np.mean([s["record"] >= quality.NOISY for s in scores]))
