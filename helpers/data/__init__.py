"""The slices that the book works on, and what was published of them (chapter 1).

A `Stack` has slices of one cell, with their ground truth and voxel size, and reads them one at a
time; it looks the same whatever they come from.
"""

from helpers.data.cut_cells import open_cut_cell
from helpers.data.download import DataError
from helpers.data.figures import SAMPLE_SLICES, authors_result, recover_slice
from helpers.data.files import fetch
from helpers.data.foreign import open_labels
from helpers.data.other_cells import open_cell
from helpers.data.own import open_stack
from helpers.data.published import published_labels, second_cell
from helpers.data.sources import load_stack
from helpers.data.synthetic import phantom_stack, rendered_stack
from helpers.data.truths import field_truth, whole_cell_truth

__all__ = [
    "SAMPLE_SLICES",
    "DataError",
    "authors_result",
    "fetch",
    "field_truth",
    "load_stack",
    "open_cell",
    "open_cut_cell",
    "open_labels",
    "open_stack",
    "phantom_stack",
    "published_labels",
    "recover_slice",
    "rendered_stack",
    "second_cell",
    "whole_cell_truth",
]
