"""Nucleus, envelope, cell and background of one slice."""

import numpy as np

from helpers.labels import Label, check_image, check_mask
from helpers.masks import around, distance_to
from helpers.traditional.background import segment_background
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import find_doubts, warn_of
from helpers.traditional.nucleus import nucleus_of


def segment_slice(
    image: np.ndarray,
    neighbour: np.ndarray | None = None,
    *,
    narrow_gaps: bool = True,
    pixel_size_nm: float = 10.0,
    constants: Constants | None = None,
) -> np.ndarray:
    """Give every pixel of a slice one of the four classes.

    The envelope is drawn as the ground truth draws it: a line of 95 nm just outside the nucleus,
    along the membrane that `trace_envelope` has found.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    neighbour : (y, x) array of bool, optional
        Nucleus of the slice above or below.
    narrow_gaps : bool
        As for `segment_background`.
    pixel_size_nm : float
        Side of a pixel.
    constants : Constants, optional
        Already scaled; instead of `pixel_size_nm`.

    Returns
    -------
    (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Warns
    -----
    DoubtWarning
        As for `segment_nucleus`.

    Raises
    ------
    TypeError, ValueError
        As for `segment_nucleus`.
    """
    constants = constants or Constants.at(pixel_size_nm)
    image = check_image(image)
    if neighbour is not None:
        neighbour = check_mask(neighbour, "neighbour", image.shape)
    nucleus = nucleus_of(image, neighbour, constants)
    warn_of(find_doubts(image, nucleus, pixel_size_nm=constants.pixel_size_nm))
    background = segment_background(image, nucleus, narrow_gaps=narrow_gaps, constants=constants)
    return draw_labels(nucleus, background, constants)


def draw_labels(
    nucleus: np.ndarray,
    background: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Put nucleus and background together into the four classes.

    Parameters
    ----------
    nucleus, background : (y, x) array of bool
        Where they meet, it is nucleus.
    constants : Constants
        Its `envelope_thickness_px` is the width of the line drawn around the nucleus.

    Returns
    -------
    (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Examples
    --------
    >>> nucleus, background = np.zeros((5, 8), bool), np.zeros((5, 8), bool)
    >>> nucleus[2, 2:4] = background[:, 6:] = True
    >>> draw_labels(nucleus, background, Constants(envelope_thickness_px=1))
    array([[3, 3, 3, 3, 3, 3, 4, 4],
           [3, 3, 1, 1, 3, 3, 4, 4],
           [3, 1, 2, 2, 1, 3, 4, 4],
           [3, 3, 1, 1, 3, 3, 4, 4],
           [3, 3, 3, 3, 3, 3, 4, 4]], dtype=uint8)
    """
    labels = np.full(nucleus.shape, Label.CELL, np.uint8)
    labels[background] = Label.BACKGROUND
    if nucleus.any():
        thickness = max(1.0, constants.envelope_thickness_px)
        box = around(nucleus, thickness + 1)
        labels[box][distance_to(nucleus[box]) <= thickness] = Label.NUCLEAR_ENVELOPE
        labels[nucleus] = Label.NUCLEUS
    return labels
