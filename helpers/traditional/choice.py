"""Which region of a slice is the nucleus, where no neighbour says so."""

import cv2
import numpy as np
from scipy import ndimage as ndi

from helpers.masks import as_bytes, fill
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import COARSE_NM, MOST_AREA_UM2, RESIN_OVER_MIDDLE, levels

NEAR_SHARE = 0.25
"""Distance from the centre, over the slice's shorter side, at which a region counts 1/e."""

MOST_BORDER_SHARE = 0.4
"""A region with more of its outline at the border is not the nucleus: most of it is not seen.
Nor is one that reaches from side to side."""


def choose_region(
    regions: np.ndarray,
    smoothed: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
    *,
    neighbour: np.ndarray | None = None,
) -> np.ndarray:
    """Choose the region that is most likely the nucleus.

    Every large region that is not as bright as resin gets a score: its area without holes, times
    the square of its solidity (area over that of its hull; cytoplasm is ragged), times how near it
    is, times the square of the share of its outline that does not lie at the border.
    `select_nucleus` looks at nearness alone, and gives up regions that touch the border.

    Parameters
    ----------
    regions : (y, x) array of int32
        Superpixels, 0 for edges.
    smoothed : (y, x) array of float32
        Grey levels.
    constants : Constants
        Its `nucleus_min_area_px`, and for which pixels it is.
    neighbour : (y, x) array of bool, optional
        Nucleus of a slice above or below: near is then what shares most with it, and not what is
        in the middle of the slice.

    Returns
    -------
    (y, x) array of bool
        Without holes; empty where nothing qualifies.

    Examples
    --------
    A patch near the centre, and a nucleus that is larger and a little farther away:

    >>> regions = np.zeros((60, 60), np.int32)
    >>> regions[26:32, 26:32], regions[10:24, 36:50] = 1, 2
    >>> smoothed = np.where(regions > 0, 150, 145).astype(np.float32)
    >>> smoothed[:12] = 210
    >>> chosen = choose_region(regions, smoothed, Constants(nucleus_min_area_px=30))
    >>> np.unique(regions[chosen]).tolist()
    [2]
    """
    nothing = np.zeros(regions.shape, bool)
    areas = np.bincount(regions.ravel())
    areas[0] = 0
    candidates = np.flatnonzero(areas > constants.nucleus_min_area_px)
    if not candidates.size:
        return nothing
    # Every fourth pixel of 10 nm is enough to compare shapes.
    step = max(1, int(COARSE_NM // constants.pixel_size_nm))
    some = np.ascontiguousarray(regions[::step, ::step])
    grey = np.clip(smoothed[::step, ::step], 0, 255).astype(np.uint8)
    near = None if neighbour is None else neighbour[::step, ::step]
    low, middle, high = levels(grey)
    brightest = middle + RESIN_OVER_MIDDLE * (high - low)
    boxes = ndi.find_objects(some)
    most_px = MOST_AREA_UM2 * 1e6 / (step * constants.pixel_size_nm) ** 2
    best, most = 0, 0.0
    for number in candidates:
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            continue
        region = some[box] == number
        if cv2.mean(grey[box], as_bytes(region))[0] > brightest:
            continue
        score = _score(region, box, some.shape, near, most_px)
        if score > most:
            best, most = number, score
    if not best:
        return nothing
    box = tuple(slice(step * side.start, step * side.stop) for side in boxes[best - 1])
    box = tuple(slice(max(0, side.start - step), side.stop + step) for side in box)
    nothing[box] = fill(regions[box] == best)
    return nothing


def _score(region, box, shape, near, most_px) -> float:
    """Area times plainness times nearness of one region, which lies in a box of a slice."""
    outlines, _ = cv2.findContours(as_bytes(region), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(region.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    area, own = cv2.countNonZero(filled), np.count_nonzero(region)
    if area > most_px:
        return 0.0
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(outlines)))
    solidity = min(1.0, area / max(hull, 1.0))
    rows, columns = box
    sides = (
        (rows.start == 0, filled[0]),
        (rows.stop == shape[0], filled[-1]),
        (columns.start == 0, filled[:, 0]),
        (columns.stop == shape[1], filled[:, -1]),
    )
    at_border = sum(np.count_nonzero(side) for touches, side in sides if touches)
    share = at_border / sum(len(each) for each in outlines)
    top, bottom, left, right = (touches for touches, _ in sides)
    across = (top and bottom) or (left and right)
    if across or share > MOST_BORDER_SHARE:
        return 0.0
    if near is not None:
        common = np.count_nonzero(near[box] & filled.view(bool))
        nearness = common / max(1, min(area, np.count_nonzero(near)))
    else:
        moments = cv2.moments(filled, binaryImage=True)
        row = rows.start + moments["m01"] / moments["m00"] - (shape[0] - 1) / 2
        column = columns.start + moments["m10"] / moments["m00"] - (shape[1] - 1) / 2
        nearness = np.exp(-(row**2 + column**2) / (NEAR_SHARE * min(shape)) ** 2)
    return float(own * solidity**2 * nearness * (1 - share) ** 2)
