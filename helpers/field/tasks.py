"""Tasks on Dask: where they run, what becomes of failed ones, and what more workers would do."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from importlib import import_module

from helpers.processes import n_cores
from helpers.progress import progress_bar


def need_dask(module: str = "distributed", otherwise: str = ""):
    """Import a module of Dask, or say how to get it.

    Parameters
    ----------
    module : str
        By default the scheduler.
    otherwise : str
        What can be done without it: a sentence for the message.

    Returns
    -------
    module

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "The whole field needs dask here: pip install 'helpers[field]', from the folder of "
            f"the book. {otherwise}".rstrip()
        ) from error


@contextmanager
def cluster(scheduler: str | None = None, *, workers: int | None = None) -> Iterator:
    """Connect to workers, for the time of a ``with``.

    Parameters
    ----------
    scheduler : str, optional
        Address of a scheduler that runs, such as ``tcp://10.0.0.1:8786``: on SLURM, Kubernetes or
        other machines, with this package installed and the same paths to the data.
    workers : int, optional
        Without `scheduler`: processes on this machine, by default one a core; 0 is none, and the
        tasks run one after another in this process.

    Yields
    ------
    distributed.Client or None
        None without workers.

    Raises
    ------
    OSError
        If the scheduler does not answer.
    ValueError
        If `workers` is below 0.
    """
    if workers is not None and workers < 0:
        raise ValueError(f"workers is {workers}; it must be 0, for this process, or more.")
    if scheduler is None and workers == 0:
        yield None
        return
    distributed = need_dask(otherwise="Or give workers=0 to work in this process.")
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout="20s")
        except (OSError, TimeoutError, ValueError) as error:
            raise OSError(
                f"the scheduler {scheduler} does not answer ({error}). Start one with "
                "`dask scheduler`, and give the address that it prints."
            ) from error
        with client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=workers or n_cores(),
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            silence_logs=50,
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


def run(
    tasks: Mapping[object, Sequence],
    client=None,
    *,
    what: str = "tasks",
    progress: bool = False,
) -> Iterator[tuple[object, object, Exception | None]]:
    """Run tasks and give out each as it ends; one that fails does not stop the others.

    Parameters
    ----------
    tasks : mapping
        By name: a function and its arguments. A task whose worker dies is run again, so that it
        must do no harm when done twice.
    client : distributed.Client, optional
        By default they run here, one after another.
    what : str
        For the progress bar.
    progress : bool

    Yields
    ------
    name, result, error
        Of the last two one is None.

    Raises
    ------
    OSError
        If the scheduler ends before the tasks do.
    """
    with progress_bar(total=len(tasks), disable=not progress, desc=what, unit="task") as bar:
        for found in _here(tasks) if client is None else _there(tasks, client):
            bar.update()
            yield found


def _here(tasks):
    for name, (function, *arguments) in tasks.items():
        try:
            yield name, function(*arguments), None
        except Exception as error:
            yield name, None, error


def _there(tasks, client):
    import distributed

    names = {}
    for name, (function, *arguments) in tasks.items():
        future = client.submit(function, *arguments, pure=False)
        names[future] = name
    for future in distributed.as_completed(names):
        try:
            error = future.exception()
            result = None if error else future.result()
        except (futures.CancelledError, asyncio.CancelledError) as lost:
            raise OSError(
                "the scheduler stopped answering. What was done is kept: run it again, and it "
                "goes on from there."
            ) from lost
        yield names[future], result, error
        future.release()


def all_of(found: Iterator[tuple]) -> dict:
    """Return the results by name; the first error is raised once all tasks have ended."""
    results, errors = {}, []
    for name, result, error in found:
        results[name] = result
        errors += [error] if error is not None else []
    if errors:
        raise errors[0]
    return results


def simulate(stages: Sequence[Sequence[float]], workers: int, *, overhead_s: float = 0.0) -> float:
    """Return how long tasks of known times take on so many workers.

    Parameters
    ----------
    stages : sequence of sequences of float
        Seconds of the tasks of each stage; a stage begins when the one before has ended.
    workers : int
    overhead_s : float
        Added to each task: what the scheduler costs.

    Returns
    -------
    float
        Seconds. A free worker takes the longest task that is left.

    Examples
    --------
    >>> simulate([[3, 1, 2]], 2)
    3.0
    """
    now = 0.0
    for stage in stages:
        ends = [now] * workers
        for seconds in sorted(stage, reverse=True):
            heapq.heappush(ends, heapq.heappop(ends) + seconds + overhead_s)
        now = max(ends)
    return float(now)


def timed(function: Callable, *arguments):
    """Call a function and return its result with the seconds that it took."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start
