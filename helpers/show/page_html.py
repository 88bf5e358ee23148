"""What a cell shows that is HTML of its own, in a notebook and on the static page alike.

Explorers, charts, surfaces, pyramids and galleries differ in what stands inside; the frame around
them, with caption, alternative text, name, styles and script, is made here.
"""

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from PIL import Image

from helpers import settings
from helpers.labels import shows_classes

WEBP_QUALITY = 75
_BOX = (
    "; border: 1px solid #d98324; border-left-width: 6px; border-radius: 4px; padding: 0 1em",
    ' style="font-weight: bold"',
)


class PageHtml:
    """As the last line of a cell it shows itself.

    Attributes
    ----------
    html : str
        All of it: needs no kernel, no network and no other file.
    alt : str
        What it shows, where there is no HTML.
    """

    def __init__(self, html: str, alt: str):
        self.html, self.alt = html, alt

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.alt


def warning_box(title: str, *paragraphs: str) -> PageHtml:
    """Warn the reader in a box: on the site it looks like the site's own.

    Parameters
    ----------
    title : str
        What it is about, in a few words.
    *paragraphs : str
        Plain text.

    Returns
    -------
    PageHtml

    Examples
    --------
    >>> print(warning_box("Not data", "A program drew it."))
    Not data. A program drew it.
    """
    lines = "".join(f"<p>{html.escape(text)}</p>\n" for text in paragraphs)
    # Only the site has a style for the classes. The colours suit light and dark notebooks.
    box, head = ("", "") if settings.is_static() else _BOX
    return PageHtml(
        f'<div class="admonition warning" style="overflow-wrap: anywhere{box}">\n'
        f'<p class="admonition-title"{head}>{html.escape(title)}</p>\n{lines}</div>',
        " ".join((f"{title}.", *paragraphs)),
    )


@dataclass(frozen=True)
class Picture:
    """One picture, ready for a page."""

    webp: bytes
    width_px: int
    height_px: int
    shows_classes: bool = False

    @property
    def classes(self) -> str:
        """Classes of its element; the page's choice of class colours finds it by them."""
        return "dark-light hela-classes" if self.shows_classes else "dark-light"

    @property
    def uri(self) -> str:
        """An address that holds the picture itself."""
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode("ascii")


def encode_picture(image: np.ndarray, max_width_px: int) -> Picture:
    """Shrink a picture to at most a width, by averaging over areas, and compress it.

    Parameters
    ----------
    image : (y, x) or (y, x, 3) array of uint8
    max_width_px : int

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If it is not uint8 of shape (y, x) or (y, x, 3).
    """
    image = np.asarray(image)
    grey_or_rgb = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not grey_or_rgb or not image.size:
        raise ValueError(
            f"the picture is an array of {image.dtype} with shape {image.shape}; "
            "it must be uint8 with shape (y, x) or (y, x, 3)."
        )
    height, width = image.shape[:2]
    if width > max_width_px:
        height, width = max(1, round(height * max_width_px / width)), max_width_px
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", quality=WEBP_QUALITY, method=5)
    return Picture(buffer.getvalue(), width, height, image.ndim == 3 and shows_classes(image))


def check_texts(kind: str, texts: dict[str, str], name: str | None = None) -> None:
    """Refuse a figure without its words, or with a name that a page cannot hold.

    Parameters
    ----------
    kind : str
        What the figure is, for the message.
    texts : dict of str to str
        What each text is for, and the text.
    name : str, optional
        Ends the figure's id.

    Raises
    ------
    ValueError
        If a text is empty, or `name` is not fit for an id.
    """
    for what, text in texts.items():
        if not text.strip():
            raise ValueError(f"The {kind} needs a text for {what}; it is empty.")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][\w-]*", name, re.ASCII):
        raise ValueError(f"name is {name!r}; allowed are letters, digits, '-' and '_'.")


def json_of(data: dict) -> str:
    """Write data for a script element."""
    # "<" inside the data could end the script element that holds it.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def figure_id(kind: str, name: str | None, *content: str | bytes) -> str:
    """Return a figure's id: of its name, or else a hash of its content.

    The same content gives the same id, so that a book built twice does not change.
    """
    if name is None:
        whole = b"".join(part if isinstance(part, bytes) else part.encode() for part in content)
        name = hashlib.sha256(whole).hexdigest()[:12]
    return f"{kind}-{name}"


def frame(
    kind: str,
    body: str,
    *,
    caption: str,
    alt: str,
    identity: str | None = None,
    payload: str | None = None,
    style: str = "",
) -> PageHtml:
    """Put a figure's body into its frame.

    Parameters
    ----------
    kind : {"chart", "explorer", "gallery", "pyramid", "surface"}
        Its style is ``<kind>.css`` in this folder, its script ``<kind>.js``.
    body : str
        HTML.
    caption : str
        Shown below.
    alt : str
        What the figure shows, where there is no HTML.
    identity : str, optional
        The figure's id.
    payload : str, optional
        What the script reads, of `json_of`; without it the figure has no script.
    style : str
        Declarations of the figure's own.

    Returns
    -------
    PageHtml
    """
    attributes = f' id="{identity}"' if identity else ""
    attributes += f' style="{style}"' if style else ""
    scripts = ""
    if payload is not None:
        start, show = asset("figure.js"), asset(f"{kind}.js")
        scripts = (
            f'<script type="application/json">{payload}</script>\n'
            f"<script>({start})('#{identity}:not([data-ready])', {show});</script>\n"
        )
    return PageHtml(
        f'<figure class="hela-figure hela-{kind}"{attributes}>\n'
        f"<style>{asset('figure.css')}{asset(f'{kind}.css')}</style>\n{body}\n"
        f"<figcaption>{html.escape(caption.strip())}</figcaption>\n{scripts}</figure>",
        alt.strip(),
    )


def whole_page(title: str, *parts: PageHtml | str) -> str:
    """Make a page of its own, for a file that opens without a network.

    Parameters
    ----------
    title : str
        Plain text.
    *parts : PageHtml or str
        What stands on it, in order; text is HTML.

    Returns
    -------
    str

    Examples
    --------
    >>> print(whole_page("A cell", "<p>Round.</p>").replace(asset("page.css"), ""))
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>A cell</title><style></style></head><body>
    <h1>A cell</h1>
    <p>Round.</p>
    </body></html>
    <BLANKLINE>
    """
    name = html.escape(title)
    body = "\n".join(part if isinstance(part, str) else part.html for part in parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title><style>{asset('page.css')}</style></head><body>\n"
        f"<h1>{name}</h1>\n{body}\n</body></html>\n"
    )


def doubts_box(doubts: Iterable[str]) -> str:
    """Make the box of what is doubtful about a result, for `whole_page`; empty if nothing is.

    Parameters
    ----------
    doubts : iterable of str
        Plain text.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> doubts_box(["Is it a < b?"])
    '<div class="doubts"><h2>In doubt</h2><ul><li>Is it a &lt; b?</li></ul></div>'
    """
    lines = "".join(f"<li>{html.escape(each)}</li>" for each in doubts)
    return f'<div class="doubts"><h2>In doubt</h2><ul>{lines}</ul></div>' if lines else ""


@cache
def asset(name: str) -> str:
    """Read a script or a style sheet of this folder."""
    return files("helpers.show").joinpath(name).read_text(encoding="utf-8")
