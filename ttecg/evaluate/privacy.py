"""Are generated ECGs copies of training ECGs? `ttecg evaluate privacy --model demo --data data/ptbxl-500`.

Two people's ECGs are alike too, so every measure of nearness stands beside that of held-out real ECGs, and beside that
of training records copied on purpose (moved, made taller or smaller, with noise), which it must catch. Measures:
correlation as the signals lie, and at the best shift (leads II and V2); distance in the space of an encoder; whether
one training patient stands out from the next; the longest run of codes shared with a training sequence; whether the
nearest record of all is a training one; whether nearness to generated ECGs tells training records from held-out ones;
whether the encoder takes them for training patients. The rule of the verdict: see `privacy_judge`.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from ttecg import encoders
from ttecg.data.dataset import open_dataset
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.evaluate.given import has_words, patient_of, prompt_of, recordings
from ttecg.evaluate.privacy_judge import FLOOR, PLANTED, RATE, Group, joined, judge, verdict
from ttecg.evaluate.privacy_report import publish
from ttecg.generate import load

LEADS = ("II", "V2")
GENERATED = "generated"
HELD_OUT_REPORTS, TRAINING_REPORTS = "generated, held-out reports", "generated, training reports"
_FEWEST, _CHUNK = 8, 64


def evaluate(
    model="demo", data=None, num: int = 100, seed: int = 0, out=None, generated=None, encoder="encoder",
    split: str = "validation+test",
) -> dict:  # fmt: skip
    """Prints tables and the verdict; with `out` writes privacy.json and privacy.png. Returns what the first holds.

    data: the prepared set that the model was trained on; its `split` are the held-out records. num: ECGs generated
    under reports of held-out records, and as many under those of training records (reports are used again where there
    are fewer). generated: a prepared set or folder of WFDB records instead; the model then gives the codes alone, and
    the reports should be neither those of the training nor those of the held-out records, or evenly of both.
    encoder: see `ttecg.encoders.load`; without one ("") what needs it is left out.
    ValueError: fewer than eight records on a side, a patient on both, ECGs too short for the model, no reports."""
    generator, eyes = load(model), encoders.load(encoder) if encoder else None
    look = functools.partial(collect, tokenizer=generator.tokenizer, eyes=eyes)
    training, held_out = open_dataset(data, "train"), open_dataset(data, split)
    source = recordings(generated) if generated else None
    known, people = look(training, len(training), "training"), look(held_out, len(held_out), FLOOR)
    _check(known, people, data)
    if source is not None:
        lent, made = None, {GENERATED: look(source, len(source), GENERATED)}
        count = min(len(known), len(people))
        copied = np.random.default_rng(seed).permutation(len(known))[:count]
    else:
        lent = lenders(known, people, num, seed)
        copied = np.unique(lent[0])
        made = {
            name: _generate(generator, group, which, seed + k, name, look)
            for k, (name, group, which) in enumerate(
                zip((TRAINING_REPORTS, HELD_OUT_REPORTS), (known, people), lent)
            )
        }
    copies = look(planted(training, copied, seed), len(copied), PLANTED)
    found = judge(known, people, made, copies, lent, seed)
    about = {
        "model": generator.name, "hash": generator.hash, "data": str(data), "seed": seed,
        "encoder": f"{eyes.name} ({eyes.hash})" if eyes else None, "training records": len(known),
        "held-out": split, "held-out records": len(people), "generated": str(generated or ""),
        "broken": {name: int(group.broken.sum()) for name, group in made.items()},
    }  # fmt: skip
    return publish(about, found, verdict(found), out)


def _check(known: Group, people: Group, data) -> None:
    if min(len(known), len(people)) < _FEWEST:
        raise ValueError(
            f"{data}: {len(known)} training and {len(people)} held-out records; at least {_FEWEST} of each are needed"
        )
    if both := set(known.patients) & set(people.patients):
        raise ValueError(
            f"{data}: {len(both)} patients are among training and held-out records, e.g. {min(both)}; prepare it "
            "with folds that keep patients together"
        )


def signal(ecg: ECG) -> np.ndarray:
    """(T, 2) of leads II and V2 at 100 Hz, 0.5-40 Hz."""
    return ecg.select(LEADS).resample(RATE).bandpass(0.5, 40.0).signal


def collect(ecgs: Iterable[ECG], total: int, what: str, tokenizer, eyes=None) -> Group:
    """Takes from each ECG, as they come, what is compared. ValueError where one is shorter than what the tokenizer
    encodes, or there is none."""
    ecgs, parts = iter(tqdm(ecgs, total=total, desc=what, unit="ECG", disable=None)), []
    while chunk := list(itertools.islice(ecgs, _CHUNK)):
        parts.append(_collect(chunk, tokenizer, eyes))
    if not parts:
        raise ValueError(f"{what}: there are no ECGs")
    return joined(parts)


def _collect(ecgs: list[ECG], tokenizer, eyes) -> Group:
    finite = np.array([np.isfinite(e.signal).all() for e in ecgs])
    ecgs = [e if ok else e.replace(signal=np.zeros_like(e.signal)) for e, ok in zip(ecgs, finite)]
    prompts = np.empty(len(ecgs), object)
    prompts[:] = [prompt_of(e) if has_words(e.report) else None for e in ecgs]
    seconds = tokenizer.config.samples / tokenizer.config.rate
    features = first = second = None
    if eyes:
        halves = [_halves(e) for e in ecgs]
        features, first, second = (eyes.features(part) for part in (ecgs, *zip(*halves)))
    return Group(
        codes=np.concatenate([_codes(e, tokenizer) for e in ecgs]),
        signal=np.stack([signal(e)[: round(seconds * RATE)] for e in ecgs]).astype(np.float32),
        features=features, first=first, second=second,
        ids=np.array([e.id for e in ecgs], object),
        patients=np.array([patient_of(e) for e in ecgs], object),
        prompts=prompts, broken=~finite,
    )  # fmt: skip


def _codes(ecg: ECG, tokenizer) -> np.ndarray:
    """(1, C) of the first level."""
    config = tokenizer.config
    x = ecg.select(INDEPENDENT if config.leads == 8 else ecg.leads).resample(config.rate).signal
    if len(x) < config.samples:
        raise ValueError(
            f"{ecg.id or 'ECG'}: {ecg.duration:g} s; the model's codes need {config.samples / config.rate:g} s"
        )
    return tokenizer.encode(x[None, : config.samples].astype(np.float32))[:, :, 0]


def _halves(ecg: ECG) -> tuple[ECG, ECG]:
    middle = len(ecg.signal) // 2
    return ecg.replace(signal=ecg.signal[:middle]), ecg.replace(signal=ecg.signal[middle : 2 * middle])


def planted(training, which, seed: int) -> Iterable[ECG]:
    """Training records, 0.7 to 1.4 times as tall, with 0.02 mV of noise; every other one moved by up to 2 s."""
    rng = np.random.default_rng(seed)
    for number, i in enumerate(which):
        ecg, move = training[int(i)], rng.uniform(0, 2) * (number % 2)
        x = np.roll(ecg.signal, round(move * ecg.rate), axis=0) * rng.uniform(0.7, 1.4)
        yield ecg.replace(signal=x + rng.normal(0, 0.02, x.shape))


def lenders(known: Group, people: Group, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(num,) training and (num,) held-out records whose reports are used: equally many of each, in turn where they are
    fewer than num. ValueError where a side has no reports."""
    there = [np.flatnonzero([p is not None for p in group.prompts]) for group in (known, people)]
    count = min(num, *map(len, there))
    if not count:
        raise ValueError("no records with reports on both sides of --data; give ECGs with --generated")
    rng = np.random.default_rng(seed)
    return tuple(np.resize(rng.permutation(which)[:count], num) for which in there)


def _generate(generator, group: Group, which, seed: int, what: str, look) -> Group:
    """ECGs under the reports of some records, kept with their patients."""
    asked = ((group.prompts[j], (seed, i)) for i, j in enumerate(which))
    made = look(generator.generate_many(asked), len(which), what)
    return dataclasses.replace(made, patients=group.patients[which])
