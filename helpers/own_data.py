"""Opens a reader's own slices as a `Stack`."""

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile

from helpers.stack_type import Stack

_ENDINGS = (".tif", ".tiff", ".png")


def open_stack(
    where: str | Path | np.ndarray,
    *,
    voxel_nm: Sequence[float],
    labels: str | Path | np.ndarray | None = None,
    name: str = "own data",
    licence: str = "not stated",
    citation: str = "not stated",
) -> Stack:
    """Open your own slices: a folder of pictures, a multi-page TIFF, or an array.

    Parameters
    ----------
    where : path or (z, y, x) array of uint8
        A folder of TIFF or PNG slices, one file a slice, in the order of the numbers in their
        names; a TIFF with one page a slice; or an array. Slices are grey, uint8, of one size,
        and are numbered from 1 in that order. Files are read one slice at a time.
    voxel_nm : (float, float, float)
        Slice distance and pixel size, (z, y, x), in nanometres.
    labels : path or (z, y, x) array of uint8, optional
        Ground truth of the same form, with the numbers of `helpers.labels.Label`.
    name, licence, citation : str
        What `Stack` reports.

    Returns
    -------
    Stack

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    TypeError
        If the slices are not uint8.
    ValueError
        If they are not grey or not all of one size, if there are none, or if labels and slices
        differ in number or size.

    Examples
    --------
    >>> cell = open_stack(np.zeros((3, 20, 30), np.uint8), voxel_nm=(50, 10, 10))
    >>> cell.slice_numbers, cell.image(3).shape
    ((1, 2, 3), (20, 30))
    """
    voxel = tuple(float(side) for side in voxel_nm)
    if len(voxel) != 3 or not all(0 < side < float("inf") for side in voxel):
        raise ValueError(
            f"voxel_nm is {voxel_nm}; it must be three positive numbers (z, y, x) in nanometres."
        )
    slices = _Slices(where)
    truth = None if labels is None else _Slices(labels)
    if truth is not None and (len(truth), truth.shape) != (len(slices), slices.shape):
        raise ValueError(
            f"labels are {len(truth)} slices of {truth.shape}, the stack {len(slices)} of "
            f"{slices.shape}; they must agree."
        )
    readers = {} if truth is None else {"_labels": truth.read}
    return Stack(
        name=name,
        source="own",
        slice_numbers=tuple(range(1, len(slices) + 1)),
        shape=slices.shape,
        voxel_nm=voxel,
        licence=licence,
        citation=citation,
        _image=slices.read,
        **readers,
    )


class _Slices:
    """Slices in a folder, a file or memory, read by number from 1."""

    def __init__(self, where: str | Path | np.ndarray):
        self._array: np.ndarray | None = None
        self._pages: list[tuple[Path, int]] = []
        if isinstance(where, (str, Path)):
            self._pages = _find_pages(Path(where).expanduser())
        else:
            self._array = np.asarray(where)
            if self._array.ndim != 3:
                raise ValueError(
                    f"the array has shape {self._array.shape}; give (z, y, x). "
                    "For one slice use image[np.newaxis]."
                )
        if not len(self):
            raise ValueError("there are no slices; give at least one.")
        first = self.read(1)
        if first.dtype != np.uint8:
            raise TypeError(
                f"slices are {first.dtype}; allowed is uint8, grey levels 0 to 255. "
                "Rescale them first, for instance with skimage.exposure.rescale_intensity."
            )
        if first.ndim != 2:
            raise ValueError(
                f"a slice has shape {first.shape}; allowed are grey slices (y, x). "
                "Take one channel of a colour picture."
            )
        self.shape: tuple[int, int] = first.shape
        wrong = [n for n in range(2, len(self) + 1) if self._size(n) != self.shape]
        if wrong:
            raise ValueError(
                f"slice {wrong[0]} is {self._size(wrong[0])}, slice 1 {self.shape}; all slices "
                "must have one size. Crop or pad them first."
            )

    def __len__(self) -> int:
        return len(self._pages) if self._array is None else len(self._array)

    def read(self, number: int) -> np.ndarray:
        if self._array is not None:
            return self._array[number - 1]
        path, page = self._pages[number - 1]
        if path.suffix.lower() == ".png":
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if picture is None:
                raise ValueError(f"slice {number}, {path}, cannot be read as a picture.")
            return picture
        try:
            return tifffile.imread(path, key=page)
        except (tifffile.TiffFileError, ValueError, OSError) as error:
            raise ValueError(f"slice {number}, {path}, cannot be read: {error}") from error

    def _size(self, number: int) -> tuple[int, ...]:
        """Size of a slice; for TIFF from its header alone."""
        if self._array is not None:
            return self._array.shape[1:]
        path, page = self._pages[number - 1]
        if path.suffix.lower() == ".png":
            return self.read(number).shape
        with tifffile.TiffFile(path) as tiff:
            return tiff.pages[page].shape


def _find_pages(path: Path) -> list[tuple[Path, int]]:
    """List the slices of a folder or file as (file, page)."""
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in _ENDINGS]
        if not files:
            raise ValueError(
                f"{path} has no slices; allowed are files that end in {', '.join(_ENDINGS)}."
            )
        return [(file, 0) for file in sorted(files, key=_by_number)]
    if not path.is_file():
        raise FileNotFoundError(f"there is no file or folder {path}.")
    if path.suffix.lower() == ".png":
        return [(path, 0)]
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError(f"{path} is no {', '.join(_ENDINGS)} file, nor a folder of such.")
    try:
        with tifffile.TiffFile(path) as tiff:
            return [(path, page) for page in range(len(tiff.pages))]
    except (tifffile.TiffFileError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a TIFF: {error}") from error


def _by_number(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts slice_2 before slice_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
