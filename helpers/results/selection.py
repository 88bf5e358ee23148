"""Which scores count, chosen once, and means that say what they are means of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.labels import Label
from helpers.settings import check_choice

LEAVE_OUT, AS_GIVEN = "leave out", "as given"
PAPER_RULE = 0.0
"""How the paper counts a slice without a nucleus: its Jaccard curves are 0 there."""

Window = tuple[int, int] | None

_RUN = ["method", "origin", "run"]


@dataclass(frozen=True)
class Selection:
    """Scores of one metric and one class, on the slices that shall count; from `select`.

    Attributes
    ----------
    rows : DataFrame
        Those rows of the table, see `helpers.results.tables.COLUMNS`. Where the ground truth does
        not have the class, ``value`` is what the rule says; NaN where such slices are left out.
    window : (int, int) or None
        First and last slice, both included; None for all.
    metric : str
    label : Label or None
        The class; None for ``all`` four.
    without : {"leave out", "as given"} or float
        The rule for slices whose ground truth does not have the class.
    methods : tuple of str
        All methods of the table, in its order, so that figures of one table agree in colours.
    """

    rows: pd.DataFrame
    window: Window
    metric: str
    label: Label | None
    without: float | str
    methods: tuple[str, ...]

    @property
    def counting(self) -> pd.DataFrame:
        """Those of the rows that the rule does not leave out."""
        return self.rows[_present(self.rows)] if self.without == LEAVE_OUT else self.rows

    @property
    def slices(self) -> list[int]:
        """Slices that any method has and that count, in order."""
        return sorted(set(self.counting["slice"]))

    @property
    def training_slices(self) -> list[int]:
        """Those of them that any method was trained on."""
        rows = self.counting
        return sorted(set(rows.loc[rows["training"].fillna(False).astype(bool), "slice"]))

    @property
    def test_slices(self) -> list[int]:
        """Those of them that no method is known to be trained on."""
        return sorted(set(self.slices) - set(self.training_slices))

    @property
    def runs(self) -> list[tuple[str, str, str]]:
        """Method, origin and run of each column of `by_slice`, in its order."""
        return list(self.counting[_RUN].drop_duplicates().itertuples(index=False, name=None))


def select(
    table: pd.DataFrame,
    *,
    window: Window,
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = LEAVE_OUT,
    slices: Iterable[int] | None = None,
    methods: Iterable[str] | None = None,
    test_only: bool = False,
) -> Selection:
    """Choose what is averaged, drawn or compared: once, so that all of it says the same.

    Parameters
    ----------
    table : DataFrame
        With the columns `helpers.results.tables.COLUMNS`: from `evaluate`, `load_runs` or
        `load_published`.
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
    methods : iterable of str, optional
        These alone.
    test_only : bool
        Leave out slices that a method was trained on, and methods of which that is not known.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        If the table does not have that metric and class, nothing is left, a run has a slice twice,
        or an argument is out of range.
    """
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
    if methods is not None:
        chosen = chosen[chosen["method"].isin(list(methods))]
    if chosen.empty:
        raise ValueError(f"no slice of {metric}, {_title(label)}, lies in window {window}.")
    if test_only:
        chosen = chosen[~chosen["training"].fillna(True).astype(bool)]
    twice = chosen[chosen.duplicated([*_RUN, "slice"])]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(
            f"the table has slice {first['slice']} of {first['method']}, run {first['run']}, "
            "twice; choose one source and profile first."
        )
    return Selection(
        rows=chosen.assign(value=_with_rule(chosen, without)),
        window=window,
        metric=metric,
        label=label,
        without=without,
        methods=tuple(table["method"].unique()),
    )


def by_slice(selection: Selection) -> pd.DataFrame:
    """Lay out scores, a row a slice and a column a method.

    Parameters
    ----------
    selection : Selection
        From `select`.

    Returns
    -------
    DataFrame
        Index ``slice``; the columns are methods in the order of the table, named with origin and
        run only where the method alone is not enough. NaN where a method has no value.
    """
    chosen = selection.counting
    wide = chosen.pivot(index="slice", columns=_RUN, values="value")
    order = pd.MultiIndex.from_tuples(selection.runs, names=_RUN)
    return wide.reindex(columns=order).sort_index().set_axis(short_names(selection.runs), axis=1)


def short_names(runs: Iterable[tuple[str, str, str]]) -> list[str]:
    """Name runs by their methods, and by origin and run only where that is not enough.

    Parameters
    ----------
    runs : iterable of (method, origin, run)

    Returns
    -------
    list of str
    """
    keys = [tuple(key) for key in runs]
    methods = [method for method, _, _ in keys]
    origins = [key[:2] for key in keys]
    names = []
    for method, origin, run in keys:
        if methods.count(method) == 1:
            names.append(method)
        elif origins.count((method, origin)) == 1:
            names.append(f"{method} ({origin})")
        else:
            names.append(f"{method} ({origin}, {run})")
    return names


def summary(selection: Selection) -> pd.DataFrame:
    """Average a score over slices, and say over which.

    Parameters
    ----------
    selection : Selection
        From `select`.

    Returns
    -------
    DataFrame
        A row a method, origin and run, with the columns ``mean``, ``slices`` (how many count),
        ``undefined`` (slices without a value, which do not count), ``missing`` (slices that other
        methods have and this one has not), ``window``, ``training``
        (whether slices that the method was trained on are among them) and ``no <class>`` (how
        slices without the class count, and how many there are).
    """
    all_slices = set(selection.counting["slice"])
    of_run = dict(iter(selection.rows.groupby(_RUN, sort=False)))
    rows = []
    for key in selection.runs:
        own = of_run[key]
        absent = int((~_present(own)).sum())
        counted = own[own["value"].notna()]
        scored = len(own) - (absent if selection.without == LEAVE_OUT else 0)
        rows.append(
            {
                **dict(zip(_RUN, key, strict=True)),
                "mean": counted["value"].mean(),
                "slices": len(counted),
                "undefined": scored - len(counted),
                "missing": len(all_slices - set(own["slice"])),
                "window": _window_text(selection.window, counted["slice"]),
                "training": _training_text(counted["training"]),
                f"no {_title(selection.label)}": _rule_text(selection.without, absent),
            }
        )
    columns = [*_RUN, "mean", "slices"]
    return pd.DataFrame(rows, columns=None if rows else columns).set_index(_RUN)


def league_table(selections: Mapping[str, Selection]) -> pd.DataFrame:
    """Average a score of all methods in several ways, side by side.

    Parameters
    ----------
    selections : mapping of str to Selection
        Title of each way, and what it averages; of one table.

    Returns
    -------
    DataFrame
        A row a method, origin and run. For each way, whose title gets its window, the columns
        ``mean``, ``slices``, ``training`` (trained-on slices among them) and ``no <class>``; empty
        where a method has no slice.

    Raises
    ------
    ValueError
        If there is no selection.
    """
    if not selections:
        raise ValueError(
            "there is no selection; give at least one: {'all slices': select(table, window=None)}"
        )
    parts, runs, methods = {}, {}, {}
    for title, selection in selections.items():
        rule = f"no {_title(selection.label)}"
        found = summary(selection)[["mean", "slices", "training", rule]]
        parts[f"{title}, {_span(selection.window)}"] = found
        runs |= dict.fromkeys(selection.runs)
        methods |= dict.fromkeys(selection.methods)
    # In the order of the table, but all runs of a method together.
    places = {method: place for place, method in enumerate(methods)}
    order = sorted(runs, key=lambda run: places[run[0]])
    wide = pd.concat(parts, axis=1).reindex(pd.MultiIndex.from_tuples(order, names=_RUN))
    for column in wide.columns:
        if column[1] == "slices":
            wide[column] = wide[column].astype("Int64")
        elif column[1] != "mean":
            wide[column] = wide[column].astype(object).where(wide[column].notna(), "")
    return wide


def _title(label: Label | None) -> str:
    return "all" if label is None else Label(label).title


def _with_rule(chosen: pd.DataFrame, without: float | str) -> pd.Series:
    if isinstance(without, str):
        check_choice(without, "without", (LEAVE_OUT, AS_GIVEN))
        return chosen["value"] if without == AS_GIVEN else chosen["value"].where(_present(chosen))
    if not np.isfinite(without):
        raise ValueError(f"without is {without}; allowed are a number, {LEAVE_OUT}, {AS_GIVEN}.")
    return chosen["value"].where(_present(chosen), float(without))


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


def _present(rows: pd.DataFrame) -> pd.Series:
    return rows["present"].fillna(True).astype(bool)


def _span(window: Window) -> str:
    return "all slices" if window is None else f"slices {window[0]} to {window[1]}"
