"""Measures that tell a synthetic slice from a real one: grey levels, grain, envelope."""

import cv2
import numpy as np
import pandas as pd
import skimage

from helpers.labels import Label

RAW_SLICE = "mitoem/CODE/OriginalImages/ROI_6005_4739_81_z0060.tif"
"""Name in `helpers.data.files` of a slice as recorded: another cell of the paper's acquisition."""

RAW_NUCLEUS = np.s_[750:1250, 780:1200]
"""Rows and columns of `RAW_SLICE` that lie inside its nucleus."""

# What is left of a slice less this Gaussian is grain; structures are larger.
GRAIN_BELOW_SIGMA_PX = 4


def grey_levels(image: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Measure the grey level of each class.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Returns
    -------
    DataFrame
        A row a class, by its title: ``mean`` and ``spread`` (standard deviation), in grey levels;
        NaN for a class that is not there.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _check_shapes(image, labels, "labels")
    rows = {}
    for label in Label:
        # An empty Series has a NaN for a mean, with no warning.
        levels = pd.Series(image[labels == label].astype(float))
        rows[label.title] = {"mean": levels.mean(), "spread": levels.std(ddof=0)}
    return pd.DataFrame(rows).T


def grain_correlation(
    image: np.ndarray, inside: np.ndarray, *, axis: int, max_lag_px: int = 3
) -> np.ndarray:
    """Correlate the grain of a slice with itself, shifted.

    Parameters
    ----------
    image : (y, x) array
        One slice, of any type.
    inside : (y, x) array of bool
        Where to measure. Keep it off edges between classes: these are not grain.
    axis : {0, 1}
        Direction of the shift: 0 along y, 1 along x.
    max_lag_px : int
        Largest shift.

    Returns
    -------
    (max_lag_px + 1,) array of float
        Correlation at shifts of 0, 1, ... pixels; the first is 1.

    Raises
    ------
    ValueError
        If the shapes differ, there is no such axis, or no two pixels inside lie that far apart.

    Notes
    -----
    Grain is the slice less its Gaussian mean with a sigma of 4 pixels, so that the correlation is
    a little below 0 at large shifts.
    """
    _check_shapes(image, inside, "inside")
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; allowed are 0 (along y) and 1 (along x).")
    image = image.astype(float)
    grain = image - cv2.GaussianBlur(image, (0, 0), GRAIN_BELOW_SIGMA_PX)
    grain, inside = (np.moveaxis(array, axis, 0) for array in (grain, inside))
    products = []
    for lag in range(max_lag_px + 1):
        pairs = inside[lag:] & inside[: len(inside) - lag]
        if not pairs.any():
            raise ValueError(
                f"No two pixels inside lie {lag} pixels apart along axis {axis}; "
                "give a larger region."
            )
        products.append((grain[lag:] * grain[: len(grain) - lag])[pairs].mean())
    return np.array(products) / products[0]


def correlation_length_px(image: np.ndarray, inside: np.ndarray, *, axis: int) -> float:
    """Measure the distance at which the grain's correlation falls to one half.

    Parameters
    ----------
    image, inside, axis
        As in `grain_correlation`.

    Returns
    -------
    float
        In pixels, between them by a straight line; NaN if it stays above one half for 3 pixels.

    Raises
    ------
    ValueError
        As `grain_correlation`.
    """
    correlation = grain_correlation(image, inside, axis=axis)
    below = np.flatnonzero(correlation < 0.5)
    if not below.size:
        return float("nan")
    last = below[0] - 1
    return float(last + (correlation[last] - 0.5) / (correlation[last] - correlation[last + 1]))


def envelope_thickness_px(labels: np.ndarray) -> float:
    """Measure how thick the nuclear envelope of a label slice is.

    Parameters
    ----------
    labels : (y, x) array of uint8
        One slice; numbers of `helpers.labels.Label`.

    Returns
    -------
    float
        Twice the mean distance from its middle line to its edge, in pixels; NaN without envelope.
    """
    envelope = labels == Label.NUCLEAR_ENVELOPE
    if not envelope.any():
        return float("nan")
    distance = cv2.distanceTransform(envelope.astype(np.uint8), cv2.DIST_L2, 5)
    return float(2 * distance[skimage.morphology.skeletonize(envelope)].mean())


def _check_shapes(image, other, name: str) -> None:
    if image.ndim != 2 or image.shape != other.shape:
        raise ValueError(
            f"image has shape {image.shape} and {name} {other.shape}; "
            "both must be one slice (y, x)."
        )
