"""The timing of reads: it says what was read, on what, and what memory that took."""

import json

import pytest

from ttecg import cli
from ttecg.data.prepare import prepare_simulated


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return prepare_simulated(10, tmp_path_factory.mktemp("bench") / "set", 100)


def test_it_reports_the_set_and_the_machine(tiny, tmp_path, capsys):
    file = tmp_path / "new" / "speed.json"
    command = ["bench", "data", "--data", str(tiny), "--batch", "4", "--seconds", "0.05", "--json", str(file)]
    assert cli.main(command) == 0
    said, row = capsys.readouterr().out, json.loads(file.read_text())
    assert (row["records"], row["shape"], row["batch"]) == (10, "1000x8", 4)
    assert row["records/s"] > 0 and 0 < row["MB before"] <= row["MB after"]
    assert "array-record" in said and str(row["records/s"]) in said


@pytest.mark.parametrize("wrong", [["--batch", "0"], ["--seconds", "0"], ["--data", "none"]])
def test_a_wrong_request_gets_one_line(tiny, capsys, wrong):
    assert cli.main(["bench", "data", "--data", str(tiny), *wrong]) == 2
    said = capsys.readouterr().err
    assert wrong[1] in said and len(said.splitlines()) == 1
