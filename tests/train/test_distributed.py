"""Where a process stands among others: what the environment says, and which rows are its."""

import jax
import numpy as np
import pytest

from ttecg.train import distributed, sharding

ADDRESS, COUNT, INDEX = distributed.VARIABLES


def test_the_environment_says_it_whole():
    assert distributed.from_environment({"HOME": "/"}) == {}
    given = distributed.from_environment({ADDRESS: "host:1234", COUNT: "4", INDEX: "3"})
    assert (given["coordinator_address"], given["num_processes"], given["process_id"]) == ("host:1234", 4, 3)


@pytest.mark.parametrize(
    "environment, said",
    [
        ({ADDRESS: "host:1"}, f"{ADDRESS} is set and {COUNT} is not"),
        ({COUNT: "2", INDEX: "0"}, f"{COUNT} is set and {ADDRESS} is not"),
        ({ADDRESS: "host:1", COUNT: "two", INDEX: "0"}, f"{COUNT} must be a whole number, got 'two'"),
        ({ADDRESS: "host", COUNT: "2", INDEX: "0"}, f"{ADDRESS} must be HOST:PORT, got 'host'"),
        ({ADDRESS: "host:1", COUNT: "2", INDEX: "2"}, f"{INDEX} must be less than {COUNT}=2, got 2"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(environment, said):
    with pytest.raises(ValueError, match=said):
        distributed.from_environment(environment)


def test_one_of_several_processes_is_not_alone(monkeypatch):
    with distributed.alone():
        pass
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match="add --distributed"), distributed.alone():
        pass


def test_a_lone_machine_is_told_how_jobs_start(monkeypatch):
    for name in distributed.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jax.distributed, "initialize", _finds_nothing)
    with pytest.raises(ValueError, match="on a lone machine leave --distributed out"):
        with distributed.joined():
            pass


def _finds_nothing(**_):
    raise ValueError("coordinator_address should be defined.")


def _fails():
    raise ValueError("wrong")


def owners(data: int, model: int, each: int) -> np.ndarray:
    """The process of each device of a mesh, where each process has so many devices."""
    return np.arange(data * model).reshape(data, model) // each


@pytest.mark.parametrize(
    "mesh, shares",
    [
        (owners(8, 1, 4), [0, 1]),
        (owners(4, 2, 4), [0, 1]),
        (owners(2, 4, 4), [0, 1]),
        (owners(1, 8, 4), [0, 0]),  # every process holds all rows
        (owners(2, 8, 4), [0, 0, 1, 1]),
        (
            owners(8, 1, 4)[[0, 4, 1, 5, 2, 6, 3, 7]],
            [0, 1],
        ),  # devices need not stand in the order of processes
    ],
)
def test_processes_share_the_rows(mesh, shares):
    assert distributed.row_shares(mesh, mesh.max() + 1) == shares


def test_a_mesh_that_does_not_fit_the_processes_is_named():
    with pytest.raises(ValueError, match="2 x 2 devices leaves out process 1 of 2; leave run.mesh_data at 0"):
        distributed.row_shares(owners(2, 2, 4), 2)
    with pytest.raises(ValueError, match="overlap in part; choose a run.mesh_model"):
        distributed.row_shares(owners(4, 3, 4), 3)


def test_a_process_alone_is_the_main_one_waits_for_nobody_and_has_all_rows():
    assert distributed.is_main() and distributed.share(sharding.make_mesh(4, 2)) == (0, 1)
    distributed.wait()
    done = []
    distributed.by_main(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(ValueError, match="wrong"):
        distributed.by_main(_fails)
    tree = {"a": jax.device_put(np.arange(8.0), sharding.batch_sharding(sharding.make_mesh(8)))}
    np.testing.assert_array_equal(distributed.gathered(tree)["a"], np.arange(8))
