"""Slices read one after the other, and prepared ahead by other cores."""

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future

import cv2
import numpy as np

from helpers import processes
from helpers.data.stack import Stack


class SliceError(RuntimeError):
    """A slice cannot be read or segmented; the message has its number.

    Attributes
    ----------
    number : int
        The slice.
    """

    def __init__(self, number: int, reason: str):
        super().__init__(
            f"Slice {number} cannot be segmented: {reason.rstrip('.')}. "
            "Repair or remove it, or go on without it: errors='skip'."
        )
        self.number = number


class LeftOutWarning(UserWarning):
    """A slice could not be read, and the stack is segmented without it.

    Attributes
    ----------
    number : int
        The slice.
    """

    def __init__(self, number: int, reason: object):
        super().__init__(f"Slice {number} is left out: {reason}")
        self.number = number


def order(numbers: tuple[int, ...], centre: int) -> list[int]:
    """Order slices as the two passes meet them: the centre, then one up, one down, and so on.

    Parameters
    ----------
    numbers : tuple of int
        Slice numbers, ascending.
    centre : int
        One of them.

    Returns
    -------
    list of int

    Examples
    --------
    >>> order((1, 2, 3, 4, 5, 6), 3)
    [3, 4, 2, 5, 1, 6]
    """
    up = [number for number in numbers if number > centre]
    down = [number for number in reversed(numbers) if number < centre]
    pairs = itertools.chain.from_iterable(itertools.zip_longest(up, down))
    return [centre, *(number for number in pairs if number is not None)]


def prepare_ahead(
    stack: Stack,
    numbers: Iterable[int],
    task: Callable[[int], tuple],
    *,
    executor: Executor,
    ahead: int,
    errors: str,
) -> Iterator[tuple]:
    """Read slices in an order, and have each prepared before its turn.

    Parameters
    ----------
    stack : Stack
        Where they are read.
    numbers : iterable of int
        Their numbers, in the order in which they are wanted.
    task : callable
        Given a slice's number, returns a function and what it takes after the image; asked when
        the work is given out, which is before the turn of the slice.
    executor : Executor
        Does the work: from `workers_of`.
    ahead : int
        How many slices are held at most.
    errors : {"raise", "skip"}
        What to do about a slice that cannot be read: raise in its turn, or warn and go on.

    Yields
    ------
    number : int
        Slice number.
    image : (y, x) array of uint8, or None
        The slice; None for one that cannot be read.
    result
        What the function returned; None without an image.

    Raises
    ------
    SliceError
        If a slice cannot be read.
    """
    queue: deque[tuple[int, np.ndarray | None, Future | None]] = deque()

    def first():
        number, image, future = queue.popleft()
        return number, image, future and future.result()

    for number in numbers:
        try:
            image = stack.image(number)
        except Exception as error:
            image, future = None, None
            if errors == "skip":
                warnings.warn(LeftOutWarning(number, error), stacklevel=2)
            else:
                # It is raised in its turn, when the slices before it are finished.
                future = Future()
                future.set_exception(SliceError(number, str(error)))
        else:
            function, *arguments = task(number)
            future = executor.submit(_alone, function, image, *arguments)
        queue.append((number, image, future))
        if len(queue) > ahead:
            yield first()
    while queue:
        yield first()


def workers_of(count: int | None) -> tuple[Executor, int]:
    """Return what works, and how many slices it may be ahead.

    Parameters
    ----------
    count : int or None
        Processes; 1 for this process alone, None for as many as there are cores.

    Returns
    -------
    executor : Executor
    ahead : int
    """
    count = count or processes.n_cores()
    if count == 1:
        return _Here(), 2
    return processes.reuse(count), 2 * count


class _Here(Executor):
    """Does the work at once, in this process."""

    def submit(self, task, /, *args, **kwargs) -> Future:
        future = Future()
        future.set_result(task(*args, **kwargs))
        return future


def _alone(function, *arguments):
    # The processes are what runs side by side; threads within them would be in each other's way.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return function(*arguments)
    finally:
        cv2.setNumThreads(threads)
