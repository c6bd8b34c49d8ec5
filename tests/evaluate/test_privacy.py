"""The verdict turns when training ECGs are planted among generated ones, and does not for held-out people."""

import dataclasses
import json

import numpy as np
import pytest

from ttecg.data.files import write_ecg
from ttecg.data.prompt import Prompt
from ttecg.data.simulator import simulate
from ttecg.ecg import INDEPENDENT
from ttecg.evaluate import privacy, privacy_judge, privacy_report
from ttecg.evaluate.privacy_judge import ALL, PLANTED, Group

FINDINGS = (["sinus rhythm"], ["atrial fibrillation"], ["left bundle branch block"])


@dataclasses.dataclass(frozen=True)
class Config:
    """Of the tokenizer below."""

    leads: int = 8
    rate: float = 100.0
    samples: int = 1000


class Tokenizer:
    """Codes that follow from the signal: the height of lead II in steps of 0.1 mV."""

    config = Config()

    def encode(self, x_BxTxL):
        assert x_BxTxL.shape[1:] == (1000, 8)
        return np.clip(np.rint(x_BxTxL[:, ::4, 1:2] * 10) + 32, 0, 63).astype(np.int32)


class Eyes:
    """Features of the signal that neither move with it nor grow with it."""

    name, hash = "fake", "0"

    def features(self, ecgs):
        return np.stack([self._one(e.select(INDEPENDENT).resample(100.0).signal) for e in ecgs])

    def _one(self, x):
        parts = x[:500] / (np.linalg.norm(x[:500]) + 1e-6)
        return np.log(np.abs(np.fft.rfft(parts, axis=0))[1:30] + 1e-3).ravel().astype(np.float32)


class People:
    """What `open_dataset` gives, of simulated patients, each with a heart of their own."""

    def __init__(self, count, seed):
        self.ecgs = [person(seed + i) for i in range(count)]

    def __len__(self):
        return len(self.ecgs)

    def __getitem__(self, i):
        return self.ecgs[i]


def person(seed):
    ecg = simulate(FINDINGS[seed % 3], seed)
    return ecg.replace(id=f"p{seed}", report=FINDINGS[seed % 3][0], info={"patient_id": f"p{seed}"})


def changed(ecg, how):
    x = ecg.signal
    if "moved" in how:
        x = np.roll(x, round(1.3 * ecg.rate), axis=0)
    if "taller" in how:
        x = 1.3 * x
    if "noise" in how:
        x = x + np.random.default_rng(0).normal(0, 0.02, x.shape)
    return ecg.replace(signal=x)


@pytest.fixture(scope="module")
def sides():
    return People(40, 0), People(30, 1000)


class Maker:
    """A generator that makes strangers, or training records where the prompt's report is one of theirs."""

    name, hash, tokenizer = "fake", "0", Tokenizer()

    def __init__(self, copied=()):
        self.copied = list(copied)

    def generate_many(self, asked):
        for number, (prompt, (seed, index)) in enumerate(asked):
            assert isinstance(prompt, Prompt) and prompt.report
            known = self.copied[number] if number < len(self.copied) else None
            ecg = changed(known, "moved taller noise") if known else person(5000 + 97 * seed + index)
            yield ecg.replace(id=f"g{seed}-{index}", info={})


@pytest.fixture
def run(sides, monkeypatch):
    """run(copied=records that the generator gives back, ...): `evaluate`, of simulated people and fake networks."""
    parts = dict(zip(("train", "test"), sides))

    def run(copied=(), encoder="fake", **more):
        monkeypatch.setattr(privacy, "load", lambda name: Maker(copied))
        monkeypatch.setattr(privacy.encoders, "load", lambda name: Eyes())
        monkeypatch.setattr(privacy, "open_dataset", lambda path, split: parts[split])
        return privacy.evaluate("fake", "data", encoder=encoder, split="test", **more)

    return run


def test_a_generator_of_strangers_passes(run, tmp_path, capsys):
    found = run(num=20, out=tmp_path)
    assert found["verdict"].startswith("verdict: PASS"), found["verdict"]
    assert found["verdict"] in capsys.readouterr().out
    stored = json.loads((tmp_path / "privacy.json").read_text())
    assert stored["verdict"] == found["verdict"] and stored["reasons"][PLANTED]
    assert {r["measure"] for r in stored["rows"]} == {
        "as they lie", "best shift", "encoder", "one patient stands out"
    }  # fmt: skip
    assert (tmp_path / "privacy.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["privacy.json", "privacy.png"]


def test_a_generator_that_gives_some_training_records_back_fails(run, sides):
    found = run([*sides[0].ecgs[3:6]], num=20)
    assert found["verdict"].startswith("verdict: FAIL: generated, training reports")
    named = {r["training record"] for r in found["suspects"] if r["measure"] == "best shift"}
    assert {"p3", "p4", "p5"} <= named


def test_without_an_encoder_what_needs_it_is_left_out_and_said_so(run, sides, capsys):
    found = run(encoder="", num=10)
    assert "no encoder was given" in capsys.readouterr().out
    assert found["verdict"].startswith("verdict: PASS") and not found["people"] and not found["taken"]
    assert {r["measure"] for r in found["rows"]} == {"as they lie", "best shift"}
    assert run(sides[0].ecgs[:5], encoder="", num=10)["verdict"].startswith("verdict: FAIL")


@pytest.fixture
def write(tmp_path):
    def write(ecgs):
        (tmp_path / "made").mkdir()
        for ecg in ecgs:
            write_ecg(ecg.replace(report=None, info={}), tmp_path / "made" / ecg.id)
        return tmp_path / "made"

    return write


@pytest.mark.parametrize("how", ["as they are", "moved", "taller", "noise", "moved taller noise"])
def test_training_records_planted_in_a_folder_turn_the_verdict(run, write, sides, how):
    strangers = [person(9000 + i) for i in range(26)]
    folder = write([*strangers, *(changed(e, how) for e in sides[0].ecgs[:4])])
    assert run(generated=folder)["verdict"].startswith("verdict: FAIL: generated")


@pytest.mark.parametrize("who", ["held-out", "other people"])
def test_recorded_people_that_were_not_trained_on_pass(run, write, sides, who):
    ecgs = sides[1].ecgs if who == "held-out" else [person(9000 + i) for i in range(30)]
    assert run(generated=write(ecgs))["verdict"].startswith("verdict: PASS")


def test_an_ecg_without_numbers_is_counted_and_hides_nothing(run, sides, capsys):
    broken = person(1).replace(signal=np.full_like(person(1).signal, np.nan))
    maker_gives = [broken, *sides[0].ecgs[:4]]
    found = run(maker_gives, num=20)
    assert found["broken"]["generated, training reports"] == 1
    assert (
        "1 ECGs of 'generated, training reports' hold samples that are no numbers" in capsys.readouterr().out
    )
    assert found["verdict"].startswith("verdict: FAIL: generated, training reports")


def test_wrong_input_is_named(run, sides, write, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no prepared set and no WFDB record"):
        run(generated=tmp_path)
    short = [e.replace(signal=e.signal[: len(e.signal) // 2]) for e in sides[1].ecgs[:2]]
    with pytest.raises(ValueError, match="p1000: 5 s; the model's codes need 10 s"):
        run(generated=write(short))
    monkeypatch.setattr(sides[1], "ecgs", [*sides[1].ecgs[:20], sides[0].ecgs[7]])
    with pytest.raises(ValueError, match="1 patients are among training and held-out records, e.g. p7"):
        run(num=4)
    monkeypatch.setattr(sides[1], "ecgs", sides[1].ecgs[:7])
    with pytest.raises(ValueError, match="at least 8 of each"):
        run(num=4)


def test_a_bundle_of_another_kind_is_named():
    with pytest.raises(ValueError, match="unet makes no ECGs from reports"):
        privacy.evaluate("unet", "data", encoder="")


def test_as_many_reports_are_lent_by_either_side_and_used_in_turn(sides):
    def group(count, without):
        prompts = np.array(
            [None if i in without else Prompt("sinus rhythm") for i in range(count)] + [0], object
        )
        return Group(*[np.zeros(count)] * 7, prompts=prompts[:-1], broken=np.zeros(count, bool))

    train, held = privacy.lenders(group(40, {3}), group(9, {0, 1}), 20, 0)
    assert len(train) == len(held) == 20 and len(set(train)) == len(set(held)) == 7
    assert 3 not in train and not {0, 1} & set(held)
    with pytest.raises(ValueError, match="--generated"):
        privacy.lenders(group(4, range(4)), group(9, ()), 20, 0)


def test_where_the_planted_copies_are_not_caught_nothing_can_be_said():
    found = {"reasons": {"generated": [], ALL: [], PLANTED: []}}
    assert privacy_judge.verdict(found).startswith("verdict: FAIL: the copies planted")


def test_a_memoriser_of_the_whole_training_set_fails_by_every_question(run, sides):
    found = run(sides[0].ecgs, num=30)
    why = "; ".join(w for g, some in found["reasons"].items() if g != PLANTED for w in some)
    for word in ("under half", "nearest record is a training one", "membership area", "taken for"):
        assert word in why


def test_the_plot_has_a_panel_for_each_measure_and_a_line_for_each_group():
    near = {m: {g: np.linspace(0, 1, 5) for g in ("held-out", "generated", PLANTED)} for m in ("a", "b", "c")}
    figure = privacy_report.plot({"near": near})
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c"]
    assert all(len(axis.get_lines()) == 4 for axis in figure.axes)  # with that of the nearest held-out ECG
