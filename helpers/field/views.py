"""A slice of a field to pan and zoom, with its cells outlined."""

import math

import cv2
import pandas as pd

from helpers.field.ngff import Field
from helpers.masks import as_bytes
from helpers.show.page_html import PageHtml, doubts_box, whole_page
from helpers.show.pyramids import Outline, pyramid

REPORT_PX = 2048
"""Most rows and columns of the picture on the page of a result."""
OUTLINE_NM = 160.0
"""Pixels no larger than this are enough for the outline of a cell."""


def view(
    field: Field,
    cells: pd.DataFrame,
    instances: Field,
    number: int,
    *,
    caption: str,
    alt: str,
    finest: int = 0,
    name: str | None = None,
) -> PageHtml:
    """Show a slice to pan and zoom; a cell that is chosen tells its numbers.

    Parameters
    ----------
    field : Field
    cells : DataFrame
        Of `segment_cells`.
    instances : Field
        Of `join_cells`.
    number : int
        Slice, from 1.
    caption, alt : str
        As `helpers.show.pyramids.pyramid`.
    finest : int
        Level that is shown where one zooms in; a page has room for some 3000 x 3000 pixels.
    name : str, optional
        For links, as `helpers.show.pyramids.pyramid`.

    Returns
    -------
    PageHtml

    Raises
    ------
    ValueError
        If there is no such slice or level, or the page would become too heavy.
    """
    if not 1 <= number <= field.shape[0]:
        raise ValueError(f"number is {number}; the field has the slices 1 to {field.shape[0]}.")
    if not 0 <= finest < len(field.levels):
        raise ValueError(
            f"finest is {finest}; the field has the levels 0 to {len(field.levels) - 1}."
        )
    levels = [field.read(number - 1, level=n) for n in range(finest, len(field.levels))]
    return pyramid(
        levels,
        outlines(cells, instances, number, finest),
        pixel_nm=field.pixel_nm(finest),
        caption=caption,
        alt=alt,
        name=name,
    )


def report(
    title: str, field: Field, cells: pd.DataFrame, instances: Field, doubts: list[str]
) -> str:
    """Make a page of a result: what is doubtful, a slice to look around, and the table of cells.

    Parameters
    ----------
    title : str
    field : Field
    cells : DataFrame
        Of `segment_cells`.
    instances : Field
        Of `join_cells`.
    doubts : list of str

    Returns
    -------
    str
        HTML that opens without a network.
    """
    parts: list[PageHtml | str] = [doubts_box(doubts)]
    number = field.shape[0] // 2 + 1
    sides = [max(array.shape[1:]) for array in field.levels]
    fit = [level for level, side in enumerate(sides) if side <= REPORT_PX]
    if fit:
        caption = f"Slice {number} of the field with its cells; choose one to see its numbers."
        alt = f"Slice {number} with the outlines of its cells"
        parts.append(view(field, cells, instances, number, finest=fit[0], caption=caption, alt=alt))
    table = cells.drop(columns=["top", "bottom", "left", "right", "doubts", "failed"])
    rows = table.to_html(index=False, na_rep="-", border=0, float_format=lambda v: f"{v:.4g}")
    return whole_page(title, *parts, "<h2>Cells</h2>", rows)


def outlines(cells: pd.DataFrame, instances: Field, number: int, finest: int = 0) -> list[Outline]:
    """Outline the cells of a slice.

    Parameters
    ----------
    cells : DataFrame
        Of `segment_cells`.
    instances : Field
        Of `join_cells`.
    number : int
        Slice, from 1.
    finest : int
        Level in whose pixels the outlines are.

    Returns
    -------
    list of helpers.show.pyramids.Outline
        One for each cell that the slice has, round its largest piece, with its measures.
    """
    level = max(finest, instances.level_for(OUTLINE_NM))
    plane, factor = instances.read(number - 1, level=level), 2 ** (level - finest)
    found = []
    for row in cells.itertuples():
        pieces, _ = cv2.findContours(
            as_bytes(plane == row.cell), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        if not pieces:
            continue
        polygon = cv2.approxPolyDP(max(pieces, key=cv2.contourArea), 1.0, closed=True)
        if len(polygon) > 2:
            # Columns come before rows in OpenCV. Levels of labels have every second pixel.
            points = polygon[:, 0, ::-1].astype(float) * factor
            found.append(Outline(f"cell {row.cell}", points, _lines(row)))
    return found


def _lines(row) -> tuple[str, ...]:
    if row.failed:
        return (f"no result: {row.failed}",)
    numbers = [
        f"nucleus: {row.volume_um3:.0f} µm³, surface {row.surface_um2:.0f} µm², in "
        f"{row.slices} slices"
    ]
    if not math.isnan(row.sphericity):
        numbers.append(f"sphericity {row.sphericity:.3f}")
    return (*numbers, *(row.doubts.split("; ") if row.doubts else ()))
