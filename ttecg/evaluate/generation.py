"""What generated ECGs are good for, in one command: `ttecg evaluate generation --model demo --data data/ptbxl-500`.

ECGs are generated under the reports (with age, sex and heart rate) of recorded ones and laid beside these: fidelity,
text adherence, numbers, physics. Beside each figure stands what recorded ECGs get (the floor), what ECGs get with the
reports of others (the control), and an interval over patients.
"""

import dataclasses
import functools

import numpy as np

from ttecg import encoders, generate
from ttecg.data.dataset import open_dataset
from ttecg.data.prompt import Prompt
from ttecg.data.reports import canonical
from ttecg.data.statements import CLASSES
from ttecg.evaluate import fidelity, intervals, text_adherence
from ttecg.evaluate.generation_report import Section, publish
from ttecg.evaluate.given import prompt_of, reported, with_reports
from ttecg.evaluate.seen import Eyes, Seen, look

_SHOWN = 6  # ECGs of each kind on the sheet


def evaluate(
    model="demo",
    data=None,
    split: str = "validation+test",
    generated=None,
    num: int = 0,
    seed: int = 0,
    vectors=("encoder", "classifier"),
    classifier="classifier",
    clip="clip",
    edits: int = 10,
    out=None,
) -> dict:
    """Prints all tables; with `out` writes generation.json and generation.html. Returns what is in the JSON file.

    data, split: the recorded ECGs, best ones that the model was not trained on. num: of them, at most (0: all).
    generated: a prepared set or a folder of WFDB records instead of generating; each ECG is compared with a recorded
    one of an equal text. edits: pairs for each changed phrase (0: none; without a model none).
    ValueError: no reports, too few records, a bundle of another kind."""
    eyes = open_eyes(vectors, classifier, clip)
    maker = None if generated else generate.load(model)
    records = with_reports(open_dataset(data, split), num)
    real = look(records, eyes, len(records), "recorded", _SHOWN)
    if maker:
        rates = real.measured[:, intervals.FIELDS.index("heart_rate")]
        asked = [prompt_of(e, rate) for e, rate in zip(records, rates)]
        made_ecgs = maker.generate_many(zip(asked, ((seed, i) for i in range(len(asked)))))
        made = look(made_ecgs, eyes, len(asked), "generated", _SHOWN)
        record = np.arange(len(asked))
    else:
        files = reported(generated)
        made = look(files, eyes, len(files), "generated", _SHOWN)
        record = match(made.texts, real.texts, np.random.default_rng(seed))
    about = {
        "model": maker.name if maker else str(generated),
        "hash": maker.hash if maker else None,
        "data": str(data), "split": split, "seed": seed,
        "recorded": len(real), "patients": len(set(real.patients)), "generated": len(made),
        "of a text that no recorded ECG has": int((record < 0).sum()),
        "looked at by": {n: e.hash for n, e in (*eyes.vectors.items(), ("clip", eyes.clip))},
    }  # fmt: skip
    sections = measure(made, real, record, eyes, seed)
    if maker and edits:
        sections.append(_edits(maker, edits, seed))
    return publish(about, sections, made, real, out)


def measure(made: Seen, real: Seen, record_M, eyes: Eyes, seed: int = 0) -> list[Section]:
    """All tables of two sets. record (M,): the recorded ECG that each made one answers to, -1 for none."""
    linked = np.flatnonzero(np.asarray(record_M) >= 0)
    if len(linked) < 8:
        raise ValueError(
            f"{len(linked)} generated ECGs have a report that a recorded one of --data has; at least 8 are needed"
        )
    mine, theirs = _take(made, linked), _take(real, np.asarray(record_M)[linked])
    texts, patients = list(theirs.texts), theirs.patients
    words = eyes.clip.texts(texts)
    clip = text_adherence.clip_rows(mine.clip, theirs.clip, words, texts, patients, seed)
    told = text_adherence.classifier_rows(
        mine.probabilities, theirs.probabilities, theirs.target, eyes.classifier.names, patients, seed
    )
    known = np.isfinite(mine.asked)
    rate = mine.measured[:, intervals.FIELDS.index("heart_rate")]
    numbers = (
        [intervals.condition_row(rate[known], mine.asked[known], patients[known], seed)]
        if known.any()
        else []
    )
    classes = [eyes.classifier.names.index(name) for name in CLASSES if name in eyes.classifier.names]
    return [
        Section("fidelity", "sets of ECGs; floor: recorded against recorded", fidelity.fidelity_rows(
            made, real, record_M, seed=seed)),
        Section("diversity", "mean distance of ECGs under one text", fidelity.diversity_rows(made, real)),
        Section("text", "shuffled: with the reports of other texts", clip + told),
        Section("heart rate", "against the heart rate that was asked for", numbers),
        Section("intervals", "floor: two recorded ECGs under one text; shuffled: a recorded ECG of another text",
                intervals.interval_rows(mine.measured, theirs.measured, theirs.texts, patients, seed)),
        Section("classes", "intervals by superclass: recorded ECGs of the class, and those made of their reports",
                intervals.class_rows(mine.measured, theirs.measured, theirs.target[:, classes],
                                     [eyes.classifier.names[i] for i in classes], patients, seed)),
        Section("physics", "what holds for every ECG", _physics_rows(made, real)),
    ]  # fmt: skip


def open_eyes(vectors, classifier, clip) -> Eyes:
    """The networks by name. ValueError for one of another kind."""
    load = functools.cache(encoders.load)
    networks = encoders.of_kind(load(classifier), "classifier"), encoders.of_kind(load(clip), "clip")
    return Eyes({name: load(name) for name in vectors}, *networks)


def match(made_texts, real_texts, rng: np.random.Generator) -> np.ndarray:
    """(M,) a random recorded ECG of an equal text for each, -1 where there is none."""
    places: dict[str, np.ndarray] = {t: np.flatnonzero(real_texts == t) for t in set(real_texts)}
    return np.array([rng.choice(places[t]) if t in places else -1 for t in made_texts])


def _take(seen: Seen, which) -> Seen:
    values = {f.name: getattr(seen, f.name) for f in dataclasses.fields(Seen)}
    values["vectors"] = {k: v[which] for k, v in seen.vectors.items()}
    values["physics"] = [seen.physics[i] for i in which]
    arrays = {k: v[which] for k, v in values.items() if isinstance(v, np.ndarray)}
    return Seen(**values | arrays)


def _physics_rows(made: Seen, real: Seen) -> list[dict]:
    rows = []
    for name, unit in (("residual", "mV"), ("jitter", "ms"), ("constancy", "r")):
        values = [np.array([getattr(p, name) for p in s.physics], float) for s in (made, real)]
        rows.append({"metric": f"{name} ({unit})", **_pair(values, np.nanmean)})
    kinds = sorted({fault for s in (made, real) for p in s.physics for fault in p.faults})
    for kind in ("any fault", *kinds):
        values = [
            np.array([bool(p.faults) if kind == "any fault" else kind in p.faults for p in s.physics], float)
            for s in (made, real)
        ]
        rows.append({"metric": f"share with {kind}", **_pair(values, np.mean)})
    counts = [np.array([len(p.rr) for p in s.physics], float) for s in (made, real)]
    return [*rows, {"metric": "RR intervals in 10 s", **_pair(counts, np.mean)}]


def _pair(values, mean) -> dict:
    from ttecg.evaluate.report import bootstrap

    made, real = values
    return {
        "made": float(mean(made)), "95 %": bootstrap(made),
        "recorded": float(mean(real)), "recorded 95 %": bootstrap(real),
    }  # fmt: skip


def _edits(maker, num: int, seed: int) -> Section:
    def make(prompts, seeds):
        return maker.generate_many((Prompt(canonical(p)), s) for p, s in zip(prompts, seeds))

    rows = text_adherence.edit_rows(make, intervals.measured, num, seed)
    return Section("edits", "one phrase of the prompt is changed, the randomness stays", rows)
