"""Synthetic ECGs for scarce classes of a set, filtered, as a set to train on: `ttecg augment`.

Prompts are the reports of real training records of the class, with their age and sex; a record's labels are those of
the synthetic ECGs made of it. An ECG is kept where nothing is wrong with it as a signal and the classifier sees the
class in it as clearly as in four of five real records of the class.

Work is done in blocks of requests. A block's content follows from (seed, class, block) alone and is written in one
piece, so an interrupted run goes on with the next block, several processes do different blocks, and the result is the
same. Blocks lie in a hidden folder beside `out` until the set is put together.
"""

import dataclasses
import hashlib
import itertools
import json
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from ttecg import synthetic_set
from ttecg.augment_blocks import BLOCK, CLASS_SPAN, REASONS, Plan, Tools, block_file, open_pool, read_lines
from ttecg.data.dataset import describe, open_dataset
from ttecg.data.prepare import SPEC, damaged_files
from ttecg.data.shards import write_file
from ttecg.data.staged import staged_folder
from ttecg.data.statements import LABEL_SETS, label_names, statements, targets
from ttecg.evaluate import report
from ttecg.evaluate.given import has_words
from ttecg.train.config import write_text

_TRIES = 5  # requests for every ECG that is wanted, at most
_PASS = 0.2  # share of real records of a class that the classifier's threshold would refuse
_CALIBRATED = 200  # real records of a class that the threshold is taken from, at most
_NAME, _PLAN, PROVENANCE = "augmented", "plan.json", "provenance.jsonl"


def augment(
    data,
    out,
    labels=("superclass",),
    *,
    target_count: int = 0,
    balance: bool = False,
    model="demo",
    classifier="classifier",
    quality="quality",
    seed: int = 0,
    processes: int = 1,
) -> list[dict]:
    """Writes a prepared set with a train split of synthetic ECGs to `out`, with provenance.jsonl in it, a line for each
    ECG. target_count: so many records of each class, with the real ones; balance: as many as the largest class has.
    classifier, quality: "" for no such filter. Prints and returns a row for each class.

    ValueError: no such label, no record of a class has a report, `out` is something else."""
    records, names = open_dataset(data, "train"), class_names(labels)
    told, reported = told_labels(records, names)
    _check_named(told, reported, names, labels)
    goal, wanted = _wanted(told, reported, names, target_count, balance)
    tools = Tools(str(model), str(classifier), str(quality))
    told = np.where(reported[:, None], told, 0.0)  # the others cannot be asked for
    plan = _plan(data, records, told, names, wanted, tools, seed)
    out = pathlib.Path(out)
    if _complete(out, plan):
        print(f"{out}: this set is there already, complete")
        return []
    work = out.absolute().with_name(f".{out.name}.augment")
    _open_work(work, plan)
    rows, due, made = [], {}, dict.fromkeys(wanted, 0)
    with open_pool(tools, data, plan, names, told, processes) as run_blocks:
        for number, name in enumerate(wanted):
            due[name] = max(0, wanted[name] - made[name])
            row = _make_class(work, plan, number, name, due[name], run_blocks, processes)
            rows.append({"class": name, "recorded": goal - wanted[name], "came along": made[name]} | row)
            for line in _first_kept(work, number, due[name]):
                for other in np.flatnonzero(targets(line["labels"], tuple(wanted)) == 1):
                    made[tuple(wanted)[other]] += 1
    for row in rows:
        row["in all"] = row["recorded"] + made[row["class"]]
    _assemble(work, out, plan, due)
    shutil.rmtree(work)
    print(f"\n{describe(out)['records']['train']} synthetic ECGs in {out}\n{report.table(rows)}")
    for row in rows:
        if row["kept"] < row["wanted"]:
            print(
                f"{row['class']}: {row['wanted'] - row['kept']} short after {_TRIES} tries for each; see the refusals"
            )
    return rows


def class_names(labels) -> tuple[str, ...]:
    """Names of label sets and single labels, each once. ValueError for one that is neither."""
    single = {*label_names(LABEL_SETS), *statements()}
    found: list[str] = []
    for label in labels:
        if label not in LABEL_SETS and label not in single:
            raise ValueError(f"--labels {label}: neither a label nor one of the sets {', '.join(LABEL_SETS)}")
        found += label_names((label,)) if label in LABEL_SETS else (label,)
    if not found:
        raise ValueError("--labels: name a label set or labels")
    return tuple(dict.fromkeys(found))


def told_labels(records, names) -> tuple[np.ndarray, np.ndarray]:
    """(N, L) 1, 0, NaN, and (N,) whether a record has a report to ask with."""
    rows, reported = [], []
    for ecg in tqdm(
        (records[i] for i in range(len(records))), total=len(records), desc="labels", disable=None
    ):
        rows.append(targets(ecg.labels, names))
        reported.append(has_words(ecg.report))
    return np.stack(rows), np.array(reported)


def _check_named(told_NxL, reported_N, names, labels):
    """ValueError where a label that is named by itself has no record to ask with; those of a set are passed over."""
    for label in set(labels) - set(LABEL_SETS):
        if not (told_NxL[reported_N, names.index(label)] == 1).any():
            raise ValueError(
                f"--labels {label}: no training record with a report has this label; leave it out"
            )


def _wanted(told_NxL, reported_N, names, target_count: int, balance: bool) -> tuple[int, dict[str, int]]:
    """Records that each class shall have, and {class: how many it lacks}, the scarcest first."""
    count = {name: int((told_NxL[:, i] == 1).sum()) for i, name in enumerate(names)}
    there = {name: count[name] for i, name in enumerate(names) if (told_NxL[reported_N, i] == 1).any()}
    seen = ", ".join(f"{name} {n}" for name, n in sorted(there.items(), key=lambda c: c[1]))
    if not there:
        raise ValueError(f"no training record with a report has a label of {', '.join(names)}")
    if bool(target_count) == balance:
        raise ValueError(f"give one of --target-count N and --balance; training records: {seen}")
    goal = max(count.values()) if balance else target_count
    wanted = {name: goal - n for name, n in sorted(there.items(), key=lambda c: (c[1], c[0])) if n < goal}
    if not wanted:
        raise ValueError(f"every class has {goal} records or more already ({seen}); nothing is to be made")
    if max(wanted.values()) * _TRIES > CLASS_SPAN:
        raise ValueError(f"at most {CLASS_SPAN // _TRIES} ECGs can be made of a class in one run")
    return goal, wanted


def _plan(data, records, told, names, wanted, tools: Tools, seed: int) -> Plan:
    thresholds = {}
    if tools.classifier:
        unknown = [name for name in wanted if name not in tools.judge.names]
        if unknown:
            raise ValueError(
                f"{tools.classifier} does not tell {unknown[0]}; give another --classifier, or --classifier '' for none"
            )
        for name in wanted:
            mine = np.flatnonzero(told[:, names.index(name)] == 1)[:_CALIBRATED]
            seen = tools.judge.probabilities(records[int(i)] for i in mine)[:, tools.judge.names.index(name)]
            thresholds[name] = float(np.quantile(seen, _PASS))
    return Plan(
        data=describe(data)["rows"],
        records={k: int(v) for k, v in describe(data)["records"].items()},
        wanted=wanted,
        seed=seed,
        model=(tools.maker.name, tools.maker.hash),
        classifier=(tools.classifier, tools.judge.hash if tools.classifier else ""),
        quality=(tools.quality, tools.detector.hash if tools.quality else ""),
        thresholds=thresholds,
    )


def _complete(out: pathlib.Path, plan: Plan) -> bool:
    """Whether the set is there; ValueError where something else is."""
    if not out.exists():
        return False
    about = describe(out) if (out / SPEC).is_file() else {}
    if about.get("rows") != _fingerprint(plan):
        raise ValueError(f"--out {out} exists and is not what this command makes; give another --out")
    if damaged_files(out, about):
        raise ValueError(f"{out}: is this set, but damaged; delete it and make it again")
    return True


def _fingerprint(plan: Plan) -> str:
    return hashlib.sha256(_text(plan).encode()).hexdigest()[:16]


def _text(plan: Plan) -> str:
    return json.dumps(dataclasses.asdict(plan), indent=1, sort_keys=True)


def _open_work(work: pathlib.Path, plan: Plan):
    work.mkdir(parents=True, exist_ok=True)
    file = work / _PLAN
    if file.exists() and file.read_text() != _text(plan):
        raise ValueError(
            f"{work} holds blocks of another run for this --out; delete it, or give another --out"
        )
    write_text(file, _text(plan))


def _make_class(work, plan: Plan, number: int, name: str, due: int, run_blocks, processes: int) -> dict:
    """Blocks until `due` ECGs are kept or every try is used up. A row for the table."""
    kept, asked, refused = 0, 0, dict.fromkeys(REASONS, 0)
    last = -(-due * _TRIES // BLOCK)
    with tqdm(total=due, desc=name, unit="ECG", disable=None) as bar:
        block = 0
        while kept < due and block < last:
            wave = range(block, min(block + processes, last))
            todo = [(str(work), number, name, b) for b in wave if not block_file(work, number, b).exists()]
            for _ in run_blocks(todo):
                pass
            for b in wave:
                if kept < due:
                    lines = read_lines(block_file(work, number, b))
                    kept += sum(not line["refused"] for line in lines)
                    asked += len(lines)
                    for line in lines:
                        for reason in line["refused"][:1]:
                            refused[reason] += 1
                    bar.update(min(kept, due) - bar.n)
            block = wave.stop
    passed = asked - sum(refused.values())
    row = {"wanted": due, "kept": min(kept, due), "asked": asked}
    rate = 1 - passed / asked if asked else 0.0
    return row | {f"refused: {k}": v for k, v in refused.items()} | {"refusal rate": rate}


def _first_kept(work, number: int, due: int) -> Iterator[dict]:
    """Lines of the ECGs of a class that come into the set."""
    files = sorted(pathlib.Path(work).glob(f"{number:03d}-??????.npz"))
    kept = (line for file in files for line in read_lines(file) if not line["refused"])
    return itertools.islice(kept, due)


def _kept(work, wanted: dict[str, int]) -> Iterator[tuple[np.ndarray, float, dict]]:
    """(signal (T, 8) int16 microvolts, rate, line) of every ECG of the set, block by block."""
    for number, name in enumerate(wanted):
        count = 0
        for file in sorted(work.glob(f"{number:03d}-??????.npz")):
            with np.load(file, allow_pickle=False) as stored:
                lines = [line for line in json.loads(str(stored["lines"])) if not line["refused"]]
                for x, line in zip(stored["signal"], lines):
                    if count < wanted[name]:
                        count += 1
                        yield x, float(stored["rate"]), line | {"id": f"synthetic-{name}-{count:07d}"}


def _examples(work: pathlib.Path, wanted: dict[str, int]) -> Iterator[dict]:
    """What the set stores of each ECG."""
    for eight, rate, line in _kept(work, wanted):
        known = {k: line[k] for k in ("report", "age", "sex", "labels")}
        yield synthetic_set.example(eight, line["id"], line["patient_id"] or "", rate=rate, **known)


def _assemble(work: pathlib.Path, out: pathlib.Path, plan: Plan, wanted: dict[str, int]):
    if not any(True for _ in _kept(work, wanted)):
        raise ValueError(
            "the filters kept no ECG at all; try another --model, or --classifier '' and --quality '' to go without"
        )
    with staged_folder(out) as folder:
        count = write_file(folder / synthetic_set.shard_name(_NAME, 0, 1), _examples(work, wanted))
        with (folder / PROVENANCE).open("w", encoding="utf-8") as file:
            for _, _, line in _kept(work, wanted):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        about = dataclasses.asdict(plan)
        synthetic_set.finish(folder, _NAME, [count], _fingerprint(plan), synthetic=about)


def read_provenance(path) -> list[dict]:
    """A line for each ECG of a set that `augment` made, in the order of the set."""
    text = (pathlib.Path(path) / PROVENANCE).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
