"""Tables of reports, read row by row from any row on."""

import pytest

from ttecg.commands import request_table
from ttecg.commands.request_table import open_table

TEXT = (
    "\ufeffreport;age;name\r\n"
    '"two; lines\r\nof ""text""";63;a\r\n'
    "\r\n"
    "Linksschenkelblock, außer Takt;;\r\n"
    "vorhofflimmern;70;c\r\n"
    "sinus\u2028rhythm;71;d"
)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(request_table, "_STRIDE", 2)
    (tmp_path / "r.csv").write_bytes(TEXT.encode())
    return open_table(tmp_path / "r.csv")


def test_rows_are_what_a_spreadsheet_shows(table):
    rows = list(table.rows(0, len(table)))
    assert [(r.report, r.age, r.name) for r in rows] == [
        ('two; lines\r\nof "text"', 63, "a"),
        ("Linksschenkelblock, außer Takt", None, "ecg-0002"),
        ("vorhofflimmern", 70, "c"),
        ("sinus\u2028rhythm", 71, "d"),
    ]
    assert not table.numbers


def test_a_table_tells_the_least_and_the_greatest_that_it_asks_for(tmp_path):
    (tmp_path / "r.csv").write_text("report,heart_rate,qrs_ms\na,70,\nb,50,120\nc,,\nd,220,\n")
    assert open_table(tmp_path / "r.csv").numbers == {"heart_rate": (50, 220), "qrs_ms": (120, 120)}


def test_any_rows_are_found(table):
    rows = list(table.rows(0, 4))
    for first in range(4):
        for end in range(first + 1, 5):
            assert list(table.rows(first, end)) == rows[first:end]


def test_other_contents_have_another_digest(table, tmp_path):
    (tmp_path / "s.csv").write_bytes(TEXT.encode() + b"\n")
    assert open_table(tmp_path / "s.csv").digest != table.digest


@pytest.mark.parametrize(
    "header, said",
    [("report,hr", "did you mean 'heart_rate'"), ("report,PQ", "did you mean 'pr_ms'"),
     ("report,heartrate", "did you mean 'heart_rate'"), ("report,report", "two columns 'report'")],
)  # fmt: skip
def test_a_column_that_is_meant_for_another_is_refused(tmp_path, header, said):
    (tmp_path / "r.csv").write_text(f"{header}\naf,60\n")
    with pytest.raises(ValueError, match=said):
        open_table(tmp_path / "r.csv")


@pytest.mark.parametrize(
    "rows, said",
    [
        (["af,40"] * 9 + ["af,-3"], "line 11: age -3"),
        (["af,40"] * 9 + ["af"], "line 11: 1 cells"),
        (["af,40"] * 9 + [",40"], "line 11: report has no words"),
    ],
)
def test_the_bad_row_is_named_by_its_line(tmp_path, monkeypatch, rows, said):
    monkeypatch.setattr(request_table, "_STRIDE", 4)
    (tmp_path / "r.csv").write_text("\n".join(["report,age", *rows]))
    with pytest.raises(ValueError, match=said):
        open_table(tmp_path / "r.csv")


def test_names_are_told_apart_even_where_their_hashes_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(request_table, "hash", lambda name: len(name), raising=False)
    (tmp_path / "r.csv").write_text("report,name\naf,a\naf,b\naf,cc\n")
    assert len(open_table(tmp_path / "r.csv")) == 3
    (tmp_path / "r.csv").write_text("report,name\naf,a\naf,b\naf,A\n")
    with pytest.raises(ValueError, match="line 4: 'A' is the name of line 2 too"):
        open_table(tmp_path / "r.csv")
