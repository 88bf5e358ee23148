"""Real slices of the paper's cell, recovered from the authors' published figures.

The figures show whole slices under a coloured overlay.
The overlay is in the green channel alone, so the red channel is the slice.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from helpers.data import files
from helpers.settings import check_choice

SHAPE = (2000, 2000)
"""Size of a slice of the paper's cell, (y, x)."""

_FIGURES = "hela-unet2/CODE/Figures/"
_PANEL_FIGURE = _FIGURES + "Hela_segmentation_multinuclei_accuracy_2022_03_03_135000_{}.png"
_WHOLE_FIGURE = _FIGURES + "Hela_{}_segmentation_multinuclei.png"

# Rows, and columns of panels (a) to (d), that show the slice, and how many more the frame around
# it covers (before, after): its line is three pixels wide, centred on the slice's border.
# Checked by aligning panel (a)'s overlay with the published ground truth and, separately, slice
# 170 in this figure with slice 170 in its own: both give the same to a tenth of a pixel.
# Without what the frame covers, a slice is stretched by 0.6 %, up to five pixels.
_PANEL_ROWS = slice(107, 837)
_PANEL_COLUMNS = {
    "a": slice(33, 768),
    "b": slice(819, 1554),
    "c": slice(1605, 2340),
    "d": slice(2391, 3125),
}
PANEL_SLICES = (48, 71, 82, 118, 121, 151, 170, 215, 251)
"""Slices that an eight-panel figure shows, with the authors' own results."""

_FRAME_ROWS = (2, 3)
_FRAME_COLUMNS = (2, 2)
_OVERLAY_LEVEL = 30


@dataclass(frozen=True)
class SampleSlice:
    """Where a slice of the sample comes from.

    Attributes
    ----------
    number : int
        The paper's slice number, from 1.
    figure : str
        Name of the file in `helpers.data.files`.
    native_shape : (int, int)
        Pixels (y, x) that the figure has of the slice, before it is brought to `SHAPE`.
    """

    number: int
    figure: str
    native_shape: tuple[int, int]

    @property
    def is_whole_figure(self) -> bool:
        """Whether the slice fills the figure, instead of one of eight panels."""
        return self.figure == _WHOLE_FIGURE.format(self.number)


def _sample_slices() -> dict[int, SampleSlice]:
    found = {}
    for number in sorted({*PANEL_SLICES, 170, 220, 260}):
        if number in (170, 220, 260):
            figure, shape = _WHOLE_FIGURE.format(number), (1750, 2333)
        else:
            figure, shape = panel_figure(number), (735, 739)
        found[number] = SampleSlice(number, figure, shape)
    return found


def panel_figure(number: int) -> str:
    """Name of the eight-panel figure that shows a slice.

    Parameters
    ----------
    number : int
        Slice number, one of `PANEL_SLICES`.

    Returns
    -------
    str
        Name for `helpers.data.files.fetch`.
    """
    if number == 121:
        return _FIGURES + "Hela_segmentation_multinuclei_accuracy_121.png"
    return _PANEL_FIGURE.format(number)


SAMPLE_SLICES: dict[int, SampleSlice] = _sample_slices()
"""The slices of the sample, by number."""


def recover_slice(path: Path, sample: SampleSlice) -> np.ndarray:
    """Read a slice from the figure that shows it.

    Parameters
    ----------
    path : Path
        The figure.
    sample : SampleSlice

    Returns
    -------
    (2000, 2000) array of uint8
        Resized with bicubic interpolation.

    Raises
    ------
    ValueError
        If the file is not the picture it should be.
    """
    red = _read_rgb(path)[..., 0]
    if not sample.is_whole_figure:
        red = _cut(red, "a")
    if red.shape != sample.native_shape:
        raise ValueError(
            f"{path} shows slice {sample.number} with {red.shape} pixels, not "
            f"{sample.native_shape}; delete the file and fetch it again."
        )
    return cv2.resize(red, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)


def authors_result(number: int, panel: str = "b") -> np.ndarray | None:
    """Nucleus that the authors' code found, recovered from their figure.

    The figures are of 2022 and show a later output of their image processing than the one behind
    the paper's curve (`helpers.results.load_published`): a little better in the middle of the cell,
    by .20 on slice 48 and by .14 on slice 251.

    Parameters
    ----------
    number : int
        Slice number.
    panel : {"b", "c", "d"}
        Their image processing, which looks for the central cell's nucleus; a later U-Net of
        theirs, which looks for all nuclei; the same after post-processing.

    Returns
    -------
    (2000, 2000) array of bool, or None
        None where no published figure shows that slice's result.

    Raises
    ------
    ValueError
        If there is no such panel.
    helpers.data.DataError
        If the figure cannot be had.
    """
    check_choice(panel, "panel", ("b", "c", "d"))
    if panel_figure(number) not in files.names():
        return None
    return read_overlay(files.fetch(panel_figure(number)), panel)


def read_overlay(path: Path, panel: str) -> np.ndarray:
    """Read a segmentation that an eight-panel figure draws over its slice.

    Parameters
    ----------
    path : Path
        The figure; see `panel_figure`.
    panel : {"a", "b", "c", "d"}
        (a) the ground truth's central nucleus, (b) the authors' image-processing result,
        (c) their U-Net, (d) the U-Net after post-processing.

    Returns
    -------
    (2000, 2000) array of bool

    Raises
    ------
    ValueError
        If there is no such panel, or the file is not a picture.
    """
    check_choice(panel, "panel", tuple(_PANEL_COLUMNS))
    rgb = _read_rgb(path).astype(np.int16)
    overlay = (rgb[..., 1] - rgb[..., 0] > _OVERLAY_LEVEL).astype(np.float32)
    overlay = _cut(overlay, panel)
    return cv2.resize(overlay, SHAPE[::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def _read_rgb(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} cannot be read as a picture; delete it and fetch it again.")
    return picture[..., ::-1]


def _cut(picture: np.ndarray, panel: str) -> np.ndarray:
    """Cut out a panel; what the frame hides repeats the last visible pixel."""
    inside = picture[_PANEL_ROWS, _PANEL_COLUMNS[panel]]
    return np.pad(inside, (_FRAME_ROWS, _FRAME_COLUMNS), mode="edge")
