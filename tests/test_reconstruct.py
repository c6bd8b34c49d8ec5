"""Twelve leads from a few: visible leads come back, Einthoven holds, any length and rate, wrong input is named."""

import json

import jax
import numpy as np
import pytest

from ttecg import cli
from ttecg.data.files import read_ecg, write_ecg
from ttecg.data.simulated import Simulated
from ttecg.ecg import ECG, LEADS, einthoven_residual
from ttecg.models import lead_maps
from ttecg.models.functional import Functional
from ttecg.models.unet import UNetConfig
from ttecg.reconstruct import Network, load

CONFIG = UNetConfig(widths=(8, 16), kernel=3)


@pytest.fixture(scope="module")
def network():
    functional = Functional(CONFIG.create)
    params, buffers = functional.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    params = {k: v + 0.05 * rng.normal(size=v.shape).astype(np.float32) for k, v in params.items()}
    return Network("tiny", CONFIG, params, buffers)


@pytest.fixture(scope="module")
def ecg():
    return Simulated(2, "train")[0].select(LEADS)


@pytest.mark.parametrize("leads", [("I",), ("III",), ("I", "II", "V2"), ("aVF", "V6"), ("V1", "V2")])
@pytest.mark.parametrize("name", ["network", "dower", "kors"])
def test_visible_leads_come_back_and_einthoven_holds(ecg, network, leads, name):
    model = network if name == "network" else load(name)
    made = model.reconstruct(ecg, leads)
    assert made.leads == LEADS and made.signal.shape == ecg.signal.shape and made.rate == ecg.rate
    assert made.info["synthetic"] is True  # the sheet says so
    for lead in leads:
        assert (made.lead(lead) == ecg.lead(lead)).all()
    assert einthoven_residual(made) < 1e-3 + einthoven_residual(ecg)
    assert np.isfinite(made.signal).all()


@pytest.mark.parametrize(("rate", "seconds"), [(100, 2.37), (360, 10), (500, 2.0), (257, 23.1)])
def test_any_length_and_rate(network, rate, seconds):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(round(rate * seconds), 2)) * 0.1
    made = network.reconstruct(ECG(x, ("I", "V2"), rate))
    assert made.signal.shape == (len(x), 12) and made.rate == rate and np.isfinite(made.signal).all()


def test_hidden_leads_are_not_looked_at(ecg, network):
    leads = ("I", "II", "V2")
    blind = ecg.select(leads)
    assert (network.reconstruct(blind).signal == network.reconstruct(ecg, leads).signal).all()


def test_many_are_each_as_alone(network):
    ecgs = [Simulated(3, "train")[i].select(LEADS) for i in range(3)]
    ecgs[1] = ecgs[1].crop(0, 4.2)
    together = list(network.reconstruct_many(ecgs, ("I",)))
    for ecg, made in zip(ecgs, together):
        np.testing.assert_allclose(made.signal, network.reconstruct(ecg, ("I",)).signal, atol=1e-5)


def test_ridge_doubles_with_its_input(network):
    x = np.random.default_rng(0).normal(size=(1, 200, 8)).astype(np.float32)
    mask = lead_maps.visible(("I", "V3"))
    np.testing.assert_allclose(
        network.ridge().predict(2 * x, mask), 2 * network.ridge().predict(x, mask), rtol=1e-4, atol=1e-5
    )


def test_a_fixed_set_is_asked_for_no_other(network):
    import dataclasses

    fixed = Network("fixed", dataclasses.replace(CONFIG, leads=("I", "II")), network.params, network.buffers)
    x = np.zeros((1, 200, 8), np.float32)
    fixed.predict(x, lead_maps.visible(("I", "II")))
    with pytest.raises(ValueError, match="I, II"):
        fixed.predict(x, lead_maps.visible(("I",)))


def test_the_command_writes_what_can_be_read_again(tmp_path, ecg):
    for name in ("a", "b"):
        write_ecg(ecg.replace(id=name), tmp_path / "in" / name)
    out = tmp_path / "out"
    assert (
        cli.main(
            ["reconstruct", str(tmp_path / "in"), "--leads", "I,II,V2", "--model", "dower", "--out", str(out)]
        )
        == 0
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "a.dat",
        "a.hea",
        "a.png",
        "b.dat",
        "b.hea",
        "b.png",
        "manifest.jsonl",
    ]
    before, after = read_ecg(tmp_path / "in" / "a"), read_ecg(out / "a")
    for lead in ("I", "II", "V2"):
        assert (before.lead(lead) == after.lead(lead)).all()
    assert einthoven_residual(after) <= 1.01e-3
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    assert (
        line["model"] == "dower"
        and "V2" in line["visible"]
        and "# PARTLY SYNTHETIC: only" in (out / "a.hea").read_text()
        and "Not for diagnosis" in (out / "a.hea").read_text()
    )
    again = ["reconstruct", str(out / "a"), "--leads", "I", "--model", "dower", "--no-pictures", "--out"]
    assert cli.main([*again, str(tmp_path / "again")]) == 0
    assert "# SYNTHETIC: what was looked at (I) is of" in (tmp_path / "again" / "a.hea").read_text()


@pytest.fixture(scope="module")
def broken(tmp_path_factory, ecg):
    folder = tmp_path_factory.mktemp("broken")
    write_ecg(ecg, folder / "good")
    write_ecg(ecg.select(("I", "V1")), folder / "few")
    write_ecg(ecg.replace(signal=ecg.signal[:3]), folder / "short")
    nan = ecg.signal.copy()
    nan[50, 1] = np.nan
    write_ecg(ecg.replace(signal=nan), folder / "nan")
    (folder / "rate.hea").write_text((folder / "good.hea").read_text().replace("good 12 500", "rate 12 0"))
    (folder / "rate.dat").write_bytes((folder / "good.dat").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("record", "leads", "word"),
    [
        ("good", "I,V9", "V9"),
        ("good", ",".join(LEADS), "none left"),
        ("good", "", "at least one"),
        ("good", None, "none left"),
        ("few", "I,II", "II"),
        ("short", "I,II", "at least 2 s"),
        ("nan", "I,II", "nan"),
        ("rate", "I,II", "rate"),
        ("missing", "I,II", "missing"),
    ],
)
def test_wrong_input_gets_one_line(broken, tmp_path, capsys, record, leads, word):
    args = [] if leads is None else ["--leads", leads]
    out = tmp_path / "out"
    assert cli.main(["reconstruct", str(broken / record), *args, "--model", "dower", "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and word.lower() in said.lower(), said
    assert not out.exists() and not list(tmp_path.iterdir())
