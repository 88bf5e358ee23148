"""Diagrams of networks, drawn from the models themselves."""

import math

import keras
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from helpers.networks.layout import Block, Skip, layout

_ENCODER, _NEW, _ENDS = "#56b4e9", "#e69f00", "#999999"
_SKIP, _PLACES = "#0072b2", "#d55e00"
_TEXT_PT, _SMALL_PT = 9, 7.5
# In inches.
_TALLEST, _GAP, _LABEL_ROOM, _ARC_ROOM = 1.7, 0.12, 0.2, 0.75
_NARROWEST_SLOT, _NARROWEST_BLOCK = 0.34, 0.05
_MOST_LINES = 4
"""Up to so many convolutions are shown as lines in their block."""


def draw(model: keras.Model, *, width_in: float = 7.5) -> Figure:
    """Draw a network: blocks from left to right, and arcs for what skips some of them.

    A block is a row of layers whose outputs have the same size: the taller, the more rows, the
    wider, the more channels (both by the square root, to fit). Above it stand the channels, below
    it the size and how many convolutions it has. All of it is read from the model.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`, with a fixed input size.
    width_in : float
        Width of the figure in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the input size is not fixed.
    """
    blocks, skips = layout(model)
    widths = _widths(blocks, width_in)
    tallest = max(block.rows for block in blocks)
    heights = [_TALLEST * math.sqrt(block.rows / tallest) for block in blocks]
    top = _TALLEST / 2 + _LABEL_ROOM + (_ARC_ROOM if skips else 0.1)
    bottom = -_TALLEST / 2 - 0.85
    # Made through pyplot, so that a notebook can display it; closed, so that it does so once.
    figure = plt.figure(figsize=(width_in, top - bottom), layout="none")
    plt.close(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width_in), ylim=(bottom, top))
    axes.axis("off")

    centres, x = [], 0.0
    for width in widths:
        slot = max(width, _NARROWEST_SLOT) + _GAP
        centres.append(x + slot / 2)
        x += slot
    shift = (width_in - x) / 2
    centres = [centre + shift for centre in centres]
    for i in range(1, len(blocks)):
        ends = centres[i - 1] + widths[i - 1] / 2, centres[i] - widths[i] / 2
        axes.plot(ends, (0, 0), color="0.6", linewidth=1, zorder=0)
    for i, block in enumerate(blocks):
        is_end = i in (0, len(blocks) - 1)
        _draw_block(axes, block, centres[i], widths[i], heights[i], is_end)
    for skip in skips:
        _draw_skip(axes, skip, centres, heights)
    _legend(figure, blocks, skips)
    return figure


def _widths(blocks: list[Block], width_in: float) -> list[float]:
    """Return the blocks' widths, as wide as the figure allows."""

    def widths(scale: float) -> list[float]:
        return [max(_NARROWEST_BLOCK, scale * math.sqrt(block.channels)) for block in blocks]

    scale = 0.05
    while sum(max(w, _NARROWEST_SLOT) + _GAP for w in widths(scale)) > width_in and scale > 1e-4:
        scale *= 0.95
    return widths(scale)


def _draw_block(axes, block: Block, centre: float, width: float, height: float, is_end: bool):
    colour = _ENDS if is_end else _ENCODER if block.in_encoder else _NEW
    left = centre - width / 2
    axes.add_patch(
        Rectangle((left, -height / 2), width, height, facecolor=colour, edgecolor="0.2", lw=0.8)
    )
    if 1 < block.convolutions <= _MOST_LINES:
        for i in range(1, block.convolutions):
            x = left + width * i / block.convolutions
            axes.plot((x, x), (-height / 2, height / 2), color="0.2", linewidth=0.5)
    axes.text(centre, height / 2 + 0.04, block.channels, size=_TEXT_PT, ha="center", va="bottom")
    lines = [f"{block.rows} ×", str(block.columns)]
    if block.convolutions:
        lines.append(f"{block.convolutions} conv")
    axes.text(
        centre,
        -height / 2 - 0.05,
        "\n".join(lines),
        size=_SMALL_PT,
        ha="center",
        va="top",
        linespacing=1.05,
    )


def _draw_skip(axes, skip: Skip, centres: list[float], heights: list[float]) -> None:
    points = [(centres[i], heights[i] / 2 + _LABEL_ROOM + 0.02) for i in (skip.start, skip.stop)]
    (x0, y0), (x1, y1) = points
    longest = centres[-1] - centres[0]
    # The middle of such a curve is at three quarters of the height of its two inner points.
    rise = _ARC_ROOM * (0.35 + 0.65 * (x1 - x0) / longest)
    peak = max(y0, y1) + rise * 4 / 3 - 0.05
    curve = Path([(x0, y0), (x0, peak), (x1, peak), (x1, y1)], [Path.MOVETO, *[Path.CURVE4] * 3])
    colour = _PLACES if skip.places_only else _SKIP
    style = "--" if skip.places_only else "-"
    axes.add_patch(PathPatch(curve, facecolor="none", edgecolor=colour, lw=1.3, linestyle=style))
    axes.plot(x1, y1, marker="v", markersize=4.5, color=colour)


def _legend(figure: Figure, blocks: list[Block], skips: list[Skip]) -> None:
    entries = []
    if any(block.in_encoder for block in blocks):
        entries.append(Patch(facecolor=_ENCODER, edgecolor="0.2", label="backbone"))
        entries.append(Patch(facecolor=_NEW, edgecolor="0.2", label="decoder"))
    for places_only, colour, style, label in (
        (False, _SKIP, "-", "skip connection"),
        (True, _PLACES, "--", "places of the maxima"),
    ):
        if any(skip.places_only == places_only for skip in skips):
            entries.append(Line2D([], [], color=colour, linestyle=style, label=label))
    if entries:
        figure.legend(
            handles=entries,
            loc="lower center",
            ncols=len(entries),
            frameon=False,
            fontsize=_TEXT_PT,
        )
