"""Strokes that nobody drew: by a rule from the ground truth, and where the forest is least sure."""

import itertools
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from skimage.graph import route_through_array

from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.masks import as_bytes
from helpers.strokes.drawn import Stroke, Strokes
from helpers.strokes.features import grid_of
from helpers.training.prepare import resize_labels

LENGTH_UM = 3.0
"""A stroke is no longer."""

NEAR_NM = 150.0
"""How near its end is to the border of its class."""

FACING_NM = 200.0
"""What is nearer to the envelope than that, faces it."""

ORDER = (Label.NUCLEAR_ENVELOPE, Label.NUCLEUS, Label.CELL, Label.BACKGROUND)

_OFF_CLASS = 1e4  # cost of a step that leaves the class
_MARGIN_PX = 20


def simulate(stack: Stack, slices: Iterable[int], count: int, *, seed: int = 0) -> Strokes:
    """Draw strokes by a rule, where the ground truth says what is there.

    The rule: a stroke begins at a random pixel near the border of its class, where people draw
    because it matters there; it ends at a random pixel of the class, 1 to 3 µm away; between the
    two it takes the shortest way inside the class. Every second stroke of the cell begins near the
    nuclear envelope. Classes take turns, slice after slice.

    Parameters
    ----------
    stack : Stack
        With ground truth.
    slices : iterable of int
        Slices to draw on, in this order, again and again.
    count : int
        How many strokes.
    seed : int
        Another one gives other strokes.

    Returns
    -------
    Strokes
        A slice without a class gets no stroke of it.
    """
    rng = np.random.default_rng(seed)
    slices = tuple(slices)
    grid = grid_of(stack.shape, stack.pixel_size_nm)
    known = {number: resize_labels(stack.labels(number), grid) for number in slices}
    scale = np.array(stack.shape) / grid
    grid_nm = stack.pixel_size_nm * scale[0]
    drawn = []
    for number, label, turn in itertools.islice(_turns(slices, known), count):
        facing = None
        if label == Label.CELL and turn % 2 == 0:
            facing = _near_envelope(known[number], grid_nm)
        path = _path(known[number] == label, facing, grid_nm, rng)
        drawn.append(Stroke(number, label, (path + 0.5) * scale))
    return Strokes(tuple(stack.shape), tuple(drawn))


def _turns(slices, known) -> Iterator[tuple[int, Label, int]]:
    """Take slices in turn, and on each the classes that it has: slice, class, turn."""
    for turn in itertools.count():
        number = slices[turn % len(slices)]
        for label in ORDER:
            if (known[number] == label).any():
                yield number, label, turn


def _near_envelope(labels: np.ndarray, grid_nm: float) -> np.ndarray:
    apart = cv2.distanceTransform(
        as_bytes(~np.isin(labels, (Label.NUCLEAR_ENVELOPE, Label.NUCLEUS))), cv2.DIST_L2, 3
    )
    return apart * grid_nm <= FACING_NM


def _path(
    inside: np.ndarray, facing: np.ndarray | None, grid_nm: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the pixels of a stroke: (n, 2) array of int."""
    depth_nm = grid_nm * cv2.distanceTransform(as_bytes(inside), cv2.DIST_L2, 3)
    border = inside & (depth_nm <= NEAR_NM)
    if not border.any():  # The class fills the slice.
        border = inside
    if facing is not None and (border & facing).any():
        border = border & facing
    starts, pixels = np.argwhere(border), np.argwhere(inside)
    start = starts[rng.integers(len(starts))]
    apart_um = np.hypot(*(pixels - start).T) * grid_nm / 1000
    near = apart_um <= LENGTH_UM
    far_enough = near & (apart_um > LENGTH_UM / 3)
    ends = pixels[far_enough if far_enough.any() else near]
    end = ends[rng.integers(len(ends))]
    return shortest_way(inside, start, end)


def shortest_way(inside: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Connect two pixels, in a class if there is a way: (n, 2) array of int."""
    low = np.maximum(np.minimum(start, end) - _MARGIN_PX, 0)
    high = np.maximum(start, end) + _MARGIN_PX + 1
    cost = np.where(inside[low[0] : high[0], low[1] : high[1]], 1.0, _OFF_CLASS)
    path, _ = route_through_array(cost, start - low, end - low)
    return np.array(path) + low


def unsureness(probabilities: np.ndarray) -> np.ndarray:
    """Say how unsure a forest is of each place.

    Parameters
    ----------
    probabilities : (rows, columns, 4) array of float32
        From `Forest.probabilities`.

    Returns
    -------
    (rows, columns) array of float32
        From 0, one class is certain, to 1, two are equally likely.

    Examples
    --------
    >>> unsureness(np.array([[[1, 0, 0, 0], [0.5, 0.5, 0, 0]]], np.float32)).tolist()
    [[0.0, 1.0]]
    """
    best = np.partition(probabilities, -2, axis=-1)
    return 1 - (best[..., -1] - best[..., -2])


def next_stroke(
    number: int,
    truth: np.ndarray,
    unsure: np.ndarray | None,
    *,
    pixel_size_nm: float = 10.0,
    seed: int = 0,
) -> Stroke:
    """Draw one more stroke: where a forest is least sure, or anywhere.

    Parameters
    ----------
    number : int
        The slice.
    truth : (y, x) array of uint8
        Its labels, which say the class of the stroke.
    unsure : (rows, columns) array of float32, or None
        From `unsureness`; averaged over 1 µm, its highest value is where the stroke is drawn. None
        is a random place.
    pixel_size_nm : float
        Side of a pixel.
    seed : int
        Of the random place, and of the direction.

    Returns
    -------
    Stroke
        Up to 3 µm long, of the class of its first pixel.
    """
    rng = np.random.default_rng(seed)
    grid = grid_of(truth.shape, pixel_size_nm)
    known = resize_labels(truth, grid)
    scale = np.array(truth.shape) / grid
    grid_nm = pixel_size_nm * scale[0]
    if unsure is None:
        start = np.array([rng.integers(side) for side in grid])
    else:
        averaged = cv2.GaussianBlur(unsure, (0, 0), 500 / grid_nm)
        start = np.array(np.unravel_index(averaged.argmax(), grid))
    label = Label(int(known[tuple(start)]))
    pixels = np.argwhere(known == label)
    apart_um = np.hypot(*(pixels - start).T) * grid_nm / 1000
    ends = pixels[apart_um <= LENGTH_UM]
    path = shortest_way(known == label, start, ends[rng.integers(len(ends))])
    return Stroke(number, label, (path + 0.5) * scale)
