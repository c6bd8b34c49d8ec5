"""Label sets and what labels of PTB-XL, the shape set, LUDB and the simulator mean."""

import ast
import csv

import numpy as np
import pytest

from ttecg.data.findings import FINDINGS
from ttecg.data.statements import CLASSES, LABEL_SETS, label_names, read, statements, targets


def told(labels, *sets):
    names = label_names(sets or ("superclass", "subset"))
    return {n: None if np.isnan(v) else int(v) for n, v in zip(names, targets(labels, names))}


def test_sets_have_the_sizes_of_the_benchmark():
    assert [len(label_names((s,))) for s in LABEL_SETS] == [5, 2, 12, 71]
    assert label_names(("superclass", "subset")) == (*CLASSES, "arrhythmia")


@pytest.mark.parametrize("sets", [(), ("superclasses",), ("all", "form")])
def test_other_sets_are_refused(sets):
    with pytest.raises(ValueError, match="superclass, subset, rhythm, all"):
        label_names(sets)


def test_scp_codes():
    assert told(("NORM", "SR")) == {"NORM": 1, "MI": 0, "STTC": 0, "CD": 0, "HYP": 0, "arrhythmia": 0}
    assert told(("IMI", "LVH", "ABQRS", "AFIB")) == {
        "NORM": 0, "MI": 1, "STTC": 0, "CD": 0, "HYP": 1, "arrhythmia": 1,
    }  # fmt: skip


def test_without_a_diagnostic_statement_there_is_no_superclass_and_without_rhythm_no_arrhythmia():
    assert set(told(("PACE",)).values()) == {None, 1}
    assert told(("NORM",))["arrhythmia"] is None
    assert np.isnan(targets(("no such thing",), label_names(("all",)))).all()
    assert np.isnan(targets((), label_names(("all",)))).all()


def test_a_subclass_tells_the_class_but_not_the_code():
    for name in ("LAFB/LPFB", "_AVB", "AVB"):
        assert told((name, "SR"))["CD"] == 1
    codes = told(("LAFB/LPFB", "SR"), "all")
    assert codes["LAFB"] is None and codes["LPFB"] is None and codes["CLBBB"] == 0
    assert told(("LAFB/LPFB", "LAFB", "SR"), "all")["LAFB"] == 1


def test_ludb():
    fine = ("Rhythm: Sinus rhythm", "Electric axis of the heart: normal")
    assert told(fine) == {"NORM": 1, "MI": 0, "STTC": 0, "CD": 0, "HYP": 0, "arrhythmia": 0}
    sick = told(("Rhythm: Atrial fibrillation", "Scar formation: septal", "Left ventricular hypertrophy"))
    assert sick == {"NORM": 0, "MI": 1, "STTC": 0, "CD": 0, "HYP": 1, "arrhythmia": 1}
    vague = told((*fine, "Undefined ischemia/scar/supp.NSTEMI: apical", "Left anterior hemiblock"))
    assert (vague["MI"], vague["STTC"], vague["CD"], vague["NORM"]) == (None, None, 1, 0)
    assert told((*fine, "Undefined ischemia/scar/supp.NSTEMI: apical"))["NORM"] is None
    codes = told(fine, "all")
    assert (codes["SR"], codes["CLBBB"], codes["QWAVE"]) == (1, 0, None), "LUDB has no word for Q waves"


def test_findings_of_the_simulator():
    assert told(("sinus rhythm", "anterior myocardial infarction"))["MI"] == 1
    assert told(("atrial fibrillation with slow ventricular response",))["arrhythmia"] == 1
    for phrase in FINDINGS:
        assert read((phrase,)).codes <= set(statements())


def test_they_agree_with_the_labels_of_ptbxl(shared_data):
    with (shared_data / "ptbxl_metadata" / "labels_21799.csv").open(newline="") as file:
        super_of = {r["ecg_id"]: r["super_class"] for r in csv.DictReader(file)}
    with (shared_data / "ptbxl" / "ptbxl_database.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    differ = 0
    for row in rows:
        classes = read(tuple(ast.literal_eval(row["scp_codes"]))).classes
        stored = super_of.get(str(int(float(row["ecg_id"]))))
        differ += stored is not None and classes != set(ast.literal_eval(stored or "[]"))
    assert differ <= 1
