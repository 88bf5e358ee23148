"""The headline table: all methods, over several windows, each saying what it averages."""

import hashlib
from collections.abc import Mapping

import pandas as pd

from helpers.labels import Label
from helpers.results import LEAVE_OUT, summary


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
        With the columns of `helpers.results.COLUMNS`.
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
        parts[f"{title}, {_window_text(arguments['window'])}"] = found[
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


def _window_text(window: tuple[int, int] | None) -> str:
    return "all slices" if window is None else f"slices {window[0]} to {window[1]}"
