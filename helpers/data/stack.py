"""What a stack is: slices of one cell with their ground truth, read one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from helpers import settings

DOUBTFUL = "Doubtful:"
"""How a note begins that makes a result doubtful."""

Reader = Callable[[int], np.ndarray | None]


def _nothing(_number: int) -> None:
    return None


@dataclass(frozen=True)
class Stack:
    """Slices of one cell, read one at a time when they are asked for.

    Attributes
    ----------
    name : str
        What the stack shows.
    source : str
        ``phantom``, ``sample``, ``full``, ``other`` (another cell of the field) or ``own``.
    slice_numbers : tuple of int
        Ascending. Those of the paper's cell are the paper's, from 1; one's own slices keep their
        numbers, and may begin with 0. The sample has gaps.
    shape : (int, int)
        Size of a slice, (y, x), in pixels.
    voxel_nm : (float, float, float)
        Slice distance and pixel size, (z, y, x), in nanometres.
    licence, citation : str
    native_shapes : dict of int to (int, int)
        Pixels (y, x) that the source has of a slice, where that differs from `shape`.
    notes : tuple of str
        What was done to the slices on their way in, such as how grey levels were converted; what
        may be wrong begins with `DOUBTFUL`.
    """

    name: str
    source: str
    slice_numbers: tuple[int, ...]
    shape: tuple[int, int]
    voxel_nm: tuple[float, float, float]
    licence: str
    citation: str
    _image: Reader = field(repr=False)
    _labels: Reader = field(default=_nothing, repr=False)
    _nuclei: Reader = field(default=_nothing, repr=False)
    native_shapes: dict[int, tuple[int, int]] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.slice_numbers)

    @property
    def pixel_size_nm(self) -> float:
        """Side of a pixel in nanometres."""
        return self.voxel_nm[1]

    def image(self, number: int) -> np.ndarray:
        """Read a slice.

        Parameters
        ----------
        number : int
            One of `slice_numbers`.

        Returns
        -------
        (y, x) array of uint8

        Raises
        ------
        ValueError
            If the stack does not have that slice, or it is not what the others are.
        helpers.data.DataError
            If a file is needed that cannot be had.
        """
        image = np.asarray(self._image(self._check(number)))
        if image.dtype != np.uint8 or image.shape != self.shape:
            raise ValueError(
                f"slice {number} of {self.name} is {image.dtype} {image.shape}; "
                f"expected uint8 {self.shape}."
            )
        return image

    def labels(self, number: int) -> np.ndarray | None:
        """Read the ground truth of a slice: four classes, of which one nucleus.

        Parameters
        ----------
        number : int
            One of `slice_numbers`.

        Returns
        -------
        (y, x) array of uint8, or None
            Numbers of `helpers.labels.Label`; None where the stack has no ground truth.

        Raises
        ------
        ValueError, helpers.data.DataError
            As `image`.
        """
        return self._labels(self._check(number))

    def nuclei(self, number: int) -> np.ndarray | None:
        """Read the ground truth that also labels the neighbouring cells' nuclei.

        Parameters
        ----------
        number : int
            One of `slice_numbers`.

        Returns
        -------
        (y, x) array of uint8, or None
            As `labels`.

        Raises
        ------
        ValueError, helpers.data.DataError
            As `image`.
        """
        return self._nuclei(self._check(number))

    @property
    def example(self) -> int:
        """Number of the slice that chapters show: 170 of the paper's cell, else the middle one."""
        if self.source in ("sample", "full"):
            return self.nearest(170)
        return self.slice_numbers[len(self) // 2]

    def some(self, count: int) -> tuple[int, ...]:
        """Choose slices evenly from first to last.

        Parameters
        ----------
        count : int
            How many, at least 1; all where the stack has no more.

        Returns
        -------
        tuple of int
        """
        places = np.linspace(0, len(self) - 1, min(count, len(self)))
        return tuple(self.slice_numbers[round(place)] for place in places)

    def nearest(self, number: int) -> int:
        """Return the slice number of the stack that is nearest to a wanted one.

        Parameters
        ----------
        number : int

        Returns
        -------
        int
        """
        return min(self.slice_numbers, key=lambda have: (abs(have - number), have))

    def table(self) -> pd.DataFrame:
        """List the slices.

        Returns
        -------
        DataFrame
            A row a slice: number, height above slice 1 (or 0, if there is one) in micrometres,
            native size in pixels (x, y), and the longer side of a native pixel in nanometres.
        """
        rows = []
        lowest = min(1, self.slice_numbers[0])
        for number in self.slice_numbers:
            height, width = self.native_shapes.get(number, self.shape)
            rows.append(
                {
                    "slice": number,
                    "z (µm)": (number - lowest) * self.voxel_nm[0] / 1000,
                    "native size (px)": f"{width} x {height}",
                    "native pixel (nm)": round(
                        max(
                            self.voxel_nm[1] * self.shape[0] / height,
                            self.voxel_nm[2] * self.shape[1] / width,
                        ),
                        1,
                    ),
                }
            )
        return pd.DataFrame(rows).set_index("slice")

    def note(self) -> str:
        """Say where pictures and numbers come from, for captions and tables.

        Returns
        -------
        str
            Source, stack and profile.
        """
        profile = settings.current().profile
        trial = " (a trial run: not a result)" if profile == "smoke" else ""
        return f"Source: {self.source}, {self.name}. Profile: {profile}{trial}."

    def _check(self, number: int) -> int:
        if number not in self.slice_numbers:
            numbers = self.slice_numbers
            some = (
                f"{numbers[0]} to {numbers[-1]}"
                if numbers == tuple(range(numbers[0], numbers[-1] + 1))
                else ", ".join(map(str, numbers))
            )
            raise ValueError(f"{self.name} has no slice {number}; it has {some}.")
        return int(number)
