"""The tidy table that every method's scores share, and means that say what they are means of."""

import hashlib
import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from helpers.labels import Label, check_choice
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
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=_MISSING)
    return as_table(table)


_MISSING = {column: [""] for column, kind in _TYPES.items() if kind != "str"}


LEAVE_OUT, AS_GIVEN = "leave out", "as given"
PAPER_RULE = 0.0
"""How the paper counts a slice without a nucleus: its Jaccard curves are 0 there."""

Window = tuple[int, int] | None


def by_slice(
    table: pd.DataFrame,
    *,
    window: Window,
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = LEAVE_OUT,
    slices: Iterable[int] | None = None,
    test_only: bool = False,
) -> pd.DataFrame:
    """Lay out one score, a row a slice and a column a method.

    Parameters
    ----------
    table : DataFrame
        With the columns of `helpers.results.tables.COLUMNS`.
    window : (int, int) or None
        First and last slice, both included; None for all.
    metric : str
        One of those in the table.
    label : Label or None
        The class; None for ``all`` four.
    without : {"leave out", "as given"} or float
        How a slice counts whose ground truth does not have the class: not at all, with the value
        in the table, or with this number. The paper's rule is 0 (`PAPER_RULE`).
    slices : iterable of int, optional
        Of the window, these alone.
    test_only : bool
        Leave out slices that a method was trained on, and methods of which that is not known.

    Returns
    -------
    DataFrame
        Index ``slice``, columns (method, origin, run) in the order of the table. NaN where a
        method has no value.

    Raises
    ------
    ValueError
        If the table does not have that metric and class, or an argument is out of range.
    """
    chosen = _choose(table, window, metric, label, slices)
    if test_only:
        chosen = chosen[~chosen["training"].fillna(True).astype(bool)]
    chosen = chosen.assign(value=_with_rule(chosen, without))
    if without == LEAVE_OUT:
        chosen = chosen[chosen["present"].fillna(True).astype(bool)]
    keys = ["method", "origin", "run"]
    if chosen.duplicated([*keys, "slice"]).any():
        first = chosen[chosen.duplicated([*keys, "slice"])].iloc[0]
        raise ValueError(
            f"the table has slice {first['slice']} of {first['method']}, run {first['run']}, "
            "twice; choose one source and profile first."
        )
    order = pd.MultiIndex.from_frame(chosen[keys].drop_duplicates())
    wide = chosen.pivot(index="slice", columns=keys, values="value")
    return wide.reindex(columns=order).sort_index()


def summary(
    table: pd.DataFrame,
    *,
    window: Window,
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = LEAVE_OUT,
    slices: Iterable[int] | None = None,
    test_only: bool = False,
) -> pd.DataFrame:
    """Average a score over slices, and say over which.

    Parameters
    ----------
    table, window, metric, label, without, slices, test_only
        As for `by_slice`.

    Returns
    -------
    DataFrame
        A row a method, origin and run, with the columns ``mean``, ``slices`` (how many count),
        ``undefined`` (slices without a value, which do not count), ``missing`` (slices that other
        methods have and this one has not), ``window``, ``training``
        (whether slices that the method was trained on are among them) and ``no <class>`` (how
        slices without the class count, and how many there are).

    Raises
    ------
    ValueError
        As `by_slice`.
    """
    arguments = {"window": window, "metric": metric, "label": label, "slices": slices}
    if slices is not None:
        arguments["slices"] = slices = tuple(slices)
    wide = by_slice(table, **arguments, without=without, test_only=test_only)
    chosen = _choose(table, **arguments)
    rows = []
    for key in wide.columns:
        values = wide[key]
        own = chosen[(chosen[["method", "origin", "run"]] == list(key)).all(axis=1)]
        if test_only:
            own = own[~own["training"].fillna(True).astype(bool)]
        counted = own[own["slice"].isin(values.dropna().index)]
        absent = int((~own["present"].fillna(True).astype(bool)).sum())
        scored = len(own) - (absent if without == LEAVE_OUT else 0)
        rows.append(
            {
                **dict(zip(("method", "origin", "run"), key, strict=True)),
                "mean": values.mean(),
                "slices": len(counted),
                "undefined": scored - len(counted),
                "missing": len(set(wide.index) - set(own["slice"])),
                "window": _window_text(window, counted["slice"]),
                "training": _training_text(counted["training"]),
                f"no {_title(label)}": _rule_text(without, absent),
            }
        )
    return pd.DataFrame(rows).set_index(["method", "origin", "run"])


def _choose(table, window, metric, label, slices) -> pd.DataFrame:
    check_choice(metric, "metric", tuple(table["metric"].unique()))
    of_metric = table[table["metric"] == metric]
    check_choice(_title(label), f"class of {metric}", tuple(of_metric["class"].unique()))
    chosen = of_metric[of_metric["class"] == _title(label)]
    if window is not None:
        first, last = window
        if first > last:
            raise ValueError(f"window is {window}; the first slice must not be after the last.")
        chosen = chosen[chosen["slice"].between(first, last)]
    if slices is not None:
        chosen = chosen[chosen["slice"].isin(list(slices))]
    if chosen.empty:
        raise ValueError(f"no slice of {metric}, {_title(label)}, lies in window {window}.")
    return chosen


def _title(label: Label | None) -> str:
    return "all" if label is None else Label(label).title


def _with_rule(chosen: pd.DataFrame, without: float | str) -> pd.Series:
    if isinstance(without, str):
        check_choice(without, "without", (LEAVE_OUT, AS_GIVEN))
        return chosen["value"]
    if not np.isfinite(without):
        raise ValueError(f"without is {without}; allowed are a number, {LEAVE_OUT}, {AS_GIVEN}.")
    return chosen["value"].where(chosen["present"].fillna(True).astype(bool), float(without))


def _window_text(window: Window, slices: pd.Series) -> str:
    if window is not None:
        return f"{window[0]}-{window[1]}"
    return f"all: {slices.min()}-{slices.max()}" if len(slices) else "all"


def _training_text(training: pd.Series) -> str:
    if training.isna().any():
        return "not known which"
    return f"{int(training.sum())} of {len(training)}" if training.any() else "none"


def _rule_text(without: float | str, absent: int) -> str:
    if not absent:
        return "none in it"
    if without == LEAVE_OUT:
        return f"{absent} left out"
    return f"{absent} {AS_GIVEN}" if without == AS_GIVEN else f"{absent} count {without:g}"


def league_table(
    table: pd.DataFrame,
    views: Mapping[str, Mapping[str, object]],
    *,
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = LEAVE_OUT,
) -> pd.DataFrame:
    """Average a score of all methods in several ways, side by side.

    Parameters
    ----------
    table : DataFrame
        With the columns of `helpers.results.tables.COLUMNS`.
    views : mapping of str to mapping
        Title of each way, and what it gives to `helpers.results.summary`: at least ``window``;
        perhaps ``slices``, ``test_only``, ``without``, ``metric`` or ``label``.
    metric, label, without
        As for `helpers.results.summary`, where a view does not say otherwise.

    Returns
    -------
    DataFrame
        A row a method, origin and run. For each view, whose title gets its window, the columns
        ``mean``, ``slices``, ``training`` (trained-on slices among them) and ``no <class>``; empty
        where a method has no slice.

    Raises
    ------
    ValueError
        If there is no view, one has no window, or as `helpers.results.summary`.
    """
    if not views:
        raise ValueError("there are no views; give at least one, such as {'all': {'window': None}}")
    parts = {}
    for title, arguments in views.items():
        if "window" not in arguments:
            raise ValueError(f"view {title!r} has no window; give (first, last), or None for all.")
        found = summary(table, **{"metric": metric, "label": label, "without": without} | arguments)
        rule = next(column for column in found.columns if column.startswith("no "))
        parts[f"{title}, {_span(arguments['window'])}"] = found[
            ["mean", "slices", "training", rule]
        ]
    runs = table[["method", "origin", "run"]].drop_duplicates()
    # In the order of the table, but all runs of a method together.
    methods = {method: at for at, method in enumerate(runs["method"].unique())}
    runs = runs.sort_values("method", key=lambda column: column.map(methods), kind="stable")
    order = pd.MultiIndex.from_frame(runs)
    wide = pd.concat(parts, axis=1).reindex(order)
    wide = wide.dropna(how="all")
    for column in wide.columns:
        if column[1] == "slices":
            wide[column] = wide[column].astype("Int64")
        elif column[1] != "mean":
            wide[column] = wide[column].astype(object).where(wide[column].notna(), "")
    return wide


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
        .format("{:.3f}", subset=means, na_rep="")
        .format("{:d}", subset=counts, na_rep="")
        .apply(bold, subset=means)
        .set_table_styles(left)
        .set_caption(caption)
    )


def _span(window: Window) -> str:
    return "all slices" if window is None else f"slices {window[0]} to {window[1]}"
