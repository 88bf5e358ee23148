"""Opens a reader's own slices as a `Stack`."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from PIL import ImageMode
from PIL.PngImagePlugin import PngImageFile

from helpers.data.stack import Stack
from helpers.labels import Label

_ENDINGS = (".tif", ".tiff", ".png")
# What decoders raise on a damaged file: SyntaxError is Pillow's, RuntimeError imagecodecs'.
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, IndexError, RuntimeError),
    tifffile.TiffFileError,  # in old versions of tifffile not a ValueError
)


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
        and are numbered from 1 in that order. Files are read one slice at a time, when it is
        asked for; opening reads the first slice and the others' headers.
    voxel_nm : (float, float, float)
        Slice distance and pixel size, (z, y, x), in nanometres.
    labels : path or (z, y, x) array of uint8, optional
        Ground truth of the same form, with the numbers of `helpers.labels.Label`, and 0 for what
        is not labelled. Other numbers are reported when their slice is read.
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
        If slices or labels are not uint8.
    ValueError
        If they are not grey or not all of one size, if there are none, if a file cannot be read,
        if a folder leaves it open which files are the slices, if labels and slices differ in
        number or size, or if `voxel_nm` is not three positive numbers.

    Examples
    --------
    >>> cell = open_stack(np.zeros((3, 20, 30), np.uint8), voxel_nm=(50, 10, 10))
    >>> cell.slice_numbers, cell.image(3).shape
    ((1, 2, 3), (20, 30))
    """
    slices = _Slices(where, "slice")
    truth = None if labels is None else _Slices(labels, "labels of slice")
    if truth is not None and (len(truth), truth.shape) != (len(slices), slices.shape):
        raise ValueError(
            f"labels are {len(truth)} slices of {truth.shape}, the stack {len(slices)} of "
            f"{slices.shape}; they must agree."
        )
    readers = {} if truth is None else {"_labels": truth.read_labels}
    return Stack(
        name=name,
        source="own",
        slice_numbers=tuple(range(1, len(slices) + 1)),
        shape=slices.shape,
        voxel_nm=_checked_voxel(voxel_nm),
        licence=licence,
        citation=citation,
        _image=slices.read,
        **readers,
    )


def _checked_voxel(voxel_nm: Sequence[float]) -> tuple[float, float, float]:
    try:
        z, y, x = (float(side) for side in voxel_nm)
    except (TypeError, ValueError):
        z = y = x = 0.0
    if not all(0 < side < float("inf") for side in (z, y, x)):
        raise ValueError(
            f"voxel_nm is {voxel_nm!r}; it must be three positive numbers (z, y, x) in nanometres."
        )
    return z, y, x


class _Slices:
    """Slices in a folder, a file or memory, read by number from 1."""

    def __init__(self, where: str | Path | np.ndarray, what: str):
        self._what = what
        self._array: np.ndarray | None = None
        self._pages: list[tuple[Path, int]] = []
        if isinstance(where, (str, Path)):
            path = Path(where).expanduser()
            if path.is_file() and path.suffix.lower() not in _ENDINGS:
                raise ValueError(
                    f"{path} is no {', '.join(_ENDINGS)} file, nor a folder of such files."
                )
            self._array = _map_one_page_stack(path)
            self._pages = [] if self._array is not None else _find_pages(path)
        else:
            self._array = np.asarray(where)
            if self._array.ndim != 3:
                raise ValueError(
                    f"the array has shape {self._array.shape}; give (z, y, x). "
                    "For one slice use image[np.newaxis]."
                )
        if not len(self) or (self._array is not None and not self._array.size):
            raise ValueError(f"there is no {what}; give at least one, of at least one pixel.")
        first = self.read(1)
        for number in range(1, len(self) + 1):
            shape, dtype = (first.shape, first.dtype) if number == 1 else self._form(number)
            self._check(number, shape, dtype, first.shape)
        self.shape: tuple[int, int] = first.shape

    def _check(self, number: int, shape: tuple[int, ...], dtype, shape_of_first) -> None:
        if dtype != np.uint8:
            raise TypeError(
                f"{self._what} {number} is {dtype}; allowed is uint8, whole numbers 0 to 255. "
                "Convert it first; for grey levels: skimage.exposure.rescale_intensity."
            )
        if len(shape) != 2:
            raise ValueError(
                f"{self._what} {number} has shape {shape}; allowed are grey pictures (y, x). "
                "Take one channel of a colour picture. If it is a stack that tifffile wrote, write "
                "it with photometric='minisblack', or it counts as colour."
            )
        if shape != shape_of_first:
            raise ValueError(
                f"{self._what} {number} is {shape}, {self._what} 1 {shape_of_first}; all "
                "must have one size. Crop or pad them first."
            )

    def __len__(self) -> int:
        return len(self._pages) if self._array is None else len(self._array)

    def read(self, number: int) -> np.ndarray:
        if self._array is not None:
            return np.asarray(self._array[number - 1])
        path, page = self._pages[number - 1]
        try:
            if _is_png(path):
                with PngImageFile(path) as picture:
                    return np.array(_not_palette(picture))
            return tifffile.imread(path, key=page)
        except _UNREADABLE as error:
            raise self._unreadable(number, error) from error

    def read_labels(self, number: int) -> np.ndarray:
        labels = self.read(number)
        if labels.max() > max(Label):
            raise ValueError(
                f"{self._what} {number} go up to {labels.max()}; allowed are "
                f"{', '.join(f'{label.value} {label.title}' for label in Label)}, "
                "and 0 for what is not labelled."
            )
        return labels

    def _form(self, number: int) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and type of a slice, from the file's header alone."""
        if self._array is not None:
            return self._array.shape[1:], self._array.dtype
        path, page = self._pages[number - 1]
        try:
            if _is_png(path):
                with PngImageFile(path) as picture:
                    mode = ImageMode.getmode(_not_palette(picture).mode)
                    channels = (len(mode.bands),) if len(mode.bands) > 1 else ()
                    return (picture.height, picture.width, *channels), np.dtype(mode.typestr)
            with tifffile.TiffFile(path) as tiff:
                return tiff.pages[page].shape, tiff.pages[page].dtype
        except _UNREADABLE as error:
            raise self._unreadable(number, error) from error

    def _unreadable(self, number: int, error: Exception) -> ValueError:
        path, _page = self._pages[number - 1]
        return ValueError(
            f"{self._what} {number}, {path}, cannot be read: {error}. "
            "Replace the file, or take it out of the folder."
        )


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def _not_palette(picture: PngImageFile) -> PngImageFile:
    if picture.mode == "P":
        raise ValueError("its pixels are numbers of a palette's colours; save it as a grey picture")
    return picture


def _count_pages(path: Path) -> int:
    try:
        with tifffile.TiffFile(path) as tiff:
            return len(tiff.pages)
    except _UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a TIFF: {error}.") from error


def _map_one_page_stack(path: Path) -> np.ndarray | None:
    """Open a TIFF that names one page and has a stack after it, as ImageJ writes above 4 GB."""
    if not path.is_file() or _is_png(path) or _count_pages(path) != 1:
        return None
    with tifffile.TiffFile(path) as tiff:
        is_stack = tiff.pages[0].ndim == 2 and tiff.series[0].ndim == 3
    return tifffile.memmap(path, mode="r") if is_stack else None


def _find_pages(path: Path) -> list[tuple[Path, int]]:
    """List the slices of a folder or file as (file, page)."""
    if path.is_dir():
        return [(file, 0) for file in _find_files(path)]
    if not path.is_file():
        raise FileNotFoundError(f"there is no file or folder {path}.")
    if _is_png(path):
        return [(path, 0)]
    return [(path, page) for page in range(_count_pages(path))]


def _find_files(folder: Path) -> list[Path]:
    # Names that begin with a dot are notes of the operating system, such as macOS's "._slice.tif".
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _ENDINGS and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise ValueError(
            f"{folder} has no slices; allowed are files that end in {', '.join(_ENDINGS)}."
        )
    if len({_is_png(file) for file in files}) > 1:
        raise ValueError(
            f"{folder} has TIFF and PNG files; slices must be of one kind. Move the others away."
        )
    for file in files:
        pages = 1 if _is_png(file) else _count_pages(file)
        if pages != 1:
            raise ValueError(
                f"{file} has {pages} pages; in a folder a file is one slice. "
                "Open that file by itself, or split it."
            )
    return sorted(files, key=_by_number)


def _by_number(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key that puts slice_2 before slice_10; the name decides between slice_2 and slice_02."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if at % 2 else (-1, part) for at, part in enumerate(parts)], path.name
