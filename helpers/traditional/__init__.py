"""The traditional method: image processing with fixed rules and no training.

Each step that the chapter explains is a public function with the step's name:
`smooth`, `detect_edges`, `grow_edges`, `superpixels`, `select_nucleus` (or `choose_region`),
`measure_envelope`, `grow_boundary`, `close_nucleus` and `trace_envelope`.
`segment_nucleus` runs them in that order; `segment_background` finds the resin;
`segment_slice` puts both together into the four classes.
`published` has nucleus and background as the authors' own code finds them.
What is doubtful about a result they say in warnings; `find_doubts` lists it.

Source: Karabag et al. (2020), doi 10.1371/journal.pone.0230605, section "Image-processing
algorithm", and Karabag et al. (2019), doi 10.3390/jimaging5090075.
"""

from helpers.traditional import published
from helpers.traditional.background import find_background, segment_background
from helpers.traditional.choice import choose_region
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import find_doubts
from helpers.traditional.edges import detect_edges, grow_edges, smooth, superpixels
from helpers.traditional.envelope import trace_envelope
from helpers.traditional.nucleus import (
    close_nucleus,
    grow_boundary,
    measure_envelope,
    ring_medians,
    segment_nucleus,
    select_nucleus,
)
from helpers.traditional.slice import draw_labels, segment_slice

__all__ = [
    "Constants",
    "choose_region",
    "close_nucleus",
    "detect_edges",
    "draw_labels",
    "find_background",
    "find_doubts",
    "grow_boundary",
    "grow_edges",
    "measure_envelope",
    "published",
    "ring_medians",
    "segment_background",
    "segment_nucleus",
    "segment_slice",
    "select_nucleus",
    "smooth",
    "superpixels",
    "trace_envelope",
]
