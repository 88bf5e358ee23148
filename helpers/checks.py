"""What functions ask of slices, masks, label maps and lengths, and how they say so."""

import math

import numpy as np

from helpers.labels import Label


def check_image(image: np.ndarray) -> np.ndarray:
    """Return a slice as it is, or say what is wrong with it.

    Parameters
    ----------
    image : (y, x) array of uint8

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    TypeError
        If it is not an array of uint8.
    ValueError
        If it does not have two dimensions, or has no pixels.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise TypeError(
            f"image has dtype {image.dtype}; allowed is uint8, grey levels 0 to 255. "
            "Bring the slice to that range first, for instance with skimage.util.img_as_ubyte."
        )
    if image.ndim != 2:
        raise ValueError(
            f"image has shape {image.shape}; allowed is one grey slice (y, x). "
            "Take one slice of a stack, or one channel of a colour picture."
        )
    if image.size == 0:
        raise ValueError(f"image has shape {image.shape} and no pixels; give a whole slice.")
    return np.ascontiguousarray(image)


def check_mask(mask: np.ndarray, name: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Return a mask as it is, or say what is wrong with it.

    Parameters
    ----------
    mask : (y, x) array of bool
    name : str
        What the caller calls it.
    shape : (int, int), optional
        Shape of the slice it goes with.

    Returns
    -------
    (y, x) array of bool

    Raises
    ------
    TypeError
        If it is not an array of bool.
    ValueError
        If it does not have two dimensions, has no pixels, or does not have that shape.
    """
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(
            f"{name} has dtype {mask.dtype}; allowed is bool, True inside. "
            "From labels: labels == Label.NUCLEUS; from a bright line: picture > 0."
        )
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"{name} has shape {mask.shape}; allowed is one slice (y, x).")
    if shape is not None and mask.shape != shape:
        raise ValueError(f"{name} has shape {mask.shape}, the slice {shape}; they must agree.")
    return np.ascontiguousarray(mask)


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
