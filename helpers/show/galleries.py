"""Pictures side by side on a page, each with its own words; as many in a row as there is room."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from helpers.show.page_html import PageHtml, check_texts, encode_picture, frame

MAX_WIDTH_PX = 320
"""Wider pictures are scaled down to this width."""


@dataclass(frozen=True)
class Panel:
    """One picture of a gallery.

    Attributes
    ----------
    image : (y, x) or (y, x, 3) array of uint8
    title : str
    alt : str
        Describes the picture to those who do not see it.
    lines : tuple of str
        Shown below the title.
    """

    image: np.ndarray
    title: str
    alt: str
    lines: tuple[str, ...] = ()


def gallery(panels: Iterable[Panel], *, caption: str) -> PageHtml:
    """Show pictures side by side.

    Parameters
    ----------
    panels : iterable of Panel
    caption : str
        Shown below all of them, with the source.

    Returns
    -------
    PageHtml

    Raises
    ------
    ValueError
        If there is no panel, a text is missing, or a picture is not uint8, (y, x) or (y, x, 3).

    Examples
    --------
    >>> grey = np.full((20, 20), 128, dtype=np.uint8)
    >>> gallery([Panel(grey, "slice 1", "grey")], caption="One slice.")
    slice 1
    """
    panels = list(panels)
    if not panels:
        raise ValueError("The gallery has no panels; give at least one.")
    texts = {"caption": caption}
    for at, panel in enumerate(panels, start=1):
        texts |= {f"title of panel {at}": panel.title, f"alt of {panel.title!r}": panel.alt}
    check_texts("gallery", texts)
    items = "".join(_item(panel) for panel in panels)
    alt = ", ".join(panel.title for panel in panels)
    return frame("gallery", f"<ul>{items}</ul>", caption=caption, alt=alt)


def _item(panel: Panel) -> str:
    picture = encode_picture(panel.image, MAX_WIDTH_PX)
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in panel.lines)
    return (
        f'<li><img class="{picture.classes}" src="{picture.uri}" '
        f'width="{picture.width_px}" height="{picture.height_px}" alt="{html.escape(panel.alt)}">'
        f"<strong>{html.escape(panel.title)}</strong>{lines}</li>\n"
    )
