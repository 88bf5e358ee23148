"""The traditional method on a whole stack, and what its result measures.

`segment_stack` starts at a central slice and goes up and down; `segment_to_folder` does the same
into a folder; either by improved rules, or as the authors' code does (`published`).
`next_nucleus` is the step from one slice to the next; `Rules` switches its parts on and off.
`doubts` lists what is doubtful about a result, slice by slice.
`measure_nucleus` gives volume, surface and sphericity.
"""

from helpers.volume.ahead import SliceError
from helpers.volume.measures import measure_nucleus
from helpers.volume.passes import choose_centre, segment_stack, segment_to_folder
from helpers.volume.rules import Rules, first_nucleus, next_nucleus, prepare, unpack

__all__ = [
    "Rules",
    "SliceError",
    "choose_centre",
    "first_nucleus",
    "measure_nucleus",
    "next_nucleus",
    "prepare",
    "segment_stack",
    "segment_to_folder",
    "unpack",
]
