"""A picture too large for a page's width: moved and zoomed in a notebook and on the static page.

Its pyramid is cut into tiles, which the page itself holds, so that there is no server to ask.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from helpers.labels import check_length
from helpers.show.page_html import (
    PageHtml,
    Picture,
    check_texts,
    encode_picture,
    figure_id,
    frame,
    json_of,
)

MAX_BYTES = 2_000_000
"""Most that all tiles may take in the page: 5 MB less the theme's and the other figures'."""


@dataclass(frozen=True)
class Outline:
    """One cell that `pyramid` outlines.

    Attributes
    ----------
    name : str
        For example ``"cell 3"``; no two are alike.
    points : (n, 2) array of float
        Its polygon, (row, column) in pixels of the full size, with whole numbers in the middle of
        pixels, as from `skimage.measure.find_contours`; simplify it with
        `skimage.measure.approximate_polygon`.
    lines : tuple of str
        What is said of the cell once it is chosen.
    """

    name: str
    points: np.ndarray
    lines: tuple[str, ...] = ()


def pyramid(
    levels: Sequence[np.ndarray],
    outlines: Iterable[Outline] = (),
    *,
    pixel_nm: float,
    caption: str,
    alt: str,
    tile_px: int = 256,
    name: str | None = None,
) -> PageHtml:
    """Show a large picture that a reader moves and zooms, with cells to choose.

    The page holds it all: no kernel, no network. It begins with the whole picture. Drag or arrow
    keys move it, plus and minus, two fingers or the wheel with the control key zoom; the wheel
    alone scrolls the page. A click on an outline, or Tab, shows what is said of that cell; a button
    hides the outlines. Without JavaScript there are the coarsest level, the outlines and a list of
    the cells.

    Parameters
    ----------
    levels : sequence of (y, x) or (y, x, 3) arrays of uint8
        From full size down, each with half the rows and columns, rounded up, of the one before. The
        last is kept as one picture, the others as tiles.
    outlines : iterable of Outline
        In pixels of ``levels[0]``.
    pixel_nm : float
        Side of a pixel of ``levels[0]``.
    caption : str
        Shown below; says what there is to see, with the source.
    alt : str
        Describes it to those who do not see it.
    tile_px : int
        Side of a tile, 32 to 4096.
    name : str, optional
        Name of the figure, for a link: it gets the id ``pyramid-<name>``. By default the id is a
        hash of the content.

    Returns
    -------
    PageHtml

    Raises
    ------
    ValueError
        If a text is missing, the levels are no pyramid or too much for a page, an outline is no
        polygon or lies outside, or two have one name.

    Examples
    --------
    >>> full = np.full((64, 96), 200, dtype=np.uint8)
    >>> corner = Outline("cell 1", [(0, 0), (0, 20), (20, 0)], ("12 µm³",))
    >>> pyramid(
    ...     [full, full[::2, ::2]], [corner], pixel_nm=10, caption="Resin.", alt="Resin, a corner"
    ... )
    Resin, a corner
    """
    outlines = list(outlines)
    check_texts("pyramid", {"caption": caption, "alt": alt}, name)
    pixel_nm = check_length(pixel_nm, "pixel_nm")
    if not isinstance(tile_px, Integral) or not 32 <= tile_px <= 4096:
        raise ValueError(f"tile_px is {tile_px!r}; allowed are whole numbers from 32 to 4096.")
    levels = _checked_levels(levels)
    height, width = levels[0].shape[:2]
    points = _checked_points(outlines, height, width)
    start, *tiles = _encoded(levels, int(tile_px))
    data = {
        "size": [width, height],
        "pixel_um": pixel_nm / 1000,
        "tile": int(tile_px),
        # From full size down; the last level is in the page already, as the picture at the start.
        "levels": [[[tile.uri for tile in row] for row in level] for level in reversed(tiles)],
        "last": [start.width_px, start.height_px],
    }
    every = (start, *(tile for level in tiles for row in level for tile in row))
    # The page's choice of class colours finds its pictures by this name.
    classes = max((picture.classes for picture in every), key=len)
    payload, label = json_of(data), html.escape(alt.strip())
    drawn = "".join(map(_outline, outlines, points))
    toggle = said = listed = ""
    if outlines:
        toggle = '<button type="button" aria-pressed="true">Outlines</button>'
        said = '<div class="hela-chosen" role="status" hidden></div>\n'
        listed = _list(outlines)
    identity = figure_id("pyramid", name, payload, start.webp, drawn, listed, caption, alt)
    body = (
        f'<div class="hela-view"><img class="{classes}" src="{start.uri}" '
        f'width="{start.width_px}" height="{start.height_px}" alt="{label}">'
        f'<svg viewBox="0 0 {width} {height}" style="font-size:{max(height, width) / 40:g}px">'
        f'{drawn}</svg><div class="hela-scale" hidden></div></div>\n'
        '<div class="hela-tools" hidden><button type="button" aria-label="Zoom in">+</button>'
        '<button type="button" aria-label="Zoom out">−</button>'
        f'<button type="button">Whole picture</button>{toggle}</div>\n'
        f'{said}<p class="hela-hint" id="{identity}-hint" hidden>Zoom with + and −, with two '
        "fingers or with Ctrl and the wheel; then drag it or use the arrow keys. "
        f"{'Choose an outline to read about the cell.' if outlines else ''}</p>\n{listed}"
    )
    return frame(
        "pyramid",
        body,
        caption=caption,
        alt=alt,
        identity=identity,
        payload=payload,
        style=f"--aspect:{width / height:.5g};--whole:{width}/{height}",
    )


def _checked_levels(levels) -> list[np.ndarray]:
    """Return the levels, or say where they are no pyramid."""
    levels = [np.asarray(level) for level in levels]
    if not levels:
        raise ValueError("The pyramid has no levels; give at least the picture at full size.")
    for number, level in enumerate(levels):
        grey_or_rgb = level.ndim == 2 or (level.ndim == 3 and level.shape[2] == 3)
        if level.dtype != np.uint8 or not grey_or_rgb or not level.size:
            raise ValueError(
                f"Level {number} is an array of {level.dtype} with shape {level.shape}; "
                "each must be uint8 with shape (y, x) or (y, x, 3)."
            )
        if number:
            rows, columns, *rest = levels[number - 1].shape
            half = (math.ceil(rows / 2), math.ceil(columns / 2), *rest)
            if level.shape != half:
                raise ValueError(
                    f"Level {number} has shape {level.shape}; after {levels[number - 1].shape} it "
                    f"must be {half}: half the rows and columns, rounded up."
                )
    return levels


def _checked_points(outlines: list[Outline], height: int, width: int) -> list[np.ndarray]:
    """Return the polygons as (x, y) from the picture's corner, or say what is wrong with them."""
    names = [outline.name for outline in outlines]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ValueError(f"Outlines have one name, {', '.join(twice)}; give each its own.")
    found = []
    for number, outline in enumerate(outlines, start=1):
        check_texts("pyramid", {f"name of outline {number}": outline.name})
        if isinstance(outline.lines, str):
            raise ValueError(f"lines of {outline.name!r} is one text; give a tuple of texts.")
        points = np.asarray(outline.points, dtype=float)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            raise ValueError(
                f"points of {outline.name!r} has shape {points.shape}; "
                "allowed is (n, 2), at least three points."
            )
        if not np.isfinite(points).all():
            raise ValueError(f"points of {outline.name!r} are not all finite; leave such out.")
        if (points < -1).any() or (points > (height, width)).any():
            low, high = points.min(axis=0), points.max(axis=0)
            raise ValueError(
                f"points of {outline.name!r} go from row {low[0]:g}, column {low[1]:g} to row "
                f"{high[0]:g}, column {high[1]:g}; levels[0] has {height} rows and {width} "
                "columns. Give them as (row, column) in pixels of levels[0]."
            )
        # The middle of the first pixel is half a pixel from the picture's corner.
        found.append(points[:, ::-1] + 0.5)
    return found


def _encoded(levels: list[np.ndarray], tile_px: int) -> list:
    """Return the last level as a picture and the others as rows of tiles, from coarse to fine."""
    start = encode_picture(levels[-1], levels[-1].shape[1])
    encoded, used = [start], len(start.uri)
    for number in range(len(levels) - 1, -1, -1):
        if number < len(levels) - 1:
            encoded.append([])
            # Stop at the first row that is too much: a large field takes minutes to encode.
            for row in _rows_of_tiles(levels[number], tile_px):
                encoded[-1].append(row)
                used += sum(len(tile.uri) for tile in row)
                if used > MAX_BYTES:
                    break
        if used > MAX_BYTES:
            rows, columns = levels[number].shape[:2]
            coarser = number + 1
            raise ValueError(
                f"With level {number}, {rows} x {columns} pixels, the pictures take more than the "
                f"{MAX_BYTES / 1e6:g} MB that a page has for them. Show a part of the field, or "
                f"begin with level {coarser}: its pixels are {2**coarser} times as large, for "
                "pixel_nm and for the outlines."
            )
    return encoded


def _rows_of_tiles(level: np.ndarray, tile_px: int) -> Iterable[list[Picture]]:
    rows, columns = level.shape[:2]
    for top in range(0, rows, tile_px):
        row = level[top : top + tile_px]
        yield [
            encode_picture(row[:, left : left + tile_px], tile_px)
            for left in range(0, columns, tile_px)
        ]


def _outline(outline: Outline, points: np.ndarray) -> str:
    """Draw an outline: a dark line below a light one shows on any grey."""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2
    return (
        f'<g class="hela-cell"><path d="{path}"/><path d="{path}"/>'
        f'<text x="{x:.1f}" y="{y:.1f}" aria-hidden="true">{html.escape(outline.name)}</text></g>'
    )


def _list(outlines: list[Outline]) -> str:
    """List all cells; the script folds the list and makes buttons of the names."""
    items = "".join(
        f"<li><strong>{html.escape(outline.name)}</strong>"
        + "".join(f"<span>{html.escape(line)}</span>" for line in outline.lines)
        + "</li>"
        for outline in outlines
    )
    return (
        f'<details class="hela-cells" open><summary>All cells ({len(outlines)})</summary>'
        f"<ul>{items}</ul></details>\n"
    )
