"""Retrieval: how often what belongs together is found among the nearest (R@1, R@5, R@10)."""

import numpy as np

AMONG = (1, 5, 10)


def retrieval(ecg_NxD, text_NxD, same_NxN=None) -> dict[str, float]:
    """Shares of texts whose ECG is among the k nearest, "text_to_ecg_r1" ..., and of ECGs whose text is.

    Row i of both belong together; same[i, j] says that ECG j fits text i as well (symmetric; unless given only i fits).
    "chance_r1" ... is what random order gives for these texts. Where scores are equal, the wrong ones come first."""
    ecg, text = np.asarray(ecg_NxD, np.float64), np.asarray(text_NxD, np.float64)
    same = np.eye(len(ecg), dtype=bool) if same_NxN is None else np.asarray(same_NxN, bool)
    cosine = text @ ecg.T
    found = {}
    for name, scores, fits in (("text_to_ecg", cosine, same), ("ecg_to_text", cosine.T, same.T)):
        rank = _best_rank(scores, fits)
        found |= {f"{name}_r{k}": float((rank < k).mean()) for k in AMONG}
    count = same.sum(1)
    return found | {f"chance_r{k}": float(np.mean([_chance(len(ecg), n, k) for n in count])) for k in AMONG}


def _best_rank(scores_NxN, fits_NxN) -> np.ndarray:
    """(N,) how many wrong ones score at least as high as the best right one."""
    best = np.where(fits_NxN, scores_NxN, -np.inf).max(1, keepdims=True)
    return (np.where(fits_NxN, -np.inf, scores_NxN) >= best).sum(1)


def _chance(total: int, right: int, k: int) -> float:
    """That one of `right` among `total` is within the first k of a random order."""
    k = min(k, total)
    wrong = total - right
    if k > wrong:
        return 1.0
    return 1 - float(np.prod((wrong - np.arange(k)) / (total - np.arange(k))))
