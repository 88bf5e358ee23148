"""Which slice the passes start from."""

import contextlib
import itertools
from collections.abc import Callable

import cv2
import numpy as np

from helpers.data.stack import Stack
from helpers.masks import as_bytes
from helpers.traditional import Constants, segment_nucleus

CANDIDATES = 7
"""How many slices are tried."""

NEARLY = 0.98
"""Share of the best score that is as good: of such slices the one nearest the middle is taken."""


def choose_centre(
    stack: Stack, constants: Constants, *, candidates: int = CANDIDATES, map_: Callable = map
) -> tuple[int, dict[int, float]]:
    """Choose the slice in which the nucleus is largest and plainest.

    A few slices are segmented on their own, evenly spread over the stack.
    A nucleus scores its area times the square of its solidity: where the region has leaked into
    the cytoplasm it is large, but ragged.
    Of slices that score nearly the same, the one nearest the middle has the shorter passes.

    Parameters
    ----------
    stack : Stack
    constants : Constants
    candidates : int
        How many slices, at least 1.
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
    inner = stack.some(candidates + 2)[1:-1] if len(stack) > 2 else stack.slice_numbers
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
    good = [number for number, score in scores.items() if score >= NEARLY * max(scores.values())]
    return min(good, key=lambda number: (abs(number - middle), number)), scores


def _plainness(image: np.ndarray, constants: Constants) -> float:
    """Area of the nucleus times the square of its solidity (area over that of the hull)."""
    nucleus = segment_nucleus(image, constants=constants)
    outlines, _ = cv2.findContours(as_bytes(nucleus), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return 0.0
    area = float(np.count_nonzero(nucleus))
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(outlines)))
    return area * min(1.0, area / max(hull, 1.0)) ** 2
