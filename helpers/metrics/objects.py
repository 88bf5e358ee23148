"""Nuclei counted as things: which are found, which are missed, which are none."""

from typing import NamedTuple

import cv2
import numpy as np

from helpers.metrics.pixels import check_masks


class Pieces(NamedTuple):
    """How many pieces a truth and a result have, and how many are in both."""

    true: int
    found: int
    matched: int


def match_pieces(result: np.ndarray, truth: np.ndarray) -> Pieces:
    """Count the pieces of two masks, and those that are in both.

    Two pieces are the same if their Jaccard index is over one half. Then no piece can have two
    partners, so that no rule is needed for who gets which (Kirillov et al., Panoptic
    segmentation, CVPR 2019, doi 10.1109/CVPR.2019.00963).

    Parameters
    ----------
    result, truth : (y, x) array of bool
        A piece is what hangs together, by sides or corners.

    Returns
    -------
    Pieces

    Raises
    ------
    TypeError, ValueError
        As `helpers.metrics.jaccard_of_masks`.

    Examples
    --------
    >>> truth = np.zeros((9, 9), bool)
    >>> truth[1:4, 1:4] = truth[6:8, 6:8] = True
    >>> match_pieces(np.roll(truth, 1, axis=0) & truth, truth)
    Pieces(true=2, found=2, matched=1)
    """
    result, truth = check_masks(result, truth)
    (n_found, ours), (n_true, theirs) = map(_pieces, (result, truth))
    both = np.bincount(
        ours.ravel().astype(np.int64) * n_true + theirs.ravel(), minlength=n_found * n_true
    ).reshape(n_found, n_true)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None] - both
    same = 2 * both[1:, 1:] > either[1:, 1:]
    return Pieces(n_true - 1, n_found - 1, int(same.sum()))


def _pieces(mask: np.ndarray) -> tuple[int, np.ndarray]:
    """Give the pieces numbers from 1; 0 is outside, and counts among the numbers."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
