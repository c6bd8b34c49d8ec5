"""Two sets of vectors, real and made: how far apart, how much of each lies where the other is, can they be told apart.

Axes: N real vectors, M made ones, D features. Distances between all pairs are looked at in blocks, so that memory grows
with N + M. Vectors are moved to the first set's mean before anything is squared: what a network adds to all of its
features must not cost the digits in which two ECGs differ.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

_BLOCK = 256  # rows of a table of distances that are held at once


def frechet(x_NxD, y_MxD) -> float:
    """Squared Fréchet distance of the two normal distributions with the sets' means and covariances (FID; Heusel et
    al. 2017): |mx - my|² + tr(Cx + Cy - 2 (Cx^½ Cy Cx^½)^½).

    It falls with the size of the sets even where both are of one distribution, so compare it with real against real at
    the same sizes. No inverse and no root of a matrix that is not symmetric: it holds for fewer vectors than features.
    ValueError for sets of fewer than two."""
    x, y = _centred(x_NxD, y_MxD)
    cx, cy = (np.atleast_2d(np.cov(s, rowvar=False)) for s in (x, y))
    root = _square_root(cx)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cy @ root), 0, None)).sum()
    return float(max(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cx) + np.trace(cy) - 2 * cross, 0.0))


def _square_root(symmetric_DxD):
    values, vectors = np.linalg.eigh(symmetric_DxD)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def kid(x_NxD, y_MxD) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)³, without bias (Bińkowski et al. 2018); around 0,
    also below, for sets of one distribution."""
    x, y = _sets(x_NxD, y_MxD)
    inner = [_kernel_sum(s, s) - (_kernel(s, s, paired=True)).sum() for s in (x, y)]
    n, m = len(x), len(y)
    return float(inner[0] / (n * (n - 1)) + inner[1] / (m * (m - 1)) - 2 * _kernel_sum(x, y) / (n * m))


def _kernel(x, y, paired: bool = False):
    product = (x * y).sum(-1) if paired else x @ y.T
    return (product / x.shape[-1] + 1) ** 3


def _kernel_sum(x, y) -> float:
    return sum(float(_kernel(x[i : i + _BLOCK], y).sum()) for i in range(0, len(x), _BLOCK))


def precision_recall(real_NxD, made_MxD, k: int = 3) -> tuple[float, float]:
    """Share of made vectors within the k-nearest-neighbour ball of some real one, and of real ones within a ball of a
    made one (Kynkäänniemi et al. 2019)."""
    real, made = _centred(real_NxD, made_MxD, k)
    return _covered(made, real, _radius(real, k)), _covered(real, made, _radius(made, k))


def density_coverage(real_NxD, made_MxD, k: int = 5) -> tuple[float, float]:
    """How many real balls a made vector lies in, over k (may be above 1), and the share of real balls with a made
    vector in them (Naeem et al. 2020)."""
    real, made = _centred(real_NxD, made_MxD, k)
    radius, inside, nearest = _radius(real, k), 0, np.full(len(real), np.inf)
    for _, distance in _distances(made, real):
        inside += int((distance < radius).sum())
        nearest = np.minimum(nearest, distance.min(0))
    return inside / (k * len(made)), float((nearest < radius).mean())


def nearest(x_NxD, of_MxD, skip_self: bool = False) -> np.ndarray:
    """(N,) distance of each x to its nearest of the other set; of the same set without itself where skip_self."""
    x, y = _centred(x_NxD, of_MxD, 0)
    found = np.empty(len(x))
    for block, distance in _distances(x, y):
        if skip_self:
            distance[np.arange(len(distance)), np.arange(block.start, block.stop)] = np.inf
        found[block] = distance.min(1)
    return found


def discriminator_auc(
    real_NxD, made_MxD, real_groups=None, made_groups=None, seed: int = 0
) -> dict[str, float]:
    """Areas under the ROC curve of telling made from real, out of fold: "linear" logistic regression and "trees"
    gradient boosting; mean over folds of the area within each. .5: not to be told apart; 1: always.

    Groups (patients, or the record whose report was used) stay on one side of a fold; the same group in both sets stays
    together. Without groups each vector is its own, and sets of a few patients' many ECGs are told by the patients.
    ValueError where one set alone has groups, or all vectors are of one group."""
    x = np.concatenate(_sets(real_NxD, made_MxD))
    y = np.repeat([0, 1], [len(real_NxD), len(made_MxD)])
    groups = _groups(real_groups, made_groups, y, seed)
    folds = list(GroupKFold(min(5, len(set(groups)))).split(x, y, groups))
    models = {
        "linear": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        "trees": HistGradientBoostingClassifier(max_iter=100, random_state=seed),
    }
    return {name: _out_of_fold(model, x, y, folds) for name, model in models.items()}


def _groups(real_groups, made_groups, y, seed: int) -> np.ndarray:
    if (real_groups is None) != (made_groups is None):
        raise ValueError("groups are given for one of the two sets; give them for both or for neither")
    if real_groups is None:
        return np.random.default_rng(seed).permutation(len(y)).astype(str)
    groups = np.array([*map(str, real_groups), *map(str, made_groups)])
    if len(groups) != len(y):
        raise ValueError(f"{len(groups)} groups for {len(y)} vectors; give one for each")
    if len(set(groups)) < 2:
        raise ValueError(
            f"all vectors are of group {groups[0]}; at least two groups are needed to hold one out"
        )
    return groups


@threadpool_limits.wrap(limits=1)
def _out_of_fold(model, x, y, folds) -> float:
    """Mean over the folds that hold both kinds."""
    # One thread: those of the trees wait for each other at each node, which on a busy machine took 68 s for 0.8 s.
    areas = [
        roc_auc_score(y[test], model.fit(x[train], y[train]).predict_proba(x[test])[:, 1])
        for train, test in folds
        if len(set(y[test])) == 2 and len(set(y[train])) == 2
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _sets(x, y, k: int = 1):
    x, y = (np.asarray(s, np.float64) for s in (x, y))
    if min(len(x), len(y)) <= k:
        raise ValueError(
            f"sets of {len(x)} and {len(y)} ECGs are too small; more than {k} of each are needed"
        )
    return x, y


def _centred(x, y, k: int = 1):
    x, y = _sets(x, y, k)
    middle = x.mean(0)
    return x - middle, y - middle


def _radius(x_NxD, k: int) -> np.ndarray:
    """(N,) distance to the k-th nearest other vector."""
    found = np.empty(len(x_NxD))
    for block, distance in _distances(x_NxD, x_NxD):
        found[block] = np.partition(distance, k, axis=1)[:, k]
    return found


def _covered(x, of, radius) -> float:
    return float(np.mean(np.concatenate([(d <= radius).any(1) for _, d in _distances(x, of)])))


def _distances(x, y) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks (b, M) of Euclidean distances."""
    square = (y**2).sum(1)
    for i in range(0, len(x), _BLOCK):
        part = x[i : i + _BLOCK]
        distance = (part**2).sum(1)[:, None] + square - 2 * part @ y.T
        if x is y:
            distance[np.arange(len(part)), np.arange(i, i + len(part))] = 0.0
        yield slice(i, i + len(part)), np.sqrt(np.clip(distance, 0, None))
