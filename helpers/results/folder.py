"""Runs on disk: a folder with label maps, a table and a record, for each method and run."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from helpers import settings as settings_module
from helpers.atomic import write_whole
from helpers.label_maps import LabelMaps
from helpers.results.record import Record
from helpers.results.table import COLUMNS, as_table, check_name, read_csv, write_csv
from helpers.settings import Settings

RECORD, TABLE, LABELS = "record.json", "table.csv", "labels"


def results_dir(settings: Settings | None = None) -> Path:
    """Return the folder that holds all runs.

    Parameters
    ----------
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    Path
        ``results`` in the data folder. A run's folder is ``<source>/<profile>/<method>/<run>``.
    """
    return (settings or settings_module.current()).data_dir / "results"


class RunFolder:
    """The folder of one run, opened to be written or gone on with.

    Parameters
    ----------
    record : Record
        What the run is.
    overwrite : bool
        Whether another run of that name is deleted.
    settings : Settings, optional
        By default those of the environment.

    Raises
    ------
    ValueError
        If a name is not fit for a folder, or the folder has a run that was something else; the
        message says in what.
    """

    def __init__(
        self, record: Record, *, overwrite: bool = False, settings: Settings | None = None
    ):
        names = (
            check_name(record.source, "source"),
            check_name(record.profile, "profile"),
            check_name(record.method, "method"),
            check_name(record.run, "run"),
        )
        self.path = results_dir(settings).joinpath(*names)
        try:
            self.maps = LabelMaps(self.path / LABELS, record.identity())
        except ValueError as error:
            if not overwrite:
                raise ValueError(
                    f"{error} Or give this run another name; the other one then stays."
                ) from None
            for name in (RECORD, TABLE):
                (self.path / name).unlink(missing_ok=True)
            self.maps = LabelMaps(self.path / LABELS, record.identity(), overwrite=True)

    def load(self) -> tuple[Record, pd.DataFrame] | None:
        """Read what an earlier process left.

        Returns
        -------
        (Record, DataFrame) or None
            None where there is nothing that can be read: scores are made again from label maps.
        """
        try:
            return read_run(self.path)
        except (OSError, ValueError):
            return None

    def save(self, record: Record, table: pd.DataFrame) -> None:
        """Write table and record.

        Parameters
        ----------
        record : Record
        table : DataFrame

        Raises
        ------
        OSError
            If they cannot be written.
        """
        write_whole(self.path / TABLE, write_csv(as_table(table)))
        # The record goes last: it names the slices that the table has.
        content = json.dumps(asdict(record), indent=1, allow_nan=False) + "\n"
        write_whole(self.path / RECORD, content.encode())


def read_run(folder: Path) -> tuple[Record, pd.DataFrame]:
    """Read the record and the table of a run.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    (Record, DataFrame)

    Raises
    ------
    OSError
        If a file is not there or cannot be read.
    ValueError
        If a file is damaged, or the two do not belong together.
    """
    record = Record.from_json(json.loads((folder / RECORD).read_bytes()))
    table = read_csv(folder / TABLE)
    lacks = sorted(set(record.slices) - set(table["slice"]))
    if lacks:
        raise ValueError(f"the table lacks slices of the record: {lacks}.")
    if set(table["method"]) - {record.method} or set(table["run"]) - {record.run}:
        raise ValueError("table and record are of different runs.")
    return record, table


def label_maps(
    method: str,
    run: str,
    *,
    source: str,
    profile: str | None = None,
    settings: Settings | None = None,
) -> LabelMaps:
    """Open the label maps of a run.

    Parameters
    ----------
    method, run, source : str
    profile : str, optional
        By default that of the settings.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    LabelMaps

    Raises
    ------
    OSError
        If there is no such run.
    ValueError
        If it is damaged.
    """
    settings = settings or settings_module.current()
    names = (source, profile or settings.profile, method, run)
    folder = results_dir(settings).joinpath(*names)
    record, _ = read_run(folder)
    return LabelMaps(folder / LABELS, record.identity())


def runs(
    *, source: str | None = None, profile: str | None = None, settings: Settings | None = None
) -> dict[Path, tuple[Record, pd.DataFrame]]:
    """Read all runs that are complete.

    Parameters
    ----------
    source : str, optional
        Those on slices from this source alone.
    profile : str, optional
        By default that of the settings; ``all`` for every one.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    dict of Path to (Record, DataFrame)
        In the order of their folders' names.

    Warns
    -----
    UserWarning
        For each folder that is skipped, because it is damaged, foreign or not complete.
    """
    top = results_dir(settings)
    profile = profile or (settings or settings_module.current()).profile
    found = {}
    pattern = "/".join((source or "*", "*" if profile == "all" else profile, "*", "*"))
    for folder in sorted(path for path in top.glob(pattern) if path.is_dir()):
        try:
            record, table = read_run(folder)
            if not record.complete:
                raise ValueError(
                    f"it is not finished: {len(record.slices)} slices; evaluate it again to go on"
                )
        except (OSError, ValueError, UnicodeDecodeError) as error:
            warnings.warn(f"{folder} is skipped: {error}", stacklevel=3)
        else:
            found[folder] = record, table
    return found


def records(
    *, source: str | None = None, profile: str | None = None, settings: Settings | None = None
) -> pd.DataFrame:
    """List what all complete runs were and what they cost.

    Parameters
    ----------
    source, profile, settings
        As for `runs`.

    Returns
    -------
    DataFrame
        A row a run, a column an entry of `Record`.
    """
    found = runs(source=source, profile=profile, settings=settings)
    return pd.DataFrame([asdict(record) for record, _ in found.values()])


def load_runs(
    *, source: str | None = None, profile: str | None = None, settings: Settings | None = None
) -> pd.DataFrame:
    """Read the tables of all complete runs into one.

    Parameters
    ----------
    source, profile, settings
        As for `runs`.

    Returns
    -------
    DataFrame
        `helpers.results.COLUMNS`, and ``source`` and ``profile``.
    """
    tables = [
        table.assign(source=record.source, profile=record.profile)
        for record, table in runs(source=source, profile=profile, settings=settings).values()
    ]
    if not tables:
        return as_table(pd.DataFrame(columns=[*COLUMNS, "source", "profile"]))
    return pd.concat(tables, ignore_index=True)
