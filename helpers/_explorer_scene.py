"""What an explorer shows: pictures over the values of its sliders, live or on a static page."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from helpers.labels import shows_classes

WEBP_QUALITY = 75


@dataclass(frozen=True)
class Frame:
    """One picture, ready for a page, and the line of text below it."""

    webp: bytes
    width_px: int
    height_px: int
    text: str
    shows_classes: bool = False


@dataclass
class Scene:
    """The one description from which both the live and the static explorer are made.

    A state is a tuple of positions, one a slider. `sliders` maps keyword arguments of `function`
    to `helpers.widgets.Slider`.
    """

    function: Callable
    sliders: dict
    caption: str
    alt: str
    max_width_px: int
    _frames: dict[tuple[int, ...], Frame] = field(default_factory=dict)

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

    def frame(self, state: tuple[int, ...]) -> Frame:
        """Call the function, once a state."""
        if state not in self._frames:
            pairs = zip(self.sliders.items(), state, strict=True)
            result = self.function(**{key: slider.values[at] for (key, slider), at in pairs})
            image, text = result if isinstance(result, tuple) else (result, "")
            self._frames[state] = encode_frame(image, str(text), self.max_width_px)
        return self._frames[state]

    def frame_or_stop(self, state: tuple[int, ...]) -> Frame:
        """Like `frame`; an error names the values at which it came up."""
        try:
            return self.frame(state)
        except Exception as error:
            raise RuntimeError(
                f"The explorer's function failed at {self.values_at(state)}: {describe(error)}"
            ) from error


def data_uri(webp: bytes) -> str:
    """Return an address that holds the picture itself."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")


def encode_frame(image: np.ndarray, text: str, max_width_px: int) -> Frame:
    """Shrink a picture to at most a width, and compress it.

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
    Image.fromarray(image).save(buffer, format="WEBP", quality=WEBP_QUALITY, method=6)
    return Frame(buffer.getvalue(), width, height, text, image.ndim == 3 and shows_classes(image))


def describe(error: Exception) -> str:
    """Kind and message of an error, in one line."""
    return f"{type(error).__name__}: {error}"
