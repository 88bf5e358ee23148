"""Every method of the book on one stack, with one call: `run_all`.

What it finds is scored by `helpers.results` and stays on disk; what is there is not computed again.
"""

from helpers.methods.all_of_them import run_all
from helpers.methods.catalogue import (
    IMAGE_SHAPE,
    METHODS,
    NO_TENSORFLOW,
    SLICES,
    TILE_PX,
    Method,
    has_tensorflow,
    slices_of,
)
from helpers.methods.one import run_method

__all__ = [
    "IMAGE_SHAPE",
    "METHODS",
    "NO_TENSORFLOW",
    "SLICES",
    "TILE_PX",
    "Method",
    "has_tensorflow",
    "run_all",
    "run_method",
    "slices_of",
]
