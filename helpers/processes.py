"""Processes that work for this one, and end with it."""

import os
import threading
import time

import loky

_POLL_S = 1.0


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(count: int, *, quiet: bool = False) -> loky.ProcessPoolExecutor:
    """Start processes for whole tasks; the caller shuts them down.

    Parameters
    ----------
    count : int
    quiet : bool
        Drop what they write to the error output: TensorFlow says things of drivers there before
        it can be told not to, and errors come as exceptions.

    Returns
    -------
    loky.ProcessPoolExecutor
    """
    return loky.ProcessPoolExecutor(
        max_workers=count, initializer=_begin, initargs=(os.getpid(), quiet)
    )


def reuse(count: int):
    """Return the processes that were used last, or new ones, for small tasks.

    Parameters
    ----------
    count : int

    Returns
    -------
    Executor
    """
    # On a busy machine a worker may wait longer than loky's ten seconds for its next task.
    return loky.get_reusable_executor(
        max_workers=count, timeout=120, initializer=_begin, initargs=(os.getpid(), False)
    )


def _begin(parent: int, quiet: bool) -> None:
    if quiet:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if os.name == "posix":  # A process whose parent ended gets another one there.
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent was killed, which loky's workers would wait for in vain."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
