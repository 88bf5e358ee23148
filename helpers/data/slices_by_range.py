"""Single slices out of a large TIFF on a server: each is fetched when it is asked for, and kept.

Where the slices lie in the file is read once, by HTTP ranges, and kept as ``index.json`` beside the
slices. A slice is kept as a TIFF of one page, with the bytes that the server sent, and its hash,
recorded at its first use and compared at each later one, in ``<slice>.json``.
"""

import hashlib
import io
import json
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from helpers.cache import locked, write_whole
from helpers.data import whole_cell
from helpers.data.download import (
    LATER_REMEDY,
    PORTAL_REMEDY,
    DataError,
    Downloads,
    fault_of_storage,
    without_login,
)
from helpers.data.ranges import RangeFile, Ranges
from helpers.data.stack import Reader
from helpers.progress import progress_bar
from helpers.tiffs import check_whole

GAP_BYTES = 64
"""Strips no farther apart than this are asked for at once."""

# What says how the bytes of a strip become pixels: bits, compression, photometric, fill order,
# samples, planes, predictor, sample format (TIFF 6.0).
_DECODING_TAGS = (258, 259, 262, 266, 277, 284, 317, 339)


@dataclass(frozen=True)
class Page:
    """Where a slice lies in the file, and how it is written there.

    Attributes
    ----------
    starts, lengths : tuple of int
        Of its strips, in bytes.
    rows_per_strip : int
    tags : dict of str to int
        TIFF tags that decoding needs, by their numbers.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    rows_per_strip: int
    tags: dict[str, int]


@dataclass(frozen=True)
class Index:
    """What is known of a file on a server.

    Attributes
    ----------
    url : str
        Without a login.
    version : str or None
        As the server tells it; see `helpers.data.download.version_of`.
    size_bytes : int
    shape : (int, int)
        Of a slice, (y, x).
    pages : tuple of Page
        One a slice.
    """

    url: str
    version: str | None
    size_bytes: int
    shape: tuple[int, int]
    pages: tuple[Page, ...]


def open_slices_of(cell: str) -> tuple[Reader, int, tuple[str, ...]]:
    """Open the slices of a cell: in the whole file if it is there, else on the server.

    Parameters
    ----------
    cell : str
        One of `helpers.data.other_cells.CELLS`.

    Returns
    -------
    read : callable
        Gets a slice number, from 1, and returns a (y, x) array of uint8; may be sent to another
        process.
    count : int
        How many slices there are.
    notes : tuple of str
        For `Stack.notes`.

    Raises
    ------
    DataError
        If they cannot be had, or what is there is not the stack of a cell.
    """
    if whole_cell.path_of(cell).exists():
        path = whole_cell.fetch_full(cell)
        return partial(whole_cell.read_slice, path), whole_cell.count_slices(path), ()
    slices = SlicesByRange(cell)
    note = f"Each slice is fetched when it is first asked for, from {slices.index.url}."
    return slices.read, len(slices), (note,)


class SlicesByRange:
    """The slices of a cell whose file lies on a server; may be sent to another process.

    Parameters
    ----------
    cell : str
        One of `helpers.data.other_cells.CELLS`.

    Raises
    ------
    DataError
        If the index is not there and cannot be had, or the file is not the stack of a cell.
    """

    def __init__(self, cell: str):
        self.cell, self.url = cell, whole_cell.url_of(cell)
        self.folder = whole_cell.path_of(cell).with_suffix("")
        self.index = self._kept_index() or self._fetch_index()

    @property
    def _instead(self) -> str:
        call = f'from helpers.data import whole_cell; whole_cell.fetch_full("{self.cell}")'
        return f"download the whole file once, about 1.2 GB, and its slices come from it: {call}"

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.index.pages)

    def read(self, number: int) -> np.ndarray:
        """Read a slice, fetching it if it is not there.

        Parameters
        ----------
        number : int
            From 1.

        Returns
        -------
        (y, x) array of uint8

        Raises
        ------
        DataError
            If it is not there and cannot be had, or what the server has is no longer the file
            that the index was read from.

        Warns
        -----
        UserWarning
            If the slice that is there is damaged or was changed; it is fetched anew.
        """
        image = self._kept_slice(number)
        if image is None:
            with self._said(f"fetches slices of the cell {self.cell}"):
                # Another process may have fetched it while we waited.
                image = self._kept_slice(number, warn=True)
                if image is None:
                    image = self._fetch_slice(number)
        return image

    @contextmanager
    def _said(self, what: str) -> Iterator[None]:
        """Hold the folder's lock, and name the cell in what goes wrong."""
        name = whole_cell.name_of(self.cell)
        try:
            with locked(self.folder, what):
                yield
        except DataError as error:
            remedy = f"{error.remedy} (From {without_login(self.url)} to {self.folder})"
            raise DataError(name, error.reason, remedy) from error
        except OSError as error:
            raise DataError(name, *fault_of_storage(self.folder, error)) from error

    def _kept_index(self) -> Index | None:
        try:
            kept = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
            pages = tuple(
                Page(tuple(p["starts"]), tuple(p["lengths"]), p["rows_per_strip"], p["tags"])
                for p in kept.pop("pages")
            )
            return Index(**{**kept, "shape": tuple(kept["shape"])}, pages=pages)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _fetch_index(self) -> Index:
        with self._said(f"reads where the slices of the cell {self.cell} lie"):
            index = self._kept_index()
            if index is None:
                bar = progress_bar(desc=f"{self.cell}: index", unit=" requests", leave=False)
                with bar, Downloads() as downloads:
                    ranges = Ranges(downloads, self.url, instead=self._instead)
                    index = _read_index(ranges, self.cell, self.url, bar)
                write_whole(self.folder / "index.json", json.dumps(asdict(index)) + "\n")
        return index

    def _kept_slice(self, number: int, *, warn: bool = False) -> np.ndarray | None:
        """Read a slice that is there and is the one recorded; None if there is none."""
        path = self._path(number)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        known, found = self._recorded(path), hashlib.sha256(content).hexdigest()
        image = self._decoded(content)
        if image is not None and known in (None, found):
            if known is None:
                self._record(path, found)
            return image
        if warn:
            warnings.warn(
                f"Slice {number} of the cell {self.cell} is damaged, or is not the one recorded "
                f"at its first use; it is fetched anew. ({path})",
                stacklevel=4,
            )
        return None

    def _fetch_slice(self, number: int) -> np.ndarray:
        page, path = self.index.pages[number - 1], self._path(number)
        # On a mirror the same file has another ETag: there its size must do.
        same_address = self.index.url == without_login(self.url)
        version = self.index.version if same_address else None
        with Downloads() as downloads:
            ranges = Ranges(downloads, self.url, self.index.size_bytes, version, self._instead)
            content = _one_page(self.index.shape, page, _fetch_strips(ranges, page))
        image = self._decoded(content)
        if image is None:
            reason = f"what the server sent of slice {number} cannot be read as a picture"
            raise DataError(self.url, reason, PORTAL_REMEDY)
        known, found = self._recorded(path), hashlib.sha256(content).hexdigest()
        if known not in (None, found):
            reason = f"what the server sends of slice {number} is not what was recorded of it"
            raise DataError(self.url, reason, self._begin_anew())
        write_whole(path, content)
        self._record(path, found)
        return image

    def _begin_anew(self) -> str:
        return f"If its publisher replaced the file, delete {self.folder} and begin anew."

    def _decoded(self, content: bytes) -> np.ndarray | None:
        try:
            image = tifffile.imread(io.BytesIO(content))
        except Exception:  # Each codec has errors of its own.
            return None
        return image if (image.shape, image.dtype) == (self.index.shape, np.uint8) else None

    def _path(self, number: int) -> Path:
        return self.folder / f"slice_{number:03d}.tiff"

    def _recorded(self, path: Path) -> str | None:
        try:
            return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _record(self, path: Path, sha256: str) -> None:
        try:
            write_whole(path.with_suffix(".json"), json.dumps({"sha256": sha256}) + "\n")
        except OSError as error:
            warnings.warn(
                f"The hashes of slices in {path.parent} could not be recorded, so later changes "
                f"will not be noticed. Make the folder writable once to record them. ({error})",
                stacklevel=5,
            )


def _read_index(ranges: Ranges, cell: str, url: str, bar) -> Index:
    name, file = whole_cell.name_of(cell), RangeFile(ranges, bar)
    wrong, pages = None, ()
    try:
        with tifffile.TiffFile(file, name=name) as tiff:
            is_papers = cell == whole_cell.PAPERS_CELL
            wrong = whole_cell.wrong_pages(tiff, ranges.size_bytes, is_papers=is_papers)
            if wrong is None and any(page.is_tiled for page in tiff.pages):
                wrong = "it is made of tiles, not of strips"
            if wrong is None:
                check_whole(tiff)
                pages = tuple(_page_of(page) for page in tiff.pages)
    except (tifffile.TiffFileError, ValueError, IndexError, struct.error) as error:
        wrong = f"it cannot be read as a TIFF ({error})"
    # Asked last: tifffile goes on after a fault of the network, with fewer pages.
    if file.fault is not None:
        raise file.fault
    if wrong or not pages:
        raise DataError(
            name,
            f"what the server has is not the stack of a cell: {wrong or 'it has no pages'}",
            LATER_REMEDY,
        )
    shape = whole_cell.FULL_SHAPE[1:]
    return Index(without_login(url), ranges.version, ranges.size_bytes, shape, pages)


def _page_of(page: tifffile.TiffPage) -> Page:
    whole = page.aspage()
    tags = {str(c): int(whole.tags[c].value) for c in _DECODING_TAGS if c in whole.tags}
    starts, lengths = map(int, page.dataoffsets), map(int, page.databytecounts)
    return Page(tuple(starts), tuple(lengths), int(whole.rowsperstrip), tags)


def _fetch_strips(ranges: Ranges, page: Page) -> list[bytes]:
    """Fetch the strips of a page; those that lie together are one request."""
    spans: list[list[int]] = []
    for start, length in zip(page.starts, page.lengths, strict=True):
        if spans and 0 <= start - spans[-1][1] <= GAP_BYTES:
            spans[-1][1] = start + length
        elif length:
            spans.append([start, start + length])
    fetched = {start: ranges.get(start, stop) for start, stop in spans}

    def cut(start: int, length: int) -> bytes:
        at = max((at for at in fetched if at <= start), default=start)
        return fetched.get(at, b"")[start - at : start - at + length]

    return [cut(*strip) for strip in zip(page.starts, page.lengths, strict=True)]


def _one_page(shape: tuple[int, int], page: Page, strips: list[bytes]) -> bytes:
    """Write a TIFF of one page around strips as they are (TIFF 6.0, section 2)."""
    short, long = 3, 4
    rows = min(page.rows_per_strip, shape[0])
    entries = {256: (long, [shape[1]]), 257: (long, [shape[0]]), 278: (long, [rows])}
    entries |= {int(tag): (short, [value]) for tag, value in page.tags.items()}
    entries |= {273: (long, [0] * len(strips)), 279: (long, [len(strip) for strip in strips])}
    after_directory = 8 + 2 + 12 * len(entries) + 4
    lists_bytes = sum(4 * len(values) for _, values in entries.values() if len(values) > 1)
    place = after_directory + lists_bytes
    for at, strip in enumerate(strips):
        entries[273][1][at] = place
        place += len(strip)
    directory, lists = struct.pack("<H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        directory += struct.pack("<HHL", tag, kind, len(values))
        if len(values) > 1:
            directory += struct.pack("<L", after_directory + len(lists))
            lists += struct.pack(f"<{len(values)}L", *values)
        else:
            directory += struct.pack("<L", values[0])
    return b"II" + struct.pack("<HL", 42, 8) + directory + bytes(4) + lists + b"".join(strips)
