"""What readers could tell: `ttecg evaluate reader-study --score answers.csv --key key.csv`.

Sensitivity is the share of generated ECGs that were called synthetic, specificity that of recorded ECGs called real;
who cannot tell has an accuracy and an AUC of .5 and a kappa with others of 0. Shares have Wilson's 95 % interval. AUC,
kappa and means over readers have the middle 95 % of 1,000 draws of pages with replacement: they say what other pages
would have given, not other readers.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from ttecg.evaluate import report
from ttecg.evaluate.auroc import interval, patient_draws, weighted_auroc
from ttecg.evaluate.reader_study_answers import CHOICES, MATCHES, Answers, Key, read_answers, read_key


def score(files: Sequence, key, out=None, seed: int = 0) -> dict:
    """Prints the tables of one or several readers' forms; with `out` writes reader-study.json, which has a line for
    every page too. Returns what is in it. ValueError: a page without an answer, a wrong value, another study's key."""
    truth = read_key(key)
    readers = [read_answers(file, truth) for file in files]
    weights = patient_draws(range(len(truth.pages)), seed=seed)
    sections = {
        "readers": reader_rows(readers, truth, weights),
        "agreement": agreement_rows(readers, weights),
        "text": text_rows(readers, truth),
    }
    about = {
        "key": str(key),
        "recorded": int((~truth.generated).sum()),
        "generated": int(truth.generated.sum()),
    }
    print(f"{about['generated']} generated and {about['recorded']} recorded ECGs, {len(readers)} reader(s)")
    print(
        "sensitivity: generated ones called synthetic; specificity: recorded ones called real; 95 % intervals"
    )
    for rows in filter(None, sections.values()):
        print("\n" + report.table([{k: _cell(v) for k, v in row.items()} for row in rows]))
    found = {**about, **sections, "pages": page_rows(readers, truth)}
    if out:
        report.save(out, "reader-study", found, [])
        print(f"\nresults in {out}: reader-study.json")
    return found


def reader_rows(readers: Sequence[Answers], key: Key, weight_DxN) -> list[dict]:
    """Accuracy, sensitivity, specificity and AUC of each reader, and of several their mean."""
    rows = [_reader_row(one, key, weight_DxN) for one in readers]
    return rows + ([_mean_row(readers, key, weight_DxN)] if len(readers) > 1 else [])


def _reader_row(one: Answers, key: Key, weight_DxN) -> dict:
    right = one.synthetic == key.generated
    row = {"reader": one.reader}
    for name, which in _kinds(key).items():
        row |= {name: float(right[which].mean()), f"{name} 95 %": wilson(right[which])}
    return row | _area([one], key, weight_DxN)


def _mean_row(readers: Sequence[Answers], key: Key, weight_DxN) -> dict:
    right = np.mean([one.synthetic == key.generated for one in readers], axis=0)
    row = {"reader": "mean"}
    for name, which in _kinds(key).items():
        draws = weight_DxN[:, which].astype(float)
        with np.errstate(invalid="ignore"):
            row |= {
                name: float(right[which].mean()),
                f"{name} 95 %": interval(draws @ right[which] / draws.sum(1)),
            }
    return row | _area(readers, key, weight_DxN)


def _kinds(key: Key) -> dict[str, np.ndarray]:
    every = np.ones(len(key.pages), bool)
    return {"accuracy": every, "sensitivity": key.generated, "specificity": ~key.generated}


def _area(readers: Sequence[Answers], key: Key, weight_DxN) -> dict:
    once = np.ones((1, len(key.pages)))
    truth = key.generated.astype(float)
    area, draws = (
        np.mean([weighted_auroc(one.rating, truth, weight) for one in readers], axis=0)
        for weight in (once, weight_DxN)
    )
    return {"AUC": float(area[0]), "AUC 95 %": interval(draws)}


def wilson(hit_N) -> tuple[float, float]:
    """95 % interval of the share of hits."""
    found = binomtest(int(np.sum(hit_N)), len(hit_N)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def agreement_rows(readers: Sequence[Answers], weight_DxN) -> list[dict]:
    """How far each two readers agree on real and synthetic: the share of pages, and Cohen's kappa (NaN where both said
    the same of all pages)."""
    once = np.ones((1, weight_DxN.shape[1]))
    return [
        {
            "readers": f"{a.reader} and {b.reader}",
            "same": float((a.synthetic == b.synthetic).mean()),
            "same 95 %": wilson(a.synthetic == b.synthetic),
            "kappa": float(kappa(a.synthetic, b.synthetic, once)[0]),
            "kappa 95 %": interval(kappa(a.synthetic, b.synthetic, weight_DxN)),
        }
        for a, b in itertools.combinations(readers, 2)
    ]


def kappa(a_N, b_N, weight_DxN) -> np.ndarray:
    """(D,) Cohen's kappa of two readers' yes and no, each page counted `weight` times; NaN where chance alone makes
    them agree."""
    weight = weight_DxN / weight_DxN.sum(1, keepdims=True)
    same, yes_a, yes_b = (weight @ x.astype(float) for x in (a_N == b_N, a_N, b_N))
    chance = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
    return np.where(chance < 1 - 1e-12, (same - chance) / np.maximum(1 - chance, 1e-12), np.nan)


def text_rows(readers: Sequence[Answers], key: Key) -> list[dict]:
    """Whether ECGs show what the report says, for each reader who was asked, of recorded and of generated ECGs."""
    rows = []
    for one in readers:
        said = np.array(one.matches)
        for kind, which in (("recorded", ~key.generated), ("generated", key.generated)):
            told = said[which & (said != "")]
            if len(told):
                shares = {word: float((told == word).mean()) for word in CHOICES[MATCHES]}
                rows.append(
                    {
                        "reader": one.reader,
                        "fits its report": kind,
                        "answers": len(told),
                        **shares,
                        "yes 95 %": wilson(told == "yes"),
                    }
                )
    return rows


def page_rows(readers: Sequence[Answers], key: Key) -> list[dict]:
    """What was said of each page: how many called it synthetic, and their mean rating from -5 to 5."""
    called, rating = (np.array([getattr(one, name) for one in readers]) for name in ("synthetic", "rating"))
    return [
        {
            "page": int(page), "origin": "generated" if made else "recorded", "label": label,
            "called synthetic": int(called[:, i].sum()), "rating": float(rating[:, i].mean()),
        }
        for i, (page, made, label) in enumerate(zip(key.pages, key.generated, key.labels))
    ]  # fmt: skip


def _cell(value):
    if isinstance(value, tuple):
        return "" if any(map(np.isnan, value)) else "-".join(f"{v:.2f}" for v in value)
    return "-" if isinstance(value, float) and np.isnan(value) else value
