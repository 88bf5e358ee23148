"""Slices of a nucleus, taken in one by one and kept as shares of coarse cells."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral

import cv2
import numpy as np
import pandas as pd

from helpers.labels import Label, check_labels, check_length, check_mask
from helpers.masks import as_bytes

SIDES = (
    ("first slice", "last slice"),
    ("upper edge", "lower edge"),
    ("left edge", "right edge"),
)
MARGIN = 5
"""What is kept around the nucleus, in slices, and in cells of a slice distance; zero beyond."""


@dataclass(frozen=True)
class Grid:
    """How much of each cell is nucleus.

    Attributes
    ----------
    shares : (z, y, x) array of float32
        0 to 1.
    axes_um : tuple of three arrays of float
        Where the cells' centres lie, (z, y, x); slices need not be evenly spaced.
    cut : tuple of three (bool, bool)
        For each axis, whether the nucleus reaches the border of the stack at its low and high end.
    """

    shares: np.ndarray
    axes_um: tuple[np.ndarray, np.ndarray, np.ndarray]
    cut: tuple[tuple[bool, bool], ...]

    @property
    def spacing_um(self) -> np.ndarray:
        """Distance of neighbouring cells, (z, y, x); where slices are uneven, the usual one."""
        return np.array([np.median(np.diff(axis)) for axis in self.axes_um])

    @property
    def cut_sides(self) -> list[str]:
        """Names of the borders that the nucleus reaches."""
        pairs = zip(SIDES, self.cut, strict=True)
        return [name for names, ends in pairs for name, end in zip(names, ends, strict=True) if end]


class Coverage:
    """Keeps of each slice its area and, where there is nucleus, the shares of its cells.

    Parameters
    ----------
    voxel_nm : (float, float, float)
        (z, y, x). Cells are whole numbers of pixels, about as wide as the slice distance.
    """

    def __init__(self, voxel_nm: tuple[float, float, float]):
        self.voxel_nm = tuple(
            check_length(length, f"voxel_nm[{axis}]") for axis, length in enumerate(voxel_nm)
        )
        if len(self.voxel_nm) != 3:
            raise ValueError(f"voxel_nm is {voxel_nm}; it needs three lengths, (z, y, x).")
        depth, *pixel = self.voxel_nm
        self.cell_px = tuple(max(1, round(depth / side)) for side in pixel)
        self._shape: tuple[int, int] | None = None
        self._pixels: dict[int, int] = {}
        self._shares: dict[int, tuple[slice, slice, np.ndarray]] = {}
        self._box_px: np.ndarray | None = None  # ((low y, low x), (high y, high x)), exclusive

    def add(self, number: int, picture: np.ndarray) -> None:
        """Take in a slice; for parameters and errors see `helpers.volume.measures`."""
        if not isinstance(number, Integral):
            raise TypeError(f"slice number is {number!r}; it must be an integer, from 1.")
        number = int(number)
        if number < 1:
            raise ValueError(f"slice number is {number}; slices are numbered from 1.")
        if number in self._pixels:
            raise ValueError(f"slice {number} comes twice; give each slice once.")
        name = f"slice {number}"
        picture = np.asarray(picture)
        if picture.dtype == bool:
            mask = check_mask(picture, name, self._shape)
        else:
            mask = check_mask(check_labels(picture, name) == Label.NUCLEUS, name, self._shape)
        self._shape = mask.shape
        self._pixels[number] = cv2.countNonZero(as_bytes(mask))
        if self._pixels[number]:
            self._keep(number, mask)

    def _keep(self, number: int, mask: np.ndarray) -> None:
        x, y, width, height = cv2.boundingRect(as_bytes(mask))
        box = np.array([(y, x), (y + height, x + width)])
        if self._box_px is None:
            self._box_px = box
        self._box_px = np.array(
            [np.minimum(box[0], self._box_px[0]), np.maximum(box[1], self._box_px[1])]
        )
        first = box[0] // self.cell_px
        after = -(-box[1] // self.cell_px)
        window = tuple(
            slice(low * side, high * side)
            for low, high, side in zip(first, after, self.cell_px, strict=True)
        )
        crop = as_bytes(mask[window]) * 255
        # The last cells may reach beyond the slice: as if it went on as it ends.
        rows, columns = (after - first) * self.cell_px - crop.shape
        crop = cv2.copyMakeBorder(crop, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        shares = cv2.resize(
            crop, tuple((after - first)[::-1].tolist()), interpolation=cv2.INTER_AREA
        )
        self._shares[number] = (*map(slice, first, after), shares)

    @property
    def numbers(self) -> list[int]:
        """Slice numbers, in order."""
        return sorted(self._pixels)

    def areas(self) -> pd.DataFrame:
        """Return the area curve: slice, z_um, area_um2."""
        if not self._pixels:
            raise ValueError("there are no slices to measure; give at least one.")
        numbers = np.array(self.numbers)
        pixels = np.array([self._pixels[number] for number in self.numbers], dtype=float)
        return pd.DataFrame(
            {
                "slice": numbers,
                "z_um": self._z_um(numbers),
                "area_um2": pixels * self.voxel_nm[1] * self.voxel_nm[2] / 1e6,
            }
        )

    def grid(self) -> Grid:
        """Join the slices from the nucleus's first to its last, with a margin that is empty."""
        numbers, marked = self.numbers, sorted(self._shares)
        first, last = numbers.index(marked[0]), numbers.index(marked[-1])
        used = numbers[max(0, first - MARGIN) : last + MARGIN + 1]
        depth_nm = np.diff(used).max(initial=1) * self.voxel_nm[0]
        cell_nm = np.multiply(self.cell_px, self.voxel_nm[1:])
        margin = np.ceil(MARGIN * max(depth_nm, *cell_nm) / cell_nm).astype(int)
        count = -(-np.array(self._shape) // self.cell_px)
        low = np.maximum(0, self._box_px[0] // self.cell_px - margin)
        high = np.minimum(count, -(-self._box_px[1] // self.cell_px) + margin)
        shares = np.zeros((len(used), *(high - low)), np.float32)
        for place, number in enumerate(used):
            if number in self._shares:
                *window, cells = self._shares[number]
                shares[(place, *(_moved(w, by) for w, by in zip(window, low, strict=True)))] = cells
        shares /= 255
        plane = (
            ((np.arange(start, stop) + 0.5) * side - 0.5) * length / 1000
            for start, stop, side, length in zip(
                low, high, self.cell_px, self.voxel_nm[1:], strict=True
            )
        )
        return Grid(shares, (self._z_um(used), *plane), self._cut(numbers, marked))

    def _cut(self, numbers: list[int], marked: list[int]) -> tuple[tuple[bool, bool], ...]:
        (top, left), (bottom, right) = self._box_px.tolist()
        height, width = self._shape
        return (
            (marked[0] == numbers[0], marked[-1] == numbers[-1]),
            (top == 0, bottom == height),
            (left == 0, right == width),
        )

    def _z_um(self, numbers: Iterable[int]) -> np.ndarray:
        return (np.asarray(numbers) - 1) * self.voxel_nm[0] / 1000


def _moved(window: slice, by: int) -> slice:
    return slice(window.start - by, window.stop - by)
