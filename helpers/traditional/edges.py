"""From a slice to superpixels: smooth, detect edges, grow them, number what is left."""

import cv2
import numpy as np

from helpers.labels import check_image
from helpers.masks import as_bytes
from helpers.traditional.constants import Constants

TWO_MATERIALS = 0.7
"""Share of the variance of grey levels that two materials explain at least. Resin and cell explain
.74 and more of the paper's slices; two halves of one bell curve explain .64."""

_BINS = 4096  # of the histogram that stands for sorting four million gradients


def smooth(image: np.ndarray, constants: Constants = Constants()) -> np.ndarray:  # noqa: B008
    """Smooth the grain away with a small Gaussian.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    constants : Constants
        Its `smooth_sigma_px` and `smooth_radius_px`: 7 x 7 pixels, sigma 2, at 10 nm a pixel.

    Returns
    -------
    (y, x) array of float32
        Grey levels; beyond its border the slice goes on as it ends.

    Raises
    ------
    TypeError, ValueError
        If `image` is not one slice of uint8.

    Examples
    --------
    A bright grain is spread over its neighbours:

    >>> image = np.full((5, 5), 100, np.uint8)
    >>> image[2, 2] = 200
    >>> smooth(image).round().astype(int)
    array([[102, 102, 103, 102, 102],
           [102, 104, 104, 104, 102],
           [103, 104, 105, 104, 103],
           [102, 104, 104, 104, 102],
           [102, 102, 103, 102, 102]])
    """
    size = 2 * max(1, round(constants.smooth_radius_px)) + 1
    return cv2.GaussianBlur(
        check_image(image).astype(np.float32),
        (size, size),
        constants.smooth_sigma_px,
        borderType=cv2.BORDER_REPLICATE,
    )


def detect_edges(
    smoothed: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
    *,
    sigma_px: float | None = None,
) -> np.ndarray:
    """Find edges with Canny's method.

    The high threshold is the gradient magnitude below which 70 % of the pixels lie; the low one
    is 0.4 of that.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels, from `smooth`; from `levels_for_edges` to go by the constants.
    constants : Constants
        Its `canny_sigma_px`, `canny_quantile`, `canny_bins`, `canny_low_ratio`, and
        `canny_darker`: the grey level below which pixels count for the quantile, or ``"resin"``,
        for that of `resin_level`; None: all count.
    sigma_px : float, optional
        Width of the Gaussian before the derivative; the constants' value unless given.

    Returns
    -------
    (y, x) array of bool
        Lines one pixel wide; none along the border of the slice.

    Notes
    -----
    J. Canny (1986), doi 10.1109/TPAMI.1986.4767851.

    Examples
    --------
    Dark on the left, bright on the right:

    >>> smoothed = np.full((5, 9), 50, np.float32)
    >>> smoothed[:, 5:] = 150
    >>> detect_edges(smoothed, sigma_px=1).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 1, 0, 0, 0, 0],
           [0, 0, 0, 0, 1, 0, 0, 0, 0],
           [0, 0, 0, 0, 1, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    """
    sigma = constants.canny_sigma_px if sigma_px is None else sigma_px
    blurred = blur(smoothed, sigma)
    dx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    magnitude = cv2.magnitude(dx, dy)
    steepest = float(magnitude.max())
    # Rounding leaves gradients of 1e-4 in a slice of one grey level.
    if steepest < 1e-2:
        return np.zeros(smoothed.shape, bool)
    darker = constants.canny_darker
    if darker == "resin":
        darker = resin_level(smoothed)
    counted = None if darker is None else smoothed < darker
    high = high_threshold(magnitude, constants, counted)
    return hysteresis(thin(magnitude, dx, dy), magnitude, constants.canny_low_ratio * high, high)


def resin_level(smoothed: np.ndarray) -> float | None:
    """Find the grey level that parts cell from resin, by Otsu's method.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels of 0 to 255, from `smooth`.

    Returns
    -------
    float or None
        None where the slice does not look like two materials: where its halves explain less than
        `TWO_MATERIALS` of the variance of grey levels, as in a slice that is all cell.

    Notes
    -----
    N. Otsu (1979), doi 10.1109/TSMC.1979.4310076.

    Examples
    --------
    >>> smoothed = np.full((20, 20), 200, np.float32)
    >>> smoothed[5:15, 5:15] = 140
    >>> resin_level(smoothed)
    141.0
    >>> resin_level(smoothed[:5]) is None
    True
    """
    grey = np.clip(smoothed, 0, 255).astype(np.uint8)
    level, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_OTSU)
    share = cv2.mean(bright)[0]
    steps = cv2.mean(grey, bright)[0] - cv2.mean(grey, 1 - bright)[0]
    variance = float(cv2.meanStdDev(grey)[1].item()) ** 2
    return level + 1 if share * (1 - share) * steps**2 > TWO_MATERIALS * variance else None


def levels_for_edges(image: np.ndarray, smoothed: np.ndarray, constants: Constants) -> np.ndarray:
    """Return what Canny's method gets: the smoothed slice, or the slice as it was recorded.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    smoothed : (y, x) array of float32
        The same, from `smooth`.
    constants : Constants
        Its `canny_smoothed`.

    Returns
    -------
    (y, x) array of float32
    """
    return smoothed if constants.canny_smoothed else image.astype(np.float32)


def high_threshold(
    magnitude: np.ndarray, constants: Constants, counted: np.ndarray | None = None
) -> float:
    """Find the magnitude of the gradient that 70 % of the pixels stay below.

    Parameters
    ----------
    magnitude : (y, x) array of float32
        Steepness of the slice; not all 0.
    constants : Constants
        Its `canny_quantile`, and `canny_bins`: MATLAB's ``edge`` looks for the quantile in a
        histogram of 64 bins from 0 to the steepest pixel, and lands up to 10 % too high.
    counted : (y, x) array of bool, optional
        Pixels of which it is the quantile; by default, and where it has none, all.
        A slice that is mostly smooth resin needs it, or all that the cell has is an edge:
        `canny_darker` leaves out what is brighter than that grey level.

    Returns
    -------
    float

    Examples
    --------
    >>> magnitude = np.arange(1, 1001, dtype=np.float32).reshape(20, 50)
    >>> round(high_threshold(magnitude, Constants()))
    700
    >>> round(high_threshold(magnitude, Constants(canny_bins=64)))
    703
    """
    steepest = float(magnitude.max())
    mask = None if counted is None or not counted.any() else as_bytes(counted)
    size = magnitude.size if mask is None else np.count_nonzero(mask)
    wanted = constants.canny_quantile * size
    if constants.canny_bins is None:
        whole_range = [0, np.nextafter(steepest, np.inf)]
        counts = cv2.calcHist([magnitude], [0], mask, [_BINS], whole_range)
        return (np.searchsorted(np.cumsum(counts), wanted) + 1) / _BINS * steepest
    # The first and the last bin of MATLAB's imhist are half as wide as the others.
    last = constants.canny_bins - 1
    limits = [-0.5 / last * steepest, (1 + 0.5 / last) * steepest]
    counts = cv2.calcHist([magnitude], [0], mask, [constants.canny_bins], limits)
    below = np.searchsorted(np.cumsum(counts), wanted, side="right")
    return (below + 1) / constants.canny_bins * steepest


def hysteresis(ridges: np.ndarray, magnitude: np.ndarray, low: float, high: float) -> np.ndarray:
    """Keep the ridges above a low threshold that hang together with one above a high one.

    Parameters
    ----------
    ridges : (y, x) array of bool
        From `thin`.
    magnitude : (y, x) array of float32
        Steepness of the slice.
    low, high : float
        The thresholds.

    Returns
    -------
    (y, x) array of bool

    Examples
    --------
    >>> magnitude = np.array([[5, 5, 9, 0, 5, 1]], np.float32)
    >>> hysteresis(magnitude > 0, magnitude, 4, 8).astype(int)
    array([[1, 1, 1, 0, 0, 0]])
    """
    edges = ridges & (magnitude >= low)
    count, chains = cv2.connectedComponents(edges.view(np.uint8), connectivity=8)
    # Few pixels are ridges: look only at those.
    where = np.flatnonzero(edges)
    chain = chains.ravel()[where]
    strong = np.zeros(count, bool)
    strong[chain[magnitude.ravel()[where] >= high]] = True
    edges.ravel()[where] = strong[chain]
    return edges


def blur(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Blur with a Gaussian; a wide one at half the resolution, where it costs an eighth.

    Parameters
    ----------
    image : (y, x) array of float32
        Grey levels; beyond its border the slice goes on as it ends.
    sigma_px : float
        Width of the Gaussian.

    Returns
    -------
    (y, x) array of float32
    """
    if sigma_px < 6:
        # Four sigmas on either side, and no wider than the slice.
        size = 2 * min(max(1, int(4 * sigma_px + 0.5)), min(image.shape)) + 1
        return cv2.GaussianBlur(image, (size, size), sigma_px, borderType=cv2.BORDER_REPLICATE)
    # Going down and up are small Gaussians, of variance 1 each: the rest is left to do.
    margin = 8 * int(np.ceil(sigma_px))
    half = cv2.pyrDown(cv2.copyMakeBorder(image, *(margin,) * 4, cv2.BORDER_REPLICATE))
    half = cv2.GaussianBlur(half, None, np.sqrt(sigma_px**2 - 2) / 2)
    whole = cv2.pyrUp(half, dstsize=tuple(side + 2 * margin for side in image.shape[::-1]))
    return whole[margin:-margin, margin:-margin]


def thin(magnitude: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Keep the pixels where the gradient is steepest along its own direction.

    The magnitude one step up and one step down the gradient is interpolated, as MATLAB does.
    cv2.Canny rounds the direction to 45 degrees instead, which opens gaps in faint envelopes.

    Parameters
    ----------
    magnitude, dx, dy : (y, x) array of float32
        The gradient: its length, and its parts along rows and columns.

    Returns
    -------
    (y, x) array of bool
        False along the border.
    """
    height, width = magnitude.shape
    ridges = np.zeros(magnitude.shape, bool)
    column = np.arange(width, dtype=np.float32)[None]
    # In bands of rows, so that the temporary arrays stay in the processor's cache.
    for top in range(1, height - 1, 64):
        rows = slice(top, min(top + 64, height - 1))
        row = np.arange(1, rows.stop - top + 1, dtype=np.float32)[:, None]
        longer = np.maximum(np.abs(dx[rows]), np.abs(dy[rows])) + np.float32(1e-9)
        x, y = dx[rows] / longer, dy[rows] / longer
        band = magnitude[top - 1 : rows.stop + 1]
        here = magnitude[rows]
        ridges[rows] = (here >= cv2.remap(band, column + x, row + y, cv2.INTER_LINEAR)) & (
            here >= cv2.remap(band, column - x, row - y, cv2.INTER_LINEAR)
        )
    ridges[:, [0, -1]] = False
    return ridges


def grow_edges(
    edges: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Thicken edges until their gaps close.

    Parameters
    ----------
    edges : (y, x) array of bool
        From `detect_edges`.
    constants : Constants
        Its `edge_distance_px`; edges that a `canny_sigma_px` above `coarse_sigma_px` has found
        are grown further.

    Returns
    -------
    (y, x) array of bool
        All pixels nearer than 5 to an edge, or than 5 + sigma / 3 for a coarse one.

    Examples
    --------
    A line with a gap, grown by all that is nearer than 2 pixels:

    >>> edges = np.array([[0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]], bool)
    >>> grow_edges(edges, Constants(edge_distance_px=2)).astype(int)
    array([[0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0]])
    """
    reach = constants.edge_distance_px
    if constants.canny_sigma_px > constants.coarse_sigma_px:
        reach += round(constants.canny_sigma_px / 3)
    size = int(np.ceil(reach)) - 1
    y, x = np.mgrid[-size : size + 1, -size : size + 1]
    nearer = (y * y + x * x < reach * reach).astype(np.uint8)
    return cv2.dilate(as_bytes(edges), nearer).view(bool)


def superpixels(grown: np.ndarray) -> np.ndarray:
    """Label the regions that the edges leave.

    Parameters
    ----------
    grown : (y, x) array of bool
        Edges, from `grow_edges`.

    Returns
    -------
    (y, x) array of int32
        0 on edges, then 1, 2, ... for regions whose pixels touch at a side or a corner.

    Examples
    --------
    >>> grown = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1]], bool)
    >>> superpixels(grown)
    array([[1, 0, 0, 2],
           [0, 1, 0, 2],
           [0, 0, 0, 0]], dtype=int32)
    """
    return cv2.connectedComponents((~grown).view(np.uint8), connectivity=8)[1]
