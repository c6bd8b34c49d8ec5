"""The evaluation of the noise detectors: areas that are known, and from end to end on simulated records."""

import json

import numpy as np
import pytest

from ttecg.cli import main
from ttecg.data.simulated import Simulated
from ttecg.data.write_folder import write_folder
from ttecg.evaluate import quality as evaluation
from ttecg.evaluate.quality import ALL, evaluate, flagged, rows_of
from ttecg.train import noise_detector
from ttecg.train.noise_detector import KINDS


def scores(distance, hrv=0.5, record=0.5):
    return {"distance": distance, "hrv": hrv, "record": record}


def test_areas_that_are_known():
    found = []
    for i in range(10):
        row = {None: scores(i, hrv=i / 10)}
        for kind in KINDS:
            # the first kind is always seen by the one and never by the other; of the rest the other way round
            row[kind, 0.0] = scores(i + 20.0, i / 10, 1.0) if kind == KINDS[0] else scores(i, 2.0 + i)
        found.append(row)
    rows = {r["noise"]: r for r in rows_of(found, list("aabbccddee"), [0.0], 0)}
    assert set(rows) == {*KINDS, ALL} and all(r["dB"] == 0 for r in rows.values())
    first, second, whole = rows[KINDS[0]], rows[KINDS[1]], rows[ALL]
    assert first["autoencoder"] == 1 == second["hrv"] and first["autoencoder 95 %"] == (1, 1)
    assert first["hrv"] == pytest.approx(0.5) == second["autoencoder"]
    share = 1 / len(KINDS)
    assert whole["autoencoder"] == pytest.approx(share + (1 - share) / 2)
    assert whole["hrv"] == pytest.approx(share / 2 + 1 - share)
    assert (first["flagged"], second["flagged"], whole["flagged"]) == (1, 0, pytest.approx(share))
    low, high = whole["autoencoder 95 %"]
    assert low <= whole["autoencoder"] <= high
    assert flagged([scores(0, record=0.99), scores(0, record=0.98)]) == 0.5


@pytest.fixture(scope="module")
def run(config_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality") / "run"
    noise_detector.run(config_of("noise_detector_debug", "run.mesh_data=1"), folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("quality-data")
    ecgs = [
        Simulated(20)[i].replace(id=f"r{i}", info={"patient_id": f"p{i // 2}", "fold": 1 + i // 2})
        for i in range(20)
    ]
    write_folder(ecgs, root / "records")
    assert (
        main(["data", "prepare", "folder", "--source", str(root / "records"), "--out", str(root / "set")])
        == 0
    )
    return root / "set"


def test_from_end_to_end(run, data, tmp_path, capsys):
    rows = evaluate(run, data, "train", snrs=(-10, 30), out=tmp_path / "out", num=6)
    said = capsys.readouterr().out
    assert "6 records of" in said and "residual" in said and "flagged" in said
    stored = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert stored["records"] == 6 and len(stored["rows"]) == len(rows) == 2 * (len(KINDS) + 1)
    area = {(r["noise"], r["dB"]): r for r in rows}
    assert area["muscle", -10.0]["autoencoder"] > 0.9 and area["muscle", -10.0]["hrv"] > 0.9
    for name in ("autoencoder", "hrv"):  # more noise is seen better, little noise hardly
        assert area[ALL, -10.0][name] > area[ALL, 30.0][name]
        assert all(r[f"{name} 95 %"][0] <= r[f"{name} 95 %"][1] for r in rows)
    again = evaluate(run, data, "train", snrs=(-10, 30), num=6)
    assert again == rows


@pytest.mark.parametrize(
    "wrong, said", [({"num": 1}, "at least 2"), ({"snrs": ()}, "snrs"), ({"split": "night"}, "night")]
)
def test_what_is_wrong(run, data, wrong, said):
    with pytest.raises(ValueError, match=said):
        evaluate(run, data, **{"split": "train"} | wrong)


def test_records_are_scored_with_and_without_noise():
    class Spread:
        def scores(self, ecg):
            return scores(float(np.std(ecg.signal)))

    found, patients = evaluation.score(Spread(), [0.0], Simulated(2), 2, 0)
    assert len(found) == len(patients) == 2
    for row in found:
        assert len(row) == 1 + len(KINDS)
        assert all(f["distance"] > row[None]["distance"] for k, f in row.items() if k)
