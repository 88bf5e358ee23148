"""How well two ground truths of one slice agree on the central nucleus."""

import cv2
import numpy as np

from helpers.labels import Label, check_labels
from helpers.masks import as_bytes
from helpers.metrics import jaccard_of_masks


def central_nucleus(several: np.ndarray, central: np.ndarray) -> np.ndarray:
    """Pick the central cell's nucleus out of a ground truth that has the neighbours' too.

    Parameters
    ----------
    several : (y, x) array of uint8
        Labels with several nuclei, for instance from `helpers.data.stack.Stack.nuclei`.
    central : (y, x) array of uint8
        Labels with the central cell's nucleus alone, from `helpers.data.stack.Stack.labels`.

    Returns
    -------
    (y, x) array of bool
        All connected regions of nucleus in `several` that meet the nucleus in `central`.

    Raises
    ------
    TypeError
        If the labels are not uint8.
    ValueError
        If they are not one slice with the numbers 1 to 4, or their shapes differ.
    """
    several, central = check_labels(several, "several"), check_labels(central, "central")
    if several.shape != central.shape:
        raise ValueError(
            f"several has shape {several.shape}, central {central.shape}; they must agree."
        )
    _, regions = cv2.connectedComponents(as_bytes(several == Label.NUCLEUS), connectivity=4)
    met = np.zeros(regions.max() + 1, bool)
    met[regions[central == Label.NUCLEUS]] = True
    met[0] = False
    return met[regions]


def agreement(central: np.ndarray, several: np.ndarray) -> float:
    """Jaccard index of the central nucleus between two ground truths of one slice.

    Parameters
    ----------
    central : (y, x) array of uint8
        Labels with the central cell's nucleus alone.
    several : (y, x) array of uint8
        Labels that may have the neighbours' nuclei too; see `central_nucleus`.

    Returns
    -------
    float
        0 to 1; NaN where the slice has no central nucleus.

    Raises
    ------
    TypeError, ValueError
        As `central_nucleus`.

    Examples
    --------
    >>> one = np.array([[2, 2, 3, 3]], dtype=np.uint8)
    >>> two = np.array([[2, 3, 3, 2]], dtype=np.uint8)
    >>> agreement(one, two)
    0.5
    """
    found = central_nucleus(several, central)
    nucleus = np.asarray(central) == Label.NUCLEUS
    if not nucleus.any():
        return float("nan")
    return jaccard_of_masks(found, nucleus)
