"""Majority vote of neighbouring slices: a median filter in three dimensions."""

import cv2
import numpy as np

from helpers.masks import around, as_bytes


def majority(masks: list[np.ndarray]) -> np.ndarray:
    """Take what most voxels of 3 x 3 pixels in all the slices say.

    For masks this is the median filter of the published method.

    Parameters
    ----------
    masks : list of (y, x) array of bool
        The slice and its neighbours; fewer at the ends of a stack.

    Returns
    -------
    (y, x) array of bool
    """
    somewhere = np.logical_or.reduce(masks)
    result = np.zeros(somewhere.shape, bool)
    if not somewhere.any():
        return result
    box = around(somewhere, 2)
    votes = np.zeros(somewhere[box].shape, np.int16)
    for mask in masks:
        votes += cv2.boxFilter(as_bytes(mask[box]), cv2.CV_16S, (3, 3), normalize=False)
    result[box] = 2 * votes > 9 * len(masks)
    return result
