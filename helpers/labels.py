"""The four classes of the ground truth: their numbers, names and colours."""

import os
from enum import IntEnum

import numpy as np


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

_chosen = os.environ.get("HELA_PALETTE") or "paper"
if _chosen not in PALETTES:
    raise ValueError(f"HELA_PALETTE is {_chosen!r}; allowed are {', '.join(PALETTES)}.")
PALETTE = PALETTES[_chosen]
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
