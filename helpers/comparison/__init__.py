"""Compare methods: statistics for slices that resemble each other, and figures.

What is compared comes from `helpers.results`; no method is known here by name.
"""

from helpers.comparison.bootstrap import block_length, bootstrap_means, interval, quantiles
from helpers.comparison.statistics import (
    agreements,
    mean_intervals,
    paired_differences,
    rank_probabilities,
    short_names,
)

__all__ = [
    "agreements",
    "block_length",
    "bootstrap_means",
    "interval",
    "mean_intervals",
    "paired_differences",
    "quantiles",
    "rank_probabilities",
    "short_names",
]
