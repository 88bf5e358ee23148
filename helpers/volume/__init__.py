"""The traditional method on a whole stack, and what its result measures.

`segment_stack` starts at a central slice and goes up and down; `segment_to_folder` does the same
into a folder.
`next_nucleus` and `next_nucleus_as_published` are the step from one slice to the next;
`Rules` switches the improved one's parts on and off.
`measure_nucleus` gives volume, surface and sphericity.
"""

from helpers.volume.centre import choose_centre
from helpers.volume.measures import NucleusMeasures, measure_nucleus
from helpers.volume.preparation import Prepared, prepare, unpack
from helpers.volume.propagation import (
    Found,
    Rules,
    first_nucleus,
    next_nucleus,
    next_nucleus_as_published,
)
from helpers.volume.segment import SliceError, segment_stack, segment_to_folder

__all__ = [
    "Found",
    "NucleusMeasures",
    "Prepared",
    "Rules",
    "SliceError",
    "choose_centre",
    "first_nucleus",
    "measure_nucleus",
    "next_nucleus",
    "next_nucleus_as_published",
    "prepare",
    "segment_stack",
    "segment_to_folder",
    "unpack",
]
