"""What part of a slice to show, and how to show thin lines in it."""

import cv2
import numpy as np


def square_around(
    center: tuple[float, float], width_um: float, *, shape: tuple[int, int], pixel_size_nm: float
) -> tuple[slice, slice]:
    """Return the rows and columns of a square, moved to lie inside the slice.

    Parameters
    ----------
    center : (float, float)
        Row and column, in pixels.
    width_um : float
        Side in micrometres; cut to the shorter side of the slice.
    shape : (int, int)
        Rows and columns of the slice.
    pixel_size_nm : float
        In nanometres.

    Returns
    -------
    tuple of slice
        To index an image with.

    Raises
    ------
    ValueError
        If the square has no pixel.

    Examples
    --------
    >>> square_around((3, 50), 0.2, shape=(100, 100), pixel_size_nm=10)
    (slice(0, 20, None), slice(40, 60, None))
    """
    half = min(int(width_um * 500 / pixel_size_nm), min(shape) // 2)
    if half < 1:
        raise ValueError(
            f"a square of {width_um:g} µm has no pixel of {pixel_size_nm:g} nm; make it wider."
        )
    places = (int(np.clip(at, half, side - half)) for at, side in zip(center, shape, strict=True))
    rows, columns = (slice(at - half, at + half) for at in places)
    return rows, columns


def thicken(mask: np.ndarray, shown_px: int = 1000) -> np.ndarray:
    """Draw lines of one pixel wide enough to be seen in a reduced picture.

    Parameters
    ----------
    mask : (y, x) array of bool
    shown_px : int
        Height of the picture on the page. Lines become about two of its pixels wide.

    Returns
    -------
    (y, x) array of bool
    """
    size = 1 + 2 * round(mask.shape[0] / shown_px)
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
