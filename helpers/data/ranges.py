"""A few bytes out of a large file on a server, by HTTP ranges (RFC 9110, section 14)."""

import io

import requests
from tqdm import tqdm

from helpers.data.download import (
    LATER_REMEDY,
    TRIES,
    CutError,
    DataError,
    Downloads,
    TransferError,
    asking,
    back_off,
    total_of,
    version_of,
)

AHEAD_BYTES = 4096
"""At least so much is asked for at once while headers are read: those of a page are a few hundred
bytes, and in some files they lie together."""
MOST_BYTES = 50_000_000
"""More than this is no header: the file is damaged, or is none that can be read in parts."""


class Ranges:
    """A file on a server, of which parts are fetched.

    Parameters
    ----------
    downloads : Downloads
    url : str
    size_bytes : int, optional
        What the file is known to be long; else the first answer tells it.
    version : str, optional
        As `helpers.data.download.version_of` told it; None where that does not matter.
    instead : str
        What to do where the server sends whole files only: the end of a sentence.

    Attributes
    ----------
    size_bytes, version
        Of the file, once something was fetched.
    """

    def __init__(
        self,
        downloads: Downloads,
        url: str,
        size_bytes: int | None = None,
        version: str | None = None,
        instead: str = "put the whole file into the data folder",
    ):
        self._downloads, self._url, self._instead = downloads, url, instead
        self.size_bytes, self.version = size_bytes, version

    def get(self, start: int, stop: int) -> bytes:
        """Fetch a part of the file; what arrived before a cut is not asked for again.

        Parameters
        ----------
        start, stop : int
            Bytes, the last one excluded; there may be fewer if the file ends before.

        Returns
        -------
        bytes

        Raises
        ------
        DataError
            If they cannot be had, the server sends whole files only (nothing of the body is read
            then), or it has another file than before.
        """
        found = bytearray()
        with asking(self._url):
            for tries in range(1, TRIES + 1):
                try:
                    self._get_once(start, stop, found)
                except CutError:
                    if tries == TRIES:
                        raise
                    back_off(tries)
                else:
                    break
        return bytes(found)

    def _get_once(self, start: int, stop: int, found: bytearray) -> None:
        begin = start + len(found)
        span = {"Range": f"bytes={begin}-{stop - 1}"}
        with self._downloads.open(self._url, span, allowed=(200, 206, 416)) as response:
            if response.status_code == 200:
                raise TransferError(
                    "the server sends whole files only, not parts of them (no HTTP ranges)",
                    "Set HELA_DATA_URL to a mirror that sends parts, or unset it; or "
                    f"{self._instead}.",
                )
            self._check(response, begin)
            stop = min(stop, self.size_bytes)
            for chunk in self._downloads.chunks(response):
                found += chunk
        if start + len(found) < stop:
            raise CutError(f"the server sent {len(found)} of {stop - start} bytes")
        if start + len(found) > stop:
            raise TransferError("the server sent more than was asked for", LATER_REMEDY)

    def _check(self, response: requests.Response, begin: int) -> None:
        """Compare what the server says of its file with what is known; the first time, learn it."""
        size, version = total_of(response), version_of(response)
        if self.size_bytes is None:
            if response.status_code != 206 or not size:
                reason = "the server does not say how long the file is, or it is empty"
                raise TransferError(reason, LATER_REMEDY)
            self.size_bytes, self.version = size, version
        if size != self.size_bytes or (self.version and version != self.version):
            raise TransferError(
                "the file on the server is not the one that the index was read from (other size, "
                "ETag or date)",
                "Delete the folder of the slices to begin anew; until then, those that are there "
                "can be read.",
            )
        if not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            raise TransferError("the server sent another part than was asked for", LATER_REMEDY)


class RangeFile(io.RawIOBase):
    """A file on a server for those who read files, such as tifffile; meant for its headers.

    Parameters
    ----------
    ranges : Ranges
    bar : tqdm.tqdm
        Counts requests.

    Attributes
    ----------
    fault : DataError or None
        What went wrong last: tifffile takes a header that cannot be read for the end of the pages.
    """

    def __init__(self, ranges: Ranges, bar: tqdm):
        super().__init__()
        self._ranges, self._bar, self._place = ranges, bar, 0
        self._blocks: dict[int, bytes] = {}
        self.fault: DataError | None = None
        self._fetch(0, AHEAD_BYTES)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._place = offset + (0, self._place, self._ranges.size_bytes)[whence]
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer) -> int:
        """Read from the place on; what was fetched once is not asked for again."""
        start = self._place
        stop = min(start + len(buffer), self._ranges.size_bytes)
        if start >= stop:
            return 0
        holds = (at for at, block in self._blocks.items() if at <= start <= stop <= at + len(block))
        at = next(holds, None)
        if at is None:
            at = start
            self._fetch(start, max(stop, start + AHEAD_BYTES))
        buffer[: stop - start] = self._blocks[at][start - at : stop - at]
        self._place = stop
        return stop - start

    def _fetch(self, start: int, stop: int) -> None:
        try:
            if stop - start + sum(map(len, self._blocks.values())) > MOST_BYTES:
                reason = f"its headers are longer than {MOST_BYTES / 1e6:.0f} MB: it is damaged"
                raise DataError("The file on the server", reason, LATER_REMEDY)
            self._blocks[start] = self._ranges.get(start, stop)
        except DataError as error:
            self.fault = error
            raise
        self._bar.update()
