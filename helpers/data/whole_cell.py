"""A whole cell as one TIFF, about 1.2 GB, from EMPIAR: the paper's, or another of that set.

Source: EMPIAR-10478 (CC0; Peddie, Jones, Collinson); the paper's is region ROI_1656-6756-329.
"""

import json
import math
import os
import shutil
import threading
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pooch
import tifffile
from tqdm import tqdm

from helpers import settings
from helpers.cache import locked, write_whole
from helpers.data.download import (
    LATER_REMEDY,
    TRIES,
    CutError,
    DataError,
    Downloads,
    TransferError,
    asking,
    back_off,
    fault_of_storage,
    total_of,
    version_of,
    without_login,
)
from helpers.progress import progress_bar

PAPERS_CELL = "1656-6756-329"
FULL_NAME = f"empiar-10478/ROI_{PAPERS_CELL}.tiff"
FULL_URL = f"https://ftp.ebi.ac.uk/empiar/world_availability/10478/data/ROIs/ROI_{PAPERS_CELL}.tiff"
FULL_SHAPE = (300, 2000, 2000)
"""Slices, rows, columns; each pixel one byte."""
FRESH_START_BYTES = 1 << 20
"""A try that makes the file longer than ever by this much counts as the first again."""
SPARE_BYTES = 50_000_000
"""Room that must be left on the disk after the download."""

_verified: set[tuple] = set()
_lock = threading.Lock()
"""One thread hashes the file at a time."""


def fetch_full(cell: str = PAPERS_CELL) -> Path:
    """Return the path of the file with all slices of a cell, downloading it if needed (1.2 GB).

    An interrupted download leaves ``<name>.part`` and goes on from there at the next call. The
    publisher names no hash, so the first use records it beside the file (``<name>.json``), and
    later ones, once a process, check it. You may also put the file there yourself.

    Parameters
    ----------
    cell : str
        One of `helpers.data.other_cells.CELLS`; by default the paper's.

    Returns
    -------
    Path
        `name_of` the cell in the data folder, absolute.

    Raises
    ------
    DataError
        If the file cannot be downloaded or stored, is not the stack (pages of 2000 x 2000
        uint8, of the paper's cell 300), or is no longer the one recorded.
    """
    path, url = path_of(cell), url_of(cell)
    try:
        if not path.exists():
            with locked(path.parent, "downloads the whole cell"):
                if not path.exists():  # Another process may have finished while we waited.
                    _download(path, url)
    except DataError as error:
        kept = _beside(path, ".part").exists()
        again = " Call fetch_full again: it goes on where it stopped." if kept else ""
        remedy = f"{error.remedy}{again} (From {without_login(url)} to {path})"
        raise DataError(name_of(cell), error.reason, remedy) from error
    except OSError as error:
        raise DataError(name_of(cell), *fault_of_storage(path, error)) from error
    _verify(path)
    return path


def is_full_cached(cell: str = PAPERS_CELL) -> bool:
    """Tell whether the file is in the data folder and has the right shape (a quick check).

    Parameters
    ----------
    cell : str
        As in `fetch_full`.

    Returns
    -------
    bool
    """
    path = path_of(cell)
    return path.is_file() and _wrong_shape(path) is None


def read_slice(path: Path, number: int) -> np.ndarray:
    """Read one slice of the stack.

    Parameters
    ----------
    path : Path
        As `fetch_full` returned it.
    number : int
        From 1; of the paper's cell the paper's, 1 to 300.

    Returns
    -------
    (2000, 2000) array of uint8

    Raises
    ------
    DataError
        If the file is no longer the one recorded.
    """
    _verify(path)
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[number - 1].asarray()


def count_slices(path: Path) -> int:
    """Return how many slices the file has.

    Parameters
    ----------
    path : Path
        As `fetch_full` returned it.

    Returns
    -------
    int
    """
    with tifffile.TiffFile(path) as tiff:
        return len(tiff.pages)


def name_of(cell: str) -> str:
    """Name of a cell's file in the data folder and on a mirror."""
    return FULL_NAME.replace(PAPERS_CELL, cell)


def path_of(cell: str) -> Path:
    """Where a cell's file lies, if it is there."""
    return settings.current().data_dir.expanduser().absolute() / name_of(cell)


def url_of(cell: str) -> str:
    """Address of a cell's file: at the publisher's, or on the mirror that is set."""
    mirror = settings.current().data_url
    return f"{mirror}/{name_of(cell)}" if mirror else FULL_URL.replace(PAPERS_CELL, cell)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _wrong_shape(path: Path) -> str | None:
    """Say in what a file differs from the stack, from its headers alone; None if in nothing."""
    size_bytes = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            return wrong_pages(tiff, size_bytes, is_papers=PAPERS_CELL in path.name)
    except (tifffile.TiffFileError, OSError, ValueError, IndexError) as error:
        return f"it cannot be read as a TIFF ({error})"


def wrong_pages(tiff: tifffile.TiffFile, size_bytes: int, *, is_papers: bool) -> str | None:
    """Say in what the pages of an open TIFF differ from the slices of a cell; None if in nothing.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    size_bytes : int
        Length of the file.
    is_papers : bool
        Whether it must have as many slices as the paper's cell.

    Returns
    -------
    str or None
    """
    pages, shape = len(tiff.pages), FULL_SHAPE
    if is_papers and pages != shape[0]:
        return f"it has {pages} pages, not {shape[0]}"
    for number, page in enumerate(tiff.pages, start=1):
        if page.shape != shape[1:] or page.dtype != np.uint8:
            return f"slice {number} is {page.shape} {page.dtype}, not {shape[1:]} uint8"
        if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > size_bytes:
            return f"it ends within slice {number}"
    return None


def _verify(path: Path) -> None:
    """Check the file against its record, or check its shape and record it; once a process."""
    with _lock:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in _verified:
            _compare_with_record(path)
            _verified.add(key)


def _compare_with_record(path: Path) -> None:
    if wrong := _wrong_shape(path):
        raise DataError(
            _name(path),
            f"the file is not the stack of the cell: {wrong}",
            f"Move {path} away, then call fetch_full to download it.",
        )
    record = _beside(path, ".json")
    found = {"sha256": pooch.file_hash(str(path)), "size_bytes": path.stat().st_size}
    if record.exists():
        try:
            same = {k: json.loads(record.read_text(encoding="utf-8"))[k] for k in found} == found
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise DataError(
                _name(path),
                "the file differs from the one recorded at its first use (damaged or replaced)",
                f"Delete {path} to download it again, or, if you replaced it on purpose, {record}.",
            )
        return
    try:
        write_whole(record, json.dumps(found) + "\n")
    except OSError as error:
        warnings.warn(
            f"{_name(path)}: its hash could not be recorded, so later changes to the file will not "
            f"be noticed. Make its folder writable once to record it. ({error})",
            stacklevel=4,
        )


def _download(path: Path, url: str) -> None:
    """Download into the part file, check it, and move it to its final name."""
    part = _beside(path, ".part")
    state = _beside(part, ".json")
    bar = progress_bar(desc=path.name, unit="B", unit_scale=True, leave=False)
    try:
        with bar, Downloads() as downloads:
            _resume(downloads, url, part, bar)
        if wrong := _wrong_shape(part):
            part.unlink()
            reason = f"what the server sent is not the stack of the cell: {wrong}"
            raise DataError(_name(path), reason, LATER_REMEDY)
        os.replace(part, path)
    finally:
        if not (part.exists() and part.stat().st_size):
            part.unlink(missing_ok=True)
            state.unlink(missing_ok=True)


def _resume(downloads: Downloads, url: str, part: Path, bar: tqdm) -> None:
    """Get what is missing of the file; what arrived stays in `part`, whatever happens.

    Beside it lies ``<part>.json``: the address, size and version (ETag or Last-Modified) of what
    is in it, so that parts of two versions are never glued together.
    """
    part.touch()
    with asking(url), part.open("r+b") as file:
        longest, tries = part.stat().st_size, 0
        while True:
            try:
                _resume_once(downloads, url, file, part, bar)
            except CutError:
                size = part.stat().st_size
                # Longer than ever: a server that begins anew each time makes no progress.
                tries = 1 if size >= longest + FRESH_START_BYTES else tries + 1
                longest = max(longest, size)
                if tries >= TRIES:
                    raise
                back_off(tries)
            else:
                return


def _resume_once(downloads: Downloads, url: str, file: BinaryIO, part: Path, bar: tqdm) -> None:
    state, have = _beside(part, ".json"), file.seek(0, os.SEEK_END)
    try:
        known = json.loads(state.read_text(encoding="utf-8"))
        usable = known["url"] == url and known["version"] and have <= known["size_bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        have = 0
    elif have == known["size_bytes"]:
        return
    headers = {"Range": f"bytes={have}-", "If-Range": known["version"]} if have else None
    with downloads.open(url, headers, allowed=(200, 206, 416)) as response:
        told = {"url": url, "version": version_of(response), "size_bytes": total_of(response)}
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        goes_on = have and response.status_code == 206 and begins and told == known
        if not goes_on and response.status_code != 200:
            file.truncate(0)
            state.unlink(missing_ok=True)
            raise CutError("the file changed on the server")
        have = have if goes_on else 0
        _check_room(part.parent, (told["size_bytes"] or math.prod(FULL_SHAPE)) - have)
        file.seek(have)
        file.truncate()
        if not goes_on:
            write_whole(state, json.dumps(told))
        bar.reset(total=told["size_bytes"])
        bar.update(have)
        for chunk in downloads.chunks(response):
            file.write(chunk)
            file.flush()  # So that what arrived counts, whatever comes next.
            bar.update(len(chunk))


def _check_room(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise TransferError(
            f"the disk has {free_bytes / 1e6:.0f} MB free in {folder}, and "
            f"{(needed_bytes + SPARE_BYTES) / 1e6:.0f} MB are needed",
            "Free some space, or set HELA_DATA_DIR to a folder on another disk.",
        )
