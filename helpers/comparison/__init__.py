"""Compare methods: statistics for slices that resemble each other, and figures.

What is compared comes from `helpers.results`; no method is known here by name.
"""

from helpers.comparison.bootstrap import block_length, bootstrap_means, interval, quantiles
from helpers.comparison.figures import intervals, nothing_to_draw, pareto
from helpers.comparison.hover import hover_chart
from helpers.comparison.league import league_table, style_league
from helpers.comparison.series import method_colours
from helpers.comparison.statistics import (
    mean_intervals,
    paired_differences,
    rank_probabilities,
    short_names,
)

__all__ = [
    "block_length",
    "bootstrap_means",
    "hover_chart",
    "interval",
    "intervals",
    "league_table",
    "mean_intervals",
    "method_colours",
    "nothing_to_draw",
    "paired_differences",
    "pareto",
    "quantiles",
    "rank_probabilities",
    "short_names",
    "style_league",
]
