"""Small operations on masks that methods and ground truth share, through OpenCV."""

import cv2
import numpy as np


def as_bytes(mask: np.ndarray) -> np.ndarray:
    """Give OpenCV a mask as 0 and 1 without copying.

    Parameters
    ----------
    mask : array of bool

    Returns
    -------
    array of uint8
    """
    return np.ascontiguousarray(mask).view(np.uint8)


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of a mask.

    Parameters
    ----------
    mask : (y, x) array of bool

    Returns
    -------
    (y, x) array of float32
        Exact Euclidean distance in pixels; very large where the mask is empty.

    Examples
    --------
    >>> distance_to(np.array([[0, 0, 0, 1, 0]], bool))
    array([[3., 2., 1., 0., 1.]], dtype=float32)
    """
    if not mask.any():
        return np.full(mask.shape, np.finfo(np.float32).max, np.float32)
    return cv2.distanceTransform(
        (~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dstType=cv2.CV_32F
    )


def distance_about(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of a mask, to 2 %.

    Three times faster than `distance_to`.

    Parameters
    ----------
    mask : (y, x) array of bool

    Returns
    -------
    (y, x) array of float32
        Pixels; very large where the mask is empty.
    """
    if not mask.any():
        return distance_to(mask)
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


def disk(radius_px: float) -> np.ndarray:
    """Disk as MATLAB draws it: an octagon for a radius of 3 or more.

    Parameters
    ----------
    radius_px : float
        Rounded to a whole number of pixels, at least 1.

    Returns
    -------
    (n, n) array of uint8

    Notes
    -----
    The published code asks for ``strel('disk', 5)``, whose default approximation is not the disk
    of 81 pixels but an octagon of 9 x 9, one pixel smaller all round.

    Examples
    --------
    >>> disk(5).shape, int(disk(5).sum()), disk(1).tolist()
    ((9, 9), 69, [[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    """
    radius = max(1, round(radius_px))
    reach = radius if radius < 3 else radius - 1
    y, x = np.abs(np.mgrid[-reach : reach + 1, -reach : reach + 1])
    inside = y * y + x * x <= radius * radius if radius < 3 else y + x <= round(1.5 * reach)
    return inside.astype(np.uint8)


def fill(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of a mask.

    Parameters
    ----------
    mask : (y, x) array of bool

    Returns
    -------
    (y, x) array of bool

    Examples
    --------
    >>> fill(np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]], bool)).astype(int)
    array([[1, 1, 1, 0],
           [1, 1, 1, 0],
           [1, 1, 1, 0]])
    """
    outlines, _ = cv2.findContours(as_bytes(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled.view(bool)


def around(mask: np.ndarray, margin_px: float) -> tuple[slice, slice]:
    """Box around a mask, so that the next steps touch only what they can change.

    Parameters
    ----------
    mask : (y, x) array of bool
        Not empty.
    margin_px : float
        How far the box reaches beyond the mask, inside the slice.

    Returns
    -------
    (slice, slice)
        Rows and columns.
    """
    x, y, width, height = cv2.boundingRect(as_bytes(mask))
    margin = int(np.ceil(margin_px))
    return (
        slice(max(0, y - margin), min(mask.shape[0], y + height + margin)),
        slice(max(0, x - margin), min(mask.shape[1], x + width + margin)),
    )
