"""One published file through pooch: checked by its hash, whole or not there."""

import os
from pathlib import Path

import pooch
from tqdm import tqdm

from helpers.data.faults import TransferError, storage_fault
from helpers.data.transfer import Client

# pooch prints a line for every file it gets; the progress bar says the same in one.
pooch.get_logger().setLevel("WARNING")


class DataError(RuntimeError):
    """A file cannot be had; the message names it, what was wrong, and the remedy."""

    def __init__(self, name: str, reason: str, remedy: str):
        super().__init__(name, reason, remedy)
        self.name, self.reason, self.remedy = name, reason, remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}. {self.remedy}"


def download(store: pooch.Pooch, name: str, client: Client, bar: tqdm | None = None) -> Path:
    """Get one file through pooch, which checks the hash and moves the file when it is whole.

    Parameters
    ----------
    store : pooch.Pooch
        Knows the folder, the file's hash (None if nobody published one) and its address.
    name : str
        Of the file, in that folder.
    client : Client
    bar : tqdm.tqdm, optional
        Counts bytes.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    DataError
        If it cannot be downloaded, checked or stored. Nothing is then left under the final name,
        except what was there before.
    """
    path, url = store.abspath / name, store.get_url(name)

    def downloader(url: str, temporary: str, _store: pooch.Pooch) -> None:
        client.save(url, temporary, bar)
        # pooch's temporary files are private; a shared folder's files are for all to read.
        os.chmod(temporary, 0o644)

    try:
        # pooch makes it too, but fails when a parallel download is a moment faster (its PR 554).
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            store.fetch(name, downloader=downloader)
        except ValueError:
            # pooch says so of a wrong hash; a transfer damaged on its way is worth one more try.
            store.fetch(name, downloader=downloader)
    except ValueError as error:
        reason, cause = "what the server sent has the wrong hash", error
        remedy = (
            "A login page or filter of your network may answer instead of the server, or the "
            "mirror in HELA_DATA_URL may have another version: open the address in a browser."
        )
    except TransferError as error:
        reason, remedy, cause = error.reason, error.remedy, error
    except OSError as error:
        reason, remedy, cause = *storage_fault(path.parent, error), error
    else:
        return path
    if os.path.exists(path):
        reason += f"; the copy in the data folder is damaged (wrong hash): {path}"
    raise DataError(name, reason, f"{remedy} (From {url} to {path})") from cause
