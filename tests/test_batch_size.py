"""Batches that fit the memory."""

import pytest

from ttecg import batch_size


class Model:
    """Takes a megabyte for each ECG."""

    def sampling_memory(self, policy, batch):
        return batch * 2**20


@pytest.mark.parametrize(
    "megabytes, rows, processes, expected",
    [
        (10_000, 10_000, 1, 256),
        (10_000, 200, 1, 128),
        (10_000, 3, 1, 8),
        (100, 10_000, 1, 32),
        (100, 10_000, 4, 8),
        (1, 10_000, 1, 1),
    ],
)
def test_the_largest_power_of_two_that_fits(monkeypatch, megabytes, rows, processes, expected):
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    monkeypatch.setattr(batch_size, "free_memory", lambda: megabytes * 2**20)
    assert batch_size.fitting(Model(), None, rows, processes) == expected


def test_a_cpu_gets_no_more_than_it_is_good_for(monkeypatch):
    monkeypatch.setattr(batch_size, "free_memory", lambda: 2**40)
    assert batch_size.fitting(Model(), None, 10_000) == batch_size.LARGEST_ON_CPU


def test_memory_is_what_the_program_says(debug_model):
    few, many = (debug_model.sampling_memory(debug_model.policy, size) for size in (8, 32))
    assert 2 * few < many < 5 * few
    assert 2**20 < batch_size.free_memory() < 2**45
