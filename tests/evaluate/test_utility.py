"""The study of use: rows and records without leaks, intervals, verdicts; from end to end on simulated records."""

import dataclasses
import json

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.data.prompt import Prompt
from ttecg.data.reports import canonical
from ttecg.data.simulated import Simulated
from ttecg.data.write_folder import write_folder
from ttecg.evaluate import study, utility
from ttecg.evaluate.classifier_signals import Group, Recordings, split
from ttecg.evaluate.synthetic import Joined, synthesise
from ttecg.evaluate.utility import ON_SYNTHETIC, REAL, evaluate, plan
from ttecg.evaluate.utility_pool import (
    NOBODY,
    Pool,
    few_records,
    from_folder,
    linked,
    oversampled,
    prompts_of,
    scarcest,
)
from ttecg.evaluate.utility_report import results_of, verdicts
from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.loop import RunConfig

TINY = ClassifierTraining(
    model=ResNetConfig(widths=(8,), stem_stride=8, rate=50.0, band=(0.67, 20.0)),
    crop=128,
    run=RunConfig(steps=2, batch=4),
)
SUBSET = {"labels": ("subset",), "recipe": TINY, "seeds": (0, 1)}
FEW = {"shares": (0.0, 0.5, 2.0), "few": (0.2,)}


class Fake:
    """Stands for a text-to-ECG model: an ECG depends on its prompt's text and its seed alone. Counts what it makes."""

    name, hash = "fake", "0123"

    def __init__(self, stop_after: float = np.inf):
        self.made, self.stop_after, self.prompts = 0, stop_after, []

    def generate_many(self, asked):
        for prompt, seed in asked:
            if self.made >= self.stop_after:
                raise KeyboardInterrupt
            self.made += 1
            self.prompts.append(prompt)
            ecg = Simulated(100, rate=100.0)[(len(prompt.report) + 7 * seed[0] + seed[1]) % 100]
            yield ecg


@pytest.fixture
def fake(monkeypatch):
    made = Fake()
    monkeypatch.setattr(utility.generate, "load", lambda model: made)
    return made


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared set of 40 records of 20 patients in ten folds; the fourth record has no report."""
    root = tmp_path_factory.mktemp("utility")
    ecgs = []
    for i, ecg in enumerate(Simulated(40, rate=100.0)[n] for n in range(40)):
        info = {"patient_id": f"p{i // 2}", "fold": 1 + i // 2 % 10}
        ecgs.append(ecg.replace(id=f"r{i}", info=info, report="" if i == 3 else ecg.report))
    write_folder(ecgs, root / "records")
    words = ["data", "prepare", "folder", "--source", str(root / "records"), "--out", str(root / "set")]
    assert main(words) == 0
    return root / "set"


@pytest.fixture(scope="module")
def records(data, tmp_path_factory):
    return Recordings(tmp_path_factory.mktemp("signals"), data, (), ("MI", "arrhythmia"), TINY.model)


def pool_of(of, copy, real: int = 10, target=None) -> Pool:
    """A pool whose ECGs are all zero."""
    target = np.zeros((real, 1), np.float32) if target is None else target
    target = np.concatenate([target, target[np.maximum(of, 0)]])
    signal = Joined(np.zeros((real, 4, 8), np.int16), np.zeros((len(of), 4, 8), np.int16))
    return Pool(signal, target, real, np.array(of), np.array(copy))


def test_from_end_to_end_and_on_from_where_it_was(data, fake, tmp_path, capsys):
    rows = evaluate(data, tmp_path / "s", **SUBSET, **FEW)
    names = [r["trained on"] for r in rows]
    assert names[:5] == [REAL, "synthetic", ON_SYNTHETIC, "+50% synthetic", "+200% synthetic"]
    assert names[5:8] == ["oversampled", "class weights", "mixup"]
    assert names[8].startswith("20% real (") and names[9] == f"{names[8]} + synthetic"
    by_name = {r["trained on"]: r for r in rows}
    real = by_name[REAL]["records"]
    assert by_name["synthetic"]["records"] in (real - 1, real), "a record without report has no synthetic ECG"
    assert by_name["+200% synthetic"]["records"] == real + 2 * by_name["synthetic"]["records"]
    for row in rows:
        assert 0 <= row["macro"] <= 1 and row["macro 95 %"][0] <= row["macro 95 %"][1]
        assert (row["macro gain"] is None) == (row["trained on"] in (REAL, names[8]))
    said = capsys.readouterr().out
    assert "mixup against real: macro" in said and f"{names[9]} against {names[8]}" in said
    assert f"{ON_SYNTHETIC} against" not in said
    stored = json.loads((tmp_path / "s" / "utility.json").read_text())
    assert [r["trained on"] for r in stored["rows"]] == names and len(stored["verdicts"]) == 7
    assert (tmp_path / "s" / "utility.png").stat().st_size > 5000
    # cut in the middle of the last line: nothing is made again, and that network alone is trained again
    file = tmp_path / "s" / "results.jsonl"
    lines, made = file.read_text(), fake.made
    assert len(lines.splitlines()) == 20
    file.write_text(lines[:-20])
    assert evaluate(data, tmp_path / "s", **SUBSET, **FEW)[0] == rows[0]
    assert fake.made == made and file.read_text().splitlines()[:19] == lines.splitlines()[:19]
    assert len(file.read_text().splitlines()) == 20


def test_another_study_is_not_gone_on_with(data, fake, tmp_path):
    changes = {**SUBSET, "seeds": (0,), "shares": (), "few": ()}
    evaluate(data, tmp_path / "s", **changes)
    with pytest.raises(ValueError, match="another recipe"):
        recipe = dataclasses.replace(TINY, noise=0.2)
        evaluate(data, tmp_path / "s", **changes | {"recipe": recipe})
    with pytest.raises(ValueError, match="another shares"):
        evaluate(data, tmp_path / "s", **changes | {"shares": (1.0,)})


def test_made_ecgs_answer_to_their_records_alone():
    pool = pool_of(of=[0, 0, 1, 2, 2, 2, NOBODY, -2], copy=[0, 1, 0, 0, 1, 2, 0, 0])
    made = pool.made_of([0, 2])
    assert sorted(made) == [10, 11, 13, 14, 15] and set(made[:2]) == {10, 13} and made[4] == 15
    assert sorted(pool.made_of([0, 2], copies=1)) == [10, 13]
    assert pool.made_of([0, 2], free=True)[-1] == 16, "those of no record come last, useless ones never"
    assert not len(pool.made_of([5]))
    # a beginning is a random choice of records, not the first ones
    many = pool_of(of=np.arange(200), copy=np.zeros(200, int), real=200)
    some = many.made_of(np.arange(200))[:50] - 200
    assert 60 < some.mean() < 140 and (some != np.sort(some)).any()


def test_no_row_trains_on_what_answers_to_a_test_record():
    rng = np.random.default_rng(0)
    target = rng.integers(2, size=(40, 2)).astype(np.float32)
    group = Group(0, np.arange(30), np.arange(30, 40))
    of, copy = np.repeat(np.arange(40), 8), np.tile(np.arange(8), 40)
    pool, subsets = pool_of(of, copy, 40, target), {0.3: few_records(target, group.train, 0.3)}
    rows = plan(pool, group, subsets, TINY, (0.5, 1.0), 8, target, 30)
    answers = np.concatenate([np.arange(40), of])
    for row in rows:
        assert set(answers[row.train]) <= set(group.train), row.name
        assert set(answers[row.test]) <= set(group.test), row.name
        if row.name.startswith("30%"):
            assert set(answers[row.train]) <= set(subsets[0.3]), row.name
    assert {len(r.train) for r in rows if r.name == "+50% synthetic"} == {45}
    assert rows[1].name == "synthetic" and sorted(answers[rows[1].train]) == list(range(30))
    assert len({r.name for r in rows}) == len(rows)
    assert [r.name for r in rows if r.recipe.mixup] == ["mixup"]
    assert [r.name for r in rows if r.recipe.class_weights] == ["class weights"]


def test_what_cannot_be_had_is_said(capsys):
    target = np.eye(2, dtype=np.float32)[np.arange(20) % 2]
    group = Group(0, np.arange(16), np.arange(16, 20))
    pool = pool_of([0, 1, 2, 3], [0, 0, 0, 0], 20, target)
    names = [
        r.name for r in plan(pool, group, {0.7: np.array([8, 9])}, TINY, (0.25, 1.0, 2.0), 8, target, 16)
    ]
    assert ON_SYNTHETIC not in names and "+25% synthetic" in names and "+100% synthetic" not in names
    assert (
        "+4 synthetic (all)" in names and "70% real (2)" in names and "70% real (2) + synthetic" not in names
    )
    said = capsys.readouterr().out
    assert "nothing is tested on synthetic ones" in said and "they are alone" in said


def test_ecgs_are_linked_to_records_by_text():
    of, copy = linked(["a", "b", "a", "a", "x", "x"], [(4, "a"), (7, "a"), (2, "b")])
    assert of.tolist() == [4, 2, 7, 4, NOBODY, NOBODY] and copy.tolist() == [0, 0, 0, 1, 0, 1]


def test_a_folder_of_generated_ecgs(data, records, tmp_path, capsys):
    group, prompts = split(records, 0)[0], prompts_of(records)
    texts = {canonical(prompts[r].report) for r in group.train if prompts[r]}
    ecgs = [Simulated(100, rate=100.0)[i] for i in range(20)]
    known = [r for r in group.train if prompts[r]][:18]
    made = [
        e.replace(id=f"g{i}", report=prompts[r].report, labels=())
        for i, (e, r) in enumerate(zip(ecgs, known))
    ]
    made.append(ecgs[18].replace(id="own", report="an unheard of thing", labels=("AFIB", "AMI")))
    made.append(ecgs[19].replace(id="none", report="another unheard of thing", labels=()))
    write_folder(made, tmp_path / "folder")
    names = ("MI", "arrhythmia")
    words = ["--source", str(tmp_path / "folder"), "--out", str(tmp_path / "set")]
    assert main(["data", "prepare", "folder", *words]) == 0
    capsys.readouterr()
    for source in ("folder", "set"):
        (tmp_path / f"o-{source}").mkdir()
        pool = from_folder(tmp_path / f"o-{source}", records, prompts, tmp_path / source, names)
        assert pool.signal.shape == (len(records) + 20, 500, 8) and len(pool.target) == len(records) + 20
        for place in pool.made_of(group.train):
            record = pool.of[place - len(records)]
            assert canonical(prompts[record].report) in texts
            assert np.array_equal(pool.target[place], records.target[record], equal_nan=True)
        free = pool.made_of([], free=True)
        assert len(free) == 1 and pool.target[free[0]].tolist() == [1, 1]
        assert "1 of 20 ECGs have neither" in capsys.readouterr().out
    again = from_folder(tmp_path / "o-set", records, prompts, tmp_path / "set", names)
    assert (again.of == pool.of).all()
    with pytest.raises(ValueError, match="other files"):
        from_folder(tmp_path / "o-set", records, prompts, tmp_path / "folder", names)


def test_the_command_takes_a_folder(data, records, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "study_recipe", lambda *_: TINY)
    prompts, group = prompts_of(records), split(records, 0)[0]
    ecgs = [Simulated(100, rate=100.0)[i] for i in range(len(records))]
    write_folder(
        (e.replace(id=f"g{r}", report=prompts[r].report) for r, e in enumerate(ecgs) if prompts[r]),
        tmp_path / "made",
    )
    words = ["--data", str(data), "--generated", str(tmp_path / "made"), "--out", str(tmp_path / "o")]
    words += ["--seeds", "0", "--shares", "0.25", "--few", "0.5", "--labels", "subset"]
    assert main(["evaluate", "utility", *words]) == 0
    said = capsys.readouterr().out
    assert "One seed" in said and "+25% synthetic against real" in said
    stored = json.loads((tmp_path / "o" / "utility.json").read_text())
    assert stored["trained on"] == len(group.train) and stored["model"] == str(tmp_path / "made")


def test_synthetic_ecgs_are_made_once_and_after_an_interruption(tmp_path):
    asked = [(Prompt(report=f"text {i}"), (0, i)) for i in range(130)]
    whole = np.array(synthesise(tmp_path / "whole.npy", Fake(), asked, TINY.model))
    with pytest.raises(KeyboardInterrupt):
        synthesise(tmp_path / "cut.npy", Fake(stop_after=100), asked, TINY.model)
    rest = Fake()
    assert (synthesise(tmp_path / "cut.npy", rest, asked, TINY.model) == whole).all() and whole.any()
    assert rest.made == 66, "the first block of 64 was kept"
    idle = Fake()
    synthesise(tmp_path / "cut.npy", idle, asked, TINY.model)
    assert not idle.made
    with pytest.raises(ValueError, match="of other reports"):
        synthesise(tmp_path / "cut.npy", idle, asked[:-1], TINY.model)


def test_few_records_hold_every_label_and_nest():
    target = np.zeros((200, 3), np.float32)
    target[:, 0], target[5, 1], target[[7, 8, 9], 2] = 1, 1, 1
    train = np.arange(200)
    small, large = few_records(target, train, 0.01), few_records(target, train, 0.2)
    assert len(small) == 10 and len(large) == 40 and set(small) <= set(large)
    assert target[small].sum(0).min() >= 1 and target[small, 2].sum() >= 2
    assert len(set(large)) == 40 and set(few_records(target, train[50:], 0.1)) <= set(train[50:])
    assert len(few_records(target, np.arange(6), 0.5)) == 6


def test_scarce_records_are_repeated():
    target = np.array([[1, 0]] * 8 + [[0, 1]] * 2, np.float32)
    repeated = oversampled(target, np.arange(10))
    assert target[repeated].sum(0).tolist() == [8, 8]
    assert scarcest(target, ["often", "rare"], 1) == ["rare"]
    target[:, 0] = 0
    assert scarcest(target, ["never", "rare"]) == ["rare"]


def areas_around(values, seeds: int = 3, draws: int = 201, labels: int = 2, spread: float = 0.01):
    """{row: (S, D, L)} of this mean and spread over draws."""
    rng = np.random.default_rng(0)
    return {k: np.where(np.arange(draws)[:, None] == 0, v, v + spread * rng.normal(size=(seeds, draws, labels)))
            for k, v in values.items()}  # fmt: skip


def test_verdicts_turn_with_the_interval():
    areas = areas_around(
        {REAL: 0.7, "+50% synthetic": 0.8, "synthetic": 0.6, "mixup": 0.7, ON_SYNTHETIC: 0.9}
    )
    base = dict.fromkeys(areas, REAL)
    rows = [{"trained on": r["row"], **r} for r in results_of(areas, base, ("MI", "NORM"), ["MI"])]
    assert rows[0]["macro gain"] is None and np.isclose(rows[1]["macro gain"], 0.1)
    said = verdicts(rows, base)
    words = {line.split(" against")[0]: line for line in said}
    assert set(words) == {"+50% synthetic", "synthetic", "mixup"}
    assert "macro helps (+0.100" in words["+50% synthetic"] and "macro hurts" in words["synthetic"]
    assert "macro undecided" in words["mixup"] and "scarcest undecided" in words["mixup"]


def test_intervals_hold_the_spread_of_seeds_and_of_patients():
    draws = 2001
    by_seed = np.array([0.6, 0.7, 0.8])[:, None, None] + np.zeros((3, draws, 1))
    (row,) = results_of({REAL: by_seed}, {REAL: REAL}, ("MI",), ["MI"])
    assert np.isclose(row["macro"], 0.7) and np.allclose(row["macro 95 %"], (0.6, 0.8), atol=0.04)
    assert np.isclose(row["sd over seeds"], 0.1)
    (row,) = results_of(areas_around({REAL: 0.7}, 1, draws, 1, 0.02), {REAL: REAL}, ("MI",), ["MI"])
    assert np.allclose(row["macro 95 %"], (0.7 - 0.0392, 0.7 + 0.0392), atol=0.004)
    # the same draws for both rows: what they share falls out of the gain
    one = areas_around({REAL: 0.7}, 3, draws, 1, 0.05)[REAL]
    rows = results_of({REAL: one, "b": one + 0.01}, {REAL: REAL, "b": REAL}, ("MI",), ["MI"])
    assert np.allclose(rows[1]["macro gain 95 %"], 0.01)


def test_labels_that_cannot_be_scored_are_left_out_of_both():
    areas = areas_around({REAL: 0.7, "b": 0.8})
    areas["b"][:, :, 1] = np.nan
    areas[REAL][:, :, 1] = 0.1
    rows = results_of(areas, dict.fromkeys(areas, REAL), ("MI", "HYP"), ["HYP"])
    assert np.isclose(rows[1]["macro gain"], 0.1) and rows[1]["scarcest"] is None
    assert np.isclose(rows[0]["macro"], 0.4)
    said = verdicts([{"trained on": r["row"], **r} for r in rows], dict.fromkeys(areas, REAL))
    assert said[0].endswith("scarcest not scored")


def test_wrong_arguments_get_one_line(data, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    base = ["evaluate", "utility", "--data", str(data), "--steps", "2", "--generated", str(tmp_path / "full")]
    cases = {
        "is not a prepared set": ["--data", str(tmp_path)],
        "superclass, subset": ["--labels", "form"],
        "--seeds 0 0": ["--seeds", "0", "0"],
        "--shares": ["--shares", "-1"],
        "--few": ["--few", "1.5"],
        "--steps 0": ["--steps", "0"],
        "there is no such folder": ["--generated", str(tmp_path / "nothing")],
        "no WFDB record": ["--generated", str(tmp_path / "full")],
        "is not empty": ["--out", str(tmp_path / "full")],
    }
    for number, (said, words) in enumerate(cases.items()):
        assert main([*base, "--out", str(tmp_path / f"o{number}"), *words]) == 2, said
        lines = capsys.readouterr().err.strip().splitlines()
        assert said in lines[-1], lines
        assert not (tmp_path / f"o{number}").exists()


def test_a_model_of_another_kind_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="unet makes no ECGs from reports"):
        evaluate(data, tmp_path / "o", model="unet")
    assert not (tmp_path / "o").exists()
