"""From the nucleus to its envelope: follow the dark line that lies along the boundary."""

import cv2
import numpy as np
from skimage.segmentation import watershed

from helpers.masks import around, as_bytes, distance_about
from helpers.traditional.constants import Constants

_STEPS = 16  # of the flood, to a grey level


def trace_envelope(
    smoothed: np.ndarray,
    nucleus: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Move the boundary of a nucleus onto the dark line beside it.

    The steps before this one end where grey levels, an octagon and the width of grown edges
    happen to stop them; the membrane, which a person follows with the pen, lies some pixels off,
    here inside, there outside.
    Two floods start 50 nm inside and 80 nm outside the boundary and rise from bright to dark:
    they meet on the darkest line that separates the two.
    Its wiggles are smoothed, and the nucleus ends 30 nm within it, where the pen's line begins.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels, from `smooth`.
    nucleus : (y, x) array of bool
        Near its true boundary: from `close_nucleus`, or from neighbouring slices.
    constants : Constants
        Those that begin with ``trace``.

    Returns
    -------
    (y, x) array of bool
        What lies inside the envelope, which `draw_labels` then draws.

    Notes
    -----
    Not part of the published method. The watershed: S. Beucher and C. Lantuejoul (1979), "Use of
    watersheds in contour detection".

    Distances are from the published ground truth of six slices: its line lies with its inner edge
    30 nm inside the darkest pixels, and 90 % of it within the 130 nm that are searched; a wider
    search finds the membranes of other things.

    Examples
    --------
    The nucleus was found too small; the dark line around it has a bulge below:

    >>> smoothed = np.full((10, 9), 150, np.float32)
    >>> smoothed[1, 1:8] = smoothed[1:8, 1] = smoothed[1:8, 7] = smoothed[7, 1:8] = 100
    >>> smoothed[7, 4], smoothed[8, 3:6] = 150, 100
    >>> nucleus = np.zeros((10, 9), bool)
    >>> nucleus[3:7, 3:6] = True
    >>> tiny = Constants(
    ...     trace_inside_px=1, trace_outside_px=2.5, trace_sigma_px=0.5, trace_offset_px=0.5
    ... )
    >>> trace_envelope(smoothed, nucleus, tiny).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 1, 1, 1, 1, 0],
           [0, 0, 1, 1, 1, 1, 1, 0, 0],
           [0, 0, 0, 1, 1, 1, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    """
    traced = np.zeros(nucleus.shape, bool)
    if not nucleus.any():
        return traced
    inside, outside = constants.trace_inside_px, constants.trace_outside_px
    box = around(nucleus, outside + 3)
    # The boundary runs between pixels: half a pixel from those on either side.
    core = distance_about(~nucleus[box]) >= inside + 0.5
    reached = distance_about(nucleus[box]) <= outside + 0.5
    # Only the band is flooded, from the pixels that line it.
    band = reached & ~core
    lined = cv2.dilate(as_bytes(band), np.ones((3, 3), np.uint8)).view(bool)
    seeds = (lined & core) + 2 * (lined & ~reached).astype(np.int32)
    height = (-_STEPS * smoothed[box]).astype(np.int32)
    within = core | (watershed(height, seeds, mask=lined) == 1)
    rounded = cv2.GaussianBlur(within.astype(np.float32), None, max(constants.trace_sigma_px, 0.1))
    within = rounded > 0.5
    traced[box] = within & (distance_about(~within) >= constants.trace_offset_px + 0.5)
    return traced
