"""Means over slices that say what they are means of."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from helpers.labels import Label, check_choice

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
        With the columns of `helpers.results.COLUMNS`.
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
