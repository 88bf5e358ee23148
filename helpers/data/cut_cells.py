"""The thirty cells that the authors cut out of the field, as they published them: single TIFFs.

Source: the repository HeLa-Cell-Segmentation, folders ``Code/Hela_ROI_<number>_30_<row>_<column>_
<slice>``, published with Karabag et al., J. Imaging 7(6):93, 2021, doi 10.3390/jimaging7060093.
Which folders and files there are, and the hash that Git has of each, GitHub's interface tells at
the first use; that is kept, and later uses check the files by it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pooch
import tifffile

from helpers import settings
from helpers.data import figures, files
from helpers.data.download import LATER_REMEDY, PORTAL_REMEDY, DataError, fault_of_storage
from helpers.data.published import PAPER_VOXEL_NM
from helpers.data.stack import Stack
from helpers.settings import Settings

N_CELLS = 30
FOLDER = "hela-30-cells"
"""In the data folder, and on a mirror; in it ``cells.json``, and ``<cell>.json`` beside a folder
of slices for each cell."""

_REPOSITORY = "reyesaldasoro/HeLa-Cell-Segmentation"
_LISTING = f"https://api.github.com/repos/{_REPOSITORY}/contents/Code"
_RAW = f"https://raw.githubusercontent.com/{_REPOSITORY}/HEAD/Code"
_CELL = re.compile(r"Hela_ROI_(?P<number>\d+)_30_(?P<row>\d+)_(?P<column>\d+)_(?P<slice>\d+)")
_SLICE = re.compile(r"ROI_\d+_\d+_\d+_z(?P<number>\d{4})\.tif")

_LICENCE = "CC0 (EM images, EMPIAR)"
_CITATION = (
    "Karabag C, Jones ML, Reyes-Aldasoro CC. Volumetric semantic instance segmentation of the "
    "plasma membrane of HeLa cells. J. Imaging 7(6):93 (2021). doi 10.3390/jimaging7060093. "
    "EM: EMPIAR-10094."
)
_SMOOTHED = (
    "The authors' generate_ROI_Hela.m smooths a slice with a Gaussian of one pixel, cut off at "
    "3 x 3, before it cuts cells out: these are not the raw pixels."
)


def open_cut_cell(number: int) -> Stack:
    """Open one of the thirty cells that the authors found in the field and cut out.

    Each slice, about 4 MB, is downloaded when it is first asked for, and kept. Cells 1, 6, 15 and
    27 to 30 lie at the field's sides; the authors left them out of their results. Cell 23 or
    another may be one of `helpers.data.other_cells.CELLS` too: those were cut elsewhere.

    Parameters
    ----------
    number : int
        1 to 30, as the authors number them.

    Returns
    -------
    Stack
        Slices of 2000 x 2000 pixels of 10 nm, 50 nm apart, numbered from 1 within the box, with no
        ground truth. `Stack.name` has where in the field the cell's middle was found.

    Raises
    ------
    ValueError
        If there is no such cell.
    helpers.data.DataError
        If the list of its files cannot be had (GitHub answers 60 such questions an hour), or is
        not one; or, when it is read, a slice.
    """
    if number not in range(1, N_CELLS + 1):
        raise ValueError(f"cell is {number!r}; the authors cut out the cells 1 to {N_CELLS}.")
    chosen = settings.current()
    cells = {int(_CELL.fullmatch(name)["number"]): name for name in _listed(chosen, "cells", _CELL)}
    if number not in cells:
        raise DataError(
            f"{FOLDER}/cells.json",
            f"cell {number} is not in the list of the authors' repository",
            _begin_anew(chosen, "cells"),
        )
    cell = cells[number]
    slices = {
        int(_SLICE.fullmatch(name)["number"]): PublishedSlice(f"{FOLDER}/{cell}/{name}", sha1)
        for name, sha1 in _listed(chosen, cell, _SLICE).items()
    }
    place = _CELL.fullmatch(cell)
    return Stack(
        name=f"cell {number} of the thirty that the authors cut out of the field, its middle at "
        f"row {place['row']}, column {place['column']}, slice {place['slice']}",
        source="other",
        slice_numbers=tuple(sorted(slices)),
        shape=figures.SHAPE,
        voxel_nm=PAPER_VOXEL_NM,
        licence=_LICENCE,
        citation=_CITATION,
        _image=partial(_read, chosen, slices),
        notes=(_SMOOTHED,),
    )


@dataclass(frozen=True)
class PublishedSlice:
    """A slice on the server.

    Attributes
    ----------
    name : str
        In the data folder.
    sha1 : str
        That Git has of it: of its bytes, after a header that has their number.
    """

    name: str
    sha1: str


def git_hash(content: bytes) -> str:
    """Return the hash by which Git knows a file (gitformat-pack; ``git hash-object``).

    Examples
    --------
    >>> git_hash(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _read(chosen: Settings, slices: dict[int, PublishedSlice], number: int) -> np.ndarray:
    wanted = slices[number]
    url = f"{_RAW}/{wanted.name.removeprefix(FOLDER + '/')}"
    for _ in range(2):  # What is damaged, here or on its way, is worth one more try.
        path = _fetched(chosen, wanted.name, url)
        if _is(path, wanted):
            break
        _remove(path)
    else:
        listing = Path(wanted.name).parent.name
        reason = "what the server sent has not the hash that Git has of it"
        raise DataError(wanted.name, reason, f"{PORTAL_REMEDY} {_begin_anew(chosen, listing)}")
    try:
        return tifffile.imread(path)
    except Exception as error:  # Each codec has errors of its own.
        reason = f"it is what was published, but cannot be read as a picture ({error})"
        raise DataError(wanted.name, reason, "Report it to the authors of the book.") from error


def _is(path: Path, wanted: PublishedSlice) -> bool:
    try:
        return git_hash(path.read_bytes()) == wanted.sha1
    except OSError as error:
        raise DataError(wanted.name, *fault_of_storage(path, error)) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(path.name, *fault_of_storage(path, error)) from error


def _listed(chosen: Settings, folder: str, form: re.Pattern) -> dict[str, str]:
    """Return the entries of a folder whose names have that form, with the hash Git has of each.

    `folder` is the name of a cell's, or ``cells`` for the one that has them.
    """
    name = f"{FOLDER}/{folder}.json"
    path = _fetched(chosen, name, _LISTING if folder == "cells" else f"{_LISTING}/{folder}")
    try:
        found = dict(_entries(json.loads(path.read_text(encoding="utf-8")), form))
    except (ValueError, TypeError, KeyError) as error:
        found, said = {}, f" ({error})"
    except OSError as error:
        raise DataError(name, *fault_of_storage(path, error)) from error
    else:
        said = ""
    if not found:
        _remove(path)  # What is no list is not kept.
        raise DataError(name, f"the server sent no list of a folder's files{said}", LATER_REMEDY)
    return found


def _entries(listing, form: re.Pattern) -> Iterator[tuple[str, str]]:
    for entry in listing:
        name, sha1 = entry["name"], entry["sha"]
        if form.fullmatch(name) and re.fullmatch("[0-9a-f]{40}", sha1):
            yield name, sha1


def _fetched(chosen: Settings, name: str, url: str) -> Path:
    store = pooch.create(
        path=chosen.data_dir,
        base_url=chosen.data_url or "",
        registry={name: None},  # Git's hash is no plain one; it is checked by those who call.
        urls=None if chosen.data_url else {name: url},
    )
    return files.fetch_from(store, name)


def _begin_anew(chosen: Settings, listing: str) -> str:
    path = Path(chosen.data_dir) / FOLDER / f"{listing}.json"
    return f"If the authors replaced the files, delete {path}, and the list is fetched anew."
