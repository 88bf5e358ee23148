"""Results of all methods: label maps, scores and records on disk, tidy tables in memory.

`evaluate` runs a method and keeps what it gives; `load_runs` reads it again, and `load_published`
the published curves; `summary` averages, and says over which slices; `paired_differences` says how
sure that is. No method is known here by name.
"""

from helpers.results.evaluation import evaluate
from helpers.results.foreign import LabelFolder
from helpers.results.published import evaluate_recovered, load_published
from helpers.results.runs import fingerprint, label_maps, load_runs, records
from helpers.results.statistics import paired_differences, rank_probabilities, short_names
from helpers.results.tables import LEAVE_OUT, by_slice, league_table, style_league, summary

__all__ = [
    "LEAVE_OUT",
    "LabelFolder",
    "by_slice",
    "evaluate",
    "evaluate_recovered",
    "fingerprint",
    "label_maps",
    "league_table",
    "load_published",
    "load_runs",
    "paired_differences",
    "rank_probabilities",
    "records",
    "short_names",
    "style_league",
    "summary",
]
