"""Are generated ECGs copies of training ECGs? `ttecg evaluate privacy --model demo --data data/ptbxl-500`.

Two people's ECGs are alike too, so every measure of nearness stands beside that of held-out real ECGs, and beside that
of training records copied on purpose (shifted, made taller, with noise), which it must catch. Measures: correlation as
the signals lie, and at the best shift (leads II and V2); distance in the space of an encoder; the longest run of codes
shared with a training sequence; whether one training patient stands out; whether nearness to generated ECGs tells
training records from held-out ones.

The verdict is FAIL where any of these cannot be chance: see `privacy_measures.suspicious`; a run of codes over 1.5
times as long as the longest of a held-out ECG; a membership area whose interval lies above .55.
"""

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from ttecg import encoders
from ttecg.data.dataset import open_dataset
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.evaluate import privacy_measures as measures
from ttecg.evaluate import report
from ttecg.evaluate.generation import folder, prompt_of, with_reports
from ttecg.generate import TextToECG, load

RATE = 100.0
LEADS = ("II", "V2")
_COLORS = ("#1f4e79", "#b03030", "#e08a3c", "#999999")
HELD_OUT_REPORTS, TRAINING_REPORTS = "generated, held-out reports", "generated, training reports"
_CERTAIN = 0.55


def signal(ecg: ECG) -> np.ndarray:
    """(T, 2) of leads II and V2 at 100 Hz, 0.5-40 Hz."""
    return ecg.select(LEADS).resample(RATE).bandpass(0.5, 40.0).signal


def evaluate(
    model="demo", data=None, num: int = 100, seed: int = 0, out=None, generated=None, encoder="encoder"
) -> dict:
    """data: the prepared set that the model was trained on. num: held-out records, at most; as many ECGs are generated
    under their reports, and under reports of training records. generated: a folder of ECGs instead; runs of codes need
    the model all the same. Prints tables and the verdict; writes privacy.json and privacy.png. Returns what the first
    holds."""
    generator, eyes = load(model), encoders.load(encoder)
    training, held_out = open_dataset(data, "train"), with_reports(open_dataset(data, "validation+test"), num)
    known = _collect(_all(training), "training", len(training), generator, eyes)
    people = _collect(held_out, "held out", len(held_out), generator, eyes)
    count = min(len(held_out), len(training))
    copies = _collect(_copies(training, count, seed), "planted copies", count, generator, eyes)
    if generated:
        ecgs = folder(generated)
        made = {"generated": _collect(ecgs, "generated", len(ecgs), generator, eyes)}
    else:
        some = with_reports(training, len(held_out))
        made = {
            name: _collect(
                generator.generate_many((prompt_of(e), (seed + k, i)) for i, e in enumerate(asked)),
                name, len(asked), generator, eyes,
            )
            for k, (name, asked) in enumerate({HELD_OUT_REPORTS: held_out, TRAINING_REPORTS: some}.items())
        }  # fmt: skip
    about = {"model": generator.name, "hash": generator.hash, "data": str(data), "generated": str(generated or ""),
             "encoder": eyes.name, "seed": seed, "training records": len(training)}  # fmt: skip
    found = judge(known, people, made, copies)
    return _publish(about, found, out)


def _collect(ecgs, what: str, total: int, generator: TextToECG, eyes) -> dict:
    """What is compared of each ECG. features_a, features_b: of its first and second half."""
    rows = {k: [] for k in ("signal", "features", "a", "b", "codes", "ids")}
    config = generator.tokenizer.config
    for ecg in tqdm(ecgs, total=total, desc=what, unit="ECG", disable=None):
        x = ecg.select(INDEPENDENT if config.leads == 8 else ecg.leads).resample(config.rate).signal
        x = x[: config.samples]
        rows["codes"].append(generator.tokenizer.encode(x[None].astype(np.float32))[0, :, 0])
        rows["signal"].append(signal(ecg))
        for name, part in (("features", ecg), ("a", _half(ecg, 0)), ("b", _half(ecg, 1))):
            rows[name].append(eyes.prepare(part))
        rows["ids"].append(str(ecg.info.get("patient_id") or ecg.id))
    length = min(map(len, rows["signal"]))
    embedded = {k: eyes.embed(rows[k]) for k in ("features", "a", "b")}
    return (
        rows
        | embedded
        | {"signal": np.stack([s[:length] for s in rows["signal"]]), "codes": np.stack(rows["codes"])}
    )


def _all(records):
    return (records[i] for i in range(len(records)))


def _half(ecg: ECG, which: int) -> ECG:
    middle = len(ecg.signal) // 2
    return ecg.replace(signal=ecg.signal[:middle] if which == 0 else ecg.signal[middle : 2 * middle])


def _copies(training, count: int, seed: int):
    """Training records moved by 1.4 s, 1.2 times as tall, with a little noise."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        ecg = training[i]
        x = np.roll(ecg.signal, round(1.4 * ecg.rate), axis=0) * 1.2
        yield ecg.replace(signal=x + rng.normal(0, 0.01, x.shape))


def judge(known: dict, people: dict, made: dict[str, dict], copies: dict) -> dict:
    """All measures of held-out, generated and copied ECGs against the training records, and what is suspicious."""
    groups = {"held-out": people, **made, "planted copies": copies}
    near = {name: {group: of(x, known) for group, x in groups.items()} for name, of in MEASURES.items()}
    rows = [
        {"measure": name, "ecgs": group, "n": len(d)} | measures.compare(distances["held-out"], d)
        for name, distances in near.items()
        for group, d in distances.items()
    ]
    runs = {g: measures.longest_runs(x["codes"], known["codes"]) for g, x in groups.items()}
    members = _membership(known, people, made)
    reasons = {g: _reasons(rows, runs, g, len(people["ids"])) for g in groups if g != "held-out"}
    for name, (area, span) in members.items():
        if span[0] > _CERTAIN:
            reasons[next(iter(made))].append(f"{name}: membership area {area:.2f}, at least {span[0]:.2f}")
    return {
        "rows": rows,
        "runs": [
            {"ecgs": g, "median": float(np.median(r)), "max": int(r.max()), "codes": known["codes"].shape[1]}
            for g, r in runs.items()
        ],
        "membership": [{"measure": k, "area": a, "95 %": span} for k, (a, span) in members.items()],
        "recognised": _recognition(known, people),
        "reasons": reasons,
        "near": near,
        "run_lengths": runs,
    }


def _reasons(rows, runs, group: str, held_out: int) -> list[str]:
    found = []
    for row in rows:
        if row["ecgs"] == group and (why := measures.suspicious(row, row["n"], held_out)):
            found.append(f"{row['measure']}: {why}")
    longest, usual = runs[group].max(), runs["held-out"].max()
    if longest > 1.5 * usual:
        found.append(
            f"a run of {longest} codes shared with a training record; of held-out ECGs {usual} at most"
        )
    return found


def _membership(known: dict, people: dict, made: dict[str, dict]) -> dict:
    signals, vectors = (np.concatenate([x[k] for x in made.values()]) for k in ("signal", "features"))
    return {
        "best shift": measures.membership(
            measures.aligned(known["signal"], signals, RATE),
            measures.aligned(people["signal"], signals, RATE),
            known["ids"], people["ids"],
        ),
        "encoder": measures.membership(
            -_distance(known["features"], vectors), -_distance(people["features"], vectors),
            known["ids"], people["ids"],
        ),
    }  # fmt: skip


def _recognition(known: dict, people: dict) -> list[dict]:
    return [
        {"recordings": name, "n": len(x["ids"]), "second half found": measures.recognised(x["a"], x["b"], x["ids"]),
         "chance": 1 / len(x["ids"])}
        for name, x in (("training", known), ("held-out", people))
    ]  # fmt: skip


def _distance(x, of) -> np.ndarray:
    from ttecg.evaluate.point_sets import nearest

    return nearest(x, of)


MEASURES = {
    "as they lie": lambda x, known: 1 - measures.unshifted(x["signal"], known["signal"]),
    "best shift": lambda x, known: 1 - measures.aligned(x["signal"], known["signal"], RATE),
    "encoder": lambda x, known: _distance(x["features"], known["features"]),
    "one patient stands out": lambda x, known: measures.two_nearest(
        x["features"], known["features"], known["ids"]
    )[1],
}


def verdict(found: dict) -> str:
    """One line."""
    why = [
        f"{group}: {w}" for group, some in found["reasons"].items() if group != "planted copies" for w in some
    ]
    caught = "the copies planted beside them were caught" if found["reasons"]["planted copies"] else (
        "BUT the copies planted beside them were not caught either, so this says nothing")  # fmt: skip
    return f"verdict: {'FAIL: ' + '; '.join(why) if why else 'PASS'} ({caught})"


def _publish(about: dict, found: dict, out) -> dict:
    print(
        f"\nmodel {about['model']} ({about['hash']}), {about['training records']} training records of "
        f"{about['data']}, seed {about['seed']}"
    )
    print("\ndistance to the nearest training record (0: equal)\n" + report.table(found["rows"]))
    print("\nlongest run of codes shared with a training record\n" + report.table(found["runs"]))
    spans = [r | {"95 %": "{:.3f}-{:.3f}".format(*r["95 %"])} for r in found["membership"]]
    print(
        "\ndoes nearness to generated ECGs tell training from held-out records? (.5: no)\n"
        + report.table(spans)
    )
    print("\ndo the encoder's features know people?\n" + report.table(found["recognised"]))
    line = verdict(found)
    print(f"\n{line}")
    kept = {k: v for k, v in found.items() if k not in ("near", "run_lengths", "rows")}
    if out:
        report.save(out, "privacy", {**about, **kept, "verdict": line}, found["rows"])
        _plot(found).savefig(f"{out}/privacy.png", dpi=150)
        print(f"results in {out}: privacy.json, privacy.png")
    return {**about, **kept, "rows": found["rows"], "verdict": line}


def _plot(found: dict) -> Figure:
    shown = {**found["near"], "codes not in the longest run": {
        g: 1 - r / found["runs"][0]["codes"] for g, r in found["run_lengths"].items()}}  # fmt: skip
    figure = Figure(figsize=(3.2 * len(shown), 3.2), facecolor="white", layout="constrained")
    for axis, (name, groups) in zip(figure.subplots(1, len(shown)), shown.items()):
        for (group, values), color in zip(groups.items(), [*_COLORS[: len(groups) - 1], _COLORS[-1]]):
            x = np.sort(values)
            axis.step(x, np.arange(1, len(x) + 1) / len(x), color=color, label=group)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("distance to the nearest training record")
        axis.set_xlim(left=0)
    figure.axes[0].set_ylabel("share of ECGs")
    figure.axes[0].legend(fontsize=8)
    return figure
