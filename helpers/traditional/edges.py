"""From a slice to superpixels: smooth, detect edges, grow them, number what is left."""

import cv2
import numpy as np

from helpers.labels import check_image
from helpers.masks import as_bytes
from helpers.traditional.constants import Constants

_BINS = 4096  # of the histogram that stands for sorting four million gradients


def smooth(image: np.ndarray, constants: Constants = Constants()) -> np.ndarray:  # noqa: B008
    """Smooth the grain away with a small Gaussian.

    Parameters
    ----------
    image : (y, x) array of uint8
    constants : Constants

    Returns
    -------
    (y, x) array of float32
        Grey levels.
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

    The high threshold is the gradient magnitude below which 70 % of the pixels lie, as MATLAB
    picks it; the low one is 0.4 of that.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels.
    constants : Constants
    sigma_px : float, optional
        Width of the Gaussian before the derivative; the constants' value unless given.

    Returns
    -------
    (y, x) array of bool
    """
    sigma = constants.canny_sigma_px if sigma_px is None else sigma_px
    blurred = _blur(smoothed, sigma)
    dx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    magnitude = cv2.magnitude(dx, dy)
    steepest = float(magnitude.max())
    # Rounding leaves gradients of 1e-4 in a slice of one grey level.
    if steepest < 1e-2:
        return np.zeros(smoothed.shape, bool)
    counts = cv2.calcHist([magnitude], [0], None, [_BINS], [0, np.nextafter(steepest, np.inf)])
    below = np.searchsorted(np.cumsum(counts), constants.canny_quantile * magnitude.size)
    high = (below + 1) / _BINS * steepest
    ridges = _thin(magnitude, dx, dy) & (magnitude >= constants.canny_low_ratio * high)
    count, chains = cv2.connectedComponents(ridges.view(np.uint8), connectivity=8)
    # Few pixels are ridges: look only at those.
    where = np.flatnonzero(ridges)
    chain = chains.ravel()[where]
    strong = np.zeros(count, bool)
    strong[chain[magnitude.ravel()[where] >= high]] = True
    ridges.ravel()[where] = strong[chain]
    return ridges


def _blur(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Blur with a Gaussian; a wide one at half the resolution, where it costs an eighth."""
    if sigma_px < 6:
        # Four sigmas on either side, and no wider than the slice.
        size = 2 * min(max(1, int(4 * sigma_px + 0.5)), min(image.shape)) + 1
        return cv2.GaussianBlur(image, (size, size), sigma_px, borderType=cv2.BORDER_REPLICATE)
    # Going down and up are small Gaussians, of variance 1 each: the rest is left to do.
    margin = 8 * int(np.ceil(sigma_px))
    half = cv2.pyrDown(np.pad(image, margin, mode="edge"))
    half = cv2.GaussianBlur(half, None, np.sqrt(sigma_px**2 - 2) / 2)
    whole = cv2.pyrUp(half, dstsize=tuple(side + 2 * margin for side in image.shape[::-1]))
    return whole[margin:-margin, margin:-margin]


def _thin(magnitude: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Keep the pixels where the gradient is steepest along its own direction.

    The magnitude one step up and one step down the gradient is interpolated, as MATLAB does.
    cv2.Canny rounds the direction to 45 degrees instead, which opens gaps in faint envelopes.
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
    *,
    sigma_px: float | None = None,
) -> np.ndarray:
    """Thicken edges until their gaps close.

    Parameters
    ----------
    edges : (y, x) array of bool
    constants : Constants
    sigma_px : float, optional
        The sigma that found the edges: coarse ones, above 6, are grown further.

    Returns
    -------
    (y, x) array of bool
        All pixels nearer than 5 to an edge, or than 5 + sigma / 3 for a coarse one.
    """
    sigma = constants.canny_sigma_px if sigma_px is None else sigma_px
    reach = constants.edge_distance_px
    if sigma > constants.coarse_sigma_px:
        reach += round(sigma / 3)
    size = int(np.ceil(reach)) - 1
    y, x = np.mgrid[-size : size + 1, -size : size + 1]
    nearer = (y * y + x * x < reach * reach).astype(np.uint8)
    return cv2.dilate(as_bytes(edges), nearer).view(bool)


def superpixels(grown: np.ndarray) -> np.ndarray:
    """Label the regions that the edges leave.

    Parameters
    ----------
    grown : (y, x) array of bool
        Edges, grown.

    Returns
    -------
    (y, x) array of int32
        0 on edges, then 1, 2, ... for regions whose pixels touch at a side or a corner.
    """
    return cv2.connectedComponents((~grown).view(np.uint8), connectivity=8)[1]
