"""Published files by name: downloaded once, checked by hash, kept in one folder."""

import difflib
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from importlib import resources
from pathlib import Path

import pooch
from tqdm import tqdm

from helpers import settings as settings_module
from helpers.checks import check_choice
from helpers.faults import TransferError, storage_fault
from helpers.settings import Settings
from helpers.transfer import Client

PROBE_NAME = "hela-unet2/CODE/GroundTruth_4c/GT_Slice_001.mat"
"""A small file that `is_reachable` asks for unless told otherwise."""
MAX_WORKERS = 8
"""More connections than that are impolite to a public server."""

# pooch prints a line for every file it gets; the progress bar says the same in one.
pooch.get_logger().setLevel("WARNING")


class DataError(RuntimeError):
    """A file cannot be had; the message names it, what was wrong, and the remedy."""

    def __init__(self, name: str, reason: str, remedy: str):
        super().__init__(name, reason, remedy)
        self.name, self.reason, self.remedy = name, reason, remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}. {self.remedy}"


@cache
def _registry() -> pooch.Pooch:
    registry = pooch.create(path="", base_url="")
    with resources.files("helpers").joinpath("registry.txt").open("rb") as lines:
        registry.load_registry(lines)
    return registry


def names() -> tuple[str, ...]:
    """Return the names of all published files.

    Returns
    -------
    tuple of str
        In the order of ``helpers/registry.txt``, which also has each file's SHA-256 hash and URL.

    Examples
    --------
    >>> len(names())
    955
    """
    return tuple(_registry().registry)


def is_cached(name: str, *, settings: Settings | None = None) -> bool:
    """Tell whether a file is in the data folder, with the right hash.

    Parameters
    ----------
    name : str
        One of `names`.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    bool

    Raises
    ------
    DataError
        If there is no such name.
    """
    path = _path(name, settings or settings_module.current())
    try:
        return path.is_file() and pooch.file_hash(str(path)) == _registry().registry[name]
    except OSError:
        return False


def is_reachable(
    name: str = PROBE_NAME, timeout_s: float = 3, *, settings: Settings | None = None
) -> bool:
    """Tell whether the source can serve a file right now.

    Parameters
    ----------
    name : str
        One of `names`.
    timeout_s : float
        Longest wait for the server's answer, in seconds.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    bool
        False on any failure, and at once for a host that could not be reached a moment ago.

    Raises
    ------
    DataError
        If there is no such name.
    """
    _check_name(name)
    with Client() as client:
        return client.can_serve(
            _store(settings or settings_module.current()).get_url(name), timeout_s
        )


def fetch(name: str, *, progress: bool = False, settings: Settings | None = None) -> Path:
    """Return the path of a published file, downloading it if needed.

    A file in the data folder with the right hash is used as it is: nothing is asked of the
    network and nothing is written, so that a teacher can hand out a (read-only) folder.

    Parameters
    ----------
    name : str
        One of `names`.
    progress : bool
        Show a progress bar while downloading.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    Path
        ``settings.data_dir / name``, absolute.

    Raises
    ------
    DataError
        If there is no such name, or the file cannot be downloaded, checked or stored. Nothing is
        then left under the final name, except what was there before.
    """
    settings = settings or settings_module.current()
    if is_cached(name, settings=settings):
        return _path(name, settings)
    bar = tqdm(desc=Path(name).name, unit="B", unit_scale=True, leave=False, disable=not progress)
    with bar, Client() as client:
        return download(_store(settings), name, client, bar)


def fetch_many(
    names: Iterable[str],
    *,
    progress: bool = True,
    workers: int = 4,
    missing: str = "raise",
    settings: Settings | None = None,
) -> dict[str, Path]:
    """Return the paths of several published files, downloading in parallel those that are needed.

    Parameters
    ----------
    names : iterable of str
        Each one of `names`.
    progress : bool
        Show one progress bar, unless all files are there already.
    workers : int
        Connections at a time, 1 to 8.
    missing : {"raise", "skip"}
        What to do about files that cannot be had: raise the first error, or leave them out with
        one warning.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    dict of str to Path
        In the order asked for.

    Raises
    ------
    ValueError
        If an option has a value that is not allowed.
    DataError
        As `fetch`. Files downloaded until then are kept.
    """
    if isinstance(names, str):
        raise ValueError(f"names is the text {names!r}; give a list of names, or use data.fetch.")
    check_choice(missing, "missing", ("raise", "skip"))
    if not 1 <= workers <= MAX_WORKERS:
        raise ValueError(f"workers is {workers}; allowed are 1 to {MAX_WORKERS}.")
    settings = settings or settings_module.current()
    asked = list(dict.fromkeys(names))
    wanted = [name for name in asked if not is_cached(name, settings=settings)]
    failed: dict[str, DataError] = {}
    if wanted:
        bar = tqdm(
            desc="Downloading", total=len(wanted), unit="file", leave=False, disable=not progress
        )
        with bar, Client(workers) as client, ThreadPoolExecutor(workers) as pool:
            store = _store(settings)
            jobs = {pool.submit(download, store, name, client): name for name in wanted}
            try:
                for job in as_completed(jobs):
                    bar.update()
                    try:
                        job.result()
                    except DataError as error:
                        if missing == "raise":
                            raise
                        failed[jobs[job]] = error
            except BaseException:
                # Also on Ctrl-C: without this, leaving the pool would wait for all the files.
                client.cancelled.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    if failed:
        _warn_left_out([failed[name] for name in wanted if name in failed], len(asked))
    return {name: _path(name, settings) for name in asked if name not in failed}


def _warn_left_out(errors: list[DataError], asked: int) -> None:
    few = ", ".join(error.name for error in errors[:3]) + (", ..." if errors[3:] else "")
    warnings.warn(
        f"{len(errors)} of {asked} files cannot be had and are left out: {few}. "
        f"The first: {errors[0].reason}. {errors[0].remedy}",
        stacklevel=3,
    )


def _check_name(name: str) -> None:
    known = _registry().registry
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3)
    # A file name without its folders is the likeliest slip.
    near += [k for k in known if k not in near and k.endswith(f"/{name}")]
    hint = f"Did you mean {' or '.join(near[:4])}?" if near else "helpers.data.names() lists all."
    raise DataError(name, "there is no published file of this name", hint)


def _path(name: str, settings: Settings) -> Path:
    _check_name(name)
    return settings.data_dir.expanduser().absolute() / name


def _store(settings: Settings) -> pooch.Pooch:
    registry = _registry()
    return pooch.create(
        path=settings.data_dir,
        base_url=settings.data_url or "",
        registry=registry.registry,
        urls=None if settings.data_url else registry.urls,
    )


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
        As `fetch`.
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
