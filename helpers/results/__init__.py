"""Results of all methods: label maps, scores and records on disk, tidy tables in memory.

`evaluate` runs a method and keeps what it gives; `load_runs` reads it again, and `load_published`
the published curves; `summary` averages, and says over which slices.
"""

from helpers.results.evaluation import evaluate
from helpers.results.folder import label_maps, load_runs, read_run, records, results_dir, runs
from helpers.results.foreign import LabelFolder, translate
from helpers.results.means import AS_GIVEN, LEAVE_OUT, PAPER_RULE, by_slice, summary
from helpers.results.published import CURVES, NUCLEUS_SLICES, load_published
from helpers.results.record import Record, fingerprint
from helpers.results.recovered import evaluate_recovered
from helpers.results.table import COLUMNS, ORIGINS, as_table

__all__ = [
    "AS_GIVEN",
    "COLUMNS",
    "CURVES",
    "LEAVE_OUT",
    "NUCLEUS_SLICES",
    "ORIGINS",
    "PAPER_RULE",
    "LabelFolder",
    "Record",
    "as_table",
    "by_slice",
    "evaluate",
    "evaluate_recovered",
    "fingerprint",
    "label_maps",
    "load_published",
    "load_runs",
    "read_run",
    "records",
    "results_dir",
    "runs",
    "summary",
    "translate",
]
