"""A file on a web server that can be read piece by piece, without downloading it."""

import io
import os
from collections import OrderedDict
from functools import lru_cache

import numpy as np
import tifffile

from helpers.faults import LATER_REMEDY, MISSING_REMEDY, AttemptError, TransferError
from helpers.transfer import Client, total_bytes, validator

BLOCK_BYTES = 1 << 14
"""Small reads (a TIFF's headers) are rounded up to whole blocks of this size."""
KEPT_BLOCKS = 256


class RemoteFile(io.RawIOBase):
    """Seekable, read-only view of a file on a server that answers HTTP range requests.

    Memory stays flat: a bounded number of small blocks, and the one span last prefetched.

    Parameters
    ----------
    url : str
    client : Client

    Raises
    ------
    TransferError
        If the file cannot be had, the server cannot send parts of it, or the file changed on
        the server after it was opened.
    """

    def __init__(self, url: str, client: Client):
        super().__init__()
        self._url, self._client = url, client
        self._position, self._size, self._validator = 0, None, None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._span = (0, b"")
        self._block(0)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` bytes from the start, the position, or the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer) -> int:
        """Fill `buffer` from the position on; returns the number of bytes, fewer at the end."""
        view = memoryview(buffer).cast("B")
        start = self._position
        stop = min(start + len(view), self._size)
        if stop <= start:
            return 0
        span_start, span = self._span
        if span_start <= start and stop <= span_start + len(span):
            view[: stop - start] = memoryview(span)[start - span_start : stop - span_start]
        elif stop - start > BLOCK_BYTES:
            view[: stop - start] = self._get(start, stop)
        else:
            first = start // BLOCK_BYTES
            data = b"".join(self._block(i) for i in range(first, (stop - 1) // BLOCK_BYTES + 1))
            offset = start - first * BLOCK_BYTES
            view[: stop - start] = data[offset : offset + stop - start]
        self._position = stop
        return stop - start

    def prefetch(self, start: int, stop: int) -> None:
        """Get bytes `start` to `stop` (exclusive) in one request and keep them for reading."""
        self._span = (start, self._get(start, stop))

    def _block(self, index: int) -> bytes:
        if index in self._blocks:
            self._blocks.move_to_end(index)
        else:
            start = index * BLOCK_BYTES
            self._blocks[index] = self._get(start, start + BLOCK_BYTES)
            if len(self._blocks) > KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[index]

    def _get(self, start: int, stop: int) -> bytes:
        if self._size is not None:
            stop = min(stop, self._size)
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self._validator:
            headers["If-Range"] = self._validator

        def attempt() -> bytes:
            with self._client.open(self._url, headers=headers) as response:
                self._check(response, start)
                data = b"".join(self._client.chunks(response))
            if self._size is None:
                self._size, self._validator = total_bytes(response), validator(response)
            return data

        return self._client.retry(self._url, attempt)

    def _check(self, response, start: int) -> None:
        told = response.headers.get("Content-Range", "")
        if response.status_code == 206 and not told.startswith(f"bytes {start}-"):
            raise AttemptError(f"the server sent another part ({told})", LATER_REMEDY, retry=True)
        if self._size is None and (response.status_code != 206 or not total_bytes(response)):
            raise AttemptError(
                "the server cannot send parts of a file",
                "Download the whole file with helpers.full_stack.fetch_full(), or use a mirror "
                "that answers range requests.",
            )
        if self._size is not None and (
            response.status_code != 206
            or total_bytes(response) != self._size
            or validator(response) != self._validator
        ):
            raise AttemptError(
                "the file changed on the server while it was being read",
                f"Read again from the start. {MISSING_REMEDY}",
            )


@lru_cache(maxsize=1)
def _open(url: str) -> tuple[RemoteFile, tifffile.TiffFile]:
    file = RemoteFile(url, Client())
    return file, tifffile.TiffFile(file, name=url)


def read_page(url: str, index: int) -> np.ndarray:
    """Read one page of a TIFF on a server, without downloading the others.

    The file's headers are kept for the next call. Not for several threads at a time.

    Parameters
    ----------
    url : str
    index : int
        Counted from 0.

    Returns
    -------
    (y, x) array

    Raises
    ------
    TransferError
        As `RemoteFile`, or if the file is no TIFF or has no such page.
    """
    try:
        file, tiff = _open(url)
        page = _page(tiff, index)
        extents = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        # One request a page, however many strips it is stored in.
        file.prefetch(min(page.dataoffsets), max(map(sum, extents)))
        return page.asarray()
    except TransferError:
        _open.cache_clear()  # The next call opens the file anew, for instance after it changed.
        raise
    except (tifffile.TiffFileError, IndexError, ValueError) as error:
        _open.cache_clear()
        if isinstance(error.__cause__, TransferError):  # tifffile wrapped what reading raised
            raise error.__cause__ from None
        raise TransferError(
            f"what the server has is not the expected TIFF ({error})", MISSING_REMEDY
        ) from error


def _page(tiff: tifffile.TiffFile, index: int) -> tifffile.TiffPage:
    """Find a page without walking there from the first one, where pages lie at equal distances.

    A TIFF's pages are a chain; following it over HTTP may cost one request a page.
    """
    if index > 3:
        # Not the first page: its header often has extra fields or another alignment.
        second, third, fourth = (tiff.pages[i] for i in (1, 2, 3))
        stride = third.offset - second.offset
        if stride > 0 and fourth.offset - third.offset == stride:
            ahead = (index - 1) * stride
            try:
                tiff.filehandle.seek(second.offset + ahead)
                page = tifffile.TiffPage(tiff, index)
                if page.dataoffsets[0] == second.dataoffsets[0] + ahead:
                    return page
            except (tifffile.TiffFileError, ValueError, IndexError):
                pass  # Not there after all: follow the chain.
    return tiff.pages[index]
