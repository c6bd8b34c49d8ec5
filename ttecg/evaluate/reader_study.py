"""ECGs for a study with readers, recorded and generated mixed: `ttecg evaluate reader-study --model demo --data ...`.

Held-out recordings are paired within a class of labels, all of different patients. Of each pair one, drawn by lot, is
shown, and the report, age and sex of the other ask the model for an ECG, the first that it makes. So both kinds show
the same classes, and no page repeats what another says. All ECGs go through one function (`as_seen`) before they are
drawn: the leads, rate, length and band of the model, without the ends. PTB-XL's recordings end in 0.1 s without any
change, which the model does not write: enough for a reader who has noticed it.
"""

import csv
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from ttecg.data.dataset import describe, open_dataset
from ttecg.data.prompt import Prompt
from ttecg.data.reports import NOTHING, canonical
from ttecg.data.staged import staged_folder
from ttecg.data.statements import ARRHYTHMIA, CLASSES, targets
from ttecg.ecg import ECG, LEADS, to_eight, to_twelve
from ttecg.evaluate.given import prompt_of, with_reports
from ttecg.evaluate.reader_study_answers import GENERATED, KEY, RECORDED, form_columns
from ttecg.evaluate.reader_study_pages import FIRST, draw
from ttecg.export import check_out
from ttecg.generate import RATE, load
from ttecg.models.tokenizer import TokenizerConfig
from ttecg.plot import save_pages
from ttecg.train.tokenizer import prepare_signal

HELD_OUT = "validation+test"
ENDS = 0.2  # seconds that are not shown at either end


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A recording that may be shown or lend its report: its number in the set, patient and class of labels."""

    number: int
    patient: str
    label: str


@dataclasses.dataclass(frozen=True)
class Page:
    """What the key says of a page. number: printed on it; ecg: the recording shown or, of a generated one, the one
    whose report it was made of; drawn: (seed, index) of a generated one."""

    number: int
    origin: str
    record: int
    label: str
    drawn: tuple[int, int] | None


def make(model, data, out, split=HELD_OUT, num=40, seed=0, layout="3x4", text="prompt") -> None:
    """Writes study.pdf, answers.csv (a blank form) and key.csv into the new folder `out`, all or none of them.

    num: ECGs, half of them recorded. text: the line about the ECG on each page, "prompt" as the model reads a report,
    "report" as it was typed, or "none". ValueError: too few held-out pairs, no reports, a model of another kind."""
    check_out(out)
    check_held_out(data, split)
    maker, records = load(model), open_dataset(data, split)
    rng = np.random.default_rng(seed)
    config = maker.tokenizer.config
    found = pairs(candidates(records, config.samples / config.rate), rng)
    if 2 * len(found) < num:
        raise ValueError(
            f"--num {num}: {split} of {data} has {len(found)} pairs of patients with ECGs of one class; ask for "
            f"{2 * len(found)} at most"
        )
    pages = shuffled(found[: num // 2], seed, rng)
    with staged_folder(out) as folder:
        _write(folder / "key.csv", KEY, (_key_row(page, records, maker) for page in pages))
        columns = form_columns(text != "none")
        _write(folder / "answers.csv", columns, ([page.number] + [""] * (len(columns) - 1) for page in pages))
        save_pages(
            draw(ecgs(pages, records, maker, text), num, config.band, layout, text), folder / "study.pdf"
        )
    print(f"{num} ECGs in {out}: study.pdf and answers.csv for the readers, key.csv for you alone")


def check_held_out(data, split: str) -> None:
    """ValueError where a prepared set has no recordings that models are not trained on."""
    there = describe(data)["records"]
    if split == HELD_OUT and not all(there.get(name) for name in split.split("+")):
        raise ValueError(
            f"{data}: has no recordings held out of training in folds 9 and 10 ({split}); prepare it with folds, or "
            "name a part that the model was not trained on with --split"
        )


def candidates(records, seconds: float) -> list[Candidate]:
    """Those records whose report states a finding and that last as long as the model's ECGs."""
    part = with_reports(records)
    return [
        Candidate(number, str(ecg.info.get("patient_id") or ecg.id), label_of(ecg.labels))
        for number, ecg in zip(part.which, tqdm(part, desc="recordings", unit="ECG", disable=None))
        if ecg.duration >= seconds and canonical(ecg.report) != NOTHING
    ]


def label_of(labels) -> str:
    """The class of an ECG's labels: superclasses and "arrhythmia" that hold, joined by +; "" where none is known to."""
    names = (*CLASSES, ARRHYTHMIA)
    return "+".join(name for name, holds in zip(names, targets(labels, names)) if holds == 1)


def pairs(found: list[Candidate], rng: np.random.Generator) -> list[tuple[Candidate, Candidate]]:
    """Pairs of one class in random order; each patient is in one pair at most, with one record."""
    mixed = [found[i] for i in rng.permutation(len(found))]
    groups: dict[str, list[Candidate]] = {}
    for one in {c.patient: c for c in mixed}.values():
        groups.setdefault(one.label, []).append(one)
    couples = [pair for group in groups.values() for pair in zip(group[::2], group[1::2])]
    return [couples[i] for i in rng.permutation(len(couples))]


def shuffled(couples, seed: int, rng: np.random.Generator) -> list[Page]:
    """Two pages for each pair, its first recorded, and generated under the report of its second, in random order."""
    both = [(origin, one) for pair in couples for origin, one in zip((RECORDED, GENERATED), pair)]
    return [
        Page(FIRST + k, origin, one.number, one.label, (seed, k) if origin == GENERATED else None)
        for k, (origin, one) in enumerate(both[i] for i in rng.permutation(len(both)))
    ]


def ecgs(pages: list[Page], records, maker, text: str) -> Iterator[tuple[int, ECG]]:
    """(number, ECG) of each page in order, made as they are taken; of the patient the ECG has age, sex and a text."""
    prompts = [prompt_of(records[page.record]) for page in pages]
    made = maker.generate_many(
        (prompt, page.drawn) for page, prompt in zip(pages, prompts) if page.origin == GENERATED
    )
    for page, prompt in zip(tqdm(pages, desc="pages", unit="page", disable=None), prompts):
        ecg = next(made) if page.origin == GENERATED else records[page.record]
        yield page.number, as_seen(ecg, maker.tokenizer.config, prompt, text)


def as_seen(ecg: ECG, config: TokenizerConfig, prompt: Prompt, text: str) -> ECG:
    """An ECG of either kind in the model's band, as long as the model's but for the ends, its leads derived from the
    same eight, with nothing of its own but the signal; age, sex and report are the prompt's."""
    x = prepare_signal(ecg, config)[: config.samples].astype(float)
    eight = x if config.leads == 8 else to_eight(x)
    report = {"prompt": canonical(prompt.report), "report": prompt.report, "none": None}[text]
    seen = ECG(to_twelve(eight), LEADS, config.rate, age=prompt.age, sex=prompt.sex, report=report)
    return seen.resample(RATE).crop(ENDS, seen.duration - 2 * ENDS)


def _key_row(page: Page, records, maker) -> list:
    ecg = records[page.record]
    prompt = prompt_of(ecg)
    drawn = page.drawn or ("", "")
    made_by = f"{maker.name} {maker.hash}" if page.drawn else ""
    facts = (
        canonical(prompt.report),
        ecg.id,
        *drawn,
        page.label,
        prompt.report,
        prompt.age,
        prompt.sex,
        made_by,
    )
    return [page.number, page.origin, *facts]


def _write(path: pathlib.Path, columns, rows) -> None:
    """A CSV table; None is an empty cell."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
