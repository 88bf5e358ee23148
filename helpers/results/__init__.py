"""Results of all methods: label maps, scores and records on disk, tidy tables in memory.

`evaluate` runs a method and keeps what it gives; `load_runs` reads it again, and `load_published`
the published curves; `select` chooses once which scores count; `league_table` averages them, and
says over which slices; `paired_differences` says how sure that is. No method is known here by name.
"""

from helpers.results.evaluation import evaluate
from helpers.results.figures import against, curves, intervals, means_over, pareto, two_means
from helpers.results.published import evaluate_recovered, load_published
from helpers.results.runs import About, label_maps, load_runs, records
from helpers.results.selection import AS_GIVEN, LEAVE_OUT, by_slice, league_table, select
from helpers.results.statistics import paired_differences, rank_probabilities
from helpers.results.tables import style_league, styled

__all__ = [
    "AS_GIVEN",
    "LEAVE_OUT",
    "About",
    "against",
    "by_slice",
    "curves",
    "evaluate",
    "evaluate_recovered",
    "intervals",
    "label_maps",
    "league_table",
    "load_published",
    "load_runs",
    "means_over",
    "paired_differences",
    "pareto",
    "rank_probabilities",
    "records",
    "select",
    "style_league",
    "styled",
    "two_means",
]
