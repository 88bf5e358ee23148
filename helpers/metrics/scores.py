"""All scores of a slice in one tidy table."""

import numpy as np
import pandas as pd

from helpers.labels import Label
from helpers.metrics.boundaries import boundary_scores
from helpers.metrics.pixels import accuracy, accuracy_of, confusion_matrix, dice, jaccard

TOLERANCE_NM = 85.0
"""How far boundaries may lie apart and still agree: the line that the ground truth draws."""


def score_slice(
    result: np.ndarray,
    truth: np.ndarray,
    *,
    pixel_size_nm: float,
    tolerance_nm: float = TOLERANCE_NM,
) -> pd.DataFrame:
    """Compute every score of a slice.

    Parameters
    ----------
    result, truth : (y, x) arrays of integers
        As for `confusion_matrix`. What the truth leaves without a label is left out throughout.
    pixel_size_nm : float
        Side of a pixel.
    tolerance_nm : float
        For the boundary F score; see `boundary_scores`.

    Returns
    -------
    DataFrame
        A row a score, with the columns ``metric`` (``accuracy``, ``jaccard``, ``dice``,
        ``boundary_f``, ``hausdorff_95_nm``, ``average_boundary_distance_nm``), ``class`` (a
        class's title, ``all`` for the accuracy of four classes) and ``value``.

    Raises
    ------
    TypeError, ValueError
        As for `confusion_matrix` and `boundary_scores`.
    """
    result, truth = np.asarray(result), np.asarray(truth)
    matrix = confusion_matrix(result, truth)
    rows = [("accuracy", "all", accuracy(matrix))]
    labelled = truth != 0
    for label in Label:
        scores = {
            "accuracy": accuracy_of(matrix, label),
            "jaccard": jaccard(matrix, label),
            "dice": dice(matrix, label),
            **boundary_scores(
                (result == label) & labelled,
                truth == label,
                pixel_size_nm=pixel_size_nm,
                tolerance_nm=tolerance_nm,
            ),
        }
        rows += [(metric, label.title, value) for metric, value in scores.items()]
    return pd.DataFrame(rows, columns=["metric", "class", "value"])
