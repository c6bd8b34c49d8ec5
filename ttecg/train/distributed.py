"""One run by many processes: how they find each other, who writes files, who waits, and how they end together.

    launch/local.sh 2 ttecg train unet --config configs/unet_debug.py --workdir runs/unet --distributed

Alone, a process is the main one, waits for nobody and holds all rows.
"""

import contextlib
import itertools
import os
import sys
import traceback
from collections.abc import Callable

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# seconds: without a sign of life until a process counts as dead; between the ends of the first and the last process;
# between errors that count as the same; and for what one process does while the others wait
_HEARTBEAT, _SHUTDOWN, _FAILURE, _PATIENCE = 30, 30, 10, 24 * 3600
# of an error that the main process tells the others
_LETTERS = 2000

_waits = itertools.count()


@contextlib.contextmanager
def joined():
    """Joins the other processes of the job, and leaves it when all have come to the end of the block.

    An error that all processes have, as of a wrong input, is raised by each. One that this process has alone is
    printed and ends it at once, with status 1: the others wait for it in vain and are ended by JAX.
    """
    start()
    try:
        yield
        wait()
    except BaseException as error:
        if not _all_failed():
            _leave(error)
        raise
    finally:
        jax.distributed.shutdown()


def _all_failed() -> bool:
    try:
        _barrier("failed", _FAILURE)
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _leave(error: BaseException):
    """Without the usual clearing up, which would wait for the others."""
    if os.environ.get("TTECG_TRACEBACK") == "1":
        traceback.print_exception(error)
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    print(
        f"ttecg: error: process {jax.process_index()} of {jax.process_count()}: {said} (no other process says so: "
        "if one has died, its output says why; start the job again with --resume)",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def start():
    """Connects to the other processes: as the three `VARIABLES` say, or as SLURM, a TPU, GKE or Open MPI does."""
    given = from_environment(os.environ)
    try:
        jax.distributed.initialize(
            **given, heartbeat_timeout_seconds=_HEARTBEAT, shutdown_timeout_seconds=_SHUTDOWN
        )
    except ValueError as error:
        raise ValueError(
            f"--distributed finds no job of several processes here ({error}); start it with launch/local.sh, SLURM, "
            f"GKE or on a TPU, or set {', '.join(VARIABLES)}; on a lone machine leave --distributed out"
        ) from None


@contextlib.contextmanager
def alone():
    """Where --distributed was not given: ValueError in one of several processes of a job."""
    count = os.environ.get(VARIABLES[1], "")
    if count.isdecimal() and int(count) > 1:
        raise ValueError(
            f"this is one of {VARIABLES[1]}={count} processes, which would each do all of the work: add --distributed"
        )
    yield


def from_environment(environment) -> dict:
    """What the three variables say, for jax.distributed.initialize; nothing where none is set. ValueError names the
    one that is missing or no number."""
    there = [name for name in VARIABLES if environment.get(name)]
    if not there:
        return {}
    for name in VARIABLES:
        value = environment.get(name, "")
        if not value:
            raise ValueError(
                f"{there[0]} is set and {name} is not; set all of {', '.join(VARIABLES)}, or none"
            )
        if name != VARIABLES[0] and not value.isdecimal():
            raise ValueError(f"{name} must be a whole number, got {value!r}")
    address, count, index = (environment[name] for name in VARIABLES)
    if ":" not in address:
        raise ValueError(f"{VARIABLES[0]} must be HOST:PORT, got {address!r}")
    if not int(index) < int(count):
        raise ValueError(f"{VARIABLES[2]} must be less than {VARIABLES[1]}={count}, got {index}")
    return {
        "coordinator_address": address,
        "num_processes": int(count),
        "process_id": int(index),
        "cluster_detection_method": "deactivate",
    }


def is_main() -> bool:
    """Whether this is the first process, which alone writes files."""
    return jax.process_index() == 0


def wait():
    """Until every process has come to the same call. Needs no device, so it may take hours."""
    _barrier(f"wait-{next(_waits)}", _PATIENCE)


def _barrier(name: str, seconds: int):
    ocp.multihost.get_barrier_sync_fn()(key=f"ttecg-{name}", timeout_ms=1000 * seconds)


def by_main(work: Callable[[], None]):
    """Calls `work` in the main process while the others wait, for hours if need be: what it wrote, all find then. Its
    ValueError is raised in all of them."""
    if jax.process_count() == 1:
        work()
        return
    said = ""
    if is_main():
        try:
            work()
        except ValueError as error:
            said = str(error)
    wait()
    said = _from_main(said)
    if said:
        raise ValueError(said)


def _from_main(text: str) -> str:
    """The text of the main process, on all."""
    letters = np.frombuffer(text.encode()[:_LETTERS].ljust(_LETTERS, b"\0"), np.uint8)
    told = np.asarray(multihost_utils.broadcast_one_to_all(letters), np.uint8)
    return told.tobytes().rstrip(b"\0").decode(errors="replace")


def gathered(tree):
    """The arrays of a tree as whole NumPy arrays on every process, however they are split. All must call it."""
    return jax.tree.map(lambda x: multihost_utils.process_allgather(x, tiled=True), tree)


def laid_out(tree, shardings):
    """The arrays of a tree as their shardings say. Those that a process has made for itself, alike in all processes, go
    by way of the host: JAX moves none from devices of one process to another's."""

    def host(x):
        return x if isinstance(x, jax.Array) and not x.is_fully_addressable else np.asarray(x)

    return jax.device_put(tree if jax.process_count() == 1 else jax.tree.map(host, tree), shardings)


def asked_to_stop(step: int) -> bool:
    """Whether SIGTERM has come to any of several processes; True in the same step for all, if each asks every step."""
    return multihost_utils.reached_preemption_sync_point(step)


def own_mesh() -> jax.sharding.Mesh:
    """A mesh of this process's first device, for work that the others have no part in."""
    types = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((1, 1), ("data", "model"), axis_types=types, devices=jax.local_devices()[:1])


def share(mesh: jax.sharding.Mesh) -> tuple[int, int]:
    """(i, n): this process makes the i-th of n parts of the rows of every batch. ValueError where the mesh leaves a
    process out, or splits rows and processes in ways that do not fit."""
    owners = np.vectorize(lambda device: device.process_index)(mesh.devices)
    shares = row_shares(owners, jax.process_count())
    return shares[jax.process_index()], max(shares) + 1


def row_shares(owners: np.ndarray, processes: int) -> list[int]:
    """Which part of a batch's rows each process makes, from the process of each device of the mesh, (data, model).
    Processes whose devices hold the same rows make the same part."""
    rows = [tuple(np.flatnonzero((owners == p).any(axis=1))) for p in range(processes)]
    shape = " x ".join(map(str, owners.shape))
    if () in rows:
        raise ValueError(
            f"the mesh of {shape} devices leaves out process {rows.index(())} of {processes}; leave run.mesh_data at "
            "0, or start fewer processes"
        )
    parts = sorted(set(rows))
    if sum(map(len, parts)) != len(owners) or len(set(map(len, parts))) > 1:
        raise ValueError(
            f"the mesh of {shape} devices gives processes rows that overlap in part; choose a run.mesh_model that "
            "divides the number of a process's devices, or is a multiple of it"
        )
    return [parts.index(own) for own in rows]
