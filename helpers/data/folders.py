"""Folders of slices: which files they are, which number each has, and what a picture file holds."""

import re
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
import tifffile
from PIL import Image, ImageMode

from helpers import tiffs

TIFF, PNG, JPEG, MATLAB, NUMPY = "TIFF", "PNG", "JPEG", "MATLAB", "NumPy"
DIGITAL_MICROGRAPH = "Digital Micrograph"
KINDS = {
    **dict.fromkeys((".tif", ".tiff"), TIFF),
    ".png": PNG,
    **dict.fromkeys((".jpg", ".jpeg"), JPEG),
    ".mat": MATLAB,
    ".npy": NUMPY,
    **dict.fromkeys((".dm3", ".dm4"), DIGITAL_MICROGRAPH),
}
"""What a file of one slice may be, by its ending."""

# What decoders raise on a damaged file: SyntaxError is Pillow's, RuntimeError imagecodecs'.
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, IndexError, KeyError, RuntimeError, TypeError),
    *(struct.error, EOFError, MemoryError, Image.DecompressionBombError),
    tifffile.TiffFileError,  # in old versions of tifffile not a ValueError
)
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Picture:
    """What a file holds of one slice.

    Attributes
    ----------
    pixels : (y, x) or (y, x, channel) array
        As they are stored.
    white_is_zero : bool
        Whether 0 is shown white (MINISWHITE).
    palette : (n, 3) array of uint8, optional
        Colour that is shown for each number.
    """

    pixels: np.ndarray
    white_is_zero: bool = False
    palette: np.ndarray | None = None


# --- which files, and which slice each is --------------------------------------------------------


def find_slices(folder: Path, pattern: str | None) -> tuple[dict[int, Path], list[str]]:
    """Find the files of a folder that are slices, and their numbers.

    Parameters
    ----------
    folder : Path
    pattern : str, optional
        Regular expression that finds the slice number, its only group, in a file's name without
        its ending; files in which it finds nothing are left out. By default the number is what
        differs from name to name.

    Returns
    -------
    files : dict of int to Path
        By slice number, ascending.
    notes : list of str
        What was left out.

    Raises
    ------
    ValueError
        If there are none, files of several kinds, two with one number, or names that leave it open
        which number counts.
    """
    # Names that begin with a dot are notes of the operating system, such as macOS's "._slice.tif".
    files = [
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in KINDS and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise ValueError(
            f"{folder} has no slices; allowed are files that end in {', '.join(KINDS)}."
        )
    numbers, others = _numbers_by(pattern, files) if pattern else (_numbers(folder, files), [])
    kinds = {KINDS[file.suffix.lower()] for file in numbers}
    if len(kinds) > 1:
        raise ValueError(
            f"{folder} has {' and '.join(sorted(kinds, reverse=True))} files; slices must be of "
            "one kind. Move the others away."
        )
    found: dict[int, Path] = {}
    for file, number in sorted(numbers.items(), key=lambda pair: (pair[1], pair[0].name)):
        if number in found:
            raise ValueError(
                f"{file} and {found[number].name} are both slice {number}; slices need numbers of "
                "their own. Move one of the files away, or give a pattern that finds one kind of "
                f"file, for instance pattern=r'{_pattern_of(file, _last_place(file))}'."
            )
        found[number] = file
    notes = []
    if others:
        notes.append(
            f"Left out, as {pattern!r} finds no number in their names: {others[0].name}"
            + (f" and {len(others) - 1} more." if len(others) > 1 else ".")
        )
    return dict(sorted(found.items())), notes


def _numbers_by(pattern: str, files: list[Path]) -> tuple[dict[Path, int], list[Path]]:
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern is {pattern!r}, no regular expression: {error}.") from error
    if wanted.groups != 1:
        raise ValueError(
            f"pattern is {pattern!r}, with {wanted.groups} groups; it needs one, around the slice "
            r"number, for instance r'slice_(\d+)'."
        )
    found = {file: wanted.search(file.stem) for file in files}
    numbers = {file: int(match[1]) for file, match in found.items() if match}
    if not numbers:
        raise ValueError(
            f"{files[0]} has no slice number that {pattern!r} finds, nor have the others; give a "
            r"pattern with one group, for instance r'slice_(\d+)'."
        )
    return numbers, [file for file in files if file not in numbers]


def _numbers(folder: Path, files: list[Path]) -> dict[Path, int]:
    """Take the number in which names differ, where nothing else could be meant."""
    if len(files) == 1:
        found = _NUMBER.findall(files[0].stem)
        return {files[0]: int(found[-1]) if found else 1}
    for file in files:
        if not _NUMBER.search(file.stem):
            raise ValueError(
                f"{file} has no number in its name, so that it is open which slice it is. Rename "
                r"it, move it away, or give a pattern, for instance pattern=r'slice_(\d+)'."
            )
    forms = Counter(_NUMBER.sub("#", file.stem) for file in files)
    if len(forms) > 1:
        last = {file: int(_NUMBER.findall(file.stem)[-1]) for file in files}
        if len(set(last.values())) < len(files):
            return last  # two files with one number: the caller names them
        (often, _), (seldom, _) = forms.most_common(2)
        example = next(file for file in files if _NUMBER.sub("#", file.stem) == often)
        raise ValueError(
            f"{folder} has names of {len(forms)} kinds, such as {often} ({forms[often]} files) and "
            f"{seldom} ({forms[seldom]}); which are the slices? Move the others away, or give a "
            f"pattern, for instance pattern=r'{_pattern_of(example, _last_place(example))}'."
        )
    columns = list(zip(*(map(int, _NUMBER.findall(file.stem)) for file in files), strict=True))
    differ = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(differ) > 1:
        patterns = [f"pattern=r'{_pattern_of(files[0], place)}'" for place in differ]
        raise ValueError(
            f"names such as {files[0].name} and {files[1].name} differ in {len(differ)} numbers; "
            f"which is the slice's? Give {' or '.join(patterns)}."
        )
    # Names that differ in no number, such as 1 and 01, are both that slice: the caller names them.
    place = differ[0] if differ else -1
    return dict(zip(files, columns[place], strict=True))


def _last_place(file: Path) -> int:
    return max(0, len(_NUMBER.findall(file.stem)) - 1)


def _pattern_of(file: Path, place: int) -> str:
    """Return a pattern that finds one of the numbers of a name, whatever the others are."""
    parts = re.split(r"([0-9]+)", file.stem)
    parts[0::2] = [re.escape(text).replace("\\ ", " ").replace("\\-", "-") for text in parts[0::2]]
    at = 2 * place + 1
    parts[1::2] = [r"\d+"] * len(parts[1::2])
    if at < len(parts):
        parts[at] = r"(\d+)"
    return "^" + "".join(parts)


# --- what is in a file ---------------------------------------------------------------------------


def read_picture(path: Path, page: int = 0, variable: str | None = None) -> Picture:
    """Read one slice from a file.

    Parameters
    ----------
    path : Path
        Its ending says what it is; see `KINDS`.
    page : int
        Of a TIFF.
    variable : str, optional
        Of a MATLAB file; needed if it has several two-dimensional ones.

    Returns
    -------
    Picture

    Raises
    ------
    Exception
        What the decoder raises, `UNREADABLE`, if the file is damaged.
    """
    kind = KINDS[path.suffix.lower()]
    if kind == TIFF:
        with tifffile.TiffFile(path) as tiff:
            if len(tiff.pages) == 1:  # A stack was checked when it was opened.
                tiffs.check_whole(tiff)
            found = tiff.pages[page]
            return _of_tiff(found.asarray(), found.keyframe)
    if kind in (PNG, JPEG):
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            return _of_pillow(picture)
    if kind == MATLAB:
        return Picture(read_matlab(path, variable, ndims=(2,)))
    if kind == NUMPY:
        return Picture(np.load(path, allow_pickle=False))
    from helpers.data.microscopes import read_micrograph

    return Picture(read_micrograph(path))


def picture_form(path: Path, page: int = 0, variable: str | None = None):
    """Return shape and type of a slice, from the file's header alone where that has them."""
    kind = KINDS[path.suffix.lower()]
    if kind == TIFF:
        with tifffile.TiffFile(path) as tiff:
            return moved_last(tiff.pages[page].shape), np.dtype(tiff.pages[page].dtype)
    if kind in (PNG, JPEG):
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            mode = ImageMode.getmode(picture.mode)
            channels = (len(mode.bands),) if len(mode.bands) > 1 else ()
            typestr = "<u2" if picture.mode.startswith("I") else mode.typestr
            return (picture.height, picture.width, *channels), np.dtype(typestr)
    if kind == NUMPY:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array.shape, array.dtype
    pixels = read_picture(path, page, variable).pixels
    return pixels.shape, pixels.dtype


def _of_tiff(pixels: np.ndarray, page) -> Picture:
    """Tell what the numbers of a TIFF's page are shown as."""
    if pixels.ndim == 3 and moved_last(pixels.shape) != pixels.shape:
        pixels = np.moveaxis(pixels, 0, -1)
    palette = None
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        palette = (np.asarray(page.colormap).T / 257).round().astype(np.uint8)
    return Picture(pixels, page.photometric == tifffile.PHOTOMETRIC.MINISWHITE, palette)


def moved_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a coloured page with its colours last, wherever the file has them."""
    if len(shape) == 3 and shape[0] in (3, 4) and shape[2] not in (3, 4):
        return (*shape[1:], shape[0])
    return shape


def _of_pillow(picture: Image.Image) -> Picture:
    if picture.mode == "P":
        colours = np.array(picture.getpalette("RGB"))
        return Picture(np.array(picture), palette=colours.reshape(-1, 3).astype(np.uint8))
    pixels = np.array(picture)
    # A PNG has 16 bits at most; older versions of Pillow open them as 32.
    return Picture(pixels.astype(np.uint16) if picture.mode.startswith("I") else pixels)


def count_pages(path: Path) -> tuple[int, int]:
    """Count the pages of a TIFF.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pages : int
        Without thumbnails: pages at most half as wide and high as the first.
    thumbnails : int

    Raises
    ------
    ValueError
        If it is no TIFF.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            shapes = [page.shape for page in tiff.pages]
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a TIFF: {error}.") from error
    small = sum(is_thumbnail(shape, shapes[0]) for shape in shapes[1:])
    return len(shapes) - small, small


def is_thumbnail(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Tell whether a page is a smaller picture of another one, by its shape."""
    return all(2 * side <= other for side, other in zip(shape[:2], whole[:2], strict=True))


def read_matlab(path: Path, variable: str | None, ndims: Iterable[int] = (2, 3)) -> np.ndarray:
    """Read a variable of a MATLAB file, version 5 or 7.3.

    Parameters
    ----------
    path : Path
    variable : str, optional
        Needed if it has several arrays.
    ndims : iterable of int
        How many dimensions count.

    Returns
    -------
    array
        In MATLAB's order: rows, columns, and then the slices of a stack.

    Raises
    ------
    ValueError
        If it is open which variable is meant.
    ModuleNotFoundError
        If it is of version 7.3 and h5py is not installed.
    """
    try:
        content = scipy.io.loadmat(path)
    except NotImplementedError:  # SciPy raises it for version 7.3, which is HDF5.
        content = _read_matlab_73(path)
    arrays = {
        name: value
        for name, value in content.items()
        if not name.startswith(("__", "#")) and np.ndim(value) in ndims and np.size(value) > 1
    }
    if variable is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if variable not in arrays:
        names = ", ".join(arrays) or "none"
        which = "two-dimensional ones" if tuple(ndims) == (2,) else "arrays"
        raise ValueError(f"variable is {variable!r}; {which} are: {names}")
    return arrays[variable]


def _read_matlab_73(path: Path) -> dict[str, np.ndarray]:
    from helpers.data.microscopes import needed

    h5py = needed("h5py", "MATLAB files of version 7.3")
    with h5py.File(path) as file:
        # HDF5 has the dimensions in the reverse of MATLAB's order.
        return {
            name: each[()].T
            for name, each in file.items()
            if isinstance(each, h5py.Dataset) and each.dtype.kind in "buif"
        }
