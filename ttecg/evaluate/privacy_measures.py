"""How near ECGs come to training records, by several measures: the pure functions under `ttecg evaluate privacy`.

Axes: Q queries, N training records, T time, D features, C code positions.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from ttecg.evaluate.auroc import interval, patient_draws, weighted_auroc

SECONDS = 5.0
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers never vanish modulo 2**64


def aligned(queries_QxTx2: np.ndarray, records_NxTx2: np.ndarray, rate: float) -> np.ndarray:
    """(Q,) highest correlation of the middle 5 s of each query with any record at any shift; both leads together.

    The correlation is normalised by the energy of the query and of the part of the record that it lies on, each
    lead's mean removed from whole queries and records."""
    length = round(SECONDS * rate)
    size = next_fast_len(records_NxTx2.shape[1])
    shifts = records_NxTx2.shape[1] - length + 1
    records = records_NxTx2 - records_NxTx2.mean(1, keepdims=True)
    energy = np.cumsum(np.pad((records**2).sum(-1), ((0, 0), (1, 0))), axis=1)
    energy = np.sqrt(np.maximum(energy[:, length:] - energy[:, :-length], 1e-12))
    spectra = rfft(records, size, axis=1)
    best = []
    for query in tqdm(queries_QxTx2, desc="nearest training record", leave=False, disable=None):
        start = (len(query) - length) // 2
        q = query[start : start + length] - query.mean(0)
        products = irfft((spectra * np.conj(rfft(q, size, axis=0))).sum(-1), size, axis=1)[:, :shifts]
        best.append(float((products / energy / np.sqrt((q**2).sum() + 1e-12)).max()))
    return np.array(best)


def unshifted(queries_QxTx2: np.ndarray, records_NxTx2: np.ndarray) -> np.ndarray:
    """(Q,) highest correlation of whole queries with whole records as they lie."""
    q, r = (x - x.mean(1, keepdims=True) for x in (queries_QxTx2, records_NxTx2))
    q, r = (x.reshape(len(x), -1) / (np.sqrt((x**2).sum((1, 2)))[:, None] + 1e-12) for x in (q, r))
    return np.concatenate([(q[i : i + 256] @ r.T).max(1) for i in range(0, len(q), 256)])


def two_nearest(
    queries_QxD: np.ndarray, records_NxD: np.ndarray, patients_N
) -> tuple[np.ndarray, np.ndarray]:
    """(Q,) distance to the nearest training patient, and its ratio to the distance to the second nearest patient: near
    0 where one patient stands out, 1 where several are alike."""
    names, place = np.unique(np.asarray(patients_N), return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(names)))
    square = (records_NxD**2).sum(1)
    first, ratio = np.empty(len(queries_QxD)), np.empty(len(queries_QxD))
    for i in range(0, len(queries_QxD), 256):
        q = queries_QxD[i : i + 256]
        distance = np.clip((q**2).sum(1)[:, None] + square - 2 * q @ records_NxD.T, 0, None)
        of_patients = np.minimum.reduceat(distance[:, order], starts, axis=1)
        two = np.sqrt(np.partition(of_patients, 1, axis=1)[:, :2])
        first[i : i + 256], ratio[i : i + 256] = two[:, 0], two[:, 0] / np.maximum(two[:, 1], 1e-12)
    return first, ratio


def longest_runs(queries_QxC: np.ndarray, records_NxC: np.ndarray) -> np.ndarray:
    """(Q,) length of the longest run of codes that a query shares with any record, at any place of either: by halving
    the length, with a table of the hashes of all runs of that length."""
    queries, records = (np.asarray(x).astype(np.uint64) + np.uint64(1) for x in (queries_QxC, records_NxC))
    low, high = np.zeros(len(queries), int), np.full(len(queries), min(queries.shape[1], records.shape[1]))
    sums = _prefixes(queries), _prefixes(records)
    tables: dict[int, np.ndarray] = {}
    while (low < high).any():
        middle = (low + high + 1) // 2
        for length in np.unique(middle[low < high]):
            if length not in tables:
                tables[length] = np.unique(_hashes(sums[1], length))
            which = np.flatnonzero((middle == length) & (low < high))
            found = np.isin(_hashes(sums[0][which], length), tables[length]).any(1)
            low[which], high[which] = (
                np.where(found, length, low[which]),
                np.where(found, high[which], length - 1),
            )
    return low


def _prefixes(codes_NxC) -> np.ndarray:
    total = np.zeros((len(codes_NxC), codes_NxC.shape[1] + 1), np.uint64)
    for c in range(codes_NxC.shape[1]):
        total[:, c + 1] = total[:, c] * _BASE + codes_NxC[:, c]
    return total


def _hashes(prefixes, length: int) -> np.ndarray:
    power = np.uint64(pow(int(_BASE), int(length), 2**64))
    return prefixes[:, length:] - prefixes[:, :-length] * power


def membership(train_score_N, held_out_score_M, train_patients, held_out_patients, seed: int = 0):
    """(area, 95 % interval over patients): do training records lie nearer to generated ECGs than held-out ones do?
    Scores are higher where nearer. .5: no telling who was in the training set."""
    score = np.concatenate([train_score_N, held_out_score_M])
    target = np.repeat([1.0, 0.0], [len(train_score_N), len(held_out_score_M)])
    patients = [*(f"in {p}" for p in train_patients), *(f"out {p}" for p in held_out_patients)]
    draws = weighted_auroc(score, target, patient_draws(patients, 1000, seed))
    return float(roc_auc_score(target, score)), interval(draws)


def recognised(first_NxD, second_NxD, patients_N) -> float:
    """Share of recordings whose first half has its nearest second half, of all, with the same patient: how well these
    features know people at all."""
    square = (second_NxD**2).sum(1)
    nearest = (square - 2 * first_NxD @ second_NxD.T).argmin(1)
    patients = np.asarray(patients_N)
    return float((patients[nearest] == patients).mean())


def compare(near_held_out: np.ndarray, near_made: np.ndarray) -> dict:
    """Distances (0: equal) of two groups to their nearest training records. "nearer than any held-out": share of made;
    "copies": number that lie at under half the least distance of a held-out one; "median_ratio": made over held-out."""
    least = near_held_out.min()
    return {
        "median": float(np.median(near_made)),
        "p1": float(np.percentile(near_made, 1)),
        "min": float(near_made.min()),
        "nearer_than_any_held_out": float((near_made < least).mean()),
        "nearer_than_p5_of_held_out": float((near_made < np.percentile(near_held_out, 5)).mean()),
        "copies": int((near_made < 0.5 * least).sum()),
    }


def suspicious(found: dict, made: int, held_out: int) -> str:
    """What in a comparison cannot be chance; empty for nothing. Copies: more than one, and more than 0.5 %. Nearest of
    all: so many generated ECGs nearer than every held-out one that the odds of it are under 1 in 1000, were the groups
    alike: (made / (made + held_out)) to the power of their number."""
    if found["copies"] > max(1, 0.005 * made):
        return f"{found['copies']} at under half the least distance of a held-out ECG"
    count = round(found["nearer_than_any_held_out"] * made)
    if count * np.log(made / (made + held_out)) < np.log(0.001):
        return f"{count} nearer than every held-out ECG"
    return ""
