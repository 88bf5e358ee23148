"""Show slices, results, volumes and fields: in figures, and in what moves on a page."""

from helpers.show.charts import chart
from helpers.show.explorers import Slider, explorer
from helpers.show.figures import (
    COMPARE_COLOURS,
    OUTLINE_COLOURS,
    compare,
    nothing_to_draw,
    outline,
    overlay,
    row,
    square_around,
    subplots,
    thicken,
)
from helpers.show.galleries import Panel, gallery
from helpers.show.page_html import warning_box
from helpers.show.surfaces import surface

__all__ = [
    "COMPARE_COLOURS",
    "OUTLINE_COLOURS",
    "Panel",
    "Slider",
    "chart",
    "compare",
    "explorer",
    "gallery",
    "nothing_to_draw",
    "outline",
    "overlay",
    "row",
    "square_around",
    "subplots",
    "surface",
    "thicken",
    "warning_box",
]
