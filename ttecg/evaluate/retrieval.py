"""Retrieval: how often what belongs together is found among the nearest (R@1, R@5, R@10)."""

import numpy as np

AMONG = (1, 5, 10)


def retrieval(ecg_NxD, text_NxD, same_NxN=None) -> dict[str, float]:
    """Shares of texts whose ECG is among the k nearest, "text_to_ecg_r1" ..., of ECGs whose text is, "ecg_to_text_r1"
    ..., and what a random order gives, "chance_r1" ... Arguments and errors as those of `ranks`."""
    found = ranks(ecg_NxD, text_NxD, same_NxN)
    shares = {
        f"{name}_r{k}": float((found[name] < k).mean())
        for name in ("text_to_ecg", "ecg_to_text")
        for k in AMONG
    }
    return shares | {f"chance_r{k}": found[f"chance_r{k}"] for k in AMONG}


def ranks(ecg_NxD, text_NxD, same_NxN=None) -> dict:
    """How many wrong ones lie nearer than the nearest right one: (N,) "text_to_ecg" for each text, (N,) "ecg_to_text"
    for each ECG; and "chance_r1" ..., what a random order gives for these.

    Vectors of unit length; row i of both belongs together. same[i, j] says that ECG j fits text i as well (symmetric;
    unless given only i fits). Where scores are equal, the wrong ones come first. ValueError where shapes do not fit or
    a vector is not finite, which would compare as if nothing were nearer."""
    ecg, text = np.asarray(ecg_NxD, np.float64), np.asarray(text_NxD, np.float64)
    same = np.eye(len(ecg), dtype=bool) if same_NxN is None else np.asarray(same_NxN, bool)
    if ecg.ndim != 2 or not len(ecg) or ecg.shape != text.shape or same.shape != (len(ecg), len(ecg)):
        raise ValueError(
            f"give a vector of one width for each ECG and each text: got {ecg.shape}, {text.shape} and {same.shape}"
        )
    if not (np.isfinite(ecg).all() and np.isfinite(text).all()):
        raise ValueError("a vector is not finite: leave out the records that could not be looked at")
    cosine, count = text @ ecg.T, same.sum(1)
    found = {"text_to_ecg": _best_rank(cosine, same), "ecg_to_text": _best_rank(cosine.T, same.T)}
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
