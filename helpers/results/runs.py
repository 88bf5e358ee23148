"""Runs on disk: for each method and run a folder with label maps, a table and a record."""

import hashlib
import inspect
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import ModuleType

import pandas as pd

from helpers import settings
from helpers.cache import write_whole
from helpers.label_maps import LabelMaps
from helpers.results.tables import COLUMNS, as_table, check_name, read_csv, write_csv

RECORD, TABLE, LABELS = "record.json", "table.csv", "labels"


@dataclass(frozen=True)
class Record:
    """What a run was.

    Attributes
    ----------
    method, run, origin : str
    source, stack, profile : str
        Where the slices come from, what they show, and how much was computed.
    shape : (int, int)
        Size of a slice, (y, x), in pixels.
    pixel_size_nm : float
    split : str
        How slices were divided into training and test, in words.
    training_slices : tuple of int or None
        None where that is not known.
    seed : int or None
    weights : str or None
        Where the first weights came from.
    parameters : dict
        Whatever else the result depends on; what JSON can hold.
    code : str
        Fingerprint of the code that made the label maps.
    scoring : str
        Fingerprint of what made scores of them.
    device : str
    versions : dict of str to str
    seconds_per_slice, training_minutes, peak_memory_mb : float or None
        None where it was not measured. Memory is that of the whole process.
    slices : tuple of int
        What has been scored.
    complete : bool
        Whether that is all that was asked for.
    """

    method: str
    run: str
    origin: str
    source: str
    stack: str
    profile: str
    shape: tuple[int, int]
    pixel_size_nm: float
    split: str = "none"
    training_slices: tuple[int, ...] | None = ()
    seed: int | None = None
    weights: str | None = None
    parameters: dict = field(default_factory=dict)
    code: str = ""
    scoring: str = ""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds_per_slice: float | None = None
    training_minutes: float | None = None
    peak_memory_mb: float | None = None
    slices: tuple[int, ...] = ()
    complete: bool = False

    def identity(self) -> dict:
        """Return the entries that label maps depend on, and that must not change in a run."""
        measured = (
            "scoring",
            "device",
            "versions",
            "seconds_per_slice",
            "training_minutes",
            "peak_memory_mb",
            "slices",
            "complete",
        )
        return {key: value for key, value in asdict(self).items() if key not in measured}

    @classmethod
    def from_json(cls, content: dict) -> "Record":
        """Make a record from what its file has.

        Parameters
        ----------
        content : dict

        Returns
        -------
        Record

        Raises
        ------
        ValueError
            If an entry is missing or unknown.
        """
        if not isinstance(content, dict):
            raise ValueError(f"the record is a {type(content).__name__}, not a mapping of entries.")
        wanted = {each.name for each in fields(cls)}
        if set(content) != wanted:
            differ = ", ".join(sorted(set(content) ^ wanted))
            raise ValueError(f"the record does not have the entries it should: {differ}.")
        for key in ("shape", "slices", "training_slices"):
            if content[key] is not None:
                content[key] = tuple(content[key])
        return cls(**content)


def fingerprint(*parts: Callable | ModuleType | str) -> str:
    """Return a short hash of source code, which changes when the code does.

    Parameters
    ----------
    *parts : function, class, module, package or str
        A package counts with all of its modules. Code that is called from elsewhere does not
        count: name it too.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    ValueError
        If the source of a part cannot be had.
    """
    digest = hashlib.sha256()
    for part in parts:
        for text in _sources(part):
            digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:16]


def _sources(part) -> list[str]:
    if isinstance(part, str):
        return [part]
    if isinstance(part, ModuleType) and hasattr(part, "__path__"):
        files = (file for folder in part.__path__ for file in Path(folder).rglob("*.py"))
        return [file.read_text(encoding="utf-8") for file in sorted(files)]
    while hasattr(part, "func"):  # functools.partial
        part = part.func
    if not isinstance(part, ModuleType) and not hasattr(part, "__code__"):
        part = part if inspect.isclass(part) else type(part)
    try:
        return [inspect.getsource(part)]
    except (OSError, TypeError):
        methods = vars(part).values() if inspect.isclass(part) else ()
        # Of a class made in a notebook only its methods' source can be had.
        found = [inspect.getsource(each) for each in methods if inspect.isfunction(each)]
        if found:
            return found
        raise ValueError(
            f"the source of {part!r} cannot be had; give code=, a text that you change "
            "whenever what it computes changes."
        ) from None


def results_dir() -> Path:
    """Return the folder that holds all runs.

    Returns
    -------
    Path
        ``results`` in the data folder. A run's folder is ``<source>/<profile>/<method>/<run>``.
    """
    return settings.current().data_dir / "results"


class RunFolder:
    """The folder of one run, opened to be written or gone on with.

    Parameters
    ----------
    record : Record
        What the run is.
    overwrite : bool
        Whether another run of that name is deleted.

    Raises
    ------
    ValueError
        If a name is not fit for a folder, or the folder has a run that was something else; the
        message says in what.
    """

    def __init__(self, record: Record, *, overwrite: bool = False):
        names = (
            check_name(record.source, "source"),
            check_name(record.profile, "profile"),
            check_name(record.method, "method"),
            check_name(record.run, "run"),
        )
        self.path = results_dir().joinpath(*names)
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
) -> LabelMaps:
    """Open the label maps of a run.

    Parameters
    ----------
    method, run, source : str
    profile : str, optional
        By default that of the settings.

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
    names = (source, profile or settings.current().profile, method, run)
    folder = results_dir().joinpath(*names)
    record, _ = read_run(folder)
    return LabelMaps(folder / LABELS, record.identity())


def read_runs(
    *, source: str | None = None, profile: str | None = None
) -> dict[Path, tuple[Record, pd.DataFrame]]:
    """Read all runs that are complete.

    Parameters
    ----------
    source : str, optional
        Those on slices from this source alone.
    profile : str, optional
        By default that of the settings; ``all`` for every one.

    Returns
    -------
    dict of Path to (Record, DataFrame)
        In the order of their folders' names.

    Warns
    -----
    UserWarning
        For each folder that is skipped, because it is damaged, foreign or not complete.
    """
    top = results_dir()
    profile = profile or settings.current().profile
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


def records(*, source: str | None = None, profile: str | None = None) -> pd.DataFrame:
    """List what all complete runs were and what they cost.

    Parameters
    ----------
    source, profile
        As for `read_runs`.

    Returns
    -------
    DataFrame
        A row a run, a column an entry of `Record`.
    """
    found = read_runs(source=source, profile=profile)
    return pd.DataFrame([asdict(record) for record, _ in found.values()])


def load_runs(*, source: str | None = None, profile: str | None = None) -> pd.DataFrame:
    """Read the tables of all complete runs into one.

    Parameters
    ----------
    source, profile
        As for `read_runs`.

    Returns
    -------
    DataFrame
        `helpers.results.tables.COLUMNS`, and ``source`` and ``profile``.
    """
    tables = [
        table.assign(source=record.source, profile=record.profile)
        for record, table in read_runs(source=source, profile=profile).values()
    ]
    if not tables:
        return as_table(pd.DataFrame(columns=[*COLUMNS, "source", "profile"]))
    return pd.concat(tables, ignore_index=True)
