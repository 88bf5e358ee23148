"""The four classes: numbers, names and colours; and what is asked of slices, masks and labels."""

import math
from enum import IntEnum

import numpy as np

from helpers import settings


class Label(IntEnum):
    """Class of a pixel, numbered as in the published ground truth.

    Notes
    -----
    Numbers: the published files (doi 10.5281/zenodo.3834608).
    Colours: Fig 2 of Karabag et al. (2020), doi 10.1371/journal.pone.0230605.

    Examples
    --------
    >>> Label.NUCLEUS.value, Label.NUCLEUS.title, Label.NUCLEUS.colour
    (2, 'nucleus', '#00ff00')
    """

    NUCLEAR_ENVELOPE = 1
    NUCLEUS = 2
    CELL = 3
    BACKGROUND = 4

    @property
    def title(self) -> str:
        """Name for tables and legends, in lower case."""
        return self.name.lower().replace("_", " ")

    @property
    def colour(self) -> str:
        """Colour as ``#rrggbb``."""
        return "#{:02x}{:02x}{:02x}".format(*PALETTE[self])


PALETTES: dict[str, dict[int, tuple[int, int, int]]] = {
    "paper": {
        Label.NUCLEAR_ENVELOPE: (255, 0, 0),
        Label.NUCLEUS: (0, 255, 0),
        Label.CELL: (0, 0, 255),
        Label.BACKGROUND: (0, 0, 0),
    },
    "safe": {
        Label.NUCLEAR_ENVELOPE: (244, 119, 209),
        Label.NUCLEUS: (0, 225, 90),
        Label.CELL: (0, 55, 255),
        Label.BACKGROUND: (0, 0, 0),
    },
}
"""The paper's colours, and ones that can be told apart in the common kinds of colour blindness, as
areas and as tints over grey; as like the paper's as that allows."""

PALETTE = PALETTES[settings.read("HELA_PALETTE")]
"""The colours of this run: those named by ``HELA_PALETTE``, by default the paper's."""


def colourise(labels: np.ndarray) -> np.ndarray:
    """Paint a label map in the colours of `PALETTE`.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Class numbers 1 to 4; 0 stands for "not labelled" and is painted white.

    Returns
    -------
    (y, x, 3) array of uint8

    Raises
    ------
    ValueError
        If a number above 4 occurs.

    Examples
    --------
    >>> colourise(np.array([[1, 4]], dtype=np.uint8)).tolist()
    [[[255, 0, 0], [0, 0, 0]]]
    """
    labels = np.asarray(labels)
    if labels.size and (labels.max() > max(Label) or labels.min() < 0):
        raise ValueError(
            f"labels must be 0 (none) to {max(Label):d}; found {labels.min()} to {labels.max()}."
        )
    table = np.full((max(Label) + 1, 3), 255, dtype=np.uint8)
    for label, colour in PALETTE.items():
        table[label] = colour
    return table[labels]


def shows_classes(rgb: np.ndarray, share: float = 0.02) -> bool:
    """Say whether a picture has areas in the colours of the classes, pure or over grey.

    Such a colour of the paper's is red, green or blue added to a grey: two channels are equal and
    the third is above them. No other colour of the book's figures is so.

    Parameters
    ----------
    rgb : (y, x, 3) array of uint8
    share : float
        Part of the pixels that must be so; thin lines of a chart are less.

    Returns
    -------
    bool

    Examples
    --------
    >>> shows_classes(np.full((2, 2, 3), (90, 180, 90), dtype=np.uint8))
    True
    >>> shows_classes(np.full((2, 2, 3), (86, 180, 233), dtype=np.uint8))
    False
    """
    low, middle, high = np.moveaxis(np.sort(rgb.astype(np.int16), axis=-1), -1, 0)
    return bool(((middle - low <= 2) & (high - middle >= 24)).mean() >= share)


# --- checks: what functions ask of their arguments, and how they say so --------------------------


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
