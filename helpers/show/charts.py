"""Per-slice curves whose values are read at the cursor, on a static page as in a notebook.

Drawn here, in some 80 KB a chart, and not by Plotly 7, which was tried. It has no axe violation and
works from files; but its script has 4.8 MB (1.5 MB where a server compresses it), with the theme's
2.5 MB over the 5 MB of a page for whoever serves the book at home. And its keys do not reach what a
chart is for, a method's value at a slice: slider, spoken text and table would be written here all
the same, and so would runs with gaps and the colours of dark pages.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.ticker import MaxNLocator

from helpers.show.page_html import PageHtml, check_texts, figure_id, frame, json_of

REACH_SLICES = 5
"""How far away a method's nearest slice may be to be shown at the cursor."""

_STEPS = (1, 2, 5, 10)
_RING = "hela-third"
_MARKS = ("", "hela-second", _RING)  # Discs, squares, rings; lines whole, dashed, dotted.
_SIZE = 1000  # Units of the drawing in both directions; it is stretched to the room it gets.


@dataclass(frozen=True)
class Curve:
    """The scores of one method and run, in the order of the slices.

    Attributes
    ----------
    name : str
    colour, dark_colour : str
        As ``#rrggbb``, for light and dark pages. Runs of a method share them.
    values : Series
        By slice number, without NaN.
    is_published : bool
        Drawn thin; others are drawn thick, and their lonely slices as dots.
    nth : int
        Place among the method's runs, published or not, from 0. Their marks differ by it.
    """

    name: str
    colour: str
    dark_colour: str
    values: pd.Series
    is_published: bool
    nth: int


def chart(
    curves: Sequence[Curve],
    *,
    title: str,
    caption: str,
    alt: str,
    y_limits: tuple[float, float] | None = None,
    name: str | None = None,
) -> PageHtml:
    """Draw a score of all methods over the slices; cursor, keys or touch show the values.

    Runs of a method share its colour and differ in their marks.

    Parameters
    ----------
    curves : sequence of Curve
        Those without values are left out.
    title : str
        What is drawn, shown above.
    caption : str
        Shown below, with the source and profile; say what there is to see.
    alt : str
        Describes the chart to those who do not see it.
    y_limits : (float, float), optional
        By default what the values need.
    name : str, optional
        The figure gets the id ``chart-<name>``; by default a hash of the content.

    Returns
    -------
    PageHtml

    Raises
    ------
    ValueError
        If a text is missing, `name` is not fit for an id, the limits are not in order, or there is
        no value.
    """
    check_texts("chart", {"title": title, "caption": caption, "alt": alt}, name)
    drawn = [each for each in curves if len(each.values)]
    if not drawn:
        raise ValueError("There is no value to draw; take another window, metric or class.")
    first = min(int(each.values.index.min()) for each in drawn)
    last = max(int(each.values.index.max()) for each in drawn)
    y_ticks, limits = _limits(drawn, y_limits)
    digits = 3 if limits[1] <= 2 else 1
    data = {
        "first": first,
        "last": last,
        "reach": REACH_SLICES,
        "series": [
            {
                "name": each.name,
                "slices": each.values.index.tolist(),
                "values": [f"{value:.{digits}f}" for value in each.values],
            }
            for each in drawn
        ],
    }
    payload = json_of(data)
    identity = figure_id("chart", name, payload, caption)
    lines = "".join(_group(each, (first, last), limits) for each in drawn)
    rows = "".join(_row(each, identity, at) for at, each in enumerate(drawn))
    content = (
        f'<p class="hela-chart-title">{html.escape(title)}</p>\n'
        f'<div class="hela-chart-area" role="img" aria-label="{html.escape(alt.strip())}">'
        f'<svg{" class=hela-cut" if y_limits else ""} viewBox="0 0 {_SIZE} {_SIZE}" '
        'preserveAspectRatio="none" aria-hidden="true">'
        f"{_grid(y_ticks, limits)}{lines}"
        f'<path class="hela-cursor" d=""/></svg>'
        f"{_tick_texts((first, last), y_ticks, limits)}"
        f'<span class="hela-axis-x" aria-hidden="true">Slice</span></div>\n'
        f'<p class="hela-slice" data-live hidden><output for="{identity}-slice"></output>'
        f'<input type="range" id="{identity}-slice" min="{first}" max="{last}" step="1" '
        f'value="{(first + last) // 2}" aria-label="Slice" autocomplete="off"></p>\n'
        f'<ul class="hela-series">{rows}</ul>\n{_table(data["series"], title)}'
    )
    return frame("chart", content, caption=caption, alt=alt, identity=identity, payload=payload)


def _limits(drawn: list[Curve], given) -> tuple[list[float], tuple[float, float]]:
    low, high = given or (
        min(each.values.min() for each in drawn),
        max(each.values.max() for each in drawn),
    )
    if given and not low < high:
        raise ValueError(f"y_limits are {given}; the first must be below the second.")
    if low == high:
        low, high = low - 0.05, high + 0.05
    ticks = MaxNLocator(6, steps=_STEPS).tick_values(low, high)
    if given:
        return [float(t) for t in ticks if low <= t <= high], (low, high)
    return [float(t) for t in ticks], (float(ticks[0]), float(ticks[-1]))


def _y(value: float, limits) -> float:
    return round((limits[1] - value) / (limits[1] - limits[0]) * _SIZE, 1)


def _x(number: int, ends) -> float:
    return round((number - ends[0]) / max(ends[1] - ends[0], 1) * _SIZE, 1)


def _group(each: Curve, ends, limits) -> str:
    """Lines through neighbouring slices, and dots where the neighbours are missing."""
    parts, dots, before = [], [], None
    numbers = each.values.index
    for number, value in each.values.items():
        place = f"{_x(number, ends):g} {_y(value, limits):g}"
        parts.append(f"{'L' if before == number - 1 else 'M'}{place}")
        if number - 1 not in numbers or number + 1 not in numbers:
            dots.append(f"M{place}h0")
        before = number
    shapes = []
    if not each.is_published:  # Dots at the ends of its curve would say nothing.
        shapes = ["dot", "hole"] if _mark(each) == _RING else ["dot"]
    marks = "".join(f'<path class="hela-{shape}" d="{"".join(dots)}"/>' for shape in shapes)
    return (
        f'<g class="{_classes(each)}" style="{_colours(each)}">'
        f'<path class="hela-line" d="{"".join(parts)}"/>{marks}</g>'
    )


def _grid(y_ticks: list[float], limits) -> str:
    lines = "".join(f"M0 {_y(tick, limits):g}H{_SIZE}" for tick in y_ticks)
    return f'<path class="hela-grid" d="{lines}"/>'


def _tick_texts(ends, y_ticks: list[float], limits) -> str:
    texts = [
        f'<span class="hela-tick hela-tick-y" aria-hidden="true" '
        f'style="top:{_y(tick, limits) * 100 / _SIZE:g}%">{tick:g}</span>'
        for tick in (float(f"{tick:.6g}") for tick in y_ticks)
    ]
    numbers = [
        n
        for n in MaxNLocator(8, integer=True, steps=_STEPS).tick_values(*ends)
        if ends[0] <= n <= ends[1]
    ]
    texts += [
        f'<span class="hela-tick hela-tick-x{" hela-tick-minor" if at % 2 else ""}" '
        f'aria-hidden="true" style="left:{_x(number, ends) * 100 / _SIZE:g}%">{number:g}</span>'
        for at, number in enumerate(numbers)
    ]
    return "".join(texts)


def _row(each: Curve, figure_id: str, at: int) -> str:
    scattered = not (each.values.index.to_series().diff() == 1).any()
    return (
        f'<li><label class="{_classes(each, scattered=scattered)}" style="{_colours(each)}">'
        f'<input type="checkbox" id="{figure_id}-{at}" checked autocomplete="off" data-live hidden>'
        f'<span class="hela-key"></span><span>{html.escape(each.name)}</span>'
        f'<span class="hela-value" data-live hidden></span></label></li>'
    )


def _table(series: list[dict], title: str) -> str:
    """All values, for those who would rather read or copy them; some end tags are left to HTML."""
    columns = [dict(zip(each["slices"], each["values"], strict=True)) for each in series]
    heads = "".join(f'<th scope="col">{html.escape(each["name"])}' for each in series)
    rows = "".join(
        f'<tr><th scope="row">{number}'
        + "".join(f"<td>{column.get(number, '')}" for column in columns)
        for number in sorted(set().union(*columns))
    )
    return (
        "<details><summary>The values as a table</summary>"
        f'<div role="group" tabindex="0" aria-label="Values: {html.escape(title)}"><table>'
        f'<thead><tr><th scope="col">Slice{heads}</thead><tbody>{rows}</tbody></table></div>'
        "</details>"
    )


def _classes(each: Curve, *, scattered: bool = False) -> str:
    own = "" if each.is_published else "hela-own"
    # A method's runs share its colour, and are told apart by their marks.
    return f"{'hela-points' if scattered else own} {_mark(each)}".strip()


def _mark(each: Curve) -> str:
    return _MARKS[each.nth % len(_MARKS)]


def _colours(each: Curve) -> str:
    return f"--light:{each.colour};--dark:{each.dark_colour}"
