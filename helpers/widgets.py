"""Explorers: a picture with sliders, alive in a notebook and on the static page alike."""

import html
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real

from helpers._explorer_page import static_page
from helpers._explorer_scene import Frame, Scene, data_uri, describe


@dataclass(frozen=True)
class Slider:
    """One parameter of an explorer and the values it can take.

    Attributes
    ----------
    label : str
        Name shown beside the control.
    values : sequence of numbers or of str
        All positions, in order. Numbers make a slider, strings a drop-down list.
    start : number or str, optional
        The value at the beginning, one of `values`; the first one if not given.
    unit : str
        Written after each value, for example ``"px"``.

    Raises
    ------
    ValueError
        If there are no values, two look the same, numbers and text are mixed, or `start` is not
        among them.

    Examples
    --------
    >>> Slider("Gaussian sigma", [0.5, 1, 2], start=1, unit="px").texts
    ('0.5 px', '1.0 px', '2.0 px')
    """

    label: str
    values: Sequence[float] | Sequence[str]
    start: float | str | None = None
    unit: str = ""
    texts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self):
        values = list(self.values)
        if not values:
            raise ValueError(f"Slider {self.label!r} has no values; give at least one.")
        if self.is_choice:
            texts = values
        elif all(isinstance(v, Real) and not isinstance(v, bool) for v in values):
            texts = _number_texts(values)
        else:
            raise ValueError(
                f"Slider {self.label!r} has values {values}; give only numbers or only text."
            )
        if len(set(texts)) < len(texts):
            raise ValueError(f"Slider {self.label!r} shows a value twice: {', '.join(texts)}.")
        start = values[0] if self.start is None else self.start
        if start not in values:
            raise ValueError(
                f"Slider {self.label!r} starts at {start!r}; it must be one of {values}."
            )
        # The dataclass is frozen; these fields are derived once, here.
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "texts", tuple(f"{text} {self.unit}".strip() for text in texts))

    @property
    def is_choice(self) -> bool:
        """Whether the values are text, chosen from a list."""
        return all(isinstance(value, str) for value in self.values)


class Explorer:
    """What `explorer` returns: as the last line of a cell it shows itself.

    Attributes
    ----------
    html : str or None
        The whole explorer for a static page; None in a running notebook.
    widget : ipywidgets.VBox or None
        The explorer of a running notebook; None on a static page.
    alt : str
        What the picture shows at the start.
    """

    def __init__(self, alt: str, *, html: str | None = None, widget=None):
        self.alt = alt
        self.html = html
        self.widget = widget

    def _repr_html_(self) -> str | None:
        return self.html

    def _ipython_display_(self) -> None:
        # A widget's own display works with ipywidgets 7 (Colab) and 8; a MIME bundle only with 8.
        from IPython.display import display

        if self.widget is None:
            display({"text/html": self.html, "text/plain": self.alt}, raw=True)
        else:
            display(self.widget)


def explorer(
    function: Callable,
    *,
    sliders: Mapping[str, Slider | Sequence],
    caption: str,
    alt: str,
    name: str | None = None,
    max_width_px: int = 500,
    max_frames: int = 80,
) -> Explorer:
    """Show what parameters do: a picture that a reader changes with sliders.

    In a running notebook `function` is called as the sliders move (ipywidgets). With the
    environment variable ``HELA_STATIC=1``, as when the book is built, it is called for every
    combination of values, and the page flips between these pictures with no kernel and no network.

    Parameters
    ----------
    function : callable
        Called with one keyword argument a slider. Returns an image, (y, x) or (y, x, 3) array of
        uint8, or a pair (image, text) with one line to show below it.
    sliders : mapping of str to Slider or to a sequence of values
        The keyword arguments and the values they can take.
    caption : str
        Shown below; says what there is to see.
    alt : str
        Describes the picture to those who do not see it; the current values are added.
    name : str, optional
        Name of the figure, for a link: it gets the id ``explorer-<name>``. By default the id is a
        hash of the content.
    max_width_px : int
        Wider images are scaled down to this width by averaging over areas.
    max_frames : int
        Largest number of combinations allowed.

    Returns
    -------
    Explorer

    Raises
    ------
    ValueError
        If a text is missing, `name` is not fit for an id, there are too many combinations or no
        sliders.
    RuntimeError
        If `function` fails at the start, or, for a static page, at any combination; later in a
        running notebook an error is shown below the picture.
    ImportError
        If ipywidgets is needed and not installed.
    """
    sliders = {
        key: s if isinstance(s, Slider) else Slider(key.replace("_", " "), s)
        for key, s in sliders.items()
    }
    for what, text in (("caption", caption), ("alt", alt)):
        if not text.strip():
            raise ValueError(f"The explorer needs a text for {what}; it is empty.")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][\w-]*", name, re.ASCII):
        raise ValueError(f"name is {name!r}; allowed are letters, digits, '-' and '_'.")
    if not sliders:
        raise ValueError("The explorer has no sliders; give at least one.")
    count = math.prod(len(slider.values) for slider in sliders.values())
    if count > max_frames:
        sizes = " x ".join(str(len(slider.values)) for slider in sliders.values())
        raise ValueError(
            f"The sliders have {sizes} = {count} combinations; allowed are {max_frames}. "
            "Give them fewer values, or raise max_frames."
        )
    scene = Scene(function, sliders, caption.strip(), alt.strip(), max_width_px)
    start_alt = scene.alt_at(scene.start)
    if os.environ.get("HELA_STATIC") == "1":
        return Explorer(start_alt, html=static_page(scene, name))
    return Explorer(start_alt, widget=_live_widget(scene))


def _live_widget(scene: Scene):
    try:
        import ipywidgets
    except ImportError as error:
        raise ImportError(
            "A live explorer needs ipywidgets: pip install ipywidgets. "
            "Or set HELA_STATIC=1 for pictures made in advance."
        ) from error
    first = scene.frame_or_stop(scene.start)
    # Not ipywidgets.Image: it has no alternative text, and with a tooltip instead is not drawn.
    picture = ipywidgets.HTML()
    readout = ipywidgets.HTML()
    controls = []
    for slider, at in zip(scene.sliders.values(), scene.start, strict=True):
        kind = ipywidgets.Dropdown if slider.is_choice else ipywidgets.SelectionSlider
        control = kind(
            options=[(text, position) for position, text in enumerate(slider.texts)],
            value=at,
            description=slider.label,
            style={"description_width": "10em"},
            layout={"width": "auto"},
        )
        controls.append(control)

    def show(frame: Frame, state: tuple[int, ...]) -> None:
        picture.value = (
            f'<img src="{data_uri(frame.webp)}" alt="{html.escape(scene.alt_at(state))}" '
            f'width="{frame.width_px}" height="{frame.height_px}" '
            'style="max-width: 100%; height: auto; margin: 0">'
        )
        readout.value = html.escape(frame.text)

    def update(_change) -> None:
        state = tuple(control.value for control in controls)
        try:
            frame = scene.frame(state)
        except Exception as error:  # in a callback it would only reach a log
            readout.value = (
                f"<b>{html.escape(describe(error))}</b><br>"
                f"No picture at {html.escape(scene.values_at(state))}; the last one is shown."
            )
        else:
            show(frame, state)

    show(first, scene.start)
    for control in controls:
        control.observe(update, names="value")
    caption = ipywidgets.HTML(html.escape(scene.caption))
    # A pixel or two more than the picture: without it ipywidgets shows a scroll bar.
    layout = {"width": f"{first.width_px + 8}px", "max_width": "100%"}
    return ipywidgets.VBox([picture, *controls, readout, caption], layout=layout)


def _number_texts(values: list[float]) -> list[str]:
    """Write whole numbers as they are, others with as many decimals as the longest one needs."""
    if all(isinstance(value, Integral) for value in values):
        return [f"{value:,}" if abs(value) >= 10_000 else str(value) for value in values]
    texts = [f"{value:.6g}" for value in values]
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{value:.{decimals}f}" for value in values]
