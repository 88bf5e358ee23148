"""The paper's whole cell: one TIFF of 300 slices, about 1.2 GB, from EMPIAR.

Source: EMPIAR-10478 (CC0; Peddie, Jones, Collinson), region ROI_1656-6756-329.
"""

import json
import math
import threading
import warnings
from pathlib import Path

import numpy as np
import pooch
import tifffile
from tqdm import tqdm

from helpers import settings as settings_module
from helpers.data.download import DataError
from helpers.data.faults import LATER_REMEDY, TransferError, storage_fault
from helpers.data.resumable import Resumable, write_json
from helpers.data.transfer import Client
from helpers.settings import Settings

FULL_NAME = "empiar-10478/ROI_1656-6756-329.tiff"
FULL_URL = "https://ftp.ebi.ac.uk/empiar/world_availability/10478/data/ROIs/ROI_1656-6756-329.tiff"
FULL_SHAPE = (300, 2000, 2000)
"""Slices, rows, columns; each pixel one byte."""
_verified: set[tuple] = set()
_lock = threading.Lock()
"""One thread hashes the file at a time."""


def fetch_full(*, progress: bool = True, settings: Settings | None = None) -> Path:
    """Return the path of the 300-slice stack, downloading it if needed (about 1.2 GB).

    An interrupted download leaves ``<name>.part`` and goes on from there at the next call. The
    publisher names no hash, so the first use records it beside the file (``<name>.json``), and
    later ones, once a process, check it. You may also put the file there yourself.

    Parameters
    ----------
    progress : bool
        Show a progress bar while downloading.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    Path
        ``settings.data_dir / FULL_NAME``, absolute.

    Raises
    ------
    DataError
        If the file cannot be downloaded or stored, is not the stack (300 pages of 2000 x 2000
        uint8), or is no longer the one recorded.
    """
    settings = settings or settings_module.current()
    path, url = _path(settings), _url(settings)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(path, url, progress)
    except TransferError as error:
        kept = " Call fetch_full again: it goes on where it stopped." * _part(path).exists()
        raise DataError(
            FULL_NAME, error.reason, f"{error.remedy}{kept} (From {url} to {path})"
        ) from error
    except OSError as error:
        raise DataError(FULL_NAME, *storage_fault(path.parent, error)) from error
    with _lock:
        _verify(path)
    return path


def is_full_cached(*, settings: Settings | None = None) -> bool:
    """Tell whether the stack is in the data folder and has the right shape (a quick check).

    Parameters
    ----------
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    bool
    """
    path = _path(settings or settings_module.current())
    return path.is_file() and _wrong_shape(path) is None


def read_slice(number: int, *, settings: Settings | None = None) -> np.ndarray:
    """Read one slice of the file that `fetch_full` has put into the data folder.

    Parameters
    ----------
    number : int
        The paper's slice number, 1 to 300.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    DataError
        If the file is not (or no longer) the stack.
    """
    path = fetch_full(settings=settings)
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[number - 1].asarray()


def _path(settings: Settings) -> Path:
    return settings.data_dir.expanduser().absolute() / FULL_NAME


def _url(settings: Settings) -> str:
    return f"{settings.data_url}/{FULL_NAME}" if settings.data_url else FULL_URL


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _wrong_shape(path: Path) -> str | None:
    """Say in what a file differs from the stack, from its headers alone; None if in nothing."""
    size_bytes = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            pages, shape = len(tiff.pages), FULL_SHAPE
            if pages != shape[0]:
                return f"it has {pages} pages, not {shape[0]}"
            for number, page in enumerate(tiff.pages, start=1):
                if page.shape != shape[1:] or page.dtype != np.uint8:
                    return f"slice {number} is {page.shape} {page.dtype}, not {shape[1:]} uint8"
                if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > (
                    size_bytes
                ):
                    return f"it ends within slice {number}"
    except (tifffile.TiffFileError, OSError, ValueError, IndexError) as error:
        return f"it cannot be read as a TIFF ({error})"
    return None


def _verify(path: Path) -> None:
    """Check the file against its record, or check its shape and record it; once a process."""
    status = path.stat()
    key = (path, status.st_size, status.st_mtime_ns)
    if key in _verified:
        return
    record = _record(path)
    if wrong := _wrong_shape(path):
        raise DataError(
            FULL_NAME,
            f"the file is not the 300-slice stack: {wrong}",
            f"Move {path} away, then call fetch_full to download it.",
        )
    found = {"sha256": pooch.file_hash(str(path)), "size_bytes": status.st_size}
    if record.exists():
        try:
            same = {k: json.loads(record.read_text())[k] for k in found} == found
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise DataError(
                FULL_NAME,
                "the file differs from the one recorded at its first use (damaged or replaced)",
                f"Delete {path} to download it again, or, if you replaced it on purpose, {record}.",
            )
    else:
        try:
            write_json(record, found)
        except OSError as error:
            warnings.warn(
                f"{FULL_NAME}: its hash could not be recorded ({error}), so later changes to the "
                "file will not be noticed. Make its folder writable once to record it.",
                stacklevel=3,
            )
    _verified.add(key)


def _download(path: Path, url: str, progress: bool) -> None:
    """Download into the part file, check it, and move it to its final name."""
    part = _part(path)
    bar = tqdm(desc=path.name, unit="B", unit_scale=True, leave=False, disable=not progress)
    with bar, Client() as client, Resumable(part, url, client) as download:
        if path.exists():  # Another process finished between our look and our lock.
            return
        download.complete(bar, likely_bytes=math.prod(FULL_SHAPE))
        if wrong := _wrong_shape(part):
            download.discard()
            raise TransferError(
                f"what the server sent is not the 300-slice stack: {wrong}", LATER_REMEDY
            )
        download.move_to(path)
