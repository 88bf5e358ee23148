"""The background: the bright resin around the cells."""

import cv2
import numpy as np

from helpers.labels import check_image, check_mask
from helpers.masks import as_bytes, disk, distance_about, fill
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import RESIN_OVER_MIDDLE, inside_frame, levels
from helpers.traditional.edges import detect_edges, smooth, superpixels

USUAL_MIDDLE = 155.0
"""Median grey level of the slices for which `background_default_nucleus` holds."""

LIKE_USUAL = 15.0
"""How far from it the median may be for that to hold still."""


def segment_background(
    image: np.ndarray,
    nucleus: np.ndarray | None = None,
    *,
    narrow_gaps: bool = True,
    pixel_size_nm: float = 10.0,
    constants: Constants | None = None,
) -> np.ndarray:
    """Segment the resin between the cells.

    Coarse edges divide the slice into superpixels; the bright ones are resin, which then grows
    into bright pixels near it.
    Grown edges swallow every gap narrower than about 40 pixels, and with it a tenth of the resin
    in the ground truth; `narrow_gaps` brings these back: all bright regions of at least 0.1
    square micrometres.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    nucleus : (y, x) array of bool, optional
        Nucleus of the slice; its mean says what is bright.
    narrow_gaps : bool
        False leaves them out, as the published method does (`published.segment_background`).
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
    TypeError
        If the slice is not uint8, or the nucleus not bool.
    ValueError
        As for `helpers.traditional.segment_nucleus`.

    Notes
    -----
    Karabag et al. (2019), doi 10.3390/jimaging5090075, and the code that goes with it.
    Otsu's threshold: N. Otsu (1979), doi 10.1109/TSMC.1979.4310076.
    """
    constants = constants or Constants.at(pixel_size_nm)
    image = check_image(image)
    if nucleus is not None:
        nucleus = check_mask(nucleus, "nucleus", image.shape)
    # A frame counts as background.
    background, box = np.ones(image.shape, bool), inside_frame(image)
    inside = None if nucleus is None else nucleus[box]
    background[box] = find_background(
        smooth(image[box], constants), inside, constants, narrow_gaps=narrow_gaps
    )
    return background


def find_background(
    smoothed: np.ndarray,
    nucleus: np.ndarray | None = None,
    constants: Constants = Constants(),  # noqa: B008
    *,
    narrow_gaps: bool = True,
) -> np.ndarray:
    """Do what `segment_background` does, on a slice that is smoothed already.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels, from `smooth`.
    nucleus : (y, x) array of bool, optional
        Its mean says what is bright.
    constants : Constants
        Those that begin with ``background``, and `gap_min_area_px`.
    narrow_gaps : bool
        False leaves them out, as the published method does (`published.segment_background`).

    Returns
    -------
    (y, x) array of bool
        Empty where no region is bright enough.

    Examples
    --------
    A cell beside resin, 80 nm a pixel:

    >>> smoothed = np.full((12, 16), 140, np.float32)
    >>> smoothed[:, 9:] = 210
    >>> find_background(smoothed, constants=Constants.at(80))[5].astype(int)
    array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    background = _bright_superpixels(smoothed, nucleus, constants)
    if not background.any():
        return background
    # The wide disks work at half the resolution, where distances cost a quarter.
    coarse = _resize(background, tuple(-(-side // 2) for side in background.shape))
    coarse = _close(coarse, constants.background_close_px / 2)
    coarse = _open(coarse, constants.background_open_px / 2)
    if not coarse.any():
        return np.zeros(smoothed.shape, bool)
    near = _resize(distance_about(coarse) <= constants.background_reach_px / 2, smoothed.shape)
    background = _resize(coarse, smoothed.shape)

    resin = float(cv2.mean(smoothed, as_bytes(background))[0])
    bright = smoothed > resin - constants.background_level
    background |= near & bright
    if narrow_gaps:
        background |= _larger_than(constants.gap_min_area_px, bright)
    closed = _close_square(background, max(1, round(constants.background_final_close_px)))
    return cv2.dilate(as_bytes(closed), disk(constants.background_final_dilate_px)).view(bool)


def _bright_superpixels(smoothed, nucleus, constants: Constants) -> np.ndarray:
    """Superpixels of the coarse edges that are brighter than nucleus and cell."""
    edges = detect_edges(smoothed, constants, sigma_px=constants.background_sigma_px)
    if not edges.any():
        return np.zeros(smoothed.shape, bool)
    width = max(1, round(constants.background_edge_width_px))
    grown = cv2.dilate(as_bytes(edges), np.ones((width, width), np.uint8)).view(bool)
    regions = superpixels(grown)
    # Half of the pixels are edges, which count for nothing.
    inner = regions > 0
    number = regions[inner]
    areas = np.bincount(number, minlength=1)
    sums = np.bincount(number, weights=smoothed[inner], minlength=1)
    low, middle, high = levels(smoothed[::4, ::4].astype(np.uint8))
    shift = middle - USUAL_MIDDLE
    nucleus_mean, least = constants.background_default_nucleus, 0.0
    if abs(shift) > LIKE_USUAL:
        # In slices that are darker or brighter than the paper's, the grey levels go along; in those
        # of more contrast a nucleus is more than the usual step brighter than the cell.
        nucleus_mean += shift
        least = middle + RESIN_OVER_MIDDLE * (high - low)
    if nucleus is not None and nucleus.any():
        nucleus_mean = float(smoothed[nucleus].mean())
    otsu = cv2.threshold(np.rint(smoothed).astype(np.uint8), 0, 1, cv2.THRESH_OTSU)[0]
    level = min(
        max(nucleus_mean + constants.background_nucleus_level, otsu, least),
        max(constants.background_max_level, high - constants.background_nucleus_level),
    )
    bright = (areas > constants.background_min_area_px) & (sums > level * areas)
    bright[0] = False
    return fill(bright.take(regions))


def _close(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """Close with a disk, through distances: a kernel of 79 x 79 would take seconds."""
    margin = int(np.ceil(radius_px)) + 1
    wide = np.pad(mask, margin, mode="edge")
    closed = distance_about(~(distance_about(wide) <= radius_px)) > radius_px
    return closed[margin:-margin, margin:-margin]


def _close_square(mask: np.ndarray, size: int) -> np.ndarray:
    """Close with a square; an even one has no middle, so erosion mirrors dilation."""
    square, before, after = np.ones((size, size), np.uint8), (size - 1) // 2, size // 2
    wide = as_bytes(np.pad(mask, size, mode="edge"))
    wide = cv2.dilate(wide, square, anchor=(before, before))
    wide = cv2.erode(wide, square, anchor=(after, after))
    return wide[size:-size, size:-size].view(bool)


def _open(mask: np.ndarray, radius_px: float) -> np.ndarray:
    return distance_about(distance_about(~mask) > radius_px) <= radius_px


def _larger_than(area_px: float, mask: np.ndarray) -> np.ndarray:
    """Regions of a mask of at least an area."""
    regions = superpixels(~mask)
    large = np.bincount(regions.ravel()) >= area_px
    large[0] = False
    return large.take(regions)


def _resize(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a mask to another size; its boundary lies where half a pixel is covered."""
    how = cv2.INTER_AREA if shape[0] < mask.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(as_bytes(mask) * np.uint8(255), shape[::-1], interpolation=how) > 127
