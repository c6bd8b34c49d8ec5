"""Work spread over processes of this machine: a worker that dies, or a parent that does, ends the whole of it."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator


def spread(function: Callable, tasks: Iterable, processes: int) -> Iterator:
    """The results of function(task), as they come: in this process if `processes` is 1, else in so many others.

    The function and the tasks must be picklable. Where a process is ended from outside, OSError."""
    if processes < 1:
        raise ValueError(f"--processes {processes}: give 1 or more")
    if processes == 1:
        yield from map(function, tasks)
        return
    others = multiprocessing.active_children()
    pool = concurrent.futures.ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start)
    try:
        for done in concurrent.futures.as_completed([pool.submit(function, task) for task in tasks]):
            yield done.result()
    except concurrent.futures.BrokenExecutor:
        raise OSError(
            "a process at work was ended, perhaps for want of memory; the same command goes on from here, "
            "with fewer --processes if need be"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():  # nobody waits for what they are at
            if process not in others:
                process.terminate()


def _start():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its workers
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent):
    """A killed parent leaves no process behind."""
    parent.join()
    os._exit(1)
