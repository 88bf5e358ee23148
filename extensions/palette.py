"""A switch on each page between the paper's class colours and ones safe in colour blindness.

A Sphinx extension. The pictures stay as they are; a filter in the page recolours those that show
classes: it takes the grey of each pixel out, exchanges what is left of red, green and blue for the
three safe colours, and puts the grey back.
"""

from pathlib import Path

from sphinx.application import Sphinx

from helpers.labels import PALETTES, Label

TEMPLATES = Path(__file__).resolve().parent / "templates"


def matrix() -> str:
    """Return the values of the filter's ``feColorMatrix``: red, green, blue to the safe colours."""
    safe = [PALETTES["safe"][label] for label in (1, 2, 3)]
    rows = [" ".join(f"{colour[channel] / 255:.4f}" for colour in safe) for channel in range(3)]
    return "  ".join(f"{row} 0 0" for row in rows) + "  0 0 0 1 0"


def add_palette(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give the template what it writes."""
    context["palette_matrix"] = matrix()


def setup(app: Sphinx) -> dict:
    """Register the switch; the template puts it beside that of light and dark.

    Jupyter Book adds ``_static/palette.js`` to the pages, as every script there.
    """
    assert all(sorted(PALETTES["paper"][label]) == [0, 0, 255] for label in list(Label)[:3])
    app.config.templates_path.append(str(TEMPLATES))
    app.connect("html-page-context", add_palette)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
