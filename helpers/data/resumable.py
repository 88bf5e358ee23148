"""A big download that goes on where it stopped, in this process or an earlier one."""

import json
import os
import shutil
from pathlib import Path

from tqdm import tqdm

from helpers.data.faults import LATER_REMEDY, AttemptError, TransferError
from helpers.data.transfer import Client, total_bytes, validator

try:
    import fcntl
except ImportError:  # On Windows, where no open file can be moved.
    fcntl = None

SPARE_BYTES = 50_000_000
"""Room that must be left on the disk after the download."""


class Resumable:
    """The unfinished file of one download, held by this process alone.

    Beside `part` lies ``<part>.json``: the address, size and version (ETag or Last-Modified) of
    what is in it, so that parts of two versions are never glued together.

    Parameters
    ----------
    part : Path
        The unfinished file; opened where it is, made where it is not. Kept when the download
        fails, unless empty.
    url : str
    client : Client

    Raises
    ------
    TransferError
        If another process is at it.
    """

    def __init__(self, part: Path, url: str, client: Client):
        self._part, self._url, self._client = part, url, client
        self._state = part.with_name(part.name + ".json")
        self._file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise TransferError(
                    "another process is downloading it", "Wait until that has finished."
                ) from None

    def __enter__(self) -> "Resumable":
        return self

    def __exit__(self, *_) -> None:
        if not self._file.closed and self._kept_bytes() == 0:
            self.discard()
        self._file.close()

    def complete(self, bar: tqdm, likely_bytes: int) -> None:
        """Get what is missing.

        Parameters
        ----------
        bar : tqdm.tqdm
            Counts bytes.
        likely_bytes : int
            Size to find room for if the server does not tell it.

        Raises
        ------
        TransferError
            As `Client.retry`, or if the disk has too little room.
        OSError
            If the file cannot be written.
        """
        self._client.retry(
            self._url, lambda: self._attempt(bar, likely_bytes), kept_bytes=self._kept_bytes
        )

    def discard(self) -> None:
        """Delete the file and what is known of it."""
        self._let_go()
        self._part.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def move_to(self, path: Path) -> None:
        """Give the finished file its final name, in one step."""
        self._let_go()
        os.replace(self._part, path)
        self._state.unlink(missing_ok=True)

    def _let_go(self) -> None:
        if fcntl is None:
            self._file.close()  # Windows moves and deletes only closed files.

    def _kept_bytes(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _attempt(self, bar: tqdm, likely_bytes: int) -> None:
        have = self._kept_bytes()
        try:
            before = json.loads(self._state.read_text())
            usable = (
                before["url"] == self._url and before["validator"] and have <= before["size_bytes"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            usable = False
        if not usable:
            have = 0
        elif have == before["size_bytes"]:
            return
        headers = {"Range": f"bytes={have}-", "If-Range": before["validator"]} if have else None
        with self._client.open(self._url, headers=headers, passed=(200, 206, 416)) as response:
            size_bytes = total_bytes(response)
            if response.status_code != 200 and not (
                have
                and response.status_code == 206
                and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
                and (size_bytes, validator(response)) == (before["size_bytes"], before["validator"])
            ):
                # The server does not heed If-Range: glueing two versions together must not happen.
                self._file.truncate(0)
                self._state.unlink(missing_ok=True)
                raise AttemptError("the file changed on the server", LATER_REMEDY, retry=True)
            if response.status_code == 200:
                have = 0
            _check_room(self._state.parent, (size_bytes or likely_bytes) - have)
            self._file.seek(have)
            self._file.truncate()
            if response.status_code == 200:
                now = {"url": self._url, "validator": validator(response), "size_bytes": size_bytes}
                write_json(self._state, now)
            bar.reset(total=size_bytes)
            bar.update(have)
            for chunk in self._client.chunks(response):
                self._file.write(chunk)
                self._file.flush()  # So that what arrived counts, whatever comes next.
                bar.update(len(chunk))


def _check_room(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise TransferError(
            f"the disk has {free_bytes / 1e6:.0f} MB free in {folder}, and "
            f"{(needed_bytes + SPARE_BYTES) / 1e6:.0f} MB are needed",
            "Free some space, or set HELA_DATA_DIR to a folder on another disk.",
        )


def write_json(path: Path, content: dict) -> None:
    """Write a small JSON file, all of it or nothing."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(content) + "\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
