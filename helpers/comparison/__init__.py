"""Figures of the comparison of methods.

What is compared comes from `helpers.results`; no method is known here by name.
"""

from helpers.comparison.figures import intervals, nothing_to_draw, pareto
from helpers.comparison.hover import hover_chart
from helpers.comparison.series import method_colours

__all__ = ["hover_chart", "intervals", "method_colours", "nothing_to_draw", "pareto"]
