"""Pictures side by side on a page, each with its own words; as many in a row as there is room."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from helpers._explorer_scene import data_uri, encode_frame
from helpers.page_html import PageHtml

# "!important" undoes the theme's white box and filter in dark mode.
STYLE = """
.text_html:has(>.hela-gallery){background:none!important;color:inherit!important;
padding:0!important}
.hela-gallery{margin:1.25rem 0;padding:0;line-height:1.35}
.hela-gallery ul{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));
gap:1rem .75rem;margin:0;padding:0;list-style:none}
.hela-gallery li{margin:0;padding:0;font-size:.875rem}
.hela-gallery img{display:block;width:100%;height:auto;margin:0 0 .375rem;padding:0!important;
border-radius:4px!important;filter:none!important;background:none!important}
.hela-gallery strong{display:block}
.hela-gallery span{display:block;font-variant-numeric:tabular-nums}
figure.hela-gallery figcaption{margin:.75rem 0 0!important;padding:0!important;width:auto;
font:inherit;font-size:.9375rem;color:inherit;text-align:left}
"""


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


def gallery(panels: Iterable[Panel], *, caption: str, max_width_px: int = 320) -> PageHtml:
    """Show pictures side by side.

    Parameters
    ----------
    panels : iterable of Panel
    caption : str
        Shown below all of them, with the source.
    max_width_px : int
        Wider pictures are scaled down to this width by averaging over areas.

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
        raise ValueError("the gallery has no panels; give at least one.")
    texts = [("caption", caption), *((f"alt of {p.title!r}", p.alt) for p in panels)]
    for what, text in [*texts, *(("title", p.title) for p in panels)]:
        if not text.strip():
            raise ValueError(f"the gallery needs a text for {what}; it is empty.")
    items = "".join(_item(panel, max_width_px) for panel in panels)
    content = (
        f'<figure class="hela-gallery">\n<style>{STYLE}</style>\n<ul>{items}</ul>\n'
        f"<figcaption>{html.escape(caption.strip())}</figcaption>\n</figure>"
    )
    return PageHtml(content, ", ".join(panel.title for panel in panels))


def _item(panel: Panel, max_width_px: int) -> str:
    frame = encode_frame(panel.image, "", max_width_px)
    classes = "dark-light hela-classes" if frame.shows_classes else "dark-light"
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in panel.lines)
    return (
        f'<li><img class="{classes}" src="{data_uri(frame.webp)}" '
        f'width="{frame.width_px}" height="{frame.height_px}" alt="{html.escape(panel.alt)}">'
        f"<strong>{html.escape(panel.title)}</strong>{lines}</li>\n"
    )
