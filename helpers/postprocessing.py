"""Tidying of label maps after a network, in named steps of which each can be left out.

The paper did without, to compare the networks themselves: report a result without it and with it.
"""

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from helpers.labels import Label, check_labels, check_length, check_mask
from helpers.masks import as_bytes, disk, fill
from helpers.settings import check_choice
from helpers.traditional.constants import Constants
from helpers.traditional.nucleus import select_nucleus
from helpers.traditional.slice import draw_labels

_CLASSES = max(Label) + 1


def absorb_small_regions(
    labels: np.ndarray,
    *,
    pixel_size_nm: float = 10.0,
    min_area_um2: float = 0.1,
    nucleus_min_area_um2: float = 1.0,
) -> np.ndarray:
    """Give each small region the class that it borders most.

    Only large regions count, and small ones that have been settled before: speckles in speckles
    take the class of what surrounds them all.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    pixel_size_nm : float
        Side of a pixel.
    min_area_um2, nucleus_min_area_um2 : float
        Connected regions below this area are small, those of nucleus below the second. The second
        is the area that the traditional method asks of a nucleus.

    Returns
    -------
    (y, x) array of uint8
        A slice that has only small regions stays as it is.

    Raises
    ------
    TypeError, ValueError
        If it is not a label map, or a size is not above 0.
    """
    labels = check_labels(labels)
    pixel_um2 = (check_length(pixel_size_nm, "pixel_size_nm") / 1000) ** 2
    least_um2 = dict.fromkeys(Label, check_length(min_area_um2, "min_area_um2"))
    least_um2[Label.NUCLEUS] = check_length(nucleus_min_area_um2, "nucleus_min_area_um2")
    # Small regions numbered from 1, through all classes; the large ones are 0.
    regions, count = np.zeros(labels.shape, np.int32), 0
    for label in Label:
        found, areas_px = _connected(labels == label)
        small = areas_px * pixel_um2 < least_um2[label]
        small[0] = False
        if small.any():
            number = np.where(small, count + np.cumsum(small), 0).astype(np.int32)
            regions += np.take(number, found)
            count += int(np.count_nonzero(small))
    if not count:
        return labels.copy()

    region, other, other_class = _borders(regions, labels)
    becomes = np.zeros(count + 1, np.uint8)
    while True:
        votes_for = np.where(other == 0, other_class, becomes[other])
        votes = _count_votes(region, votes_for, count)[:, min(Label) :]
        settled = votes.any(axis=1)
        if not settled.any():
            break
        becomes[settled] = votes[settled].argmax(axis=1) + min(Label)
        # In speckled maps there are many rounds: each looks only at what is left.
        left = ~settled[region]
        region, other, other_class = region[left], other[left], other_class[left]
    return _changed(labels, regions, becomes)


def fill_holes(
    labels: np.ndarray, *, pixel_size_nm: float = 10.0, max_area_um2: float = 10.0
) -> np.ndarray:
    """Make nucleus of what a nucleus encloses, nucleoli that were taken for cell for instance.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    pixel_size_nm : float
        Side of a pixel.
    max_area_um2 : float
        Larger holes stay: near its ends a nucleus may bend around a part of the cell.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    TypeError, ValueError
        If it is not a label map, or a size is not above 0.
    """
    labels = check_labels(labels)
    pixel_um2 = (check_length(pixel_size_nm, "pixel_size_nm") / 1000) ** 2
    nucleus = labels == Label.NUCLEUS
    holes, areas_px = _connected(fill(nucleus) & ~nucleus)
    filled = areas_px * pixel_um2 <= check_length(max_area_um2, "max_area_um2")
    filled[0] = False
    return _changed(labels, holes, np.where(filled, Label.NUCLEUS, 0))


def keep_central_nucleus(
    labels: np.ndarray,
    neighbour: np.ndarray | None = None,
    *,
    pixel_size_nm: float = 10.0,
    bridge_nm: float = 100.0,
) -> np.ndarray:
    """Keep the nucleus of the cell in the middle; the others take the class around them.

    It needs no ground truth. Each region is taken for a disk of its area; the one that the middle
    of the slice lies in most deeply, or is nearest to, is the central nucleus. So a large region
    may lie farther off than a small one. A region that the border of the slice cuts counts only if
    the middle lies in its disk: else it belongs to another cell.
    Given the nucleus of a neighbouring slice, the regions that overlap it are kept, as in
    `helpers.traditional.select_nucleus`.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    neighbour : (y, x) array of bool, optional
        Nucleus of the slice above or below.
    pixel_size_nm : float
        Side of a pixel.
    bridge_nm : float
        Regions that hang together by less than this width count as two.

    Returns
    -------
    (y, x) array of uint8
        Where no region qualifies, none is left: each needs the area that the traditional method
        asks of a nucleus.

    Raises
    ------
    TypeError, ValueError
        If it is not a label map, the neighbour is no mask of its shape, or a size is not above 0.
    """
    labels = check_labels(labels)
    constants = Constants.at(check_length(pixel_size_nm, "pixel_size_nm"))
    brush = disk(check_length(bridge_nm, "bridge_nm") / 2 / pixel_size_nm)
    nucleus = labels == Label.NUCLEUS
    opened = cv2.morphologyEx(as_bytes(nucleus), cv2.MORPH_OPEN, brush).view(bool)
    _, regions, stats, centres = cv2.connectedComponentsWithStats(as_bytes(opened), connectivity=4)
    if neighbour is not None and check_mask(neighbour, "neighbour", labels.shape).any():
        central = select_nucleus(regions, neighbour, constants)
    else:
        areas_px = stats[:, cv2.CC_STAT_AREA]
        middle = (np.array(labels.shape[::-1]) - 1) / 2
        depth_px = np.sqrt(areas_px / np.pi) - np.hypot(*(centres - middle).T)
        border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
        cut = np.bincount(border, minlength=len(areas_px)) > 0
        depth_px[cut & (depth_px < 0)] = -np.inf
        depth_px[areas_px <= constants.nucleus_min_area_px] = -np.inf
        depth_px[0] = -np.inf
        chosen = int(depth_px.argmax())
        central = (regions == chosen) & np.isfinite(depth_px[chosen])
    # The rim that the opening took is given back.
    central = cv2.dilate(as_bytes(central), brush).view(bool) & nucleus
    others, areas_px = _connected(nucleus & ~central)
    region, _, other_class = _borders(others, labels)
    votes = _count_votes(region, other_class, len(areas_px) - 1)
    # An envelope of its own, or the central nucleus beside it, does not say where a nucleus lies.
    background = votes[:, Label.BACKGROUND] > votes[:, Label.CELL]
    becomes = np.where(background, Label.BACKGROUND, Label.CELL)
    becomes[0] = 0
    return _changed(labels, others, becomes)


def close_envelope(labels: np.ndarray, *, pixel_size_nm: float = 10.0) -> np.ndarray:
    """Draw the envelope anew around each nucleus, closed, and as thick as the ground truth's.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    (y, x) array of uint8
        Envelope that is not beside a nucleus has become cell.

    Raises
    ------
    TypeError, ValueError
        If it is not a label map, or the pixel size is not above 0.
    """
    labels = check_labels(labels)
    constants = Constants.at(check_length(pixel_size_nm, "pixel_size_nm"))
    return draw_labels(labels == Label.NUCLEUS, labels == Label.BACKGROUND, constants)


STEPS: dict[str, Callable] = {
    "small regions": absorb_small_regions,
    "holes": fill_holes,
    "central nucleus": keep_central_nucleus,
    "envelope": close_envelope,
}
"""The steps by name, in the order in which they are best taken."""


def apply(
    labels: np.ndarray,
    steps: Iterable[str] = tuple(STEPS),
    *,
    pixel_size_nm: float = 10.0,
    neighbour: np.ndarray | None = None,
) -> np.ndarray:
    """Take steps of the post-processing, in the order given.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    steps : iterable of str
        Names in `STEPS`; by default all. None of them leaves the labels as they are.
    pixel_size_nm : float
        Side of a pixel.
    neighbour : (y, x) array of bool, optional
        Nucleus of the slice above or below, for the central nucleus.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    TypeError, ValueError
        If there is no such step, or as the steps.

    Examples
    --------
    >>> speckled = np.full((200, 200), Label.CELL, np.uint8)
    >>> speckled[100:105, 100:105] = Label.NUCLEUS
    >>> np.unique(apply(speckled, ["small regions"]))
    array([3], dtype=uint8)
    """
    steps = (steps,) if isinstance(steps, str) else tuple(steps)
    for name in steps:
        check_choice(name, "step", tuple(STEPS))
    labels = check_labels(labels)
    for name in steps:
        options = {"neighbour": neighbour} if name == "central nucleus" else {}
        labels = STEPS[name](labels, pixel_size_nm=pixel_size_nm, **options)
    return labels


def _connected(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the regions of a mask, numbered from 1, and the pixels of each number."""
    # With OpenCV's own statistics it would take twice as long.
    _, regions = cv2.connectedComponents(as_bytes(mask), connectivity=4)
    return regions, np.bincount(regions.ravel())


def _borders(regions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """List all sides that a pixel of a region above 0 shares with one of another region.

    Returns the region, the other pixel's region, and the other pixel's class.
    """
    found = []
    width = regions.shape[1]
    regions, labels = regions.ravel(), labels.ravel()
    for step in (width, 1):
        one = np.flatnonzero(regions[step:] != regions[:-step])
        if step == 1:  # The last pixel of a row is no neighbour of the first of the next.
            one = one[one % width != width - 1]
        for here, there in ((one, one + step), (one + step, one)):
            here, there = here[regions[here] > 0], there[regions[here] > 0]
            found.append((regions[here], regions[there], labels[there]))
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def _count_votes(region: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Count classes by region: (count + 1, 5) array of int."""
    places = region * _CLASSES + classes
    return np.bincount(places, minlength=(count + 1) * _CLASSES).reshape(-1, _CLASSES)


def _changed(labels: np.ndarray, regions: np.ndarray, becomes: np.ndarray) -> np.ndarray:
    """Give regions their new class; 0 leaves them as they are."""
    new = np.take(becomes.astype(np.uint8), regions)
    return np.where(new > 0, new, labels)
