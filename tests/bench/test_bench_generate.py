"""`ttecg bench generate`: what a row says, and where its batch lies."""

import jax
import pytest

from ttecg.bench import generate as bench
from ttecg.bench.generate import generate
from ttecg.models.generator import GeneratorConfig

TINY = GeneratorConfig(layers=1, width=16, heads=2, kv_heads=1, head_dim=8, codes=16, code_dim=8, levels=1)


@pytest.mark.parametrize(
    "batch, devices", [(1, 1), (6, 1), (8, 2), (12, 3), (14, 2), (64, 8), (65, 5), (67, 1)]
)
def test_a_batch_lies_on_devices_with_equal_parts_that_are_worth_it(batch, devices, monkeypatch):
    monkeypatch.setattr(jax, "local_device_count", lambda: 8)
    assert bench._devices(batch) == devices


def test_rows_say_how_fast_and_on_how_many_devices(capsys, monkeypatch):
    monkeypatch.setattr(bench, "product_rate", lambda kind: 1e12)
    monkeypatch.setattr(bench, "memory_bandwidth", lambda: 1e10)
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    one, eight = generate(TINY, (1, 8), frames=8)
    assert (one["devices"], eight["devices"]) == (1, 2)
    for row in (one, eight):
        assert row["s_per_ecg"] > 0
        assert row["share_of_peak"] == pytest.approx(row["GFLOP_per_s"] / 1e3)
        assert row["tokens_per_s"] == pytest.approx(8 / row["s_per_ecg"])
    assert "share_of_peak" in capsys.readouterr().out
