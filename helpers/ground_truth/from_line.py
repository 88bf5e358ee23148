"""From a drawn line and the slice to four classes."""

import cv2
import numpy as np

from helpers.ground_truth.closing import OPEN_ENDS, check_closed
from helpers.ground_truth.line import DILATION_NM, square
from helpers.labels import Label, check_image, check_length, check_mask
from helpers.masks import as_bytes
from helpers.settings import check_choice
from helpers.traditional.background import segment_background


def dilate_line(
    line: np.ndarray, *, dilation_nm: float = DILATION_NM, pixel_size_nm: float = 10.0
) -> np.ndarray:
    """Make the envelope from the line: dilate it with a square.

    Parameters
    ----------
    line : (y, x) array of bool
        Closed: see `close_line`.
    dilation_nm : float
        Side of the square. The paper's is 4 x 4 pixels, on a line that is 4 pixels wide; a line
        of one pixel needs 70 nm to become as thick as the published envelope.
    pixel_size_nm : float
        Side of a pixel; at 27 nm or more the paper's square is a single pixel.

    Returns
    -------
    (y, x) array of bool

    Raises
    ------
    TypeError
        If the line is not bool.
    ValueError
        If it is not one slice, or a length is not above 0.

    Examples
    --------
    >>> line = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
    >>> dilate_line(line, dilation_nm=30).astype(int)
    array([[0, 0, 1, 1, 1],
           [0, 0, 1, 1, 1],
           [0, 0, 1, 1, 1]])
    """
    line = check_mask(line, "line")
    kernel = square(dilation_nm, check_length(pixel_size_nm, "pixel_size_nm"))
    return cv2.dilate(as_bytes(line), kernel).view(bool)


def fill_nucleus(envelope: np.ndarray) -> np.ndarray:
    """Everything that an envelope separates from the outside.

    The envelope divides the slice into parts; the outside is the one that has most of the slice's
    border, and all others are nucleus, also those within others. A nucleus that the border cuts
    is thus found as long as less than half of the border is its.

    Parameters
    ----------
    envelope : (y, x) array of bool
        From `dilate_line`.

    Returns
    -------
    (y, x) array of bool
        Empty where the envelope encloses nothing.

    Raises
    ------
    TypeError
        If the envelope is not bool.
    ValueError
        If it is not one slice, or covers the slice's border.

    Examples
    --------
    >>> envelope = np.zeros((5, 6), bool)
    >>> envelope[1:4, 1:5] = True
    >>> envelope[2, 2:4] = False
    >>> fill_nucleus(envelope).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    envelope = check_mask(envelope, "envelope")
    # Parts meet along sides: an envelope one pixel wide is tight even where it runs diagonally.
    _, parts = cv2.connectedComponents(as_bytes(~envelope), connectivity=4)
    border = np.concatenate([parts[0], parts[-1], parts[1:-1, 0], parts[1:-1, -1]])
    if not border.any():
        raise ValueError(
            "envelope covers the whole border of the slice, so that nothing is outside; "
            "a mask of the line was expected, True on the line."
        )
    outside = np.bincount(border[border > 0]).argmax()
    return (parts != outside) & ~envelope


def labels_from_line(
    line: np.ndarray,
    image: np.ndarray,
    *,
    dilation_nm: float = DILATION_NM,
    narrow_gaps: bool = True,
    pixel_size_nm: float = 10.0,
    open_ends: str = "raise",
) -> np.ndarray:
    """Make a ground truth from a drawn line and the slice.

    The line, dilated, is the envelope; inside it is the nucleus; of the rest, the background
    comes from the slice, and what is left is cell.

    Parameters
    ----------
    line : (y, x) array of bool
        Closed: see `close_line`. An empty one stands for a slice without a nucleus.
    image : (y, x) array of uint8
        The slice.
    dilation_nm : float
        As for `dilate_line`.
    narrow_gaps : bool
        As for `helpers.traditional.segment_background`.
    pixel_size_nm : float
        Side of a pixel.
    open_ends : {"raise", "warn"}
        What to do about pieces of the line that enclose nothing after the dilation: raise, or
        make them envelope with a warning.

    Returns
    -------
    (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Raises
    ------
    OpenLineError
        If a piece of the line is open.
    TypeError
        If the line is not bool, or the slice not uint8.
    ValueError
        If their shapes differ, or an option has a value that is not allowed.

    Notes
    -----
    Karabag et al. (2020), section Ground truth.
    """
    image = check_image(image)
    line = check_mask(line, "line", image.shape)
    check_choice(open_ends, "open_ends", OPEN_ENDS)
    envelope = dilate_line(line, dilation_nm=dilation_nm, pixel_size_nm=pixel_size_nm)
    check_closed(envelope, pixel_size_nm, open_ends)
    nucleus = fill_nucleus(envelope)
    background = segment_background(
        image, nucleus, narrow_gaps=narrow_gaps, pixel_size_nm=pixel_size_nm
    )
    labels = np.full(image.shape, Label.CELL, np.uint8)
    labels[background] = Label.BACKGROUND
    labels[nucleus] = Label.NUCLEUS
    labels[envelope] = Label.NUCLEAR_ENVELOPE
    return labels
