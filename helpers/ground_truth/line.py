"""The hand-drawn line, recovered from labels."""

import cv2
import numpy as np
from skimage.morphology import skeletonize

from helpers.labels import Label, check_labels, check_length
from helpers.masks import as_bytes

DILATION_NM = 40.0
"""Side of the square that the paper dilates the line with: 4 x 4 pixels of 10 nm."""


def square(length_nm: float, pixel_size_nm: float) -> np.ndarray:
    """Square that a line is dilated with.

    Parameters
    ----------
    length_nm : float
        Its side; rounded to whole pixels, at least one.
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    (n, n) array of uint8
    """
    side = max(1, round(check_length(length_nm, "dilation_nm") / pixel_size_nm))
    return np.ones((side, side), np.uint8)


def drawn_line(
    labels: np.ndarray, *, dilation_nm: float = DILATION_NM, pixel_size_nm: float = 10.0
) -> np.ndarray:
    """Recover the line from the envelope of a ground truth by undoing the dilation.

    The erosion with the same square gives the thickest line whose dilation is the envelope.
    On the published ground truth that dilation gives back every pixel of the envelope.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    dilation_nm : float
        Side of the square that the line was dilated with.
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    (y, x) array of bool

    Raises
    ------
    TypeError
        If the labels are not uint8.
    ValueError
        If they are not one slice with the numbers 1 to 4, or a length is not above 0.

    Examples
    --------
    The line was one pixel wide, and dilated by 3 x 3 pixels of 10 nm:

    >>> labels = np.array([[2, 1, 1, 1, 3, 3]] * 4, np.uint8)
    >>> drawn_line(labels, dilation_nm=30).astype(int)
    array([[0, 0, 1, 0, 0, 0],
           [0, 0, 1, 0, 0, 0],
           [0, 0, 1, 0, 0, 0],
           [0, 0, 1, 0, 0, 0]])
    """
    envelope = check_labels(labels) == Label.NUCLEAR_ENVELOPE
    kernel = square(dilation_nm, check_length(pixel_size_nm, "pixel_size_nm"))
    # An even square has no middle; with this anchor erosion mirrors OpenCV's (and MATLAB's)
    # dilation.
    anchor = ((len(kernel) - 1) // 2,) * 2
    return cv2.erode(as_bytes(envelope), kernel, anchor=anchor).view(bool)


def thin_envelope(labels: np.ndarray) -> np.ndarray:
    """Thin the envelope of a ground truth to a line of one pixel along its middle.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Returns
    -------
    (y, x) array of bool
        Skeleton (`skimage.morphology.skeletonize`) of the envelope: in as many pieces as it.

    Raises
    ------
    TypeError, ValueError
        As `drawn_line`.
    """
    return skeletonize(check_labels(labels) == Label.NUCLEAR_ENVELOPE)
