"""Are generated ECGs copies of training ECGs? `ttecg evaluate privacy --model demo --data data/ptbxl-500`.

For each ECG, the nearest training record: the highest normalised cross-correlation, over all shifts, of 5 s of leads
II and V2 with any training record. Held-out real ECGs give the floor, since two people's ECGs are alike too: a
generated ECG nearer to a training record than held-out ones ever are has been copied. Training records copied on
purpose stand beside, to show that the measure sees copies.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from tqdm import tqdm

from ttecg.data.dataset import open_dataset
from ttecg.ecg import ECG
from ttecg.evaluate import report
from ttecg.generate import load

RATE, SECONDS = 100.0, 5.0
LEADS = ("II", "V2")


def signal(ecg: ECG) -> np.ndarray:
    """(T, 2) of leads II and V2 at 100 Hz, 0.5-40 Hz."""
    return ecg.select(LEADS).resample(RATE).bandpass(0.5, 40.0).signal


def nearest(queries_QxTx2: np.ndarray, records_NxTx2: np.ndarray) -> np.ndarray:
    """(Q,) highest correlation of the middle 5 s of each query with any record at any shift; both leads together.

    The correlation is normalised by the energy of the query and of the part of the record that it lies on, each
    lead's mean removed from whole queries and records.
    """
    length = round(SECONDS * RATE)
    size = next_fast_len(records_NxTx2.shape[1])
    shifts = records_NxTx2.shape[1] - length + 1
    records = records_NxTx2 - records_NxTx2.mean(1, keepdims=True)
    energy = np.cumsum(np.pad((records**2).sum(-1), ((0, 0), (1, 0))), axis=1)
    energy = np.sqrt(np.maximum(energy[:, length:] - energy[:, :-length], 1e-12))
    spectra = rfft(records, size, axis=1)
    best = []
    for query in tqdm(queries_QxTx2, desc="nearest training record", leave=False):
        start = (len(query) - length) // 2
        q = query[start : start + length] - query.mean(0)
        products = irfft((spectra * np.conj(rfft(q, size, axis=0))).sum(-1), size, axis=1)[:, :shifts]
        best.append(float((products / energy / np.sqrt((q**2).sum() + 1e-12)).max()))
    return np.array(best)


def evaluate(model="demo", data="", num: int = 100, seed: int = 0, out=None) -> list[dict]:
    """One row each for held-out records, generated ECGs under the held-out reports, and planted copies; the verdict.

    data: the prepared set that the model was trained on. Prints, writes privacy.json.
    """
    training, held_out = open_dataset(data, "train"), open_dataset(data, "validation+test")
    known = np.stack([signal(training[i]) for i in tqdm(range(len(training)), desc="training records")])
    people = [held_out[i] for i in range(min(num, len(held_out)))]
    generator = load(model)
    made = [
        generator.generate(e.report, age=_age(e), sex=e.sex, seed=seed + i)[0]
        for i, e in enumerate(tqdm(people, desc="generating"))
        if e.report and e.report.strip()
    ]
    noise = np.random.default_rng(seed).normal(0, 0.02, (len(people), *known.shape[1:]))
    copies = np.roll(known[: len(people)], 137, axis=1) * 1.2 + noise[: len(known)]
    groups = {"held-out": _stack(people, known), "generated": _stack(made, known), "planted copies": copies}
    nearness = {name: nearest(x, known) for name, x in groups.items()}
    limit = nearness["held-out"].max()
    rows = [
        {"ecgs": name, "n": len(v), "median": float(np.median(v)), "p90": float(np.percentile(v, 90)),
         "max": float(v.max()), "nearer_than_any_held_out": float((v > limit).mean())}
        for name, v in nearness.items()
    ]  # fmt: skip
    print(f"model {generator.name} ({generator.hash}), {len(known)} training records of {data}, seed {seed}")
    print(report.table(rows))
    print(verdict(rows))
    if out:
        report.save(
            out, "privacy", {"model": generator.name, "hash": generator.hash, "data": str(data)}, rows
        )
    return rows


def verdict(rows: list[dict]) -> str:
    """PASS where generated ECGs are nearer than every held-out one no more often than chance allows, else FAIL."""
    real, made = (next(r for r in rows if r["ecgs"] == name) for name in ("held-out", "generated"))
    allowed = max(2, 0.02 * made["n"]) / made["n"]
    good = made["nearer_than_any_held_out"] <= allowed and made["median"] <= real["median"] + 0.03
    return (
        f"verdict: {'PASS' if good else 'FAIL'} (at most {allowed:.1%} may be nearer than any held-out ECG)"
    )


def _stack(ecgs, like: np.ndarray) -> np.ndarray:
    return np.stack([signal(e)[: like.shape[1]] for e in ecgs])


def _age(ecg: ECG) -> float | None:
    return None if ecg.age is None else min(float(ecg.age), 120.0)
