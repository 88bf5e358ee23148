"""The tidy table that every method's scores share, on disk and on a page."""

import hashlib
import html
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.labels import Label
from helpers.metrics import score_slice

COLUMNS = (
    "method",
    "run",
    "origin",
    "slice",
    "metric",
    "class",
    "value",
    "present",
    "training",
)
"""Columns of a table of results.

``origin`` is one of `ORIGINS`; ``present`` says whether the ground truth has the class on that
slice; ``training`` whether the method was trained on it, missing where that is not known.
"""

ORIGINS = ("published", "recovered", "computed")
"""Curves that the authors published; their segmentations, scored here; what was run here."""

_TYPES = {
    "method": "str",
    "run": "str",
    "origin": "str",
    "slice": "int64",
    "metric": "str",
    "class": "str",
    "value": "float64",
    "present": "boolean",
    "training": "boolean",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,79}(?<![ .])")


def check_name(name: str, what: str) -> str:
    """Return the name of a method or run, which also names a folder, or say what is wrong.

    Parameters
    ----------
    name : str
    what : str
        What the caller calls it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is not fit for a folder on every system.
    """
    if not _NAME.fullmatch(str(name)):
        raise ValueError(
            f"{what} is {name!r}; allowed are up to 80 letters, digits, spaces and . _ + ( ) -, "
            "with a letter or digit first and neither a space nor a dot last."
        )
    return str(name)


def as_table(rows: list[dict] | pd.DataFrame) -> pd.DataFrame:
    """Bring rows to the table's columns, order and types.

    Parameters
    ----------
    rows : list of dict, or DataFrame
        With at least all of `COLUMNS`.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If a column is missing, or cannot be brought to its type.
    """
    table = pd.DataFrame(rows, columns=None if len(rows) else list(COLUMNS))
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise ValueError(
            f"the table has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}."
        )
    rest = [column for column in table.columns if column not in COLUMNS]
    try:
        return table[[*COLUMNS, *rest]].astype(_TYPES).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a column of the table has the wrong type: {error}.") from error


def score_rows(
    labels: np.ndarray,
    truth: np.ndarray,
    *,
    pixel_size_nm: float,
    classes: tuple[Label, ...] | None = None,
) -> pd.DataFrame:
    """Score a slice, and say which classes its ground truth has.

    Parameters
    ----------
    labels, truth : (y, x) arrays of uint8
        As for `helpers.metrics.score_slice`.
    pixel_size_nm : float
        Side of a pixel.
    classes : tuple of Label, optional
        Report these alone, without the accuracy of all four.

    Returns
    -------
    DataFrame
        Columns ``metric``, ``class``, ``value`` and ``present``.

    Raises
    ------
    TypeError, ValueError
        As `helpers.metrics.score_slice`.
    """
    scores = score_slice(labels, truth, pixel_size_nm=pixel_size_nm)
    present = {label.title: bool((truth == label).any()) for label in Label}
    present["all"] = any(present.values())
    scores["present"] = scores["class"].map(present)
    if classes is not None:
        scores = scores[scores["class"].isin([label.title for label in classes])]
    return scores.reset_index(drop=True)


def write_csv(table: pd.DataFrame) -> bytes:
    """Return a table as the bytes of a CSV file."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def read_csv(path) -> pd.DataFrame:
    """Read a table of results.

    Parameters
    ----------
    path : Path

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If the file is not such a table.
    FileNotFoundError
        If it is not there.
    """
    text = {column: "str" for column, kind in _TYPES.items() if kind == "str"}
    # A method may be called "NA": only numbers and flags can be missing.
    table = as_table(pd.read_csv(path, dtype=text, keep_default_na=False, na_values=_MISSING))
    highest = np.where(table["metric"].isin(_SHARES), 1.0, np.finfo(float).max)
    wrong = table[~(table["value"].isna() | table["value"].between(0, highest))]
    if len(wrong):
        first = wrong.iloc[0]
        what = f"{first['metric']} of slice {first['slice']}"
        raise ValueError(f"{what} is {first['value']}, which no score can be.")
    return table


_SHARES = ("accuracy", "jaccard", "dice", "boundary_f")
_MISSING = {column: [""] for column, kind in _TYPES.items() if kind != "str"}


def styled(
    frame: pd.DataFrame,
    caption: str,
    *,
    digits: int | Mapping[str, int] = 3,
    best: bool = False,
):
    """Format a table for a page: numbers with equal digits, all else as text.

    Parameters
    ----------
    frame : DataFrame
    caption : str
        What the table shows, with source and profile where it has numbers.
    digits : int or mapping of str to int
        Decimals; by column, or by the last level of columns that have several, 3 for others.
    best : bool
        Whether the highest value of each column is in bold.

    Returns
    -------
    pandas.io.formats.style.Styler
        Names and texts that came from disk are escaped.
    """
    given = {} if isinstance(digits, int) else digits
    others = digits if isinstance(digits, int) else 3
    formats = {}
    for column in frame.select_dtypes("float"):
        last = column[-1] if isinstance(column, tuple) else column
        formats[column] = f"{{:.{given.get(last, others)}f}}"
    # A name for its id, which otherwise is new each time, and a page with it.
    name = hashlib.sha256(f"{caption}{list(frame.columns)}".encode()).hexdigest()[:8]
    style = (
        frame.style.set_uuid(f"table-{name}")
        .format(formats, na_rep="", escape="html")
        .format_index(escape="html", axis=0)
        .format_index(escape="html", axis=1)
        .set_caption(html.escape(caption))
    )
    if isinstance(frame.index, pd.RangeIndex):
        style = style.hide(axis="index")
    return style.highlight_max(props="font-weight: bold") if best else style


def style_league(league: pd.DataFrame, caption: str, *, higher_is_better: bool = True):
    """Format the headline table for a page: three digits, the best mean of each view in bold.

    Means over fewer slices than the others' compete for nothing.

    Parameters
    ----------
    league : DataFrame
        From `league_table`.
    caption : str
        With source and profile.
    higher_is_better : bool
        False for distances.

    Returns
    -------
    pandas.io.formats.style.Styler

    Raises
    ------
    ValueError
        If there is no caption.
    """
    if not caption.strip():
        raise ValueError("The table needs a caption that says its source and profile.")

    means = [column for column in league.columns if column[1] == "mean"]
    counts = [column for column in league.columns if column[1] == "slices"]

    def bold(column: pd.Series) -> list[str]:
        slices = league[(column.name[0], "slices")]
        rivals = column[slices == slices.max()]
        best = rivals.max() if higher_is_better else rivals.min()
        winners = rivals.index[rivals == best]
        return ["font-weight: bold" if at in winners else "" for at in column.index]

    left = [{"selector": "th.row_heading, td", "props": "text-align: left"}]
    # A name for its id, which otherwise is new each time, and a page with it.
    name = hashlib.sha256(f"{caption}{list(league.columns)}".encode()).hexdigest()[:8]
    return (
        league.style.set_uuid(f"league-{name}")
        .format_index(escape="html", axis=0)
        .format_index(escape="html", axis=1)
        .format("{:.3f}", subset=means, na_rep="")
        .format("{:d}", subset=counts, na_rep="")
        .apply(bold, subset=means)
        .set_table_styles(left)
        .set_caption(html.escape(caption))
    )
