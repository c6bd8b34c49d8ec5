"""How near ECGs come to real records, by several measures: the pure functions under `ttecg evaluate privacy`.

Distances are 0 for a copy. Axes: Q queries, N training records, M held-out records, T time, D features, C code
positions, W draws of a bootstrap.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import hypergeom
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from ttecg.evaluate.auroc import interval, patient_draws, weighted_auroc

SECONDS = 5.0  # of a query that are laid along a record
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers never vanish modulo 2**64
_BLOCK = 512


def unshifted(queries_QxTx2: np.ndarray, records_NxTx2: np.ndarray) -> np.ndarray:
    """(Q, N) one less the correlation of whole signals as they lie, both leads together."""
    q, r = (x - x.mean(1, keepdims=True) for x in (queries_QxTx2, records_NxTx2))
    q, r = (x.reshape(len(x), -1) / (np.sqrt((x**2).sum((1, 2)))[:, None] + 1e-6) for x in (q, r))
    return np.clip(1 - q @ r.T, 0, None)


def aligned(queries_QxTx2: np.ndarray, records_NxTx2: np.ndarray, rate: float) -> np.ndarray:
    """(Q, N) one less the highest correlation of the middle 5 s of a query with any 5 s of a record; rate in samples
    per second.

    The correlation is normalised by the energy of the query and of the part of the record that it lies on, each
    lead's mean removed from whole queries and records."""
    parts = range(0, len(records_NxTx2), _BLOCK)
    bar = tqdm(parts, desc="at all shifts", leave=False, disable=None)
    return np.concatenate([_aligned(queries_QxTx2, records_NxTx2[i : i + _BLOCK], rate) for i in bar], 1)


def _aligned(queries, records, rate: float) -> np.ndarray:
    length, samples = round(SECONDS * rate), records.shape[1]
    size = next_fast_len(samples, real=True)
    records = records - records.mean(1, keepdims=True)
    energy = np.cumsum(np.pad((records.astype(np.float64) ** 2).sum(-1), ((0, 0), (1, 0))), axis=1)
    weight = 1 / np.sqrt(np.maximum(energy[:, length:] - energy[:, :-length], 1e-6)).astype(records.dtype)
    spectra = rfft(records, size, axis=1)
    found = np.empty((len(queries), len(records)), np.float32)
    for row, query in zip(found, queries):
        start = (len(query) - length) // 2
        q = query[start : start + length] - query.mean(0)
        products = irfft((spectra * np.conj(rfft(q, size, axis=0))).sum(-1), size, axis=1)
        best = (products[:, : samples - length + 1] * weight).max(1)
        row[:] = np.clip(1 - best / (np.sqrt((q**2).sum()) + 1e-6), 0, None)
    return found


def distances(queries_QxD: np.ndarray, records_NxD: np.ndarray) -> np.ndarray:
    """(Q, N) Euclidean."""
    q, r = (np.asarray(x, np.float64) for x in (queries_QxD, records_NxD))
    square = np.concatenate(
        [
            (part**2).sum(1)[:, None] + (r**2).sum(1) - 2 * part @ r.T
            for part in (q[i : i + _BLOCK] for i in range(0, len(q), _BLOCK))
        ]
    )
    return np.sqrt(np.clip(square, 0, None)).astype(np.float32)


def patient_ratio(distance_QxN: np.ndarray, patients_N) -> np.ndarray:
    """(Q,) distance to the nearest patient over that to the second nearest: near 0 where one patient stands out, 1
    where several are alike."""
    names, place = np.unique(np.asarray(patients_N), return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(names)))
    nearest = np.minimum.reduceat(distance_QxN[:, order], starts, axis=1)
    two = np.partition(nearest, 1, axis=1)[:, :2]
    return two[:, 0] / np.maximum(two[:, 1], 1e-12)


def longest_runs(queries_QxC: np.ndarray, records_NxC: np.ndarray) -> np.ndarray:
    """(Q,) length of the longest run of codes that a query shares with any record, at any place of either: by halving
    the length, with a sorted table of the hashes of all runs of that length, so time and memory grow as N C."""
    queries, records = (np.asarray(x).astype(np.uint64) + np.uint64(1) for x in (queries_QxC, records_NxC))
    low, high = np.zeros(len(queries), int), np.full(len(queries), min(queries.shape[1], records.shape[1]))
    sums = _prefixes(queries), _prefixes(records)
    while (open_ := low < high).any():
        middle = (low + high + 1) // 2
        for length in np.unique(middle[open_]):
            table = np.sort(_hashes(sums[1], length), axis=None)
            which = np.flatnonzero((middle == length) & open_)
            wanted = _hashes(sums[0][which], length)
            place = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
            found = (table[place] == wanted).any(1)
            low[which[found]], high[which[~found]] = length, length - 1
    return low


def _prefixes(codes_NxC) -> np.ndarray:
    total = np.zeros((len(codes_NxC), codes_NxC.shape[1] + 1), np.uint64)
    for c in range(codes_NxC.shape[1]):
        total[:, c + 1] = total[:, c] * _BASE + codes_NxC[:, c]
    return total


def _hashes(prefixes, length: int) -> np.ndarray:
    power = np.uint64(pow(int(_BASE), int(length), 2**64))
    return prefixes[:, length:] - prefixes[:, :-length] * power


def nearest_side(
    to_train_QxN, to_held_QxM, train_patients, held_patients, draws: int = 999, seed: int = 0
) -> dict:
    """Do ECGs lie nearer to training records than to held-out ones? "ratio": median of the distance to the nearest
    training record over that to the nearest held-out one (NNDR). "training": share of ECGs whose nearest record of all
    is a training one. "by chance", with 95 %: that share with the patients dealt to the two sides anew. "p": how often
    chance gives at least that share."""
    train, held = to_train_QxN.min(1), to_held_QxM.min(1)
    nearest = np.where(train <= held, to_train_QxN.argmin(1), len(train_patients) + to_held_QxM.argmin(1))
    names = [*(f"in {p}" for p in train_patients), *(f"out {p}" for p in held_patients)]
    patients, place = np.unique(names, return_inverse=True)
    inside, rng = np.char.startswith(patients, "in "), np.random.default_rng(seed)
    share = float(inside[place[nearest]].mean())
    chance = np.array([rng.permutation(inside)[place[nearest]].mean() for _ in range(draws)])
    return {
        "ratio": float(np.median((train + 1e-9) / (held + 1e-9))), "training": share,
        "by chance": float(chance.mean()), "95 %": interval(chance),
        "p": float((1 + (chance >= share).sum()) / (1 + draws)),
    }  # fmt: skip


def membership(near_train_N, near_held_M, train_patients, held_patients, seed: int = 0):
    """(area, 95 % interval over patients): do training records lie nearer to generated ECGs than held-out ones do, by
    their distances to the nearest generated one? .5: no telling who was in the training set."""
    score = -np.concatenate([near_train_N, near_held_M])
    target = np.repeat([1.0, 0.0], [len(near_train_N), len(near_held_M)])
    patients = [*(f"in {p}" for p in train_patients), *(f"out {p}" for p in held_patients)]
    draws = weighted_auroc(score, target, patient_draws(patients, 1000, seed))
    return float(roc_auc_score(target, score)), interval(draws)


def recognised(first_NxD, second_NxD, patients_N) -> float:
    """Share of recordings whose first half has its nearest second half, of all, with the same patient: how well these
    features know people at all."""
    patients = np.asarray(patients_N)
    return float((patients[distances(first_NxD, second_NxD).argmin(1)] == patients).mean())


def recognised_again(features_NxD, patients_N) -> tuple[int, float]:
    """(records of patients with several, share of them whose nearest other record is one of the same patient); NaN
    where no patient has several."""
    patients = np.asarray(patients_N)
    distance = distances(features_NxD, features_NxD)
    np.fill_diagonal(distance, np.inf)
    several = np.array([(patients == p).sum() > 1 for p in patients])
    hits = patients[distance.argmin(1)] == patients
    return int(several.sum()), float(hits[several].mean()) if several.any() else float("nan")


def share_under(near_made_Q, near_held_M, made_patients, held_patients, percent=1.0, draws=1000, seed=0):
    """(share of made ECGs nearer than the nearest `percent` of held-out ones, 95 % interval): both groups are drawn
    anew over patients. `percent` of 100 where the groups are alike."""
    held, made = np.sort(near_held_M), np.asarray(near_made_Q)
    order = np.argsort(near_held_M, kind="stable")
    weight = patient_draws(held_patients, draws, seed)[:, order].cumsum(1)
    limits = held[(weight >= weight[:, -1:] * percent / 100).argmax(1)]
    drawn = patient_draws(made_patients, draws, seed + 1)
    shares = (drawn * (made < limits[:, None])).sum(1) / drawn.sum(1)
    limit = held[max(int(np.ceil(len(held) * percent / 100)) - 1, 0)]
    return float((made < limit).mean()), interval(shares)


def compare(near_held_M: np.ndarray, near_made_Q: np.ndarray, near_others_P: np.ndarray) -> dict:
    """Distances of two groups to their nearest training records; near_others: of training records to the nearest of
    another patient. "copies": number of made ones that lie at under half of what real ECGs do, which is the least
    distance of a held-out one or the first percentile of the others, whatever is less. "nearer than any held-out":
    share of made ones, and how often chance gives as many, were the groups alike."""
    least = near_held_M.min()
    count = int((near_made_Q < least).sum())
    percentiles = np.percentile(near_made_Q, [1, 5, 50])
    return {
        "min": float(near_made_Q.min()),
        **{k: float(v) for k, v in zip(("p1", "p5", "median"), percentiles)},
        "copies": int((near_made_Q < 0.5 * min(least, np.percentile(near_others_P, 1))).sum()),
        "nearer than any held-out": count / len(near_made_Q),
        "by chance": chance(count, len(near_made_Q), len(near_held_M)),
    }


def chance(count: int, made: int, held_out: int, place: int = 1) -> float:
    """How often at least `count` of made ECGs are nearer than the held-out one in that place from the nearest, were the
    groups alike: at least `count` of the first count + place - 1 of all, in a random order, are made ones."""
    return float(hypergeom.sf(count - 1, made + held_out, made, count + place - 1)) if count else 1.0


def suspicious(found: dict, made: int, held_out: int) -> str:
    """What in a comparison cannot be chance; empty for nothing. Copies: more than one, and more than 0.5 %. Nearest of
    all: so many nearer than every held-out ECG that the odds are under 1 in 1000. Nearest 1 %: over 5 % nearer than the
    nearest 1 % of held-out ECGs, by the whole interval and with odds under 1 in 1000."""
    if found["copies"] > max(1, 0.005 * made):
        return f"{found['copies']} at under half the least distance of real ECGs"
    if found["by chance"] < 0.001:
        return f"{found['nearer than any held-out']:.0%} nearer than every held-out ECG"
    share, place = found["under p1 of held-out"], max(int(np.ceil(0.01 * held_out)), 1)
    if found["95 %"][0] > 0.05 and chance(round(share * made), made, held_out, place) < 0.001:
        return f"{share:.0%} nearer than the nearest 1 % of held-out ECGs"
    return ""
