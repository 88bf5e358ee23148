"""What charts of the comparison draw: a curve a method, each with its name and colour."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from helpers.labels import Label
from helpers.results.statistics import short_names
from helpers.results.tables import AS_GIVEN, by_slice
from helpers.show.charts import Curve

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


def curves(
    table: pd.DataFrame,
    *,
    window: tuple[int, int] | None,
    metric: str = "jaccard",
    label: Label | None = Label.NUCLEUS,
    without: float | str = AS_GIVEN,
) -> list[Curve]:
    """Take from a table what a figure draws.

    Parameters
    ----------
    table, window, metric, label, without
        As for `helpers.results.by_slice`. Colours follow the methods of the whole table, so that
        figures of one table agree.

    Returns
    -------
    list of Curve
        Published ones first, so that others are drawn over them.

    Raises
    ------
    ValueError
        As `helpers.results.by_slice`.
    """
    wide = by_slice(table, window=window, metric=metric, label=label, without=without)
    colours = method_colours(table["method"])
    trained = table[table["training"].fillna(False).astype(bool)]
    found, seen = [], Counter()
    for key, name in zip(wide.columns, short_names(wide).columns, strict=True):
        method, origin, run = key
        own = trained[(trained[["method", "origin", "run"]] == list(key)).all(axis=1)]
        values = wide[key].dropna()
        found.append(
            Curve(
                name=name,
                method=method,
                origin=origin,
                run=run,
                colour=colours[method][0],
                dark_colour=colours[method][1],
                values=values,
                training=tuple(sorted(set(own["slice"]) & set(values.index))),
                nth=seen[method, origin],
            )
        )
        seen[method, origin] += 1
    return sorted(found, key=lambda series: series.origin != "published")


def axis_title(metric: str, label: Label | None) -> str:
    """Name an axis: the metric and its class."""
    title = METRIC_TITLES.get(metric, metric)
    return f"{title}, {'four classes' if label is None else Label(label).title}"
