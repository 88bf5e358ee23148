"""Scores that measure how far two boundaries lie apart, in nanometres."""

import cv2
import numpy as np
from scipy.spatial import cKDTree

from helpers.labels import check_length
from helpers.metrics.pixels import check_masks


def average_boundary_distance(
    result: np.ndarray, truth: np.ndarray, *, pixel_size_nm: float
) -> float:
    """Mean distance of two boundaries.

    Parameters
    ----------
    result, truth : (y, x) arrays of bool
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    float
        In nanometres: the mean distance from one boundary's pixels to the nearest of the other,
        averaged over both directions, so that a ragged, long boundary counts no more than a
        smooth one. NaN if a mask has no boundary: there is no distance to nothing.

    Raises
    ------
    TypeError, ValueError
        As for `boundary_scores`.
    """
    return _average(_boundary_distances(result, truth, pixel_size_nm))


def boundary_scores(
    result: np.ndarray, truth: np.ndarray, *, pixel_size_nm: float, tolerance_nm: float
) -> dict[str, float]:
    """Compute all scores of two boundaries at the cost of one.

    Parameters
    ----------
    result, truth : (y, x) arrays of bool
    pixel_size_nm : float
        Side of a pixel.
    tolerance_nm : float
        What counts as near for the boundary F score, this distance included.

    Returns
    -------
    dict of str to float
        ``boundary_f``, 0 to 1: harmonic mean of the share of the result's boundary near that of
        the truth, and the share of the truth's near that of the result; 0 if only one mask has a
        boundary, NaN if neither has. ``hausdorff_95_nm``: of the distances from each pixel of one
        boundary to the nearest of the other, the 95th percentile, and of both directions the
        larger. ``average_boundary_distance_nm``: see `average_boundary_distance`. The distances
        are NaN if a mask has no boundary.

    Raises
    ------
    TypeError
        If a mask is not of bool.
    ValueError
        If the shapes differ, are not (y, x), or a size is out of range.

    Notes
    -----
    Boundary F score: Csurka et al. (2013), doi 10.5244/C.27.32. A boundary is made of the pixels
    of the mask with one of their four neighbours outside it. Where the picture ends, the mask does
    not: its frame is no boundary, so that a mask of the whole picture has none.

    Examples
    --------
    >>> truth = np.zeros((80, 80), bool)
    >>> truth[20:60, 20:60] = True
    >>> result = np.roll(truth, 5, axis=1)
    >>> scores = boundary_scores(result, truth, pixel_size_nm=10, tolerance_nm=50)
    >>> scores["boundary_f"], scores["hausdorff_95_nm"]
    (1.0, 50.0)
    """
    distances = _boundary_distances(result, truth, pixel_size_nm)
    return {
        "boundary_f": _boundary_f(distances, tolerance_nm),
        "hausdorff_95_nm": _hausdorff_95(distances),
        "average_boundary_distance_nm": _average(distances),
    }


def _boundary(mask: np.ndarray) -> np.ndarray:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    # OpenCV's default border counts as inside: a mask is not worn off at the picture's frame.
    return mask & (cv2.erode(mask.view(np.uint8), cross) == 0)


def _boundary_distances(result, truth, pixel_size_nm) -> tuple[np.ndarray, np.ndarray]:
    """Distances in nm from the result's boundary to the truth's, and back; empty: no boundary."""
    result, truth = check_masks(result, truth)
    if result.ndim != 2 or not result.size:
        raise ValueError(
            f"masks have shape {result.shape}; allowed is one slice (y, x), with pixels. "
            "Score a stack slice by slice."
        )
    check_length(pixel_size_nm, "pixel_size_nm")
    here, there = (np.argwhere(_boundary(np.ascontiguousarray(m))) for m in (result, truth))
    return _nearest_px(here, there) * pixel_size_nm, _nearest_px(there, here) * pixel_size_nm


def _nearest_px(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    if not len(others):
        return np.full(len(points), np.inf)
    return cKDTree(others).query(points)[0]


def _boundary_f(distances, tolerance_nm: float) -> float:
    check_length(tolerance_nm, "tolerance_nm")
    if not any(len(each) for each in distances):
        return float("nan")
    # Rounding must not push away what lies just at the tolerance.
    near = [np.mean(each <= tolerance_nm * (1 + 1e-9)) if len(each) else 0.0 for each in distances]
    return float(2 * near[0] * near[1] / sum(near)) if any(near) else 0.0


def _hausdorff_95(distances) -> float:
    if not all(len(each) for each in distances):
        return float("nan")
    return float(max(np.percentile(each, 95) for each in distances))


def _average(distances) -> float:
    if not all(len(each) for each in distances):
        return float("nan")
    return float(np.mean([each.mean() for each in distances]))
