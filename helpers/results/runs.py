"""Runs on disk: for each method and run a folder with label maps, a table and a record."""

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pandas as pd

from helpers import settings
from helpers.cache import write_whole
from helpers.label_maps import IDENTITY, LabelMaps
from helpers.results.tables import COLUMNS, as_table, check_name, read_csv, write_csv

RECORD, TABLE, MAPS = "record.json", "table.csv", "maps"
# Entries of the record's file beside the record: of what was written, to tell damage.
_OF_RECORD, _OF_TABLE = "digest_of_record", "digest_of_table"
_AGAIN = "Evaluate the run again, or copy its folder again from where it came from."

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True)
class About:
    """What is evaluated: its names, and what its label maps depend on beside the pictures.

    Attributes
    ----------
    method, run : str
        Names for tables and figures; together they name a folder.
    origin : str
        One of `helpers.results.tables.ORIGINS`.
    code : function, module, package, str, or list of these
        What the label maps are made by, as `helpers.cache.key_of` takes it; by default the
        function that is evaluated, with those of its own module that it calls. If it calls other
        modules of yours: ``code=[function, module]``.
    split : str
        How slices were divided into training and test, in words.
    training_slices : tuple of int or None
        Slices that the method was trained on; None where that is not known.
    seed : int or None
    weights : str or None
        Where the first weights came from.
    parameters : dict
        Whatever else the result depends on; what JSON can hold.
    device : str or None
        What it ran on; by default this computer's processor.
    seconds_per_slice, training_minutes, peak_memory_mb : float or None
        What it cost, where that was measured elsewhere. By default the time is the median of what
        the function took, and memory the peak of this process.
    """

    method: str
    run: str = "default"
    origin: str = "computed"
    code: object = None
    split: str = "none"
    training_slices: tuple[int, ...] | None = ()
    seed: int | None = None
    weights: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    device: str | None = None
    seconds_per_slice: float | None = None
    training_minutes: float | None = None
    peak_memory_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record(About):
    """What a run was, as it is kept on disk: what it is about, of which slices, and how scored.

    Attributes
    ----------
    source, stack, profile : str
        Where the slices come from, what they show, and how much was computed.
    shape : (int, int)
        Size of a slice, (y, x), in pixels.
    pixel_size_nm : float
    scoring : str
        Key of the code that scores, and of what it was asked.
    versions : dict of str to str
    pictures, truths : dict of str to str
        Digests of each slice and its ground truth, by slice number.
    slices : tuple of int
        What has been scored.
    complete : bool
        Whether that is all that was asked for.
    """

    source: str
    stack: str
    profile: str
    shape: tuple[int, int]
    pixel_size_nm: float
    scoring: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    truths: dict[str, str] = field(default_factory=dict)
    slices: tuple[int, ...] = ()
    complete: bool = False

    def identity(self) -> dict:
        """Return what label maps depend on beside the pictures; it must not change in a run."""
        names = (
            "code",
            "split",
            "training_slices",
            "seed",
            "weights",
            "parameters",
            "shape",
            "pixel_size_nm",
        )
        return {name: getattr(self, name) for name in names}

    @property
    def folder(self) -> Path:
        """Where the run is, or would be.

        Raises
        ------
        ValueError
            If a name is not fit for a folder.
        """
        names = ("source", "profile", "method", "run")
        return results_dir().joinpath(*(check_name(getattr(self, name), name) for name in names))

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
            If an entry is missing or unknown, or of another type.
        """
        if not isinstance(content, dict):
            raise ValueError(f"the record is a {type(content).__name__}, not a mapping of entries.")
        wanted = {each.name for each in fields(cls)}
        if set(content) != wanted:
            differ = ", ".join(sorted(set(content) ^ wanted))
            raise ValueError(f"the record does not have the entries it should: {differ}.")
        wrong = [name for name, fits in _FITS.items() if not fits(content[name])]
        if wrong:
            raise ValueError(f"entries of the record are of the wrong type: {', '.join(wrong)}.")
        sequences = {
            name: tuple(content[name])
            for name in ("shape", "slices", "training_slices")
            if content[name] is not None
        }
        return cls(**{**content, **sequences})


def _is(*types) -> object:
    return lambda value: (
        isinstance(value, types) and not (isinstance(value, bool) and bool not in types)
    )


def _is_texts(value) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _are_numbers(value) -> bool:
    return isinstance(value, list) and all(_is(int)(each) for each in value)


_NOTHING = type(None)
_FITS = {
    **dict.fromkeys(("method", "run", "origin", "code", "split", "source", "stack"), _is(str)),
    **dict.fromkeys(("profile", "scoring"), _is(str)),
    **dict.fromkeys(("weights", "device"), _is(str, _NOTHING)),
    **dict.fromkeys(("pictures", "truths", "versions"), _is_texts),
    **dict.fromkeys(("shape", "slices"), _are_numbers),
    "training_slices": lambda value: value is None or _are_numbers(value),
    "seed": _is(int, _NOTHING),
    "parameters": _is(dict),
    "pixel_size_nm": _is(int, float),
    **dict.fromkeys(
        ("seconds_per_slice", "training_minutes", "peak_memory_mb"), _is(int, float, _NOTHING)
    ),
    "complete": _is(bool),
}


def results_dir() -> Path:
    """Return the folder that holds all runs.

    Returns
    -------
    Path
        ``results`` in the data folder. A run's folder is ``<source>/<profile>/<method>/<run>``.
    """
    return settings.current().data_dir / "results"


def open_maps(record: Record, *, overwrite: bool) -> LabelMaps:
    """Open the label maps of a run to write them, or go on with them.

    Parameters
    ----------
    record : Record
    overwrite : bool
        Whether another run of that name is deleted.

    Returns
    -------
    LabelMaps

    Raises
    ------
    ValueError
        If the folder has a run that was something else; the message says in what.
    helpers.cache.StorageError
        If nothing can be written there.
    """
    folder = record.folder / MAPS
    if folder.is_dir() and not (folder / IDENTITY).exists():
        # In the folder of results all label maps are ours, if nobody knows any more of which run.
        write_whole(folder / IDENTITY, b"")
    try:
        return LabelMaps(folder, record.identity())
    except ValueError as error:
        if not overwrite:
            raise ValueError(
                f"{error} Or give this run another name; the other one then stays."
            ) from None
        maps = LabelMaps(folder, record.identity(), overwrite=True)
        for name in (RECORD, TABLE):
            (record.folder / name).unlink(missing_ok=True)
        return maps


def discard_run(record: Record) -> None:
    """Delete what this book has written of a run, and nothing else in its folder.

    Parameters
    ----------
    record : Record
    """
    for name in (RECORD, TABLE):
        (record.folder / name).unlink(missing_ok=True)
    LabelMaps.discard(record.folder / MAPS)


def save_run(record: Record, table: pd.DataFrame) -> None:
    """Write table and record.

    Parameters
    ----------
    record : Record
    table : DataFrame

    Raises
    ------
    helpers.cache.StorageError
        If they cannot be written.
    """
    rows = write_csv(as_table(table))
    write_whole(record.folder / TABLE, rows)
    # The record goes last: it names the slices that the table has.
    content = {**asdict(record), _OF_TABLE: _digest(rows)}
    content[_OF_RECORD] = _digest(_plain(content))
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_whole(record.folder / RECORD, text.encode())


def _digest(content: bytes | str) -> str:
    content = content if isinstance(content, bytes) else content.encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _plain(content: dict) -> str:
    return json.dumps(content, sort_keys=True)


def found_run(record: Record) -> tuple[Record | None, pd.DataFrame | None]:
    """Read what is there of a run; what cannot be read counts as nothing known.

    Parameters
    ----------
    record : Record
        Of the same names.

    Returns
    -------
    record : Record or None
    table : DataFrame or None
    """
    try:
        there = read_record(record.folder)
    except _UNREADABLE:
        return None, None
    try:
        return there, read_run(record.folder)[1]
    except _UNREADABLE:
        return there, None


def read_record(folder: Path) -> Record:
    """Read what a run was.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Record

    Raises
    ------
    OSError
        If the file is not there or cannot be read.
    ValueError
        If it is not as it was written, or of another run than its folder's name says.
    """
    return _read_record(folder)[0]


def _read_record(folder: Path) -> tuple[Record, str]:
    """Read a record, and the digest that the table must have."""
    content = json.loads((folder / RECORD).read_bytes())
    digests = {}
    if isinstance(content, dict):
        digests = {name: content.pop(name, None) for name in (_OF_RECORD, _OF_TABLE)}
    record = Record.from_json(content)
    if (record.method, record.run) != (folder.parent.name, folder.name):
        raise ValueError(
            f"it is run {record.run} of {record.method}, copied or renamed. Give its folders these "
            "names again, or move it away."
        )
    if digests[_OF_RECORD] != _digest(_plain({**content, _OF_TABLE: digests[_OF_TABLE]})):
        raise ValueError(f"{RECORD} is not as it was written. {_AGAIN}")
    return record, digests[_OF_TABLE]


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
    record, digest = _read_record(folder)
    table = read_csv(folder / TABLE)
    lacks = sorted(set(record.slices) - set(table["slice"]))
    if lacks:
        raise ValueError(f"the table lacks slices of the record: {lacks}.")
    if set(table["method"]) - {record.method} or set(table["run"]) - {record.run}:
        raise ValueError("table and record are of different runs.")
    if digest != _digest((folder / TABLE).read_bytes()):
        raise ValueError(f"{TABLE} is not as it was written. {_AGAIN}")
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
    read_run(folder)
    return LabelMaps(folder / MAPS)


def read_runs(
    *,
    source: str | None = None,
    profile: str | None = None,
    only: Iterable[tuple[str, str]] | None = None,
) -> dict[Path, tuple[Record, pd.DataFrame]]:
    """Read all runs that are complete.

    Parameters
    ----------
    source : str, optional
        Those on slices from this source alone.
    profile : str, optional
        By default that of the settings; ``all`` for every one.
    only : iterable of (str, str), optional
        Methods and runs: these alone, in this order.

    Returns
    -------
    dict of Path to (Record, DataFrame)
        In the order of their folders' names, or of `only`.

    Warns
    -----
    UserWarning
        For each folder that is skipped, because it is damaged, foreign or not complete.
    """
    top = results_dir()
    profile = profile or settings.current().profile
    found = {}
    pattern = "/".join((source or "*", "*" if profile == "all" else profile, "*", "*"))
    folders = sorted(path for path in top.glob(pattern) if path.is_dir())
    if only is not None:
        places = {tuple(names): place for place, names in enumerate(only)}
        folders = [each for each in folders if each.parts[-2:] in places]
        folders.sort(key=lambda folder: places[folder.parts[-2:]])
    for folder in folders:
        try:
            record, table = read_run(folder)
            if not record.complete:
                raise ValueError(
                    f"it is not finished: {len(record.slices)} slices; evaluate it again to go on"
                )
        except _UNREADABLE as error:
            warnings.warn(f"{folder} is skipped: {error}", stacklevel=3)
        else:
            found[folder] = record, table
    return found


def records(
    *,
    source: str | None = None,
    profile: str | None = None,
    only: Iterable[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """List what all complete runs were and what they cost.

    Parameters
    ----------
    source, profile, only
        As for `read_runs`.

    Returns
    -------
    DataFrame
        A row a run, a column an entry of `Record`.
    """
    found = read_runs(source=source, profile=profile, only=only)
    return pd.DataFrame([asdict(record) for record, _ in found.values()])


def load_runs(
    *,
    source: str | None = None,
    profile: str | None = None,
    only: Iterable[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Read the tables of all complete runs into one.

    Parameters
    ----------
    source, profile, only
        As for `read_runs`.

    Returns
    -------
    DataFrame
        `helpers.results.tables.COLUMNS`, and ``source`` and ``profile``.
    """
    tables = [
        table.assign(source=record.source, profile=record.profile)
        for record, table in read_runs(source=source, profile=profile, only=only).values()
    ]
    if not tables:
        return as_table(pd.DataFrame(columns=[*COLUMNS, "source", "profile"]))
    return pd.concat(tables, ignore_index=True)
