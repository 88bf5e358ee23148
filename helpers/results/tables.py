"""The tidy table that every method's scores share, and means that say what they are means of."""

import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.labels import Label
from helpers.metrics import score_slice
from helpers.settings import check_choice

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

_RUN = ["method", "origin", "run"]


@dataclass(frozen=True)
class Selection:
    """Scores of one metric and one class, on the slices that shall count; from `select`.

    Attributes
    ----------
    rows : DataFrame
        Those rows of the table, with the columns `COLUMNS`. Where the ground truth does not have
        the class, ``value`` is what the rule says; NaN where such slices are left out.
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
    test_only: bool = False,
) -> Selection:
    """Choose what is averaged, drawn or compared: once, so that all of it says the same.

    Parameters
    ----------
    table : DataFrame
        With the columns `COLUMNS`: from `evaluate`, `load_runs` or `load_published`.
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
