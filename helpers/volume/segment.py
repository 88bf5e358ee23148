"""The traditional method on a whole stack."""

import itertools
import os
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from loky import get_reusable_executor
from tqdm.auto import tqdm

from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps
from helpers.labels import check_choice
from helpers.traditional import Constants, draw_labels
from helpers.volume.centre import choose_centre
from helpers.volume.passes import Steps, order
from helpers.volume.preparation import prepare
from helpers.volume.propagation import Rules
from helpers.volume.walk import Walk

MODES = ("improved", "faithful")
FAITHFUL_MEDIAN_SLICES = 13


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


def segment_stack(
    stack: Stack,
    *,
    mode: str = "improved",
    folder: Path | str | None = None,
    workers: int | None = None,
    progress: bool = True,
    errors: str = "raise",
    centre: int | None = None,
    rules: Rules | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Segment all slices of a stack, from a central one up and down.

    Parameters
    ----------
    stack : Stack
        Slices may be missing; the distance between two follows from their numbers.
    mode : {"improved", "faithful"}
        ``faithful`` is the published method: see `next_nucleus_as_published`.
    folder : Path or str, optional
        Where label maps are written as they are found (see `helpers.label_maps`). A run that was
        interrupted goes on where it was, and ends with the same files.
    workers : int, optional
        Processes that prepare slices ahead; by default as many as there are cores. With 1,
        everything happens in this process.
    progress : bool
        Whether to show a progress bar.
    errors : {"raise", "skip"}
        What to do about a slice that cannot be read: stop, or warn and do without it.
    centre : int, optional
        Slice to start from. By default the improved mode chooses (see `choose_centre`), and the
        faithful mode takes the middle one.
    rules : Rules, optional
        Of the improved mode.

    Yields
    ------
    number : int
        Slice number. The order is that in which slices are finished, from the centre outward.
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Raises
    ------
    ValueError
        If an argument is not one of those allowed, or `folder` has the results of another run.
    SliceError
        If a slice cannot be read. Label maps written before stay, and a second call goes on.

    Notes
    -----
    Memory does not grow with the number of slices: a few slices per worker are held.

    Karabag et al. (2020), doi 10.1371/journal.pone.0230605, section "Image-processing algorithm".
    """
    _check(stack, mode, workers, errors, centre, rules)
    maps = None if folder is None else _open_maps(stack, folder, mode, centre, rules)
    rules = (rules or Rules()) if mode == "improved" else None
    return _Run(stack, rules, centre, maps, workers or _cores(), progress, errors).results()


def segment_to_folder(stack: Stack, folder: Path | str, **options) -> LabelMaps:
    """Segment a stack into a folder of label maps.

    Parameters
    ----------
    stack : Stack
    folder : Path or str
    **options
        Those of `segment_stack`.

    Returns
    -------
    LabelMaps
    """
    for _ in segment_stack(stack, folder=folder, **options):
        pass
    wanted = {name: options[name] for name in ("mode", "centre", "rules") if name in options}
    return _open_maps(stack, folder, **wanted)


def _open_maps(stack, folder, mode="improved", centre=None, rules=None) -> LabelMaps:
    identity = {
        "method": "traditional, 3D",
        "mode": mode,
        "rules": _plain(rules or Rules()) if mode == "improved" else None,
        "centre": centre,
        "stack": stack.name,
        "voxel_nm": stack.voxel_nm,
        "shape": stack.shape,
        "slices": stack.slice_numbers,
    }
    return LabelMaps(folder, identity)


def _plain(rules: Rules) -> dict:
    """List rules as JSON can hold them, which knows no infinity."""
    values = asdict(rules).items()
    return {name: value if np.isfinite(value) else str(value) for name, value in values}


def _check(stack, mode, workers, errors, centre, rules) -> None:
    check_choice(mode, "mode", MODES)
    check_choice(errors, "errors", ("raise", "skip"))
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1, or None for all cores.")
    if centre is not None and centre not in stack.slice_numbers:
        first, last = stack.slice_numbers[0], stack.slice_numbers[-1]
        raise ValueError(
            f"centre is {centre}; it must be a slice that {stack.name} has ({first} to {last}; "
            "see slice_numbers), or None."
        )
    if rules is not None and mode == "faithful":
        raise ValueError("rules are those of the improved mode; leave them out, or change mode.")


class _Run:
    """One run over a stack; the loop that hands out slices and takes in what was found."""

    def __init__(self, stack, rules, centre, maps, workers, progress, errors):
        self.stack, self.rules, self.centre, self.maps = stack, rules, centre, maps
        self.workers, self.progress, self.errors = workers, progress, errors
        self.constants = Constants.at(stack.pixel_size_nm)
        self.steps = Steps(maps.folder / "passes", maps.identity) if maps else Steps(None)
        self.reach = (rules.median_slices if rules else FAITHFUL_MEDIAN_SLICES) // 2
        self.waiting: set[int] = set()
        self.left_out: set[int] = set()

    def results(self) -> Iterator[tuple[int, np.ndarray]]:
        numbers = self.stack.slice_numbers
        bar = tqdm(total=len(numbers), disable=not self.progress, desc="slices", unit="slice")
        with bar:
            if self.maps and not self.maps.missing(numbers):
                for number in numbers:
                    bar.update()
                    yield number, self.maps.read(number)
            else:
                for result in self._compute():
                    bar.update()
                    yield result
        # Where a slice was left out, a second call tries it again, and need not start anew.
        if not self.left_out:
            self.steps.discard()

    def _compute(self) -> Iterator[tuple[int, np.ndarray]]:
        numbers = self.stack.slice_numbers
        executor = _executor(self.workers)
        if self.centre is None:
            self.centre = numbers[len(numbers) // 2]
            if self.rules:
                self.centre, _ = choose_centre(self.stack, self.constants, map_=executor.map)
        walk = Walk(self.stack, self.centre, self.constants, self.rules)
        self.waiting = set(numbers)
        unwritten = set(numbers)
        for number, image, prepared in self._prepared(executor, walk):
            step = self.steps.get(number)
            if step is not None:
                walk.remember(number, step)
            elif image is not None:
                step = walk.advance(number, image, prepared)
                self.steps.keep(number, step)
            self.waiting.discard(number)
            ready_now = [n for n in unwritten if not self._open(n)]
            for ready in sorted(ready_now, key=lambda n: (abs(n - self.centre), -n)):
                unwritten.discard(ready)
                labels = self._labels(ready, walk)
                if labels is not None:
                    yield ready, labels
            for done in [n for n in self.steps.held if not self._needed(n, unwritten)]:
                self.steps.forget(done)

    def _near(self, number: int) -> range:
        return range(number - self.reach, number + self.reach + 1)

    def _open(self, number: int) -> bool:
        """Whether a slice waits for another one."""
        return any(near in self.waiting for near in self._near(number))

    def _needed(self, number: int, unwritten: set[int]) -> bool:
        return any(near in unwritten for near in self._near(number))

    def _labels(self, number: int, walk: Walk) -> np.ndarray | None:
        """Finish a slice: vote with its neighbours, draw the four classes, write them."""
        if self.maps and self.maps.has(number) and not self.maps.missing([number]):
            return self.maps.read(number)
        step = self.steps.get(number)
        if step is None:
            return None
        near = [self.steps.get(n) for n in self._near(number) if n in self.stack.slice_numbers]
        nucleus = walk.vote([each for each in near if each is not None])
        labels = draw_labels(nucleus, step.mask("background"), self.constants)
        if self.maps:
            self.maps.write(number, labels)
        return labels

    def _prepared(self, executor: Executor, walk: Walk) -> Iterator[tuple]:
        """Yield slices in the order of the passes, prepared a few ahead."""
        ahead: deque[tuple[int, np.ndarray | None, Future | None]] = deque()
        for number in itertools.chain(
            order(self.stack.slice_numbers, self.centre), itertools.repeat(None, 2 * self.workers)
        ):
            if number is not None:
                ahead.append(self._submit(number, executor, walk))
            if len(ahead) > 2 * self.workers or (number is None and ahead):
                first, image, future = ahead.popleft()
                prepared = future and future.result()
                yield first, image, prepared

    def _submit(self, number: int, executor: Executor, walk: Walk):
        if self.steps.get(number) is not None:
            return number, None, None
        try:
            image = self.stack.image(number)
        except Exception as error:
            if self.errors == "skip":
                self.left_out.add(number)
                warnings.warn(f"Slice {number} is left out: {error}", stacklevel=2)
                return number, None, None
            # It is raised in its turn, when the slices before it are finished.
            failure: Future = Future()
            failure.set_exception(SliceError(number, str(error)))
            return number, None, failure
        return number, image, executor.submit(_work, image, self.constants, walk.goes_on(number))


class _Here(Executor):
    """Does the work at once, in this process."""

    def submit(self, task, /, *args, **kwargs) -> Future:
        future = Future()
        future.set_result(task(*args, **kwargs))
        return future


def _executor(workers: int) -> Executor:
    return _Here() if workers == 1 else get_reusable_executor(max_workers=workers)


def _work(image: np.ndarray, constants: Constants, with_regions: bool):
    # The processes are what runs side by side; threads within them would be in each other's way.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return prepare(image, constants, with_regions)
    finally:
        cv2.setNumThreads(threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
