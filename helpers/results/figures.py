"""Figures of results: curves over the slices, means with intervals, cost and quality."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.labels import Label
from helpers.results.selection import Selection, by_slice, short_names, summary
from helpers.results.statistics import mean_intervals
from helpers.settings import check_choice
from helpers.show.charts import Curve
from helpers.show.figures import subplots

COLOURS = (
    ("#1a1a1a", "#f2f2f2"),
    ("#0072b2", "#56b4e9"),
    ("#c44e00", "#ff9a57"),
    ("#00795a", "#35c99f"),
    ("#a2467f", "#e69cc9"),
    ("#8a6400", "#e3b52f"),
    ("#5f6b7a", "#a7b1bf"),
    ("#7d3bbd", "#c49bf2"),
    ("#0b7285", "#4fc3dc"),
    ("#b3213a", "#ff7d8e"),
)
"""Colours of methods on a light and on a dark page, each 3 to 1 against it or better."""

METRIC_TITLES = {
    "accuracy": "Accuracy",
    "jaccard": "Jaccard index",
    "dice": "Dice coefficient",
    "boundary_f": "Boundary F score",
    "hausdorff_95_nm": "Hausdorff distance, 95 % (nm)",
    "average_boundary_distance_nm": "Average boundary distance (nm)",
    "seconds": "Seconds a slice",
}

COSTS = {
    "seconds_per_slice": "Seconds a slice",
    "training_minutes": "Minutes of training",
}
"""Costs in `helpers.results.runs.Record` that `pareto` takes, and their titles."""

_MARKERS = "os^DvP"
_WIDTH_IN = 7.5


def method_colours(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give methods their colours, in the order in which they come.

    Parameters
    ----------
    methods : iterable of str
        More than there are colours begin anew: they differ in their names alone.

    Returns
    -------
    dict of str to (str, str)
        Light and dark colour.
    """
    return {method: COLOURS[at % len(COLOURS)] for at, method in enumerate(dict.fromkeys(methods))}


def curves(*selections: Selection) -> list[Curve]:
    """Take from scores what a chart draws: a curve a method, each with its name and colour.

    Parameters
    ----------
    *selections : Selection
        From `helpers.results.select`; of one table, and of different methods if several.

    Returns
    -------
    list of Curve
        Published ones first, so that others are drawn over them.
    """
    found, seen = [], Counter()
    for selection in selections:
        wide = by_slice(selection)
        colours = method_colours(selection.methods)
        for key, name in zip(selection.runs, wide.columns, strict=True):
            method, origin, _run = key
            found.append(
                Curve(
                    name=name,
                    colour=colours[method][0],
                    dark_colour=colours[method][1],
                    values=wide[name].dropna(),
                    is_published=origin == "published",
                    nth=seen[method, origin],
                )
            )
            seen[method, origin] += 1
    return sorted(found, key=lambda curve: not curve.is_published)


def intervals(selection: Selection, *, source: str | None = None, **bootstrap) -> Figure:
    """Draw each method's mean with its confidence interval, over the slices that all have.

    Parameters
    ----------
    selection : Selection
        From `helpers.results.select`.
    source : str, optional
        Shown below, as by `helpers.show.subplots`.
    **bootstrap
        ``level``, ``block``, ``samples`` and ``seed`` of
        `helpers.results.statistics.mean_intervals`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        As `helpers.results.statistics.mean_intervals`.
    """
    found = mean_intervals(by_slice(selection), **bootstrap)
    colours = method_colours(selection.methods)
    figure, axis = _axes((_WIDTH_IN, 1.1 + 0.34 * len(found)), source)
    for at, (key, row) in enumerate(zip(selection.runs, found.itertuples(), strict=True)):
        method, origin, _run = key
        axis.errorbar(
            row.mean,
            at,
            xerr=[[row.mean - row.low], [row.high - row.mean]],
            fmt="o" if origin != "published" else "s",
            color=colours[method][0],
            capsize=4,
        )
    axis.set_yticks(range(len(found)), found.index)
    axis.invert_yaxis()
    axis.margins(y=0.08)
    axis.grid(axis="x", alpha=0.25)
    slices = found["slices"].iloc[0]
    axis.set_xlabel(
        f"{axis_title(selection)}: mean of {slices} slices, "
        f"{bootstrap.get('level', 0.95) * 100:g} % interval"
    )
    return figure


def pareto(
    selection: Selection,
    records: pd.DataFrame,
    *,
    cost: str = "seconds_per_slice",
    source: str | None = None,
) -> Figure:
    """Draw what a method costs against how well it does.

    Parameters
    ----------
    selection : Selection
        From `helpers.results.select`.
    records : DataFrame
        Costs of runs, from `helpers.results.records`.
    cost : {"seconds_per_slice", "training_minutes"}
        A method without training slices needs 0 minutes.
    source : str, optional
        Shown below, as by `helpers.show.subplots`.

    Returns
    -------
    matplotlib.figure.Figure
        A colour for each method, a marker for each of its runs. The line joins the filled ones:
        runs that no other one beats in both.

    Raises
    ------
    ValueError
        If no run has both.
    """
    check_choice(cost, "cost", tuple(COSTS))
    points = _costs(records, cost)
    points = points.join(summary(selection)["mean"], how="inner").dropna()
    if points.empty:
        raise ValueError(
            f"no run has a mean and {cost}; evaluate some, and read both with the same profile."
        )
    names = short_names(points.index)
    colours = method_colours(selection.methods)
    on_front = _on_front(points[cost], points["mean"])
    front = points[on_front].sort_values(cost)
    figure, axis = _axes((_WIDTH_IN, 4.2), source)
    axis.plot(front[cost], front["mean"], color="0.6", lw=1.5, zorder=1)
    # Names beside the dots would lie on each other: good methods are close together.
    nth = points.groupby("method", sort=False).cumcount()
    for name, filled, at, (key, row) in zip(names, on_front, nth, points.iterrows(), strict=True):
        colour = colours[key[0]][0]
        axis.scatter(
            row[cost],
            row["mean"],
            s=60,
            color=colour,
            facecolor=colour if filled else "white",
            marker=_MARKERS[at % len(_MARKERS)],
            label=name,
            zorder=2,
        )
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=10)
    axis.margins(x=0.1, y=0.15)
    if (points[cost] > 0).all():
        axis.set_xscale("log")
    else:
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xlim(-0.1, max(2 * points[cost].max(), 1))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    axis.set_xlabel(COSTS[cost])
    axis.set_ylabel(f"{axis_title(selection)}: mean")
    axis.grid(alpha=0.25)
    return figure


def means_over(
    panels: Mapping[str, Mapping[str, Selection]],
    *,
    x_label: str = "",
    source: str | None = None,
) -> Figure:
    """Draw how the mean of each method changes from one choice of slices to the next.

    Parameters
    ----------
    panels : mapping of str to mapping of str to Selection
        Title of each panel, and what it averages, from left to right, with its name below.
    x_label : str
    source : str, optional
        Shown below, as by `helpers.show.subplots`.

    Returns
    -------
    matplotlib.figure.Figure
        A line a method. A panel without selections says "nothing here".
    """
    size_in = _WIDTH_IN, 3.8
    figure, axes = subplots(1, len(panels), figsize=size_in, source=source, squeeze=False)
    drawn = {}
    for axis, (title, selections) in zip(axes[0], panels.items(), strict=True):
        axis.set_title(title if selections else f"{title}: nothing here")
        if not selections:
            axis.set_axis_off()
            continue
        means = pd.DataFrame({name: by_slice(each).mean() for name, each in selections.items()})
        one = next(iter(selections.values()))
        colours = method_colours(one.methods)
        names = dict(zip(short_names(one.runs), one.runs, strict=True))
        for name, row in means.iterrows():
            (drawn[name],) = axis.plot(row.index, row, "o-", color=colours[names[name][0]][0])
        axis.set(xlabel=x_label, ylabel=f"{axis_title(one)}: mean")
        axis.margins(x=0.15)
    _name_methods(figure, drawn)
    return figure


def two_means(
    hollow: Selection, filled: Selection, *, x_label: str, source: str | None = None
) -> Figure:
    """Draw two means of each run, joined by a line.

    Parameters
    ----------
    hollow, filled : Selection
        From `helpers.results.select`, of the same runs.
    x_label : str
    source : str, optional
        Shown below, as by `helpers.show.subplots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first, second = (by_slice(each).mean() for each in (hollow, filled))
    colours = method_colours(hollow.methods)
    figure, axis = _axes((_WIDTH_IN, 0.8 + 0.36 * len(first)), source)
    for at, (name, (method, _, _)) in enumerate(zip(first.index, hollow.runs, strict=True)):
        colour = colours[method][0]
        axis.plot([first[name], second[name]], [at, at], color=colour)
        axis.plot(first[name], at, "o", color=colour, markerfacecolor="white")
        axis.plot(second[name], at, "o", color=colour)
    axis.set_yticks(range(len(first)), [f"{method}, {run}" for method, _, run in hollow.runs])
    axis.invert_yaxis()
    axis.set_xlabel(x_label)
    return figure


def against(across: Selection, upward: Selection, *, source: str | None = None) -> Figure:
    """Draw one score of each run and slice against another, upward on a logarithmic axis.

    Parameters
    ----------
    across, upward : Selection
        From `helpers.results.select`, of the same table.
    source : str, optional
        Shown below, as by `helpers.show.subplots`.

    Returns
    -------
    matplotlib.figure.Figure
        A dot a run and slice; hollow where the method was trained on it.
    """
    keys = ["method", "origin", "run", "slice"]
    first = across.counting.set_index(keys)[["value", "training"]]
    points = first.join(upward.counting.set_index(keys)["value"].rename("other")).dropna()
    colours = method_colours(across.methods)
    figure, axis = _axes((_WIDTH_IN, 4.6), source)
    drawn = {}
    for (method, trained), some in points.groupby(["method", "training"], sort=False):
        colour = colours[method][0]
        face = "white" if trained else colour
        axis.plot(some["value"], some["other"], "o", color=colour, markerfacecolor=face)
        (drawn[method],) = axis.plot([], [], "o", color=colour)
    axis.set(yscale="log", xlabel=axis_title(across), ylabel=axis_title(upward))
    _name_methods(figure, drawn)
    return figure


def _name_methods(figure: Figure, drawn: dict) -> None:
    options = {"loc": "outside upper center", "ncols": 3, "fontsize": 11, "frameon": False}
    figure.legend(list(drawn.values()), list(drawn), **options)


def axis_title(selection: Selection) -> str:
    """Name an axis: the metric and its class.

    Parameters
    ----------
    selection : Selection

    Returns
    -------
    str
        Such as ``Jaccard index, nucleus``.
    """
    title = METRIC_TITLES.get(selection.metric, selection.metric)
    label = selection.label
    return f"{title}, {'four classes' if label is None else Label(label).title}"


def _axes(size_in: tuple[float, float], source: str | None):
    figure, axis = subplots(figsize=size_in, source=source)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _costs(records: pd.DataFrame, cost: str) -> pd.DataFrame:
    keys = ["method", "origin", "run"]
    if records.empty:
        return pd.DataFrame(columns=[*keys, cost]).set_index(keys)
    costs = records.set_index(keys)
    values = pd.to_numeric(costs[cost])
    if cost == "training_minutes":
        untrained = costs["training_slices"].map(lambda slices: slices is not None and not slices)
        values = values.mask(values.isna() & untrained, 0.0)
    return values.to_frame()


def _on_front(cost: pd.Series, score: pd.Series) -> np.ndarray:
    """Mark what no other point beats in one and equals at least in the other."""
    cost, score = cost.to_numpy(float), score.to_numpy(float)
    beaten = (
        (cost <= cost[:, None])
        & (score >= score[:, None])
        & ((cost < cost[:, None]) | (score > score[:, None]))
    )
    return ~beaten.any(axis=1)
