"""Text to ECG, end to end with the debug bundle: shapes, Einthoven, seeds, RR intervals, wrong inputs."""

import numpy as np
import pytest

import ttecg
from ttecg import cli
from ttecg.data.prompt import Prompt
from ttecg.ecg import LEADS, einthoven_residual
from ttecg.generate import RATE
from ttecg.models import beat_plan
from ttecg.models.sampling import SamplingPolicy


@pytest.fixture(scope="module")
def two(debug_model):
    return debug_model.generate(
        "sinus rhythm, left bundle branch block", num=2, seed=3, age=63, sex="female", heart_rate=70
    )


def test_an_ecg_is_ten_seconds_of_twelve_leads_in_millivolts(two):
    for i, ecg in enumerate(two):
        assert ecg.signal.shape == (5000, 12) and ecg.leads == LEADS and ecg.rate == RATE == 500.0
        assert np.isfinite(ecg.signal).all() and 0.001 < np.abs(ecg.signal).max() < 20
        assert (np.ptp(ecg.signal, axis=0) > 0).all()
        assert (ecg.age, ecg.sex, ecg.report) == (63, "female", "sinus rhythm, left bundle branch block")
        assert (
            ecg.info["synthetic"]
            and ecg.info["seed"] == 3
            and ecg.info["index"] == i
            and ecg.info["heart_rate"] == 70
        )
        assert ecg.info["prompt"] == "sinus rhythm. left bundle branch block"
    assert two[0].id != two[1].id and (two[0].signal != two[1].signal).any()


def test_einthoven_holds_to_one_bit_of_what_is_written(two):
    for ecg in two:
        assert einthoven_residual(ecg) < 1e-9
        stored = np.round(ecg.signal * 1000)  # microvolts
        i, ii, iii = (stored[:, LEADS.index(n)] for n in ("I", "II", "III"))
        assert np.abs(iii - (ii - i)).max() <= 1


def test_the_seed_decides_and_so_does_nothing_else(debug_model, two):
    again = debug_model.generate(
        "sinus rhythm, left bundle branch block", num=2, seed=3, age=63, sex="female", heart_rate=70
    )
    for a, b in zip(two, again):
        np.testing.assert_array_equal(a.signal, b.signal)
    other = debug_model.generate(
        "sinus rhythm, left bundle branch block", num=2, seed=4, age=63, sex="female", heart_rate=70
    )
    assert np.abs(other[0].signal - two[0].signal).max() > 1e-3


def test_german_and_english_give_the_same_ecg(debug_model):
    a, b = (
        debug_model.generate(text, num=2)[1]
        for text in ("Sinusrhythmus, Linksschenkelblock", "sinus rhythm. left bundle branch block")
    )
    np.testing.assert_array_equal(a.signal, b.signal)


def test_the_first_of_ten_are_the_two(debug_model):
    done = []
    ten = debug_model.generate("sinus rhythm", num=10, progress=done.append)
    two = debug_model.generate("sinus rhythm", num=2)
    assert len(ten) == 10 and done[-1] == 10 and done == sorted(done)
    for a, b in zip(ten, two):
        np.testing.assert_allclose(a.signal, b.signal, atol=1e-5)
        assert a.id == b.id


def test_rows_of_other_prompts_do_not_matter(debug_model):
    prompts = [Prompt("sinus rhythm"), Prompt("atrial fibrillation"), Prompt("sinus rhythm", 50)]
    plans, codes = debug_model.sample(prompts, [(1, 0), (1, 1), (1, 2)], SamplingPolicy())
    again = debug_model.sample(
        [prompts[2], prompts[0], prompts[1]], [(1, 2), (1, 0), (1, 1)], SamplingPolicy()
    )
    np.testing.assert_array_equal(plans[[2, 0, 1]], again[0])
    np.testing.assert_array_equal(codes[[2, 0, 1]], again[1])
    assert codes.shape == (3, 312, 2) and codes.min() >= 0 and codes.max() < 32


def test_given_intervals_are_the_beats(debug_model):
    ecg = debug_model.generate("sinus rhythm", rr=[0.8, 1.2])[0]
    peaks = ecg.info["planned_peaks"]
    assert peaks[0] == pytest.approx(0.4) and peaks[-1] < 10
    np.testing.assert_allclose(np.diff(peaks), np.resize([0.8, 1.2], len(peaks) - 1), atol=0.011)
    free = debug_model.generate("sinus rhythm")[0]
    assert len(free.info["planned_peaks"]) <= beat_plan.SLOTS


def test_a_rate_in_the_report_is_asked_for_where_no_other_is(debug_model):
    def made(report, **asked):
        ecg = debug_model.generate(report, **asked)[0]
        return ecg.signal.tobytes(), ecg.info["heart_rate"]

    assert made("sinus rhythm at 72/min, PR 190 ms") == made("sinus rhythm", heart_rate=72)
    assert made("sinus rhythm at 72/min", heart_rate=90) == made("sinus rhythm", heart_rate=90)
    assert made("sinus rhythm at 72/min", rr=[0.8]) == made("sinus rhythm", rr=[0.8])


def test_a_drafting_generator_takes_intervals_from_the_report(monkeypatch):
    model, seen = ttecg.load("demo"), []
    monkeypatch.setattr(
        model, "_make", lambda part, *_: seen.extend(prompt.numbers for prompt, _ in part) or []
    )
    reports = ["rate 72/min, QRS 100 ms, axis 20", "rate 72/min, PR > 200 ms", "tachycardia 220/min"]
    list(model.generate_many([(Prompt(report, qrs_ms=90), (0, 0)) for report in reports]))
    assert seen == [
        {"heart_rate": 72, "qrs_ms": 90, "axis_deg": 20},
        {"heart_rate": 72, "qrs_ms": 90, "pr_ms": 220},
        {"qrs_ms": 90},  # it makes none so fast
    ]


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"report": " .;!"}, "the report has no words"),
        ({"num": 0}, "num must be at least 1"),
        ({"seed": -1}, "seed must be between 0 and"),
        ({"seed": 2**32}, "seed must be between 0 and"),
        ({"age": -3}, "age must be between"),
        ({"sex": "F"}, "sex is 'male' or 'female'"),
        ({"heart_rate": 9000}, "heart rate must be between"),
        ({"qrs_ms": 9}, "qrs ms must be between 60 and 240 ms"),
        ({"qrs_ms": 140}, "plans no qrs_ms"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 2}, "top-p"),
        ({"top_k": -1}, "top-k"),
        ({"guidance": -1}, "guidance"),
        ({"rr": []}, "RR intervals must be between"),
        ({"rr": [0.8], "heart_rate": 75}, "leave heart_rate out"),
        ({"rr": [0.8, 4.0]}, "RR intervals must be between"),
        ({"rr": [0.8, float("nan")]}, "RR intervals must be between"),
        ({"rr": [0.2]}, "at most 39 fit"),
    ],
)
def test_wrong_inputs_are_one_line(debug_model, wrong, said):
    with pytest.raises(ValueError, match=said) as error:
        debug_model.generate(**{"report": "sinus rhythm"} | wrong)
    assert "\n" not in str(error.value)


def test_a_drafting_generator_refuses_rates_that_it_cannot_make():
    with pytest.raises(ValueError, match="'demo' makes heart rates of up to 205 per minute, got 220"):
        ttecg.load("demo").generate("sinus rhythm", heart_rate=220)


def test_what_ships_or_lies_in_a_folder_is_loaded(debug_bundle):
    assert ttecg.load(str(debug_bundle)).hash == ttecg.load(debug_bundle).hash


@pytest.mark.parametrize("model", ["unet", "two-lead", "quality"])
def test_a_model_of_another_kind_is_refused(tmp_path, capsys, model):
    assert cli.main(["generate", "sinus rhythm", "--model", model, "--out", str(tmp_path / "out")]) == 2
    assert f"{model} makes no ECGs from reports" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
