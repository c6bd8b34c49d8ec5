"""Areas under the ROC curve with bootstrap intervals over patients.

A draw of patients is a whole-number weight for every record, so an area is computed once per draw from one sort.
"""

import numpy as np

_AT_ONCE = 2_000_000  # weights looked at together


def patient_draws(patients, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """(draws, N) how often each record is drawn when as many patients as there are are drawn with replacement."""
    names, place = np.unique(np.asarray(patients), return_inverse=True)
    rng, share = np.random.default_rng(seed), np.full(len(names), 1 / len(names))
    count = np.empty((draws, len(place)), np.uint16)
    for d in range(draws):
        count[d] = rng.multinomial(len(names), share)[place]
    return count


def draws_of(patients, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """(1 + draws, N) weights of records: each once, then as `patient_draws` says."""
    once = np.ones((1, len(patients)), np.uint16)
    return np.concatenate([once, patient_draws(patients, draws, seed)])


def scorable(target_NxL) -> np.ndarray:
    """(L,) bool: labels that hold in some records and not in others."""
    return (target_NxL == 1).any(0) & (target_NxL == 0).any(0)


def weighted_auroc(score_N, target_N, weight_DxN) -> np.ndarray:
    """(D,) areas, a record counted `weight` times; NaN targets are left out, NaN comes back where one kind is missing.
    Ties count half."""
    score, target, weight = np.asarray(score_N), np.asarray(target_N), np.asarray(weight_DxN)
    known = np.flatnonzero(~np.isnan(target))
    order = known[np.argsort(score[known], kind="stable")]
    if not len(order):
        return np.full(len(weight), np.nan)
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) > 0)
    yes = target[order] == 1
    step = max(1, _AT_ONCE // len(order))
    return np.concatenate(
        [_areas(weight[i : i + step, order].astype(float), yes, starts) for i in range(0, len(weight), step)]
    )


def _areas(weight_DxN, yes_N, starts) -> np.ndarray:
    """weight and yes in order of score; starts: where a new score begins."""
    yes = np.add.reduceat(weight_DxN * yes_N, starts, axis=1)
    no = np.add.reduceat(weight_DxN * ~yes_N, starts, axis=1)
    below = np.cumsum(no, 1) - no / 2
    pairs = yes.sum(1) * no.sum(1)
    return np.where(pairs > 0, (yes * below).sum(1) / np.where(pairs > 0, pairs, 1), np.nan)


def label_areas(scores_SxNxL, target_NxL, weight_DxN) -> np.ndarray:
    """(S, D, L) for the scores of S seeds."""
    return np.stack(
        [
            np.stack(
                [
                    weighted_auroc(score[:, i], target_NxL[:, i], weight_DxN)
                    for i in range(target_NxL.shape[1])
                ],
                -1,
            )
            for score in scores_SxNxL
        ]
    )


def interval(values_D) -> tuple[float, float]:
    """95 % of the draws that could be computed; NaN where none could."""
    values = np.asarray(values_D)[~np.isnan(values_D)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)
