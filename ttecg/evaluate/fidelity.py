"""Are made ECGs like recorded ones, as sets? Every distance stands beside its floor: recorded against recorded.

In each of several draws the patients are split in two halves. One half's recordings are the reference; against it
stand the other half's recordings (the floor) and the ECGs made of the other half's reports, equally many. The figure
is the mean over draws, the interval what 95 % of the draws give.
"""

import numpy as np
from tqdm import tqdm

from ttecg.evaluate import point_sets
from ttecg.evaluate.physics import rr_distance
from ttecg.evaluate.seen import Seen
from ttecg.evaluate.signal_features import WITHIN, spectrum_distance

_DISCRIMINATED = 5  # draws in which discriminators are trained, which takes longest


def fidelity_rows(made: Seen, real: Seen, record_M, draws: int = 20, seed: int = 0) -> list[dict]:
    """One row for each metric: made, its interval, the floor, its interval. record (M,): the number of the recorded ECG
    whose report each was made of, -1 where there is none here. ValueError where there are too few patients."""
    found: list[dict[str, tuple[float, float]]] = []
    for draw in tqdm(range(draws), desc="draws of patients", disable=None):
        rng = np.random.default_rng((seed, draw))
        reference, other = halves(real.patients, rng)
        chosen = made_of(record_M, other, rng)
        count = min(len(reference), len(other), len(chosen))
        if count < 8:
            raise ValueError(
                f"{len(real)} recorded and {len(made)} made ECGs are too few to compare; give at least 8 patients "
                "in each half of the recorded ones"
            )
        reference, other, chosen = reference[:count], other[:count], chosen[:count]
        groups = (real.patients[reference], real.patients[other], np.char.add("made of ", other.astype(str)))
        pairs = {"made": (made, chosen, groups[2]), "floor": (real, other, groups[1])}
        both = {
            name: _metrics(real, reference, groups[0], *some, trained=draw < _DISCRIMINATED, seed=draw)
            for name, some in pairs.items()
        }
        found.append({k: (both["made"][k], both["floor"][k]) for k in both["made"]})
    return [_row(name, [f[name] for f in found if name in f]) for name in found[0]]


def halves(patients, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Record numbers of a random half of the patients, and of the others, shuffled."""
    names = rng.permutation(np.unique(patients))
    first = np.isin(patients, names[: len(names) // 2])
    return rng.permutation(np.flatnonzero(first)), rng.permutation(np.flatnonzero(~first))


def made_of(record_M, wanted, rng: np.random.Generator) -> np.ndarray:
    """One made ECG for each recorded one that is wanted, filled up with ones of no record that is here; shuffled."""
    order = rng.permutation(len(record_M))
    _, first = np.unique(np.asarray(record_M)[order], return_index=True)
    one_each = order[first]
    linked = one_each[np.isin(np.asarray(record_M)[one_each], wanted)]
    loose = rng.permutation(np.flatnonzero(np.asarray(record_M) < 0))
    return rng.permutation(np.concatenate([linked, loose[: max(len(wanted) - len(linked), 0)]]))


def _metrics(real: Seen, reference, groups, seen: Seen, chosen, chosen_groups, trained: bool, seed: int):
    found = {}
    for name in real.vectors:
        x, y = real.vectors[name][reference], seen.vectors[name][chosen]
        found[f"FID, {name}"] = point_sets.frechet(x, y)
        found[f"KID, {name}"] = point_sets.kid(x, y)
        for k in (3, 5):
            precision, recall = point_sets.precision_recall(x, y, k)
            found |= {f"precision k={k}, {name}": precision, f"recall k={k}, {name}": recall}
        density, coverage = point_sets.density_coverage(x, y, 5)
        found |= {f"density, {name}": density, f"coverage, {name}": coverage}
    if trained:
        looked = {
            "simple features": (real.plain, seen.plain),
            "simple features of 0.5-45 Hz": (real.plain[:, WITHIN], seen.plain[:, WITHIN]),
        }
        looked |= {f"{n} features": (real.vectors[n], seen.vectors[n]) for n in real.vectors}
        for name, (x, y) in looked.items():
            areas = point_sets.discriminator_auc(x[reference], y[chosen], groups, chosen_groups, seed)
            found |= {f"discriminator AUC, {name}, {kind}": area for kind, area in areas.items()}
    found["spectrum distance dB"] = spectrum_distance(real.spectra[reference], seen.spectra[chosen])
    found["RR distance ms"] = rr_distance(
        [real.physics[i] for i in reference], [seen.physics[i] for i in chosen]
    )
    return found


def _row(name: str, pairs) -> dict:
    (made, made_span), (floor, floor_span) = (_figure(side) for side in zip(*pairs))
    return {
        "metric": name,
        "made": made, "95 %": made_span,
        "floor": floor, "floor 95 %": floor_span,
        "draws": len(pairs),
    }  # fmt: skip


def _figure(values) -> tuple[float, tuple[float, float]]:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(np.nanmean(values)), (float(low), float(high))


def diversity_rows(made: Seen, real: Seen) -> list[dict]:
    """How far apart ECGs under one text lie, of different patients for recorded ones: mean distance of pairs."""
    rows = []
    for name in real.vectors:
        values = [_under_one_text(s.vectors[name], s.texts, s.patients) for s in (made, real)]
        rows.append({
            "metric": f"distance under one text, {name}",
            "made": values[0], "recorded": values[1], "ratio": values[0] / values[1],
        })  # fmt: skip
    return rows


def _under_one_text(vectors, texts, patients) -> float:
    """Mean over texts of the mean distance of their pairs; at most 50 ECGs of a text."""
    means = []
    for text in dict.fromkeys(texts):
        which = np.flatnonzero(texts == text)[:50]
        x = vectors[which].astype(np.float64)
        distance = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
        apart = patients[which][:, None] != patients[which][None]
        if apart.any():
            means.append(distance[apart].mean())
    return float(np.mean(means)) if means else float("nan")
