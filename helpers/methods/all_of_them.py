"""Methods in processes of their own: some side by side, some one after the other."""

import os
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import loky
import pandas as pd
from tqdm.auto import tqdm

from helpers import settings as settings_module
from helpers.atomic import write_whole
from helpers.methods.catalogue import METHODS, NO_TENSORFLOW, Method, has_tensorflow
from helpers.methods.one import run_method
from helpers.settings import Settings
from helpers.stack_type import Stack

_POLL_S = 0.5


def run_all(
    stack: Stack,
    methods: Iterable[Method] = METHODS,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | None = None,
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Run methods on a stack, score them, and keep what they give in the results folder.

    What has been computed with the same slices, numbers and code is not computed again; a training
    that was interrupted goes on. The traditional methods run side by side, then the networks one
    after the other, each with all cores: two at once would be no faster, and would spoil each
    other's time. Each method has a process of its own, so that its peak of memory is its own.

    Parameters
    ----------
    stack : Stack
        With ground truth.
    methods : iterable of Method
        By default `METHODS`.
    seed : int
        For the split (see `helpers.fine_tuning.split_of`), the networks' random weights and the
        order of their examples.
    workers : int, optional
        Traditional methods at once; by default as many as there are cores.
    progress : bool, optional
        Whether to show a bar; by default not while the book is built.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    DataFrame
        A row a method: ``method``, ``run``, ``state`` (``computed``, ``was there``, or why it is
        left out) and ``minutes``. The scores: `helpers.results.load_runs`.

    Raises
    ------
    ValueError
        If the stack has no ground truth, or too few slices to divide them.
    Exception
        What a method raises; those before it are kept.
    """
    settings = settings or settings_module.current()
    methods = tuple(methods)
    if progress is None:
        progress = os.environ.get("HELA_STATIC") != "1"
    absent = [each for each in methods if each.family and not has_tensorflow()]
    states = dict.fromkeys(absent, (NO_TENSORFLOW, 0.0))
    networks = [each for each in methods if each.family and each not in absent]
    others = [each for each in methods if not each.family]
    at_once = min(workers or _cores(), max(1, len(others)))
    with tqdm(total=len(methods), initial=len(absent), disable=not progress) as bar:
        for group, size in ((others, at_once), *(([each], 1) for each in networks)):
            share = max(1, _cores() // size)
            for each, state in _side_by_side(group, size, bar, stack, seed, share, settings):
                states[each] = state
                bar.update()
    rows = [[each.method, each.run, *states[each]] for each in methods]
    return pd.DataFrame(rows, columns=["method", "run", "state", "minutes"])


def _side_by_side(group, size: int, bar, *arguments):
    """Run methods in processes of their own; yield each with its state and minutes."""
    if not group:
        return
    executor = loky.ProcessPoolExecutor(max_workers=size, initializer=_be_quiet)
    try:
        with TemporaryDirectory() as folder:
            notes = {each: Path(folder) / str(at) for at, each in enumerate(group)}
            todo = {executor.submit(_work, each, notes[each], *arguments): each for each in group}
            while todo:
                done, _ = wait(todo, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    yield todo.pop(future), future.result()
                bar.set_description("; ".join(_note(each, notes[each]) for each in todo.values()))
    except BaseException:
        # What still runs goes on where it was another time.
        executor.shutdown(kill_workers=True)
        raise
    executor.shutdown()


def _be_quiet() -> None:
    """Drop what TensorFlow says of drivers before it can be told not to; errors are exceptions."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _work(method: Method, note: Path, stack, seed, workers, settings) -> tuple[str, float]:
    start = time.perf_counter()
    state = run_method(
        method,
        stack,
        seed=seed,
        workers=workers,
        report=lambda text: write_whole(note, text.encode()),
        settings=settings,
    )
    return state, (time.perf_counter() - start) / 60


def _note(method: Method, note: Path) -> str:
    text = note.read_text() if note.exists() else ""
    return f"{method.method}, {method.run}" + (f": {text}" if text else "")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
