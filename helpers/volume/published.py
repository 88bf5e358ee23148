"""The published method in three dimensions, as its authors' code has it.

The text says: start at the central slice, go up and down, each slice from its neighbour, remove
what meets resin, and take a median. Their code also does what the text does not say:

- the central slice is segmented again, from the nucleus of the one above it;
- a slice after one without nucleus has none;
- what meets resin is removed only if nucleus and background share a pixel somewhere in the stack;
  if they do, within 19 pixels and 11 slices of all resin;
- beyond the first and the last slice the median sees the slices mirrored, and it is taken of the
  background, too.

Source: github.com/reyesaldasoro/HeLa-Cell-Segmentation, ``segmentNucleiHelaEM_3D.m`` at 0b3798f.
Its reader smooths each slice (3 x 3, sigma 1), as those in the published figures are already: this
is left out. So is its loss of all regions beyond the shorter side of a slice that is not square.
"""

import zlib
from collections.abc import Iterator

import cv2
import numpy as np

from helpers.data.stack import Stack
from helpers.masks import as_bytes, majority
from helpers.progress import progress_bar
from helpers.traditional import published
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import Doubt, look_at
from helpers.traditional.slice import draw_labels
from helpers.volume.ahead import order, prepare_ahead, workers_of
from helpers.volume.doubts import Judge

MEDIAN_SLICES = 13
"""How many slices the median of 3 x 3 pixels takes."""

MARGIN_SLICES = 23
"""How many slices high the box is in which resin removes nucleus."""


def segment_as_published(
    stack: Stack,
    *,
    centre: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    errors: str = "raise",
    doubts: list[Doubt] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Segment all slices of a stack as the authors' code does.

    Parameters
    ----------
    stack : Stack
        The code counts slices and knows no distances; slices that are missing have no vote.
    centre : int, optional
        Slice to start from; the middle one unless given.
    workers : int, optional
        As for `helpers.volume.segment_stack`.
    progress : bool
        Whether to show a progress bar.
    errors : {"raise", "skip"}
        What to do about a slice that cannot be read.
    doubts : list, optional
        As for `helpers.volume.segment_stack`.

    Yields
    ------
    number : int
        Slice number, ascending. What becomes of a slice is known when all were seen, so the first
        comes late.
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`; the envelope is drawn as this book draws it.

    Raises
    ------
    SliceError
        If a slice cannot be read.
    """
    constants = Constants.published_code(stack.pixel_size_nm)
    numbers = stack.slice_numbers
    if centre is None:
        centre = numbers[(len(numbers) - 1) // 2]
    walk = _Walk(centre, constants)
    judge = Judge()
    executor, ahead = workers_of(workers)
    slices = prepare_ahead(
        stack,
        order(numbers, centre),
        lambda number: (_prepare, constants, walk.goes_on(number)),
        executor=executor,
        ahead=ahead,
        errors=errors,
    )
    with progress_bar(total=len(stack), disable=not progress, desc="slices", unit="slice") as bar:
        for number, image, prepared in slices:
            if image is not None:
                walk.advance(number, image, *prepared)
            bar.update()
    for number, nucleus, background in _tidied(walk, stack, constants):
        # Read again: what is seen of all slices would fill the memory.
        judge.add(number, look_at(stack.image(number), stack.pixel_size_nm), nucleus)
        yield number, draw_labels(nucleus, background, constants)
    judge.report(stack.voxel_nm[0], doubts)


def _prepare(image, constants, with_regions):
    """Do what needs no neighbour."""
    regions = published.find_regions(image, constants) if with_regions else None
    background = published.segment_background(image, constants=constants)
    return regions, background


class _Walk:
    """Goes up and down from the centre, and keeps what it finds, compressed."""

    def __init__(self, centre: int, constants: Constants):
        self.centre, self.constants = centre, constants
        self.nuclei: dict[int, bytes] = {}
        self.backgrounds: dict[int, bytes] = {}
        # Up (True) and down (False): the last nucleus.
        self._last: dict[bool, np.ndarray | None] = {True: None, False: None}
        self._start = None

    def goes_on(self, number: int) -> bool:
        """Tell whether a slice may still have a nucleus, as far as is known now."""
        last = self._last[number > self.centre]
        return last is None or last.any()

    def advance(self, number: int, image: np.ndarray, regions, background: np.ndarray) -> None:
        """Find the nucleus of the next slice, which `_prepare` has prepared."""
        up = number > self.centre
        last = self._last[up]
        self.backgrounds[number] = _pack(background)
        if regions is None or not self.goes_on(number):
            self._remember(number, up, np.zeros(image.shape, bool))
            return
        nucleus = published.grow_nucleus(image, regions, last, self.constants)
        self._remember(number, up, nucleus)
        if last is None:
            self._remember(number, not up, nucleus)
            self._start = number, image, regions
        elif self._start is not None:
            first, image, regions = self._start
            self._start = None
            if up and nucleus.any():
                # The start again, from the slice above it: the way down begins there.
                again = published.grow_nucleus(image, regions, nucleus, self.constants)
                self._remember(first, False, again)

    def _remember(self, number: int, up: bool, nucleus: np.ndarray) -> None:
        self._last[up] = nucleus
        self.nuclei[number] = _pack(nucleus)


# --- the whole stack -----------------------------------------------------------------------------


def _tidied(walk: _Walk, stack: Stack, constants: Constants) -> Iterator[tuple]:
    """Remove what meets resin, and take the median; slice by slice, from the first."""
    nuclei, backgrounds = walk.nuclei, walk.backgrounds
    shape, numbers = stack.shape, stack.slice_numbers
    meet = any((_bits(nuclei[each]) & _bits(backgrounds[each])).any() for each in nuclei)
    width = 2 * round(constants.background_margin_px) + 1
    box = np.ones((width, width), np.uint8)
    kept: dict[int, np.ndarray] = {}

    def without_resin(number: int) -> np.ndarray:
        nucleus = _unpack(_bits(nuclei[number]), shape)
        if meet and nucleus.any():
            half = MARGIN_SLICES // 2
            near = [each for each in backgrounds if abs(each - number) <= half]
            resin = np.bitwise_or.reduce([_bits(backgrounds[each]) for each in near])
            nucleus &= ~cv2.dilate(as_bytes(_unpack(resin, shape)), box).view(bool)
        return nucleus

    for number in numbers:
        if number not in nuclei:
            continue
        voters = [each for each in mirrored(number, numbers) if each in nuclei]
        kept = {each: kept[each] if each in kept else without_resin(each) for each in {*voters}}
        nucleus = majority([kept[each] for each in voters])
        background = majority([_unpack(_bits(backgrounds[each]), shape) for each in voters])
        yield number, nucleus, background


def mirrored(number: int, numbers: tuple[int, ...]) -> list[int]:
    """Return the slices that a median of 13 takes, mirrored at the ends of the stack.

    Parameters
    ----------
    number : int
        The slice in the middle.
    numbers : tuple of int
        All slices of the stack, ascending.

    Returns
    -------
    list of int
        Numbers between the first and the last; some may be missing in the stack.

    Examples
    --------
    >>> mirrored(2, tuple(range(1, 21)))
    [5, 4, 3, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    """
    first, count = numbers[0], numbers[-1] - numbers[0] + 1
    half = MEDIAN_SLICES // 2
    places = [
        place % (2 * count) for place in range(number - half - first, number + half + 1 - first)
    ]
    return [first + min(place, 2 * count - 1 - place) for place in places]


def _pack(mask: np.ndarray) -> bytes:
    return zlib.compress(np.packbits(mask), 1)


def _bits(packed: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(packed), np.uint8)


def _unpack(bits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).view(bool)
