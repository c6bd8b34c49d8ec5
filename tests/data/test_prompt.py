"""Prompts as ids: every condition has its own, text comes after, what is unknown is said so."""

import itertools

import numpy as np
import pytest

from ttecg.data.findings import FINDINGS
from ttecg.data.prompt import BOS, CONDITIONS, END_OF_CONDITIONS, ORIGINS, TEXT, Prompt, PromptEncoder
from ttecg.models.paper_generator import START
from ttecg.train import text_tokenizer


@pytest.fixture(scope="module")
def model():
    return text_tokenizer.train(
        [*FINDINGS, "sinus rhythm. left axis deviation", "abc def xyz 0123456789"], 400
    )


@pytest.fixture(scope="module")
def encoder(model):
    return PromptEncoder(model)


def ids(encoder, **known):
    return list(encoder(Prompt(**known)))


def test_a_prompt_starts_with_its_conditions(encoder):
    nothing = ids(encoder)
    assert nothing[0] == BOS and len(nothing) == 5 and max(nothing) < TEXT
    text = ids(encoder, report="sinus rhythm")
    assert text[:5] == nothing and min(text[5:]) >= TEXT and max(text) < encoder.vocab


def test_each_value_of_each_condition_has_an_id_of_its_own(encoder):
    seen = {}
    for name, values in {
        "origin": (None, *ORIGINS),
        "sex": (None, "male", "female"),
        "age": (None, *range(5, 100, 10)),
        "heart_rate": (None, *range(30, 225, 5)),
    }.items():
        place = 1 + CONDITIONS.index(name)
        got = [ids(encoder, **{name: v})[place] for v in values]
        assert len(set(got)) == len(values)
        seen[name] = set(got)
    for a, b in itertools.combinations(seen.values(), 2):
        assert not a & b
    used = set().union(*seen.values())
    assert not used & {0, BOS, START} and max(used) < END_OF_CONDITIONS <= START < TEXT


def test_bands(encoder):
    def place(name, value):
        return ids(encoder, **{name: value})[1 + CONDITIONS.index(name)]

    assert place("age", 60) == place("age", 69.9) != place("age", 59.9)
    assert place("age", 99) == place("age", 130) and place("age", 0) != place("age", None)
    assert place("heart_rate", 61) == place("heart_rate", 62) != place("heart_rate", 64)
    assert place("heart_rate", 20) == place("heart_rate", 30) and place("heart_rate", 250) == place(
        "heart_rate", 220
    )


def test_conditions_that_a_model_does_not_know_are_left_out(model):
    encoder = PromptEncoder(model, conditions=("sex", "age"))
    known = ids(encoder, sex="female", age=63, heart_rate=90)
    assert len(known) == 3 and known == ids(encoder, sex="female", age=63)
    assert ids(PromptEncoder(model, conditions=())) == [BOS]
    with pytest.raises(ValueError, match="'height'"):
        PromptEncoder(model, conditions=("sex", "height"))


def test_german_and_english_are_one_prompt(encoder):
    german = ids(encoder, report="Sinusrhythmus, Linksschenkelblock")
    english = ids(encoder, report="sinus rhythm. left bundle branch block")
    assert german == english and len(english) > 6
    assert german != ids(encoder, report="sinus rhythm. right bundle branch block")


def test_a_finding_is_one_piece(encoder):
    for finding in ("sinus rhythm", "left bundle branch block"):
        assert len(ids(encoder, report=finding)) - 5 <= 2


def test_padding_is_a_bucket_and_a_long_text_loses_its_end(model, encoder):
    short, long = Prompt("sinus rhythm"), Prompt("abc def xyz 0123456789 " * 40)
    batch = encoder.padded([short, Prompt("")])
    assert batch.shape == (2, 16) and batch.dtype == np.int32
    assert (
        list(batch[0][: len(encoder(short))]) == list(encoder(short))
        and not batch[0][len(encoder(short)) :].any()
    )
    assert encoder.padded([long, short]).shape == (2, 64) and len(encoder(long)) == 64
    assert encoder.padded([short], 24).shape == (1, 24)
    np.testing.assert_array_equal(encoder.padded([long], 24)[0], encoder(long)[:24])
    narrow = PromptEncoder(model, length=10)
    assert narrow.padded([long]).shape == (1, 10)


def test_any_text_has_ids(encoder):
    for text in ("Ärztlich überprüft: Σ ≤ 3 µV", "心電図", "a\tb\nc", "🫀"):
        assert all(i < encoder.vocab for i in ids(encoder, report=text))


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"age": -1}, "age must be between 0 and 130 years, got -1"),
        ({"age": float("nan")}, "age"),
        ({"sex": "F"}, "sex is 'male' or 'female'"),
        ({"heart_rate": 9000}, "heart rate must be between 20 and 250"),
        ({"origin": "dreamt"}, "recorded, simulated"),
    ],
)
def test_what_cannot_be_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        Prompt("sinus rhythm", **wrong)


def test_dropping():
    whole = Prompt("sinus rhythm", 60, "male", 70)
    rng = np.random.default_rng(0)
    assert whole.drop(rng, 0, 0) == whole
    assert whole.drop(rng, 1, 1) == Prompt("")
    dropped = [whole.drop(rng, 0.2, 0.4) for _ in range(3000)]
    assert np.mean([d.report == "" for d in dropped]) == pytest.approx(0.2, abs=0.03)
    gone = np.array([[d.age is None, d.sex is None, d.heart_rate is None] for d in dropped])
    np.testing.assert_allclose(gone.mean(0), 0.4, atol=0.04)
    assert abs(np.corrcoef(gone.T)[0, 1]) < 0.08  # each on its own


def test_a_damaged_model_is_named(tmp_path, model):
    for name, content in (
        ("empty.model", b""),
        ("cut.model", model[: len(model) // 2]),
        ("junk.model", b"junk" * 99),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: no SentencePiece model") as error:
            PromptEncoder.load(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="absent.model"):
        PromptEncoder.load(tmp_path / "absent.model")


def test_some_phrases_are_left_out_but_never_all():
    rng, whole = np.random.default_rng(0), Prompt("a. b. c", age=60)
    told = [whole.drop(rng, 0, 0, 0.5).report for _ in range(2000)]
    assert set(told) == {"a", "b", "c", "a. b", "a. c", "b. c", "a. b. c"}
    assert 0.5 < told.count("a. b. c") / len(told) < 0.65
    assert Prompt("").drop(rng, 0, 0, 1.0).report == ""
