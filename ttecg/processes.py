"""Work spread over processes of this machine: a worker that dies, or a parent that does, ends the whole of it."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading


def _nothing():
    pass


@contextlib.contextmanager
def workers(processes: int, start=_nothing, given: tuple = ()):
    """A function (task function, tasks) -> results in order, done in this process if `processes` is 1, else in so many
    others; every process calls start(*given) first. All of these must be picklable.

    OSError where a process dies; what the others were doing is dropped then, as it is when the block is left early."""
    if processes < 1:
        raise ValueError(f"--processes {processes}: give 1 or more")
    if processes == 1:
        start(*given)
        yield map
        return
    others = multiprocessing.active_children()
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, context, _start, (start, given))
    try:
        yield pool.map
    except concurrent.futures.BrokenExecutor:  # multiprocessing.Pool would wait for the lost task for ever
        raise OSError(
            "a process at work was ended, perhaps for want of memory; the same command goes on from here, "
            "with fewer --processes if need be"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():  # what nobody waits for is not made to its end
            if process not in others:
                process.terminate()


def _start(start, given: tuple):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its workers
    parent = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    start(*given)


def _end_with(parent):
    """A killed parent leaves no process behind."""
    parent.join()
    os._exit(1)
