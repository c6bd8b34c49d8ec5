"""One program on several devices: how rows are cut into batches, and that the number of devices does not matter."""

import jax
import numpy as np
import pytest

from ttecg.data.prompt import Prompt
from ttecg.spread import rounds


@pytest.mark.parametrize(
    "count, batch", [(1, 64), (3, 64), (8, 64), (200, 64), (200, 128), (1000, 256), (9, 2)]
)
def test_every_row_is_made_once_and_in_the_same_batches_on_any_number_of_devices(count, batch):
    def cut(devices):
        calls = list(rounds(count, batch, devices))
        assert all(1 <= busy <= devices for _, _, busy in calls)
        return [(first + size * d, size) for first, size, busy in calls for d in range(busy)]

    alone = cut(1)
    starts = [first for first, _ in alone]
    assert starts == [0, *np.cumsum([size for _, size in alone])[:-1]]
    assert starts[-1] < count <= starts[-1] + alone[-1][1]
    assert max(size for _, size in alone) <= batch
    assert all(cut(devices) == alone for devices in (2, 3, 8))


def test_devices_give_the_ecgs_of_one(debug_model, monkeypatch):
    asked = [(Prompt("sinus rhythm", 20 + i), (3, i)) for i in range(21)]
    many = list(debug_model.generate_many(asked, batch=4))
    assert jax.local_device_count() > 1
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    one = list(debug_model.generate_many(asked, batch=4))
    assert [e.id for e in many] == [e.id for e in one] == [f"debug-3-{i}" for i in range(21)]
    for a, b in zip(many, one):
        np.testing.assert_array_equal(a.info["planned_peaks"], b.info["planned_peaks"])
        np.testing.assert_array_equal(a.signal, b.signal)


def test_other_batches_give_the_same(debug_model):
    asked = [(Prompt("sinus rhythm", 20 + i), (3, i)) for i in range(9)]
    for a, b in zip(*(debug_model.generate_many(asked, batch=batch) for batch in (1, 8))):
        np.testing.assert_array_equal(a.info["planned_peaks"], b.info["planned_peaks"])
        np.testing.assert_array_equal(a.signal, b.signal)


def test_intervals_hold_for_all(debug_model):
    asked = [(Prompt("sinus rhythm"), (0, i)) for i in range(3)]
    for ecg in debug_model.generate_many(asked, rr=[0.8, 1.2]):
        assert ecg.info["planned_peaks"][:3] == pytest.approx([0.4, 1.2, 2.4], abs=0.011)
