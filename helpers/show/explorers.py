"""Explorers: a picture with sliders, alive in a notebook and on the static page alike."""

import html
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real

from helpers import settings
from helpers.show.page_html import (
    PageHtml,
    Picture,
    asset,
    check_texts,
    encode_picture,
    figure_id,
    frame,
    json_of,
)


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
        from IPython.display import HTML, display

        if self.widget is None:
            display({"text/html": self.html, "text/plain": self.alt}, raw=True)
        else:
            display(self.widget)
            display(HTML(f"<script>{asset('explorer_live.js')}</script>"))


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
    check_texts("explorer", {"caption": caption, "alt": alt}, name)
    if not sliders:
        raise ValueError("The explorer has no sliders; give at least one.")
    count = math.prod(len(slider.values) for slider in sliders.values())
    if count > max_frames:
        sizes = " x ".join(str(len(slider.values)) for slider in sliders.values())
        raise ValueError(
            f"The sliders have {sizes} = {count} combinations; allowed are {max_frames}. "
            "Give them fewer values, or raise max_frames."
        )
    scene = _Scene(function, sliders, caption.strip(), alt.strip(), max_width_px)
    start_alt = scene.alt_at(scene.start)
    if settings.is_static():
        return Explorer(start_alt, html=_static_page(scene, name).html)
    return Explorer(start_alt, widget=_live_widget(scene))


@dataclass
class _Scene:
    """The one description from which both the live and the static explorer are made.

    A state is a tuple of positions, one a slider. `sliders` maps keyword arguments of `function`
    to `Slider`.
    """

    function: Callable
    sliders: dict
    caption: str
    alt: str
    max_width_px: int
    _frames: dict[tuple[int, ...], tuple[Picture, str]] = field(default_factory=dict)

    @property
    def start(self) -> tuple[int, ...]:
        """State at the beginning."""
        return tuple(slider.values.index(slider.start) for slider in self.sliders.values())

    def values_at(self, state: tuple[int, ...]) -> str:
        """All labels and values in words."""
        pairs = zip(self.sliders.values(), state, strict=True)
        return ", ".join(f"{slider.label} {slider.texts[at]}" for slider, at in pairs)

    def alt_at(self, state: tuple[int, ...]) -> str:
        """Text in place of the picture."""
        return f"{self.alt} ({self.values_at(state)})"

    def frame(self, state: tuple[int, ...]) -> tuple[Picture, str]:
        """Picture and line of text; the function is called once a state."""
        if state not in self._frames:
            pairs = zip(self.sliders.items(), state, strict=True)
            result = self.function(**{key: slider.values[at] for (key, slider), at in pairs})
            image, text = result if isinstance(result, tuple) else (result, "")
            self._frames[state] = encode_picture(image, self.max_width_px), str(text)
        return self._frames[state]

    def frame_or_stop(self, state: tuple[int, ...]) -> tuple[Picture, str]:
        """Like `frame`; an error names the values at which it came up."""
        try:
            return self.frame(state)
        except Exception as error:
            raise RuntimeError(
                f"The explorer's function failed at {self.values_at(state)}: {_describe(error)}"
            ) from error


def _live_widget(scene: _Scene):
    try:
        import ipywidgets
    except ImportError as error:
        raise ImportError(
            "A live explorer needs ipywidgets: pip install ipywidgets. "
            "Or set HELA_STATIC=1 for pictures made in advance."
        ) from error
    first, first_text = scene.frame_or_stop(scene.start)
    # Not ipywidgets.Image: it has no alternative text, and with a tooltip instead is not drawn.
    image = ipywidgets.HTML()
    readout = ipywidgets.HTML()
    style = ipywidgets.HTML(
        f"<style>{asset('explorer_live.css')}</style>", layout={"display": "none"}
    )
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

    def show(picture: Picture, text: str, state: tuple[int, ...]) -> None:
        image.value = (
            f'<img src="{picture.uri}" alt="{html.escape(scene.alt_at(state))}" '
            f'width="{picture.width_px}" height="{picture.height_px}" '
            'style="max-width: 100%; height: auto; margin: 0">'
        )
        readout.value = html.escape(text)

    def update(_change) -> None:
        state = tuple(control.value for control in controls)
        try:
            picture, text = scene.frame(state)
        except Exception as error:  # in a callback it would only reach a log
            readout.value = (
                f"<b>{html.escape(_describe(error))}</b><br>"
                f"No picture at {html.escape(scene.values_at(state))}; the last one is shown."
            )
        else:
            show(picture, text, state)

    show(first, first_text, scene.start)
    for control in controls:
        control.observe(update, names="value")
    caption = ipywidgets.HTML(html.escape(scene.caption))
    # A pixel or two more than the picture: without it ipywidgets shows a scroll bar. A small
    # picture's controls need more than its width.
    layout = {"width": f"max({first.width_px + 8}px, 320px)", "max_width": "100%"}
    box = ipywidgets.VBox([image, *controls, readout, caption, style], layout=layout)
    box.add_class("hela-live")
    return box


def _static_page(scene: _Scene, name: str | None) -> PageHtml:
    """Make the explorer's HTML: every picture, the controls and the script that joins them."""
    states = itertools.product(*(range(len(s.values)) for s in scene.sliders.values()))
    frames = {state: scene.frame_or_stop(state) for state in states}
    stored = {}  # picture -> its number; equal pictures are stored once
    for picture, _text in frames.values():
        stored.setdefault(picture, len(stored))
    first, first_text = frames[scene.start]
    data = {
        "alt": scene.alt,
        "sliders": [{"label": s.label, "texts": s.texts} for s in scene.sliders.values()],
        "states": [[stored[picture], text] for picture, text in frames.values()],
        "first": stored[first],
        # The first picture is in the page already, for readers without JavaScript.
        "frames": [None if picture == first else picture.uri for picture in stored],
    }
    payload = json_of(data)
    identity = figure_id("explorer", name, payload, first.webp, scene.caption)
    controls = "".join(
        _control(f"{identity}-{number}", slider)
        for number, slider in enumerate(scene.sliders.values(), start=1)
    )
    label_ch, value_ch = (
        max(len(text) for s in scene.sliders.values() for text in texts(s))
        for texts in (lambda s: (s.label,), lambda s: () if s.is_choice else s.texts)
    )
    # The page's choice of class colours finds its pictures by this name.
    shows_classes = any(picture.shows_classes for picture, _text in frames.values())
    classes = "dark-light hela-classes" if shows_classes else "dark-light"
    readout = ""
    if any(text for _picture, text in frames.values()):
        text = html.escape(first_text)
        readout = f'<p class="hela-readout" role="status">{text}</p>'
    body = (
        f'<img class="{classes}" src="{first.uri}" width="{first.width_px}" '
        f'height="{first.height_px}" alt="{html.escape(scene.alt_at(scene.start))}">\n'
        f'<div class="hela-controls" hidden>{controls}</div>\n'
        f"<noscript><p>Shown at {html.escape(scene.values_at(scene.start))}.</p></noscript>\n"
        f"{readout}"
    )
    return frame(
        "explorer",
        body,
        caption=scene.caption,
        alt=scene.alt_at(scene.start),
        identity=identity,
        payload=payload,
        style=f"--picture:{first.width_px}px;--label:{label_ch}ch;--value:{value_ch}ch",
    )


def _control(control_id: str, slider: Slider) -> str:
    start = slider.values.index(slider.start)
    label = f'<label for="{control_id}">{html.escape(slider.label)}</label>'
    if slider.is_choice:
        options = "".join(
            f'<option value="{at}"{" selected" if at == start else ""}>{html.escape(text)}</option>'
            for at, text in enumerate(slider.texts)
        )
        control = f'<select id="{control_id}" autocomplete="off">{options}</select>'
    else:
        text = html.escape(slider.texts[start])
        control = (
            '<span class="hela-track">'
            f'<input type="range" id="{control_id}" min="0" max="{len(slider.values) - 1}" '
            f'step="1" value="{start}" aria-valuetext="{text}" autocomplete="off">'
            f'<span class="hela-value" aria-hidden="true">{text}</span></span>'
        )
    return f'<div class="hela-control">{label}{control}</div>'


def _number_texts(values: list[float]) -> list[str]:
    """Write whole numbers as they are, others with as many decimals as the longest one needs."""
    if all(isinstance(value, Integral) for value in values):
        return [f"{value:,}" if abs(value) >= 10_000 else str(value) for value in values]
    texts = [f"{value:.6g}" for value in values]
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{value:.{decimals}f}" for value in values]


def _describe(error: Exception) -> str:
    """Kind and message of an error, in one line."""
    return f"{type(error).__name__}: {error}"
