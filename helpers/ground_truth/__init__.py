"""The ground truth: from a hand-drawn line to labels, class balance, and agreement."""

from helpers.ground_truth.agreement import agreement, central_nucleus
from helpers.ground_truth.balance import (
    balance,
    class_frequencies,
    pixel_counts,
    published_numbers,
)
from helpers.ground_truth.closing import OpenLineError, close_line
from helpers.ground_truth.from_line import dilate_line, fill_nucleus, labels_from_line
from helpers.ground_truth.line import drawn_line, thin_envelope

__all__ = [
    "OpenLineError",
    "agreement",
    "balance",
    "central_nucleus",
    "class_frequencies",
    "close_line",
    "dilate_line",
    "drawn_line",
    "fill_nucleus",
    "labels_from_line",
    "pixel_counts",
    "published_numbers",
    "thin_envelope",
]
