"""Figures of the comparison of methods.

What is compared comes from `helpers.results`; no method is known here by name.
"""

from helpers.comparison.figures import intervals, pareto
from helpers.comparison.series import curves, method_colours

__all__ = ["curves", "intervals", "method_colours", "pareto"]
