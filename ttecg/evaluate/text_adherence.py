"""Do ECGs fit their reports? Likeness in the space of a CLIP pair, labels told by a classifier, and phrases changed.

Every figure has two neighbours: what recorded ECGs get with their own reports, and what these ECGs get with the
reports of others (shuffled), which is what no fit at all would give.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ttecg.data.reports import canonical
from ttecg.evaluate.auroc import draws_of, interval, patient_draws, weighted_auroc
from ttecg.evaluate.retrieval import retrieval


@dataclasses.dataclass(frozen=True)
class Edit:
    """A prompt before and after one phrase is changed, and what must change with it: a field of `intervals.Measured`
    by at least `least`, upwards where that is positive."""

    name: str
    before: str
    after: str
    measure: str
    least: float


EDITS = (
    Edit("slower", "sinus rhythm, normal ecg", "sinus bradycardia, normal ecg", "heart_rate", -8.0),
    Edit("faster", "sinus rhythm, normal ecg", "sinus tachycardia, normal ecg", "heart_rate", 15.0),
    Edit("fibrillation", "sinus rhythm, nonspecific st changes", "atrial fibrillation, nonspecific st changes",
         "rr_cv", 0.05),
    Edit("LBBB", "sinus rhythm, normal ecg", "sinus rhythm, complete left bundle branch block", "qrs_ms", 20.0),
    Edit("RBBB", "sinus rhythm, normal ecg", "sinus rhythm, complete right bundle branch block", "qrs_ms", 20.0),
    Edit("first-degree block", "sinus rhythm, normal ecg", "sinus rhythm, first degree av block", "pr_ms", 20.0),
    Edit("left axis", "sinus rhythm, normal axis", "sinus rhythm, left axis deviation", "axis_deg", -25.0),
    Edit("right axis", "sinus rhythm, normal axis", "sinus rhythm, right axis deviation", "axis_deg", 25.0),
)  # fmt: skip


def others(texts: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """(N,) for each record a random one whose text is another. ValueError where all texts are alike."""
    said = np.array([canonical(t) for t in texts])
    if len(set(said)) < 2:
        raise ValueError(
            "all reports say the same, so none can be exchanged; give records with several reports"
        )
    return np.array([rng.choice(np.flatnonzero(said != t)) for t in said])


def clip_rows(made_NxD, real_NxD, text_NxD, texts, patients, seed: int = 0, draws: int = 1000) -> list[dict]:
    """Mean cosine of ECGs and their reports, its ratio to that of recorded ECGs, and how often a report finds its ECG
    among the first 1, 5, 10 of all (any ECG under an equal report counts). Row i of all belongs to one record."""
    rng = np.random.default_rng(seed)
    weights = patient_draws(patients, draws, seed)
    swapped = others(texts, rng)
    own, real, shuffled = (
        (made_NxD * text_NxD).sum(1), (real_NxD * text_NxD).sum(1), (made_NxD * text_NxD[swapped]).sum(1)
    )  # fmt: skip
    rows = [
        _row("CLIP score", *(_mean(x, weights) for x in (own, real, shuffled))),
        _row("CLIP score over that of recorded", *(_ratio(x, real, weights) for x in (own, real, shuffled))),
    ]
    said = np.array([canonical(t) for t in texts])
    same = said[:, None] == said[None, :]
    found = {
        name: retrieval(ecgs, words, same)
        for name, ecgs, words in (
            ("made", made_NxD, text_NxD), ("real", real_NxD, text_NxD), ("shuffled", made_NxD, text_NxD[swapped]),
        )
    }  # fmt: skip
    for k in (1, 5, 10):
        key = f"text_to_ecg_r{k}"
        rows.append(_row(f"R@{k}, report finds ECG", *((found[n][key], None) for n in found)))
    return rows


def classifier_rows(made_NxL, real_NxL, target_NxL, names, patients, seed: int = 0, draws: int = 1000):
    """AUROC of a classifier's (N, L) probabilities on made and recorded ECGs for the labels of the reports' records,
    and with the labels of others; mean over labels that are there and absent at least twice."""
    weights = draws_of(patients, draws, seed)
    mixed = target_NxL[np.random.default_rng(seed).permutation(len(target_NxL))]
    shown = [i for i, t in enumerate(target_NxL.T) if min((t == 1).sum(), (t == 0).sum()) >= 2]
    if not shown:
        return []
    areas = [
        np.stack([weighted_auroc(scores[:, i], target[:, i], weights) for i in shown])
        for scores, target in ((made_NxL, target_NxL), (real_NxL, target_NxL), (made_NxL, mixed))
    ]
    figures = [(np.concatenate([a, a.mean(0, keepdims=True)])) for a in areas]
    labels = [*(names[i] for i in shown), "mean"]
    return [
        _row(f"classifier AUROC, {label}", *((float(a[i, 0]), interval(a[i, 1:])) for a in figures))
        for i, label in enumerate(labels)
    ][::-1]


def edit_rows(make: Callable, measure: Callable, num: int, seed: int = 0, edits=EDITS) -> list[dict]:
    """For each edit, `num` pairs that share their randomness: the share in which what must change does, and the same
    for pairs whose prompt stayed and whose randomness changed. An ECG that cannot be measured counts as a failure.

    make(prompts, seeds) gives ECGs; measure(ecg) something with the fields that edits name."""
    rows = []
    for edit in edits:
        asked = [(edit.before, seed), (edit.after, seed), (edit.before, seed + 1)]
        prompts = [text for text, _ in asked for _ in range(num)]
        seeds = [(s, i) for _, s in asked for i in range(num)]
        values = np.array([getattr(measure(e), edit.measure) for e in make(prompts, seeds)], float)
        before, after, again = values.reshape(3, num)
        rows.append({
            "edit": f"{edit.before} -> {edit.after}",
            "must change": f"{edit.measure} by {edit.least:+g}",
            "n": num,
            "share": _moved(before, after, edit.least),
            "share without edit": _moved(before, again, edit.least),
            "mean before": _plain_mean(before),
            "mean after": _plain_mean(after),
            "measured": float(np.isfinite(values).mean()),
        })  # fmt: skip
    return rows


def _moved(before, after, least: float) -> float:
    change = (after - before) * np.sign(least)
    return float((change >= abs(least)).mean())  # NaN is not moved


def _plain_mean(x) -> float | None:
    return float(np.nanmean(x)) if np.isfinite(x).any() else None


def _row(name: str, made, real, shuffled) -> dict:
    return {
        "metric": name,
        "made": made[0], "95 %": made[1],
        "recorded": real[0], "recorded 95 %": real[1],
        "shuffled": shuffled[0],
    }  # fmt: skip


def _mean(x_N, weight_DxN):
    """(mean, its interval)."""
    return float(x_N.mean()), interval(weight_DxN @ x_N / weight_DxN.sum(1))


def _ratio(x_N, base_N, weight_DxN):
    return float(x_N.mean() / base_N.mean()), interval((weight_DxN @ x_N) / (weight_DxN @ base_N))
