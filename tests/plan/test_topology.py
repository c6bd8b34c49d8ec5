"""Names of machines, and what a process is told that compiles for them."""

import importlib.util

import pytest

from ttecg.plan import topology
from ttecg.plan.chips import CHIPS


def test_names():
    assert topology.parse("v5e:16x16").count == 256
    assert topology.parse("v5p:2x2x4").count == 16
    assert topology.parse("h200x8").count == 8
    assert topology.parse("cpu:8").each.platform == "cpu"
    assert topology.parse("h200x8").each == CHIPS["h200"]


@pytest.mark.parametrize(
    "name", ["", "v5e", "v9:2x2", "h300x8", "v5ex8", "cpux8", "cpu:0", "h200x0", "b200:2x2", "8"]
)
def test_other_names_are_refused_with_the_names_there_are(name):
    with pytest.raises(ValueError, match="v5e:16x16.*h200x8.*cpu:8"):
        topology.parse(name)


@pytest.mark.parametrize("name", ["v5e:4", "v5e:2x2x2", "v4:2x2", "v6e:0x4"])
def test_slices_have_the_axes_of_their_chip(name):
    with pytest.raises(ValueError, match="axes, as in"):
        topology.parse(name)


def test_links_within_a_node_are_faster_than_between_nodes():
    chip = CHIPS["h200"]
    assert chip.wires(8) > 5 * chip.wires(16) > 0
    assert CHIPS["v5e"].wires(8) == CHIPS["v5e"].wires(256)


def test_a_mesh_larger_than_the_machine_is_refused():
    with pytest.raises(ValueError, match="needs 16 devices; cpu:8 has 8"):
        topology.mesh_of(topology.parse("cpu:8"), 8, 2)


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="libtpu is here")
def test_without_libtpu_the_extra_is_named():
    with pytest.raises(ValueError, match=r"pip install 'ttecg\[plan\]'"):
        topology.devices(topology.parse("v5e:2x2"))
