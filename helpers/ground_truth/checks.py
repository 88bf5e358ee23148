"""What every function of the ground truth asks of its input."""

import math

import numpy as np

from helpers.labels import Label


def check_labels(labels: np.ndarray, name: str = "labels") -> np.ndarray:
    """Return a label map as it is, or say what is wrong with it.

    Parameters
    ----------
    labels : (y, x) array of uint8
    name : str
        What the caller calls it.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    TypeError
        If it is not an array of uint8.
    ValueError
        If it does not have two dimensions, has no pixels, or other numbers than 1 to 4.
    """
    labels = np.asarray(labels)
    if labels.dtype != np.uint8:
        raise TypeError(
            f"{name} has dtype {labels.dtype}; allowed is uint8 with the numbers of "
            "helpers.labels.Label. For a map of other integers: labels.astype(numpy.uint8)."
        )
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"{name} has shape {labels.shape}; allowed is one slice (y, x).")
    low, high = labels.min(), labels.max()
    if low < min(Label) or high > max(Label):
        raise ValueError(
            f"{name} has numbers from {low} to {high}; allowed are {min(Label):d} to "
            f"{max(Label):d}, see helpers.labels.Label. Label every pixel first."
        )
    return labels


def check_line(line: np.ndarray, name: str = "line") -> np.ndarray:
    """Return a line as it is, or say what is wrong with it.

    Parameters
    ----------
    line : (y, x) array of bool
    name : str
        What the caller calls it.

    Returns
    -------
    (y, x) array of bool

    Raises
    ------
    TypeError
        If it is not an array of bool.
    ValueError
        If it does not have two dimensions, or has no pixels.
    """
    line = np.asarray(line)
    if line.dtype != bool:
        raise TypeError(
            f"{name} has dtype {line.dtype}; allowed is bool, True on the line. "
            "From a picture in which the line is bright: picture > 0."
        )
    if line.ndim != 2 or line.size == 0:
        raise ValueError(f"{name} has shape {line.shape}; allowed is one slice (y, x).")
    return np.ascontiguousarray(line)


def check_length(value: float, name: str) -> float:
    """Return a length, or say that it is none.

    Parameters
    ----------
    value : float
    name : str
        What the caller calls it, with its unit.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is not a positive, finite number.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}; it must be a number above 0.")
    return float(value)


def check_choice(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return a choice, or say which ones there are.

    Parameters
    ----------
    value : str
    name : str
        What the caller calls it.
    allowed : tuple of str

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is not among those allowed.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(allowed)}.")
    return value
