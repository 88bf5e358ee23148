"""An area to draw strokes in, in a running notebook: the forest answers after each stroke."""

import html
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from helpers import settings
from helpers.data.stack import Stack
from helpers.labels import PALETTE, Label
from helpers.show.figures import overlay, shrunk
from helpers.show.page_html import encode_picture
from helpers.strokes.drawn import Strokes, strokes_of
from helpers.strokes.features import features_of
from helpers.strokes.forest import NO_SKLEARN, train

SHOWN_PX = 600
"""Longer side of the picture that is drawn on, at most."""

_HERE = Path(__file__).parent
_ENOUGH = "Draw on the nucleus, and on something else; the forest answers after each stroke."


class Drawing:
    """Slices to draw on, the strokes drawn so far, and what the forest makes of them.

    Show it as the last line of a cell. It is made by `draw`.

    Attributes
    ----------
    strokes : Strokes
        As drawn by now; `Strokes.save` keeps them.
    forest : Forest or None
        Trained on them; None while there are too few.
    """

    def __init__(self, stack: Stack, numbers: tuple[int, ...], kind: str, strokes: Strokes):
        self.stack, self.kind = stack, kind
        self.strokes, self.forest = strokes, None
        self._numbers = numbers
        self._features: dict[int, np.ndarray] = {}
        self._widget = None

    def _repr_html_(self) -> str | None:
        if not settings.is_static():
            return None
        return (
            '<p class="hela-strokes-note">In a running notebook there is an area to draw in '
            f"here, with slices {html.escape(', '.join(map(str, self._numbers)))}.</p>"
        )

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if settings.is_static():
            display(HTML(self._repr_html_()))
        else:
            display(self.widget)

    @property
    def widget(self):
        """The widget itself, made when it is asked for."""
        if self._widget is None:
            self._widget = _area(self)
            self._widget.observe(self._drawn, names="strokes")
            self._widget.observe(self._turned, names="number")
            self._turned(None)
        return self._widget

    def features(self, number: int) -> np.ndarray:
        """Return the features of a slice, computed once."""
        if number not in self._features:
            image = self.stack.image(number)
            nm = self.stack.pixel_size_nm
            self._features[number] = features_of(image, self.kind, pixel_size_nm=nm)
        return self._features[number]

    def _turned(self, _change) -> None:
        """Show another slice."""
        number = self._widget.number
        self._widget.picture = _uri(shrunk(self.stack.image(number), SHOWN_PX))
        self._answer()

    def _drawn(self, _change) -> None:
        """Take what has been drawn, and let the forest learn from it."""
        self.strokes = strokes_of(self._widget.strokes, self.stack.shape)
        self.forest = None
        self._answer()

    def _answer(self) -> None:
        """Show what the forest makes of the slice, or say what is missing."""
        if not self.strokes.are_enough:
            self._widget.answer, self._widget.says = "", _ENOUGH
            return
        start = time.perf_counter()
        try:
            if self.forest is None:
                self.forest = train(self.strokes, self.stack, self.kind, found=self.features)
            number = self._widget.number
            image = self.stack.image(number)
            labels = self.forest.segment(image, self.features(number))
        except Exception as error:  # In a callback it would only reach a log.
            self._widget.answer, self._widget.says = "", f"{type(error).__name__}: {error}"
            return
        area_um2 = np.count_nonzero(labels == Label.NUCLEUS) * (self.stack.pixel_size_nm / 1e3) ** 2
        small = shrunk(image, SHOWN_PX)
        size = small.shape[::-1]
        tints = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        self._widget.answer = _uri(overlay(small, tints))
        found = f"nucleus {area_um2:.1f} µm²" if area_um2 else "no nucleus"
        took_s = time.perf_counter() - start
        self._widget.says = (
            f"Slice {number}: {found}, after {len(self.strokes)} strokes; {took_s:.1f} s."
        )


def draw(
    stack: Stack,
    numbers: Iterable[int] | None = None,
    kind: str = "hand-made",
    *,
    strokes: Strokes | None = None,
) -> Drawing:
    """Open an area to draw strokes in, by mouse, pen, touch, or from what was saved.

    Parameters
    ----------
    stack : Stack
        Its slices are drawn on.
    numbers : iterable of int, optional
        Slices to choose from; by default six, evenly from first to last.
    kind : {"hand-made", "VGG16", "both"}
        See `helpers.strokes.features_of`.
    strokes : Strokes, optional
        To begin with.

    Returns
    -------
    Drawing
        On a page without a kernel it shows a sentence in its place.

    Raises
    ------
    ValueError
        If the stack does not have these slices, or the strokes are of others.
    """
    numbers = tuple(stack.some(6) if numbers is None else numbers)
    absent = set(numbers) - set(stack.slice_numbers)
    if absent or not numbers:
        raise ValueError(
            f"{stack.name} does not have the slices {sorted(absent)}; choose of "
            f"{', '.join(map(str, stack.slice_numbers))}."
        )
    if strokes is not None:
        strokes.check(stack)
    return Drawing(stack, numbers, kind, strokes or Strokes(tuple(stack.shape)))


def _area(drawing: Drawing):
    """Make the widget."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(
            "Drawing needs anywidget: pip install anywidget. Strokes from a file need nothing: "
            "strokes.Strokes.load."
        ) from error
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(NO_SKLEARN) from error

    class Area(anywidget.AnyWidget):
        _esm = _HERE / "live.js"
        _css = _HERE / "live.css"
        numbers = traitlets.List(list(drawing._numbers)).tag(sync=True)
        number = traitlets.Int(drawing._numbers[len(drawing._numbers) // 2]).tag(sync=True)
        shape = traitlets.List(list(map(int, drawing.stack.shape))).tag(sync=True)
        classes = traitlets.List(
            [
                {"label": int(label), "name": label.title, "colour": _css_colour(label)}
                for label in (Label.NUCLEUS, Label.NUCLEAR_ENVELOPE, Label.CELL, Label.BACKGROUND)
            ]
        ).tag(sync=True)
        strokes = traitlets.List(drawing.strokes.rows()).tag(sync=True)
        picture = traitlets.Unicode("").tag(sync=True)
        answer = traitlets.Unicode("").tag(sync=True)
        says = traitlets.Unicode(_ENOUGH).tag(sync=True)

    return Area()


def _css_colour(label: Label) -> str:
    # Black, the background's, could not be seen on a dark slice.
    return "#ffd500" if label == Label.BACKGROUND else "#{:02x}{:02x}{:02x}".format(*PALETTE[label])


def _uri(picture: np.ndarray) -> str:
    return encode_picture(picture, SHOWN_PX).uri
