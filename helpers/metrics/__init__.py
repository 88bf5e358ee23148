"""Scores of a result against the ground truth: pixels counted once, boundaries in nanometres.

A score of a class that is in neither picture is NaN, never a silent 0 or 1.
"""

from helpers.metrics.boundaries import (
    average_boundary_distance,
    boundary_scores,
)
from helpers.metrics.pixels import (
    accuracy,
    accuracy_of,
    cases,
    confusion_matrix,
    dice,
    jaccard,
    jaccard_of_masks,
)
from helpers.metrics.scores import TOLERANCE_NM, score_slice

__all__ = [
    "TOLERANCE_NM",
    "accuracy",
    "accuracy_of",
    "average_boundary_distance",
    "boundary_scores",
    "cases",
    "confusion_matrix",
    "dice",
    "jaccard",
    "jaccard_of_masks",
    "score_slice",
]
