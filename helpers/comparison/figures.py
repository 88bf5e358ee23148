"""Figures of the comparison: means with intervals, cost and quality."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.comparison.series import axis_title, method_colours
from helpers.labels import Label, check_choice
from helpers.results.statistics import mean_intervals, short_names
from helpers.results.tables import LEAVE_OUT, by_slice, summary
from helpers.show.figures import STYLE

COSTS = {
    "seconds_per_slice": "Seconds a slice",
    "training_minutes": "Minutes of training",
}
"""Costs in `helpers.results.Record` that `pareto` takes, and their titles."""

_MARKERS = "os^DvP"


def intervals(
    table: pd.DataFrame,
    *,
    window: tuple[int, int] | None,
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = LEAVE_OUT,
    width_in: float = 7.5,
    **bootstrap,
) -> Figure:
    """Draw each method's mean with its confidence interval, over the slices that all have.

    Parameters
    ----------
    table, window, metric, label, without
        As for `helpers.results.by_slice`.
    width_in : float
        Width of the figure in inches.
    **bootstrap
        ``level``, ``block``, ``samples`` and ``seed`` of
        `helpers.results.statistics.mean_intervals`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        As `helpers.results.by_slice` and `helpers.results.statistics.mean_intervals`.
    """
    wide = by_slice(table, window=window, metric=metric, label=label, without=without)
    found = mean_intervals(short_names(wide), **bootstrap)
    colours = method_colours(table["method"])
    figure, axis = _axes((width_in, 1.1 + 0.34 * len(found)))
    for at, (key, row) in enumerate(zip(wide.columns, found.itertuples(), strict=True)):
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
        f"{axis_title(metric, label)}: mean of {slices} slices, "
        f"{bootstrap.get('level', 0.95) * 100:g} % interval"
    )
    return figure


def pareto(
    table: pd.DataFrame,
    records: pd.DataFrame,
    *,
    window: tuple[int, int] | None,
    cost: str = "seconds_per_slice",
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = LEAVE_OUT,
    higher_is_better: bool = True,
    test_only: bool = False,
    width_in: float = 7.5,
) -> Figure:
    """Draw what a method costs against how well it does.

    Parameters
    ----------
    table, window, metric, label, without, test_only
        As for `helpers.results.summary`.
    records : DataFrame
        Costs of runs, from `helpers.results.records`.
    cost : {"seconds_per_slice", "training_minutes"}
        A method without training slices needs 0 minutes.
    higher_is_better : bool
        False for distances.
    width_in : float
        Width of the figure in inches.

    Returns
    -------
    matplotlib.figure.Figure
        A colour for each method, a marker for each of its runs. The line joins the filled ones:
        runs that no other one beats in both.

    Raises
    ------
    ValueError
        If no run has both, or as `helpers.results.summary`.
    """
    check_choice(cost, "cost", tuple(COSTS))
    points = _costs(records, cost)
    means = summary(
        table, window=window, metric=metric, label=label, without=without, test_only=test_only
    )["mean"]
    points = points.join(means, how="inner").dropna()
    if points.empty:
        raise ValueError(
            f"no run has a mean and {cost}; evaluate some, and read both with the same profile."
        )
    names = short_names(pd.DataFrame(columns=points.index)).columns
    colours = method_colours(table["method"])
    on_front = _on_front(points[cost], points["mean"], higher_is_better)
    front = points[on_front].sort_values(cost)
    figure, axis = _axes((width_in, 4.2))
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
    axis.set_ylabel(f"{axis_title(metric, label)}: mean")
    axis.grid(alpha=0.25)
    return figure


def _axes(size_in: tuple[float, float]):
    # Closed, so that a notebook displays it once only; see helpers.show.figures.
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=size_in)
    plt.close(figure)
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


def _on_front(cost: pd.Series, score: pd.Series, higher_is_better: bool) -> np.ndarray:
    """Mark what no other point beats in one and equals at least in the other."""
    cost, score = cost.to_numpy(float), score.to_numpy(float) * (1 if higher_is_better else -1)
    beaten = (
        (cost <= cost[:, None])
        & (score >= score[:, None])
        & ((cost < cost[:, None]) | (score > score[:, None]))
    )
    return ~beaten.any(axis=1)
