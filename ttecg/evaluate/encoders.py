"""How good the networks are that generated ECGs are judged by: `ttecg evaluate encoder --model clip --data SET...`.

A classifier: area under the ROC curve of each label. A CLIP pair: how often a report finds its ECG, and an ECG its
report, among all. A self-supervised encoder: a linear probe, fitted on the training records of the sets, for the
superclasses.
"""

import numpy as np
from tqdm import tqdm

from ttecg import encoders
from ttecg.data.dataset import open_dataset
from ttecg.data.reports import canonical
from ttecg.data.statements import CLASSES, targets
from ttecg.evaluate import report
from ttecg.evaluate.auroc import draws_of, interval, patient_draws, weighted_auroc
from ttecg.evaluate.given import has_words, patient_of
from ttecg.evaluate.retrieval import AMONG, ranks
from ttecg.train.wav2vec import probe


def evaluate(model, data, split: str = "test", leads=(), seed: int = 0, out=None) -> list[dict]:
    """data: prepared sets, joined. leads: those that a self-supervised encoder sees (none named: all). Prints, writes
    encoder.json. ValueError where nothing is labelled or reported."""
    encoder = encoders.load(model)
    if leads and encoder.kind != "encoder":
        raise ValueError(
            f"--leads is for a self-supervised encoder; {encoder.name} is of kind {encoder.kind!r} and sees all eight"
        )
    ecgs = [e for path in data for e in _read(path, split)]
    patients = [patient_of(e) for e in ecgs]
    if encoder.kind == "clip":
        rows = _retrieval(encoder, ecgs, patients, seed)
    else:
        names, scores = _scores(encoder, ecgs, data, leads)
        rows = _areas(scores, np.stack([targets(e.labels, names) for e in ecgs]), names, patients, seed)
    about = {
        "model": encoder.name, "hash": encoder.hash, "data": [str(d) for d in data], "split": split,
        "records": len(ecgs), "patients": len(set(patients)), "seed": seed, "leads": list(leads),
    }  # fmt: skip
    print(
        f"{encoder.name} ({encoder.hash}), {len(ecgs)} records of {about['patients']} patients; 95 % over patients"
    )
    print(report.table(rows))
    if out:
        report.save(out, "encoder", about, rows)
    return rows


def _read(path, split: str):
    records = open_dataset(path, split)
    return tqdm((records[i] for i in range(len(records))), total=len(records), desc=str(path), disable=None)


def _scores(encoder, ecgs, data, leads):
    if encoder.kind == "classifier":
        return encoder.names, encoder.probabilities(ecgs)
    seen = {"leads": leads} if leads else {}
    training = [e for path in data for e in _read(path, "train")]
    told = np.stack([targets(e.labels, CLASSES) for e in training])
    return CLASSES, probe(encoder.features(training, **seen), told, encoder.features(ecgs, **seen))


def _areas(scores_NxL, target_NxL, names, patients, seed: int) -> list[dict]:
    weights = draws_of(patients, seed=seed)
    shown = [i for i, t in enumerate(target_NxL.T) if min((t == 1).sum(), (t == 0).sum()) >= 2]
    if not shown:
        raise ValueError("no label is there in two records and absent in two; give a set with labels")
    areas = {names[i]: weighted_auroc(scores_NxL[:, i], target_NxL[:, i], weights) for i in shown}
    main = [areas[name] for name in CLASSES if name in areas]
    if len(main) > 1:
        areas = {"superclass, mean": np.mean(main, axis=0), **areas}
    positive = {names[i]: int((target_NxL[:, i] == 1).sum()) for i in shown}
    return [
        {"label": k, "positive": positive.get(k), "AUROC": float(a[0]), "95 %": interval(a[1:])}
        for k, a in areas.items()
    ]


def _retrieval(encoder, ecgs, patients, seed: int) -> list[dict]:
    """Twice: where only the record's own ECG counts, and where any under an equal text does."""
    ecgs, patients = zip(*[(e, p) for e, p in zip(ecgs, patients) if has_words(e.report)])
    ecg, text = encoder.features(ecgs), encoder.texts([e.report for e in ecgs])
    said = np.array([canonical(e.report) for e in ecgs])
    weights, rows = patient_draws(patients, 1000, seed), []
    for what, same in (("own", np.eye(len(ecgs), dtype=bool)), ("equal text", said[:, None] == said)):
        found = ranks(ecg, text, same)
        for direction in ("text_to_ecg", "ecg_to_text"):
            for k in AMONG:
                hit = (found[direction] < k).astype(float)
                chance = found[f"chance_r{k}"]
                rows.append({
                    "retrieval": f"{direction} R@{k}, {what} counts", "share": float(hit.mean()),
                    "95 %": interval(weights @ hit / weights.sum(1)), "chance": chance,
                    "times chance": float(hit.mean() / chance),
                })  # fmt: skip
    return rows
