"""One rule that brings grey levels of any type to the 0 to 255 that the methods work on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from helpers.data.folders import Picture

PERCENTILES = (0.05, 99.95)
"""What becomes 0 and 255, of the pixels of the sampled slices. Measured on the phantom and the
sample: the whole range costs less on clean slices (a Jaccard index of .001 to .007 against .006 to
.012), and everything where one pixel is hot; 1 and 99 % cost .02."""

SAMPLED_SLICES = 9
SAMPLED_PIXELS = 250_000
PILE = 0.005
"""Larger shares of pixels that are exactly 0, or the least or greatest number of their type, are
padding or saturation where nothing lies beyond, and do not count."""


@dataclass(frozen=True)
class GreyRule:
    """How grey levels become 0 to 255, the same for all slices of a stack.

    Attributes
    ----------
    low, high : float
        What becomes 0 and 255; what is beyond is cut off.
    invert : bool
        Whether 0 and 255 change places in the end.
    note : str
        The rule in words; empty where nothing is changed.
    """

    low: float = 0.0
    high: float = 255.0
    invert: bool = False
    note: str = ""

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Convert one slice.

        Parameters
        ----------
        pixels : (y, x) array of numbers
            What is not finite becomes `low`.

        Returns
        -------
        (y, x) array of uint8

        Examples
        --------
        >>> GreyRule(-10, 10).apply(np.array([[-30, 0, 10]], np.int16)).tolist()
        [[0, 128, 255]]
        """
        if pixels.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return 255 - pixels if self.invert else pixels
        grey = np.asarray(pixels, np.float32 if pixels.dtype.itemsize < 4 else np.float64)
        if pixels.dtype.kind == "f":
            grey = np.where(np.isfinite(grey), grey, self.low)
        grey = np.clip((grey - self.low) * (255 / (self.high - self.low)), 0, 255)
        grey = np.floor(grey + 0.5).astype(np.uint8)
        return 255 - grey if self.invert else grey


def grey_rule(
    read: Callable[[int], np.ndarray],
    numbers: Sequence[int],
    dtype: np.dtype,
    grey_range: tuple[float, float] | None = None,
    invert: bool = False,
) -> GreyRule:
    """Find the rule for a stack.

    Parameters
    ----------
    read : callable
        Takes a slice number, returns its pixels, (y, x) array.
    numbers : sequence of int
        Slice numbers.
    dtype : dtype
        Of the pixels. uint8 stays as it is, unless a range is given.
    grey_range : (float, float), optional
        What becomes 0 and 255. By default the percentiles `PERCENTILES` over pixels of some
        slices, evenly spread.
    invert : bool
        For slices in which membranes are bright.

    Returns
    -------
    GreyRule

    Raises
    ------
    TypeError
        If the pixels are no grey levels.
    ValueError
        If the range is none, or all pixels are of one grey.
    """
    kind = np.dtype(dtype)
    inverted = " Then inverted: 0 and 255 change places." if invert else ""
    if kind.kind not in "uif":
        mask = " Two values are a mask, not a slice." if kind.kind == "b" else ""
        raise TypeError(
            f"slices are {kind}; allowed are whole numbers and floating-point numbers.{mask}"
        )
    if grey_range is not None:
        low, high = _checked_range(grey_range)
        note = f"Grey levels: {kind}; {low:g} becomes 0 and {high:g} becomes 255, as asked."
        return GreyRule(low, high, invert, note + inverted)
    if kind == np.uint8:
        return GreyRule(invert=invert, note=inverted.replace("Then inverted", "Inverted").strip())
    places = np.linspace(0, len(numbers) - 1, min(len(numbers), SAMPLED_SLICES))
    pixels, why = {}, None
    for number in [numbers[round(place)] for place in places]:
        try:
            pixels[number] = _some(read(number))
        except ValueError as error:  # It is reported when its turn comes, unless all are so.
            why = error
    if not pixels:
        raise why
    sampled = list(pixels)
    values = np.concatenate(list(pixels.values()))
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(f"slices {', '.join(map(str, sampled))} have no finite grey levels.")
    lost = 1 - finite.mean()
    values = values[finite]
    least, greatest = values.min(), values.max()
    inner = values
    limits = {0, np.iinfo(kind).min, np.iinfo(kind).max} if kind.kind in "ui" else {0}
    for end in limits & {least, greatest}:
        if np.mean(values == end) > PILE:
            inner = inner[inner != end]
    low, high = np.percentile(inner if inner.size else values, PERCENTILES)
    if not low < high:
        low, high = least, greatest
    if not low < high:
        raise ValueError(
            f"slices {', '.join(map(str, sampled))} have one grey level, {low:g}, everywhere. Is "
            "this the right data set or channel?"
        )
    note = (
        f"Grey levels: {kind}, {least:g} to {greatest:g} in {len(sampled)} sampled slices; {low:g} "
        f"becomes 0 and {high:g} becomes 255 ({PERCENTILES[0]:g} and {PERCENTILES[1]:g} % of their "
        "pixels, padding left out), the same for all slices. grey_range= sets another range."
    )
    if lost:
        note += f" {100 * lost:.2g} % of the pixels are not finite and become 0."
    return GreyRule(float(low), float(high), invert, note + inverted)


def _checked_range(grey_range) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in grey_range)
    except (TypeError, ValueError):
        low = high = 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"grey_range is {grey_range!r}; it must be two numbers, the first below the second: "
            "what becomes 0, and what becomes 255. For slices with bright membranes: invert=True."
        )
    return low, high


def _some(pixels: np.ndarray) -> np.ndarray:
    step = max(1, int(np.sqrt(pixels.size / SAMPLED_PIXELS)))
    return pixels[::step, ::step].ravel().astype(np.float64)


def shown_grey(picture: Picture, what: str, sample: int | None = None) -> np.ndarray:
    """Return the grey levels that a picture shows.

    Parameters
    ----------
    picture : Picture
        Where 0 is shown white, it is turned; a palette of greys is looked up; of colours that are
        all grey one is taken.
    what : str
        What to call it in messages.
    sample : int, optional
        Which colour to take of a coloured one.

    Returns
    -------
    (y, x) array

    Raises
    ------
    ValueError
        If it shows colours, and none was chosen.
    """
    pixels = picture.pixels
    if picture.palette is not None:
        used = picture.palette[: int(pixels.max(initial=0)) + 1]
        pixels = used[pixels]
    if pixels.ndim == 3 and sample is not None:
        return np.ascontiguousarray(pixels[..., sample])
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4):
        colours = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., :1]
        if (colours == colours[..., :1]).all():
            return np.ascontiguousarray(colours[..., 0])
    if pixels.ndim != 2:
        colour = " of a palette" if picture.palette is not None else ""
        raise ValueError(
            f"{what} is in colour{colour}, shape {pixels.shape}; slices are grey, (y, x). Take one "
            "channel of a colour picture: channel=0 is red. If it is a stack that tifffile wrote, "
            "write it with photometric='minisblack', or it counts as colour."
        )
    if picture.white_is_zero:
        if pixels.dtype.kind == "b":
            return ~pixels
        if pixels.dtype.kind == "u":
            return np.iinfo(pixels.dtype).max - pixels
        return -1 - pixels if pixels.dtype.kind == "i" else -pixels
    return pixels
