"""A few strokes: a reader draws lines on some slices, and a random forest labels the rest.

`Strokes` are lines with a class each, drawn by hand (`draw`) or by a rule (`simulate`), in a small
file. `features_of` says of each pixel what is around it, `train` lets a forest learn from the
pixels below the strokes, and what it returns segments slices. `next_stroke` says where one more
stroke would help most.

Not in the paper. The idea is that of ilastik, Berg et al. (2019), doi 10.1038/s41592-019-0582-9.
"""

from helpers.strokes.drawn import Strokes
from helpers.strokes.features import FEATURES, features_of
from helpers.strokes.forest import tidy, train
from helpers.strokes.live import draw
from helpers.strokes.simulated import next_stroke, simulate, unsureness

__all__ = [
    "FEATURES",
    "Strokes",
    "draw",
    "features_of",
    "next_stroke",
    "simulate",
    "tidy",
    "train",
    "unsureness",
]
