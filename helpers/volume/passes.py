"""The traditional method on a whole stack: from a central slice up and down, then a vote."""

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from helpers import masks, traditional
from helpers.cache import digest_of, key_of
from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps
from helpers.labels import check_image
from helpers.masks import around, as_bytes, majority
from helpers.progress import progress_bar
from helpers.settings import check_choice
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import Doubt, Look, look_at, warn_of
from helpers.traditional.edges import smooth
from helpers.traditional.envelope import trace_envelope
from helpers.traditional.nucleus import nucleus_of
from helpers.traditional.slice import draw_labels
from helpers.volume import ahead, published
from helpers.volume import rules as rules_module
from helpers.volume.ahead import SliceError, order, prepare_ahead, workers_of
from helpers.volume.doubts import RADIUS_ERROR_UM, RADIUS_SLOPE, Judge, find_doubts
from helpers.volume.published import segment_as_published
from helpers.volume.rules import (
    Found,
    Rules,
    between,
    first_nucleus,
    nucleus_over_gap,
    prepare,
    unpack,
    unpack_mask,
)

MODES = ("improved", "published")

CANDIDATES = 7
"""How many slices are tried as the centre."""

TORN_SHARE = 0.05
"""Share of a nucleus that may be missing in a slice without the slice being bridged."""

AS_GOOD = 0.98
"""Share of the best score that is as good: of such slices the one nearest the middle is taken."""


def segment_stack(
    stack: Stack,
    *,
    mode: str = "improved",
    workers: int | None = None,
    progress: bool = True,
    errors: str = "raise",
    centre: int | None = None,
    rules: Rules | None = None,
    doubts: list[Doubt] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Segment all slices of a stack, from a central one up and down.

    Parameters
    ----------
    stack : Stack
        Slices may be missing; the distance between two follows from their numbers.
    mode : {"improved", "published"}
        ``published`` is what the authors' code does: see `helpers.volume.published`.
    workers : int, optional
        Processes that prepare slices ahead; by default as many as there are cores. With 1,
        everything happens in this process.
    progress : bool
        Whether to show a progress bar.
    errors : {"raise", "skip"}
        What to do about a slice that cannot be read: stop, or warn and do without it.
    centre : int, optional
        Slice to start from. By default the improved mode chooses (see `choose_centre`), and the
        published mode takes the middle one.
    rules : Rules, optional
        Of the improved mode.
    doubts : list, optional
        What is doubtful about the result is put into it, as `find_doubts` lists it, when the last
        slice has been given out. Without it, there is a warning for each kind of doubt.

    Yields
    ------
    number : int
        Slice number. The order is that in which slices are finished: from the centre outward; in
        the published mode, where the whole stack must be seen first, ascending.
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Warns
    -----
    DoubtWarning
        Where slices are damaged or nuclei implausible: see `helpers.traditional.doubts.Doubt`.

    Raises
    ------
    ValueError
        If an argument is not one of those allowed.
    SliceError
        If a slice cannot be read.

    Notes
    -----
    Memory hardly grows with the number of slices: a few per worker are held, and in the published
    mode the masks of all, compressed to some kilobytes each.

    Karabag et al. (2020), doi 10.1371/journal.pone.0230605, section "Image-processing algorithm".
    """
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
    if rules is not None and mode == "published":
        raise ValueError("rules are those of the improved mode; leave them out, or change mode.")
    if mode == "published":
        return segment_as_published(
            stack, centre=centre, workers=workers, progress=progress, errors=errors, doubts=doubts
        )
    return _run(stack, rules or Rules(), centre, workers, progress, errors, doubts)


def segment_to_folder(
    stack: Stack, folder: Path | str, *, overwrite: bool = False, **options
) -> LabelMaps:
    """Segment a stack into a folder of label maps.

    Label maps are written as they are found. After a run that was killed, a second call starts
    anew and ends with the same files; where all are there and whole, nothing is computed.

    Parameters
    ----------
    stack : Stack
        Each slice is read once before the first is segmented.
    folder : Path or str
        Made where it is not. Label maps in it are taken if they were made of the same pictures,
        by the same code and with the same options.
    overwrite : bool
        Whether the label maps of another run are replaced.
    **options
        Those of `segment_stack`.

    Returns
    -------
    LabelMaps

    Warns
    -----
    DoubtWarning
        As `segment_stack`, also where nothing is computed.

    Raises
    ------
    ValueError
        If an option is not one of those allowed, or `folder` has other files, or the label maps
        of another run and they are not to be replaced.
    SliceError
        If a slice cannot be read.
    """
    doubts = options.get("doubts")
    run = segment_stack(stack, **options)
    pictures = pictures_of(stack, options.get("errors", "raise"))
    identity = {
        "method": "traditional, 3D",
        "mode": options.get("mode", "improved"),
        "rules": repr(options.get("rules") or Rules()),
        "centre": options.get("centre"),
        "pictures": key_of("pictures", each=pictures),
        "code": key_of([traditional, masks, ahead, published, rules_module, sys.modules[__name__]]),
    }
    maps = LabelMaps(folder, identity, overwrite=overwrite, pixel_size_nm=stack.pixel_size_nm)
    missing = set(maps.missing(stack.slice_numbers))
    if missing:
        for number, labels in run:
            if number in missing:
                maps.write(number, labels)
        return maps
    found = find_doubts(stack, maps)
    if doubts is None:
        warn_of(found)
    else:
        doubts.extend(found)
    return maps


def pictures_of(stack: Stack, errors: str = "raise") -> dict[int, str]:
    """Return a digest of each slice, by number, as it belongs to what is computed of a stack.

    Parameters
    ----------
    stack : Stack
    errors : {"raise", "skip"}
        Whether a slice that cannot be read is an error, or left out.

    Returns
    -------
    dict of int to str

    Raises
    ------
    SliceError
        If a slice cannot be read.
    """
    pictures = {}
    for number in stack.slice_numbers:
        try:
            pictures[number] = digest_of(stack, [number], of=("image",))
        except Exception as error:
            if errors != "skip":
                raise SliceError(number, str(error)) from error
    return pictures


# --- the centre ----------------------------------------------------------------------------------


def choose_centre(
    stack: Stack, constants: Constants, *, map_: Callable = map
) -> tuple[int, dict[int, float]]:
    """Choose the slice in which the nucleus is largest and plainest.

    A few slices are segmented on their own, evenly spread over the stack.
    A nucleus scores its area times the square of its solidity: where the region has leaked into
    the cytoplasm it is large, but ragged.
    Of slices that score nearly the same, the one nearest the middle has the shorter passes.

    Parameters
    ----------
    stack : Stack
        `CANDIDATES` of its slices are tried.
    constants : Constants
        Scaled to the stack's pixels: ``Constants.at(stack.pixel_size_nm)``.
    map_ : callable
        Calls a function for each slice; that of an executor does so side by side.

    Returns
    -------
    number : int
        The slice to start from; the middle one if no slice has a nucleus of its own.
    scores : dict of int to float
        Slice number to score, in pixels. A slice that cannot be read is not among them.
    """
    # Without the first and the last slice, where there is room for it: nothing starts there.
    inner = stack.some(CANDIDATES + 2)[1:-1] if len(stack) > 2 else stack.slice_numbers
    images = {}
    for number in inner:
        # A slice that cannot be read is reported when its turn comes.
        with contextlib.suppress(Exception):
            images[number] = stack.image(number)
    plainness = map_(_plainness, images.values(), itertools.repeat(constants))
    scores = dict(zip(images, plainness, strict=True))
    if not any(scores.values()):
        return stack.slice_numbers[len(stack) // 2], scores
    middle = stack.slice_numbers[len(stack) // 2]
    good = [number for number, score in scores.items() if score >= AS_GOOD * max(scores.values())]
    return min(good, key=lambda number: (abs(number - middle), number)), scores


def _plainness(image: np.ndarray, constants: Constants) -> float:
    """Area of the nucleus times the square of its solidity (area over that of the hull)."""
    nucleus = nucleus_of(check_image(image), None, constants)
    outlines, _ = cv2.findContours(as_bytes(nucleus), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return 0.0
    area = float(np.count_nonzero(nucleus))
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(outlines)))
    return area * min(1.0, area / max(hull, 1.0)) ** 2


# --- the two passes ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Nucleus and background of one slice, a bit a pixel.

    Attributes
    ----------
    nucleus, votes, background : array of uint8
        From `numpy.packbits`; `votes` and `level` are those of `helpers.volume.rules.Found`.
    level : float
        Grey level of the nucleus; NaN where it is not known.
    shape : (int, int)
        Of the slice.
    is_bridged : bool
        Whether the slice is damaged. It has no vote then, and gets what lies between its
        neighbours; this is what was found in it, or, where nothing can be, in the slice before.
    """

    nucleus: np.ndarray
    votes: np.ndarray
    background: np.ndarray
    level: float
    shape: tuple[int, int]
    is_bridged: bool = False

    @classmethod
    def of(cls, found: Found, background: np.ndarray) -> "Step":
        """Pack what was found in a slice."""
        masks = (np.packbits(mask) for mask in (found.nucleus, found.votes, background))
        return cls(*masks, found.level, background.shape)

    def mask(self, name: str) -> np.ndarray:
        """Unpack `nucleus`, `votes` or `background`."""
        return unpack_mask(getattr(self, name), self.shape)

    @property
    def found(self) -> Found:
        """What the next slice needs to know."""
        return Found(self.mask("nucleus"), self.mask("votes"), self.level)


class _Walk:
    """Where the passes up and down are, and what they carry."""

    def __init__(self, stack: Stack, centre: int, constants: Constants, rules: Rules):
        self.stack, self.centre, self.constants, self.rules = stack, centre, constants, rules
        # Up (True) and down (False): the last slice with a nucleus, and that nucleus.
        self._last: dict[bool, tuple[int, Found] | None] = {True: None, False: None}
        self._steps: dict[bool, Step] = {}
        self.reach = int(min(rules.median_slices // 2, rules.vote_nm / stack.voxel_nm[0]))
        self._ended = {True: False, False: False}

    def goes_on(self, number: int) -> bool:
        """Tell whether the nucleus may still be there, as far as is known now."""
        return not self._ended[number > self.centre]

    def advance(self, number: int, image: np.ndarray, prepared, look: Look) -> Step:
        """Find the nucleus of the next slice of a pass, which `prepare` has prepared."""
        up = number > self.centre
        last = self._last[up]
        if not self.goes_on(number) or prepared[0] is None:
            nothing = np.zeros(image.shape, bool)
            level = last[1].level if last else float("nan")
            background = unpack_mask(prepared[1], image.shape)
            return Step.of(Found(nothing, nothing, level), background)
        if last and (look.blank or _is_torn(look, last[1].nucleus)):
            return replace(self._steps[up], is_bridged=True)
        slice_ = unpack(image, prepared, self.constants)
        step = Step.of(self._find(number, slice_, last), slice_.background)
        if last and self._is_sudden(number, step, last):
            return replace(step, is_bridged=True)
        self._remember(number, step)
        return step

    def _is_sudden(self, number: int, step: Step, last: tuple[int, Found]) -> bool:
        """Tell whether a nucleus has another size at once, which only damage explains."""
        height_nm, bridge_nm = self._height_nm(number, last[0]), self.rules.bridge_nm
        over = not bridge_nm or height_nm > max(bridge_nm, self.stack.voxel_nm[0])
        if over or not step.nucleus.any():
            return False
        pixel_um = self.stack.pixel_size_nm / 1e3
        radii_um = [
            pixel_um * np.sqrt(np.count_nonzero(mask) / np.pi)
            for mask in (step.mask("nucleus"), last[1].nucleus)
        ]
        most_um = RADIUS_SLOPE * height_nm / 1e3 + RADIUS_ERROR_UM
        return abs(radii_um[1] - radii_um[0]) > most_um

    def _find(self, number, slice_, last) -> Found:
        if last is None:
            return first_nucleus(slice_, self.constants, self.rules)
        gap_nm = self._height_nm(number, last[0])
        pixel_size_nm = self.stack.pixel_size_nm
        return nucleus_over_gap(slice_, last[1], gap_nm, self.constants, self.rules, pixel_size_nm)

    def _remember(self, number: int, step: Step) -> None:
        up = number > self.centre
        if step.votes.any():
            self._last[up], self._steps[up] = (number, step.found), step
            if number == self.centre:
                self._last[True], self._steps[True] = self._last[False], step
        elif self._last[up] and self._height_nm(number, self._last[up][0]) >= self.rules.bridge_nm:
            self._ended[up] = True

    def vote(self, number: int, steps: dict[int, Step]) -> np.ndarray:
        """Let a slice and those near it decide about each pixel of its nucleus."""
        seen = {each: step for each, step in steps.items() if not step.is_bridged}
        if not steps[number].is_bridged:
            near = [each for each in seen if abs(each - number) <= self.reach]
            return majority([seen[each].mask("nucleus") for each in near])
        below = max((each for each in seen if each < number), default=None)
        above = min((each for each in seen if each > number), default=None)
        if below is None or above is None:
            return steps[number].mask("nucleus")
        low, high = (seen[each].mask("nucleus") for each in (below, above))
        return between(low, high, (number - below) / (above - below))

    def trace(self, image: np.ndarray, nucleus: np.ndarray) -> np.ndarray:
        """Move the boundary of a nucleus, of which the vote is over, onto its envelope."""
        if not (self.rules.trace and nucleus.any()):
            return nucleus
        traced = np.zeros(nucleus.shape, bool)
        box = around(nucleus, self.constants.trace_outside_px + self.constants.smooth_radius_px + 5)
        smoothed = smooth(image[box], self.constants)
        traced[box] = trace_envelope(smoothed, nucleus[box], self.constants)
        return traced

    def _height_nm(self, number: int, other: int) -> float:
        return abs(number - other) * self.stack.voxel_nm[0]


def _run(
    stack, rules, centre, workers, progress, errors, doubts
) -> Iterator[tuple[int, np.ndarray]]:
    """Walk over a stack, and give out each slice as soon as all that vote on it are known."""
    constants = replace(Constants.at(stack.pixel_size_nm), canny_darker=rules.resin_level)
    executor, most = workers_of(workers)
    if centre is None:
        centre, _ = choose_centre(stack, constants, map_=executor.map)
    walk = _Walk(stack, centre, constants, rules)
    slices = prepare_ahead(
        stack,
        order(stack.slice_numbers, centre),
        lambda number: (_prepare_and_look, constants, walk.goes_on(number)),
        executor=executor,
        ahead=most,
        errors=errors,
    )
    # A slice that is bridged lies between its neighbours, however far away they are.
    reach = max(1, walk.reach)
    steps: dict[int, Step] = {}
    images: dict[int, np.ndarray] = {}
    looks: dict[int, Look] = {}
    judge = Judge()
    waiting, unwritten = set(stack.slice_numbers), set(stack.slice_numbers)

    def near(number: int) -> range:
        return range(number - reach, number + reach + 1)

    with progress_bar(total=len(stack), disable=not progress, desc="slices", unit="slice") as bar:
        for here, image, prepared in slices:
            if image is not None:
                prepared, looks[here] = prepared
                steps[here] = walk.advance(here, image, prepared, looks[here])
                images[here] = image
            waiting.discard(here)
            ready = [number for number in unwritten if waiting.isdisjoint(near(number))]
            for number in sorted(ready, key=lambda number: (abs(number - centre), -number)):
                unwritten.discard(number)
                if number in steps:
                    voters = {each: steps[each] for each in near(number) if each in steps}
                    nucleus, image = walk.vote(number, voters), images.pop(number)
                    if not steps[number].is_bridged:
                        nucleus = walk.trace(image, nucleus)
                    judge.add(number, looks.pop(number), nucleus)
                    labels = draw_labels(nucleus, steps[number].mask("background"), constants)
                    bar.update()
                    yield number, labels
            for number in [each for each in steps if unwritten.isdisjoint(near(each))]:
                del steps[number]
    judge.report(stack.voxel_nm[0], doubts)


def _is_torn(look: Look, nucleus: np.ndarray) -> bool:
    """Tell whether a piece is missing where the nucleus is to be expected."""
    if look.lost is None:
        return False
    size = look.lost.shape[::-1]
    small = cv2.resize(as_bytes(nucleus[look.box]), size, interpolation=cv2.INTER_NEAREST)
    return np.count_nonzero(small.view(bool) & look.lost) > TORN_SHARE * np.count_nonzero(small)


def _prepare_and_look(image: np.ndarray, constants: Constants, with_regions: bool):
    return prepare(image, constants, with_regions), look_at(image, constants.pixel_size_nm)
