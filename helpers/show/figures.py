"""Figures of slices, outlines and comparisons, all in one style."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from helpers.labels import colourise

Colour = tuple[int, int, int]
STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "font.size": 11,
    "axes.titlesize": 12,
    "legend.fontsize": 11,
    "legend.frameon": False,
}
NOTE_SIZE_PT = 9
# Height a figure gains with each, so that its panels keep their size.
NOTE_LINE_IN, KEY_IN = 0.17, 0.3

# Okabe and Ito's colours, safe in colour blindness; those that stand out most on grey first.
OUTLINE_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
)
COMPARE_COLOURS: dict[str, Colour] = {
    "true positive": (86, 180, 233),
    "false positive": (213, 94, 0),
    "false negative": (240, 228, 66),
}
# What is right is a light tint, what is wrong nearly opaque: errors are often thin lines.
COMPARE_ALPHA = {"true positive": 0.3, "false positive": 0.85, "false negative": 0.85}


def subplots(*args, source: str | None = None, **kwargs):
    """Make a figure and its axes as `matplotlib.pyplot.subplots` does, in the book's style.

    The figure is shown where it is the last line of a cell, and nowhere else.

    Parameters
    ----------
    *args, **kwargs
        As for `matplotlib.pyplot.subplots`.
    source : str, optional
        What the figure was made from, in a small line below it; for example
        ``"Source: sample; profile: quick"``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : Axes or array of Axes
    """
    # Made through pyplot, so that a notebook can display it; closed, so that it does so only once.
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(*args, **kwargs)
    plt.close(figure)
    if source is not None:
        _add_source(figure, source)
    return figure, axes


def row(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    kind: str | Sequence[str] = "image",
    pixel_size_nm: float | None = None,
    columns: int | None = None,
    width_in: float = 7.5,
    key: Mapping[str, Colour] | None = None,
    source: str | None = None,
) -> Figure:
    """Show images side by side, or in a grid.

    Parameters
    ----------
    images : sequence of (y, x) or (y, x, 3) arrays
        Grey or RGB images of uint8, masks, or label maps.
    titles : sequence of str
        One an image.
    kind : {"image", "labels"} or a sequence of these
        Label maps (uint8, 1 to 4) are painted in the paper's colours.
    pixel_size_nm : float, optional
        Size of a pixel of the first image, which then gets a scale bar in µm.
    columns : int, optional
        Images in a row; by default all of up to three, else two of four and three of more.
    width_in : float
        Width of the figure in inches.
    key : mapping of str to (red, green, blue), 0 to 255, optional
        Colours to name above the panels, such as `COMPARE_COLOURS`.
    source : str, optional
        As for `subplots`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are no images, or the numbers of images, titles and kinds differ.
    """
    kinds = [kind] * len(images) if isinstance(kind, str) else list(kind)
    if not len(images) or not len(images) == len(titles) == len(kinds):
        raise ValueError(
            f"There are {len(images)} images, {len(titles)} titles and {len(kinds)} kinds; "
            "give one title and one kind for each of at least one image."
        )
    if not set(kinds) <= {"image", "labels"}:
        raise ValueError(f"kind is {kind!r}; allowed are 'image' and 'labels'.")
    columns = min(len(images), columns or (2 if len(images) == 4 else 3))
    rows = math.ceil(len(images) / columns)
    height, width = images[0].shape[:2]
    panel_in = width_in / columns
    size_in = (width_in, rows * (panel_in * height / width + 0.35))
    figure, axes = subplots(rows, columns, figsize=size_in, squeeze=False, source=source)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, image, title, of in zip(axes.flat, images, titles, kinds, strict=False):
        axis.set_title(title)
        if of == "labels":
            axis.imshow(colourise(image), interpolation="nearest")
        elif image.dtype == np.uint8:
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        else:
            axis.imshow(image, cmap="gray")
    if pixel_size_nm is not None:
        _add_scale_bar(axes.flat[0], width, pixel_size_nm)
    if key is not None:
        _add_key(figure, key)
    return figure


def outline(image: np.ndarray, masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draw the outlines of masks on a slice, each in its own colour.

    Parameters
    ----------
    image : (y, x) array of uint8
    masks : mapping of str to (y, x) array of bool
        Take `OUTLINE_COLOURS` in order; a key is ``dict(zip(masks, OUTLINE_COLOURS))``.

    Returns
    -------
    (y, x, 3) array of uint8

    Raises
    ------
    ValueError
        If the shapes differ, or there are more masks than colours.
    """
    if len(masks) > len(OUTLINE_COLOURS):
        raise ValueError(
            f"There are {len(masks)} masks and only {len(OUTLINE_COLOURS)} colours; "
            "draw them on more than one image."
        )
    rgb = _to_rgb(image)
    # Wide enough to be seen when the slice is one of three panels in a column of text.
    reach_px = max(1, round(max(image.shape) / 360))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    for (name, mask), colour in zip(masks.items(), OUTLINE_COLOURS, strict=False):
        mask = _checked(mask, image, name).astype(np.uint8)
        rgb[cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, disk) > 0] = colour
    return rgb


def overlay(image: np.ndarray, labels: np.ndarray, alpha: float = 0.35) -> np.ndarray:
    """Tint the parts of a slice that a mask or a label map marks.

    Parameters
    ----------
    image : (y, x) array of uint8
    labels : (y, x) array
        A mask (bool: one colour), a map of the four classes (uint8: the paper's colours), or
        numbered regions such as superpixels (another integer type: colours in turn, so that two
        regions may share one). 0 is not tinted.
    alpha : float
        Strength, 0 (slice only) to 1 (colour only).

    Returns
    -------
    (y, x, 3) array of uint8

    Raises
    ------
    ValueError
        If the shapes differ, the labels are not of one of these types, or `alpha` is out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; it must be from 0 to 1.")
    labels = _checked(labels, image, "labels")
    if labels.dtype == np.uint8:
        colours = colourise(labels)
    elif labels.dtype == bool or np.issubdtype(labels.dtype, np.integer):
        table = np.array(OUTLINE_COLOURS, dtype=np.uint8)
        colours = table[(labels.astype(np.int64) - 1) % len(table)]
    else:
        raise ValueError(f"labels are of type {labels.dtype}; they must be bool or integers.")
    return _tint(_to_rgb(image), labels != 0, colours, alpha)


def compare(image: np.ndarray, result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Paint where a result agrees with the ground truth, and where it does not.

    Parameters
    ----------
    image : (y, x) array of uint8
    result, truth : (y, x) arrays of bool

    Returns
    -------
    (y, x, 3) array of uint8
        True positives, false positives and false negatives in `COMPARE_COLOURS`, which is also
        a key for `row`; true negatives stay grey.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    result = _checked(result, image, "result").astype(bool)
    truth = _checked(truth, image, "truth").astype(bool)
    where = {
        "true positive": result & truth,
        "false positive": result & ~truth,
        "false negative": ~result & truth,
    }
    rgb = _to_rgb(image)
    for name, colour in COMPARE_COLOURS.items():
        rgb = _tint(rgb, where[name], np.array(colour), COMPARE_ALPHA[name])
    return rgb


def shrunk(image: np.ndarray, longest_px: int) -> np.ndarray:
    """Shrink a slice until its longer side has so many pixels; smaller ones stay as they are.

    Parameters
    ----------
    image : (y, x) array of uint8
    longest_px : int

    Returns
    -------
    (y, x) array of uint8
        Means over areas.
    """
    scale = min(1.0, longest_px / max(image.shape))
    size = tuple(max(1, round(side * scale)) for side in image.shape[::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def square_around(
    center: tuple[float, float], width_um: float, *, shape: tuple[int, int], pixel_size_nm: float
) -> tuple[slice, slice]:
    """Return the rows and columns of a square, moved to lie inside the slice.

    Parameters
    ----------
    center : (float, float)
        Row and column, in pixels.
    width_um : float
        Side in micrometres; cut to the shorter side of the slice.
    shape : (int, int)
        Rows and columns of the slice.
    pixel_size_nm : float
        In nanometres.

    Returns
    -------
    tuple of slice
        To index an image with.

    Raises
    ------
    ValueError
        If the square has no pixel.

    Examples
    --------
    >>> square_around((3, 50), 0.2, shape=(100, 100), pixel_size_nm=10)
    (slice(0, 20, None), slice(40, 60, None))
    """
    half = min(int(width_um * 500 / pixel_size_nm), min(shape) // 2)
    if half < 1:
        raise ValueError(
            f"a square of {width_um:g} µm has no pixel of {pixel_size_nm:g} nm; make it wider."
        )
    places = (int(np.clip(at, half, side - half)) for at, side in zip(center, shape, strict=True))
    rows, columns = (slice(at - half, at + half) for at in places)
    return rows, columns


def thicken(mask: np.ndarray, shown_px: int = 1000) -> np.ndarray:
    """Draw lines of one pixel wide enough to be seen in a reduced picture.

    Parameters
    ----------
    mask : (y, x) array of bool
    shown_px : int
        Height of the picture on the page. Lines become about two of its pixels wide.

    Returns
    -------
    (y, x) array of bool
    """
    size = 1 + 2 * round(mask.shape[0] / shown_px)
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def nothing_to_draw(reason: str, *, source: str | None = None) -> Figure:
    """Say in place of a figure why there is none.

    Parameters
    ----------
    reason : str
    source : str, optional
        As for `subplots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    lines = textwrap.wrap(reason, 75)
    figure, axes = subplots(figsize=(7.5, 0.5 + 0.25 * len(lines)), source=source)
    axes.set_axis_off()
    axes.text(0.5, 0.5, "\n".join(lines), ha="center", va="center")
    return figure


def _add_key(figure: Figure, colours: Mapping[str, Colour]) -> None:
    patches = [Patch(color=np.array(rgb) / 255, label=name) for name, rgb in colours.items()]
    figure.set_figheight(figure.get_figheight() + KEY_IN)
    with plt.rc_context(STYLE):
        figure.legend(handles=patches, loc="outside upper center", ncols=len(patches))


def _add_source(figure: Figure, text: str) -> None:
    # The layout leaves room for this label, which it would not for free text.
    letters = int(figure.get_figwidth() * 72 / (0.55 * NOTE_SIZE_PT))
    lines = textwrap.fill(text, width=letters)
    figure.set_figheight(figure.get_figheight() + NOTE_LINE_IN * len(lines.splitlines()))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=NOTE_SIZE_PT, color="0.35")


def _add_scale_bar(axis, width_px: int, pixel_size_nm: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten, at most a quarter of the width."""
    longest_um = width_px * pixel_size_nm / 1000 / 4
    power = 10.0 ** math.floor(math.log10(longest_um))
    length_um = max(step * power for step in (1, 2, 5) if step * power <= longest_um)
    bar = AnchoredSizeBar(
        axis.transData,
        length_um * 1000 / pixel_size_nm,
        f"{length_um:g} µm",
        loc="lower right",
        size_vertical=width_px / 100,
        fill_bar=True,
        borderpad=0.5,
    )
    bar.patch.set(facecolor="white", alpha=0.8, edgecolor="none")
    axis.add_artist(bar)


def _to_rgb(image: np.ndarray) -> np.ndarray:
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(
            f"image is of type {image.dtype} with shape {image.shape}; it must be uint8, (y, x)."
        )
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def _checked(mask: np.ndarray, image: np.ndarray, name: str) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.shape != image.shape:
        raise ValueError(f"{name} has shape {mask.shape}; the image has {image.shape}.")
    return mask


def _tint(rgb: np.ndarray, where: np.ndarray, colours: np.ndarray, alpha: float) -> np.ndarray:
    colours = np.broadcast_to(colours, rgb.shape).astype(np.uint8)
    mixed = cv2.addWeighted(rgb, 1 - alpha, colours, alpha, 0)
    return cv2.copyTo(mixed, where.astype(np.uint8), rgb)
