"""Batches are a pure function of (seed, step); hosts make their own rows; sources come by their weights."""

import itertools

import numpy as np
import pytest

from ttecg.data import batches
from ttecg.data.batches import Mixture, Source


def make_row(rng):
    return {"x": rng.normal(size=3), "n": rng.integers(1000)}


def test_a_batch_depends_on_seed_and_step_alone():
    make = batches.batches(make_row, 5, 6)
    later, first = make(7, (0, 1)), make(0, (0, 1))
    again = batches.batches(make_row, 5, 6)(7, (0, 1))
    for name in first:
        np.testing.assert_array_equal(later[name], again[name])
    others = [make(8, (0, 1)), batches.batches(make_row, 6, 6)(7, (0, 1))]
    assert all((o["x"] != later["x"]).all() for o in others)
    assert later["x"].shape == (6, 3) and len(np.unique(later["x"])) == 18


@pytest.mark.parametrize("hosts", [2, 3])
def test_what_hosts_make_together_is_what_one_makes(hosts):
    whole = batches.batch(make_row, 1, 6, 4)
    parts = [batches.batch(make_row, 1, 6, 4, (h, hosts)) for h in range(hosts)]
    for name in whole:
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), whole[name])


def test_a_batch_that_cannot_be_split_over_hosts_is_named():
    with pytest.raises(ValueError, match="a batch of 6 cannot be split over 4 hosts"):
        batches.batch(make_row, 1, 6, 0, (0, 4))


def test_weights_are_respected():
    mixture = Mixture([10, 1000, 3], [1.0, 2.0, 5.0])
    drawn = np.array([mixture.draw(batches.row_rng(0, step, 0)) for step in range(4000)])
    np.testing.assert_allclose(np.bincount(drawn[:, 0]) / 4000, [1 / 8, 2 / 8, 5 / 8], atol=0.03)
    for source, size in enumerate(mixture.sizes):
        records = drawn[drawn[:, 0] == source, 1]
        assert records.min() >= 0 and records.max() < size
    np.testing.assert_allclose(
        np.bincount(drawn[drawn[:, 0] == 2, 1]) / (drawn[:, 0] == 2).sum(), 1 / 3, atol=0.04
    )


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a/b", ("a/b", 1.0, 0)),
        ("a/b@2.5", ("a/b", 2.5, 0)),
        ("a/b:100@2.5", ("a/b", 2.5, 100)),
        ("a:b@2", ("a:b", 2.0, 0)),
        ("simulator:50@3", ("simulator", 3.0, 50)),
        ("x@y@2", ("x@y", 2.0, 0)),
    ],
)
def test_sources_as_they_are_written(text, wanted):
    source = Source.parse(text)
    assert (source.path, source.weight, source.count) == wanted and source.simulated == text.startswith(
        "simulator"
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("a@b", "must be a number"),
        ("a@0", "must be positive"),
        ("a@-1", "must be positive"),
        ("a@nan", "must be positive"),
    ],
)
def test_wrong_weights_are_named(text, said):
    with pytest.raises(ValueError, match=said):
        Source.parse(text)


@pytest.mark.parametrize("text", ["simulator:0", "simulator:many", "simulator:-3"])
def test_a_wrong_count_of_simulated_ecgs_is_named(text):
    with pytest.raises(ValueError, match="positive whole number"):
        Source.parse(text).open("train")


def test_splits_of_the_simulator_share_no_patient():
    opened = {s: Source.parse("simulator:5").open(s) for s in ("train", "validation", "test")}
    ids = [opened[s][i].id for s in opened for i in range(5)]
    assert len(set(ids)) == 15
    again = Source.parse("simulator:9").open("train")
    np.testing.assert_array_equal(again[3].signal, opened["train"][3].signal)
    with pytest.raises(IndexError):
        opened["train"][5]


def test_opening_sources_in_the_order_of_the_config():
    records, mixture = batches.open_sources(["simulator:3", "simulator:7@3"], "train")
    assert [len(r) for r in records] == [3, 7] == list(mixture.sizes)
    drawn = [mixture.draw(batches.row_rng(0, 0, r))[0] for r in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.04)
    with pytest.raises(ValueError, match="no source of"):
        batches.open_sources([], "train")


def test_rows_of_different_steps_and_places_do_not_repeat():
    seen = {batches.row_rng(s, t, r).integers(2**60) for s, t, r in itertools.product(range(5), repeat=3)}
    assert len(seen) == 125


def test_the_first_so_many_records(monkeypatch):
    from ttecg.data import dataset

    monkeypatch.setattr(dataset, "describe", lambda path: {"records": {"train": 5, "test": 5}})
    monkeypatch.setattr(dataset, "open_dataset", lambda path, split: list("abcde"))
    few = Source.parse("set:3@2").open("train")
    assert [few[i] for i in range(len(few))] == list("abc") and few[-1] == "c"
    assert len(Source.parse("set:3").open("test")) == 5
    with pytest.raises(IndexError):
        few[3]
    with pytest.raises(ValueError, match="6 training records are asked for, 5 are there"):
        Source.parse("set:6").open("train")


def test_sets_of_other_sizes_have_other_fingerprints():
    prints = [Source.parse(text).fingerprint() for text in ("simulator", "simulator:4", "simulator:5@2")]
    assert all(a != b for a, b in itertools.combinations(prints, 2))
    assert Source.parse("simulator:5@1").fingerprint() == prints[2]
