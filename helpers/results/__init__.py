"""Results of all methods: label maps, scores and records on disk, tidy tables in memory.

`evaluate` runs a method and keeps what it gives; `load_all` reads everything, with the published
curves; `summary` averages, and says over which slices.
"""

import pandas as pd

from helpers.results.evaluation import evaluate
from helpers.results.folder import label_maps, load_runs, read_run, records, results_dir, runs
from helpers.results.foreign import LabelFolder, translate
from helpers.results.means import AS_GIVEN, LEAVE_OUT, PAPER_RULE, by_slice, summary
from helpers.results.published import CURVES, NUCLEUS_SLICES, load_published
from helpers.results.record import Record, fingerprint
from helpers.results.recovered import evaluate_recovered
from helpers.results.table import COLUMNS, ORIGINS, as_table
from helpers.settings import Settings


def load_all(
    *,
    source: str | None = None,
    profile: str | None = None,
    published: bool = True,
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Read the scores of all methods: the published curves and every run on disk.

    Parameters
    ----------
    source : str, optional
        Runs on slices from this source alone; by default from all.
    profile : str, optional
        Runs of this profile; by default that of the settings, so that trial runs do not come among
        results. ``all`` for every one.
    published : bool
        Whether to read the published curves.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    DataFrame
        `COLUMNS`, and ``source`` and ``profile``, which are ``published`` for published curves.

    Raises
    ------
    helpers.data.DataError
        If the published curves cannot be had.

    Warns
    -----
    UserWarning
        For each run that is damaged, foreign or not finished; it is skipped.
    """
    table = load_runs(source=source, profile=profile, settings=settings)
    if not published:
        return table
    curves = load_published(settings=settings).assign(source="published", profile="published")
    return curves if table.empty else pd.concat([curves, table], ignore_index=True)


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
    "load_all",
    "load_published",
    "load_runs",
    "read_run",
    "records",
    "results_dir",
    "runs",
    "summary",
    "translate",
]
