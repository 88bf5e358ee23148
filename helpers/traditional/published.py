"""The method as its authors' code has it, where that is not what this book does.

The paper describes the method, the code that goes with it is public, and the two differ; so does
this book from both. Their code:

- finds edges in the slice as it was recorded, and not in the smoothed one, and takes the threshold
  from a histogram of 64 bins (`Constants.published_code`);
- takes the slice for black beyond its border where it smooths;
- among the large superpixels off the border, takes the one with the pixel nearest the centre;
- given the nucleus of a neighbouring slice, erodes it by one pixel (a square of 3 x 3), and of
  several large superpixels that overlap it keeps those of which more than 75 % lie inside what is
  left, which is what `select_nucleus` does;
- rounds the distance of a pixel to the number of its ring;
- fills holes after each step of the growth, and again after the closing;
- adds to the background what is bright in the recorded slice, and does not look for narrow gaps.

Source: github.com/reyesaldasoro/HeLa-Cell-Segmentation, ``segmentNucleiHelaEM.m`` at 1062937 and
``segmentBackgroundHelaEM.m`` at 131dad1. Of the versions that are public none is surely the one
behind the paper's curves (an older one eroded the neighbour by 20 x 20 pixels).
"""

import cv2
import numpy as np

from helpers.labels import check_image, check_mask
from helpers.masks import around, as_bytes, close_and_open, disk, distance_to, fill
from helpers.traditional.constants import Constants
from helpers.traditional.edges import (
    blur,
    grow_edges,
    high_threshold,
    hysteresis,
    superpixels,
    thin,
)
from helpers.traditional.nucleus import select_nucleus


def segment_nucleus(
    image: np.ndarray,
    neighbour: np.ndarray | None = None,
    *,
    pixel_size_nm: float = 10.0,
    constants: Constants | None = None,
) -> np.ndarray:
    """Segment the nucleus of the cell in the middle of a slice as the authors' code does.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    neighbour : (y, x) array of bool, optional
        Nucleus of the slice above or below; it decides which regions belong to the nucleus.
    pixel_size_nm : float
        Side of a pixel; the published constants hold at 10 nm and are scaled from there.
    constants : Constants, optional
        Already scaled; instead of `pixel_size_nm`.

    Returns
    -------
    (y, x) array of bool
        Empty where no region qualifies; with a neighbour that is empty none does.

    Raises
    ------
    TypeError
        If the slice is not uint8, or the neighbour not bool.
    ValueError
        If the slice does not have two dimensions, has no pixels, or differs in shape from the
        neighbour; if the pixel size is not positive.

    Examples
    --------
    A bright nucleus with a dark envelope in cytoplasm with an organelle here and there:

    >>> row, column = np.mgrid[:400, :400]
    >>> from_centre = np.hypot(row - 200, column - 200)
    >>> image = np.where((row % 40 < 9) & (column % 40 < 9), 90, 145).astype(np.uint8)
    >>> image[from_centre < 119] = 100
    >>> image[from_centre < 110] = 155
    >>> nucleus = segment_nucleus(image)
    >>> f"{np.mean(nucleus == (from_centre < 115)):.2f} of the pixels are right"
    '1.00 of the pixels are right'
    """
    constants = constants or Constants.published_code(pixel_size_nm)
    image = check_image(image)
    if neighbour is not None:
        neighbour = check_mask(neighbour, "neighbour", image.shape)
    return grow_nucleus(image, find_regions(image, constants), neighbour, constants)


def find_regions(image: np.ndarray, constants: Constants) -> np.ndarray:
    """Find the large superpixels of a slice, which is what needs no neighbour.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    constants : Constants
        Those of Canny's method, `edge_distance_px` and `nucleus_min_area_px`.

    Returns
    -------
    (y, x) array of uint16 or int32
        Regions of more than 10,000 pixels, with a neighbour or without one; 0 for all else.
        As small as their number allows: they travel between processes.
    """
    regions = superpixels(grow_edges(_edges(image, constants, constants.canny_sigma_px), constants))
    large = np.bincount(regions.ravel()) > constants.nucleus_min_area_px
    large[0] = False
    numbers = np.cumsum(large) * large
    small = numbers.max(initial=0) <= np.iinfo(np.uint16).max
    return numbers.astype(np.uint16 if small else np.int32).take(regions)


def choose_regions(
    regions: np.ndarray, neighbour: np.ndarray | None, constants: Constants
) -> np.ndarray:
    """Choose the regions that are nucleus.

    Parameters
    ----------
    regions : (y, x) array of uint16 or int32
        From `find_regions`.
    neighbour : (y, x) array of bool or None
        Nucleus of the slice above or below.
    constants : Constants
        Those that begin with ``neighbour``.

    Returns
    -------
    (y, x) array of bool
        Without holes; empty where nothing qualifies.

    Examples
    --------
    Regions 1 and 2 touch the border:

    >>> regions = np.array([[1, 0, 2, 2], [0, 0, 0, 0], [0, 3, 3, 0], [0, 0, 3, 0], [0, 0, 0, 0]])
    >>> choose_regions(regions, None, Constants()).astype(int)
    array([[0, 0, 0, 0],
           [0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 0],
           [0, 0, 0, 0]])
    """
    if neighbour is None:
        return _nearest(regions)
    if not neighbour.any():
        return np.zeros(regions.shape, bool)
    return select_nucleus(regions, neighbour, constants)


def _nearest(regions: np.ndarray) -> np.ndarray:
    """Take, of the regions off the border, the one that has the pixel nearest the centre."""
    inner = np.bincount(regions.ravel()) > 0
    for side in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        inner[side] = False
    inner[0] = False
    candidates = fill(inner.take(regions))
    if not candidates.any():
        return candidates
    # The middle pixel as MATLAB counts, from 1 and with halves rounded up.
    middle = [(side + 1) // 2 - 1 for side in regions.shape]
    row, column = (
        axis - centre for axis, centre in zip(np.nonzero(candidates), middle, strict=True)
    )
    nearest = np.argmin(row * row + column * column)
    islands = superpixels(~candidates)
    return islands == islands[row[nearest] + middle[0], column[nearest] + middle[1]]


def grow_nucleus(
    image: np.ndarray, regions: np.ndarray, neighbour: np.ndarray | None, constants: Constants
) -> np.ndarray:
    """Choose among the regions, and move the boundary outward to the envelope.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    regions : (y, x) array of uint16 or int32
        From `find_regions`.
    neighbour : (y, x) array of bool or None
        As for `choose_regions`.
    constants : Constants
        Those of the rings, of the growth and of the closing.

    Returns
    -------
    (y, x) array of bool
    """
    chosen = choose_regions(regions, neighbour, constants)
    if not chosen.any():
        return chosen
    smoothed, steps = _smooth(image, constants), max(1, round(constants.growth_steps_px))
    level = _envelope_level(smoothed, chosen, constants) + constants.growth_level
    brush = disk(constants.close_radius_px)
    box = around(chosen, steps + 3 * len(brush))
    nucleus, bright = as_bytes(chosen[box]), as_bytes(smoothed[box] > level)
    square = np.ones((3, 3), np.uint8)
    for _ in range(steps):
        candidates = cv2.dilate(nucleus, square) & bright & ~nucleus
        groups = cv2.connectedComponents(candidates, connectivity=8)[1]
        large = np.bincount(groups.ravel()) > constants.growth_min_area_px
        large[0] = False
        added = large.take(groups)
        nucleus = as_bytes(fill(nucleus.view(bool) | added))
        if np.count_nonzero(added) <= constants.growth_stop_area_px:
            break
    closed = fill(cv2.morphologyEx(nucleus, cv2.MORPH_CLOSE, brush).view(bool))
    result = np.zeros(image.shape, bool)
    result[box] = cv2.dilate(as_bytes(closed), brush).view(bool)
    return result


def _envelope_level(smoothed: np.ndarray, nucleus: np.ndarray, constants: Constants) -> float:
    """Grey level of the darkest ring; NaN where there is none."""
    reach = max(1, round(constants.ring_count_px))
    box = around(nucleus, reach + 1)
    ring = np.rint(distance_to(nucleus[box])).astype(np.int32)
    near = (ring > 0) & (ring <= reach)
    ring, level = ring[near], smoothed[box][near]
    level = level[np.argsort(ring.astype(np.uint16), kind="stable")]
    rings = np.split(level, np.cumsum(np.bincount(ring, minlength=reach + 1))[:-1])[1:]
    return min((float(np.median(values)) for values in rings if values.size), default=np.nan)


def segment_background(
    image: np.ndarray,
    *,
    pixel_size_nm: float = 10.0,
    constants: Constants | None = None,
) -> np.ndarray:
    """Segment the resin as the authors' code does in three dimensions, where no nucleus is given.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    pixel_size_nm : float
        Side of a pixel.
    constants : Constants, optional
        Already scaled; instead of `pixel_size_nm`.

    Returns
    -------
    (y, x) array of bool
        Empty where no region is bright enough.

    Raises
    ------
    TypeError, ValueError
        As for `segment_nucleus`.

    Examples
    --------
    A cell beside resin, 80 nm a pixel:

    >>> image = np.full((40, 60), 140, np.uint8)
    >>> image[:, 30:] = 210
    >>> background = segment_background(image, pixel_size_nm=80)
    >>> bool(background[20, 32:].all()), bool(background[20, :28].any())
    (True, False)
    """
    constants = constants or Constants.published_code(pixel_size_nm)
    image = check_image(image)
    edges = _edges(image, constants, constants.background_sigma_px)
    if not edges.any():
        return np.zeros(image.shape, bool)
    width = max(1, round(constants.background_edge_width_px))
    regions = superpixels(cv2.dilate(as_bytes(edges), np.ones((width, width), np.uint8)).view(bool))
    smoothed = _smooth(image, constants)
    areas = np.bincount(regions.ravel())
    sums = np.bincount(regions.ravel(), weights=smoothed.ravel())
    otsu = cv2.threshold(np.rint(smoothed).astype(np.uint8), 0, 1, cv2.THRESH_OTSU)[0]
    level = max(constants.background_default_nucleus + constants.background_nucleus_level, otsu)
    level = min(level, constants.background_max_level)
    bright = (areas > constants.background_min_area_px) & (sums > level * areas)
    bright[0] = False
    resin = fill(bright.take(regions))
    if not resin.any():
        return resin
    tidied = close_and_open(resin, constants.background_close_px, constants.background_open_px)
    near = distance_to(tidied) < constants.background_reach_px
    resin_level = float(cv2.mean(image, as_bytes(resin))[0])
    background = tidied | (near & (image > resin_level - constants.background_level))
    closed = _close_square(background, max(1, round(constants.background_final_close_px)))
    return cv2.dilate(closed, disk(constants.background_final_dilate_px)).view(bool)


def _close_square(mask: np.ndarray, size: int) -> np.ndarray:
    """Close with a square; an even one has no middle, so erosion mirrors dilation."""
    square, before, after = np.ones((size, size), np.uint8), (size - 1) // 2, size // 2
    return cv2.erode(
        cv2.dilate(as_bytes(mask), square, anchor=(before, before)), square, anchor=(after, after)
    )


def _smooth(image: np.ndarray, constants: Constants) -> np.ndarray:
    size = 2 * max(1, round(constants.smooth_radius_px)) + 1
    return cv2.GaussianBlur(
        image.astype(np.float32),
        (size, size),
        constants.smooth_sigma_px,
        borderType=cv2.BORDER_CONSTANT,
    )


def _edges(image: np.ndarray, constants: Constants, sigma_px: float) -> np.ndarray:
    """Find edges as MATLAB does; `detect_edges` is quicker, and a trifle apart."""
    levels = _smooth(image, constants) if constants.canny_smoothed else image.astype(np.float32)
    blurred = blur(levels, sigma_px)
    # Differences of neighbours, without the smoothing across that Sobel's operator adds.
    dx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=1, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=1, borderType=cv2.BORDER_REPLICATE)
    magnitude = cv2.magnitude(dx, dy)
    if float(magnitude.max()) < 1e-2:
        return np.zeros(image.shape, bool)
    high = high_threshold(magnitude, constants)
    return hysteresis(thin(magnitude, dx, dy), magnitude, constants.canny_low_ratio * high, high)
