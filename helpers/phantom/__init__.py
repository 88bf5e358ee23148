"""A synthetic HeLa cell, for when no data is at hand and for testing what a method can do.

`Phantom` makes labels and slices of a cell from nothing but a seed, `PhantomField` those of many
cells; `render` paints a slice over any labels, the published ground truth among them.
The measures tell how like a real slice the result is.
"""

from helpers.phantom.cell import ENVELOPE_NM, Phantom
from helpers.phantom.field import PhantomField
from helpers.phantom.realism import (
    RAW_NUCLEUS,
    RAW_SLICE,
    correlation_length_px,
    envelope_thickness_px,
    grain_correlation,
    grey_levels,
)
from helpers.phantom.texture import render

__all__ = [
    "ENVELOPE_NM",
    "RAW_NUCLEUS",
    "RAW_SLICE",
    "Phantom",
    "PhantomField",
    "correlation_length_px",
    "envelope_thickness_px",
    "grain_correlation",
    "grey_levels",
    "render",
]
