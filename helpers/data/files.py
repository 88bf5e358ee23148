"""Published files by name: downloaded once, checked by hash, kept in one folder."""

import difflib
import queue
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path

import pooch
from tqdm import tqdm

from helpers import settings
from helpers.data.download import DataError, Downloads, can_serve
from helpers.progress import progress_bar
from helpers.settings import Settings, check_choice

PROBE_NAME = "hela-unet2/CODE/GroundTruth_4c/GT_Slice_001.mat"
"""A small file that `is_reachable` asks for."""
PROBE_TIMEOUT_S = 3.0
CONNECTIONS = 4
"""More than 8 are impolite to a public server."""


@cache
def _registry() -> pooch.Pooch:
    registry = pooch.create(path="", base_url="")
    with resources.files("helpers.data").joinpath("registry.txt").open("rb") as lines:
        registry.load_registry(lines)
    return registry


def names() -> tuple[str, ...]:
    """Return the names of all published files.

    Returns
    -------
    tuple of str
        In the order of ``helpers/data/registry.txt``, which has each file's SHA-256 hash and URL.

    Examples
    --------
    >>> len(names())
    945
    """
    return tuple(_registry().registry)


def is_cached(name: str) -> bool:
    """Tell whether a file is in the data folder, with the right hash.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    bool

    Raises
    ------
    DataError
        If there is no such name.
    """
    return _is_there(store_of(settings.current(), [name]), name)


def is_reachable() -> bool:
    """Tell whether files can be downloaded right now; takes three seconds at most.

    Returns
    -------
    bool
        False on any failure, and at once for a host that could not be reached a moment ago.
    """
    store = store_of(settings.current(), [PROBE_NAME])
    return can_serve(store.get_url(PROBE_NAME), PROBE_TIMEOUT_S)


def fetch(name: str) -> Path:
    """Return the path of a published file, downloading it if needed.

    A file in the data folder with the right hash is used as it is: nothing is asked of the
    network and nothing is written, so that a teacher can hand out a (read-only) folder.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Path
        `name` in the data folder, absolute.

    Raises
    ------
    DataError
        If there is no such name, or the file cannot be downloaded, checked or stored. Nothing is
        then left under the final name, except what was there before.
    """
    return fetch_from(store_of(settings.current(), [name]), name)


def fetch_many(names: Iterable[str], *, missing: str = "raise") -> dict[str, Path]:
    """Return the paths of several published files, downloading in parallel those that are needed.

    A progress bar shows, unless all files are there already.

    Parameters
    ----------
    names : iterable of str
        Each one of `names`.
    missing : {"raise", "skip"}
        What to do about files that cannot be had: raise the first error, or leave them out with
        one warning.

    Returns
    -------
    dict of str to Path
        In the order asked for.

    Raises
    ------
    ValueError
        If `names` is one text, or `missing` is not one of the two.
    DataError
        As `fetch`. Files downloaded until then are kept.
    """
    if isinstance(names, str):
        raise ValueError(f"names is the text {names!r}; give a list of names, or use fetch.")
    check_choice(missing, "missing", ("raise", "skip"))
    asked = list(dict.fromkeys(names))
    store = store_of(settings.current(), asked)
    wanted = [name for name in asked if not _is_there(store, name)]
    failed: dict[str, DataError] = {}
    if wanted:
        with progress_bar(desc="Downloading", total=len(wanted), unit="file", leave=False) as bar:
            failed = _download_all(store, wanted, bar, go_on=missing == "skip")
    if failed:
        _warn_left_out([failed[name] for name in wanted if name in failed], len(asked))
    return {name: store.abspath / name for name in asked if name not in failed}


def _download_all(
    store: pooch.Pooch, names: list[str], bar: tqdm, *, go_on: bool
) -> dict[str, DataError]:
    """Download files side by side; returns those that failed, or raises the first error."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, Exception | None]] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)

    def work() -> None:
        with suppress(queue.Empty):
            while not downloads.is_cancelled:
                name = waiting.get_nowait()
                try:
                    downloads.get(store, name)
                    done.put((name, None))
                except Exception as error:
                    done.put((name, error))

    failed: dict[str, DataError] = {}
    with Downloads(CONNECTIONS) as downloads:
        # Not a pool of concurrent.futures: Python waits for its threads, even after Ctrl-C, and a
        # slow server can keep them for long.
        threads = [threading.Thread(target=work, daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            for _ in names:
                name, error = _next(done)
                bar.update()
                if isinstance(error, DataError) and go_on:
                    failed[name] = error
                elif error is not None:
                    raise error
        except BaseException:  # Ctrl-C, too.
            downloads.cancel(threads)
            raise
    return failed


def _next(done: queue.SimpleQueue):
    while True:
        # Windows does not hear Ctrl-C while it waits without an end.
        with suppress(queue.Empty):
            return done.get(timeout=0.5)


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
    hint = (
        f"Did you mean {' or '.join(near[:4])}?"
        if near
        else "helpers.data.files.names() lists all."
    )
    raise DataError(name, "there is no published file of this name", hint)


def store_of(chosen: Settings, names: Iterable[str]) -> pooch.Pooch:
    """Return what knows folder, hash and address of published files.

    Parameters
    ----------
    chosen : Settings
    names : iterable of str
        The files that will be asked for.

    Returns
    -------
    pooch.Pooch

    Raises
    ------
    DataError
        If there is no file of one of the names.
    """
    for name in names:
        _check_name(name)
    registry = _registry()
    return pooch.create(
        path=chosen.data_dir,
        base_url=chosen.data_url or "",
        registry=registry.registry,
        urls=None if chosen.data_url else registry.urls,
    )


def fetch_from(store: pooch.Pooch, name: str, *, progress: bool = False) -> Path:
    """Return the path of a file of a store, downloading it if needed.

    Parameters
    ----------
    store : pooch.Pooch
        Knows the folder, the file's hash (None if nobody published one) and its address.
    name : str
        Of the file, in that folder.
    progress : bool
        Show a progress bar while downloading.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    DataError
        As `fetch`.
    """
    if _is_there(store, name):
        return store.abspath / name
    bar = progress_bar(
        desc=Path(name).name, unit="B", unit_scale=True, leave=False, disable=not progress
    )
    with bar, Downloads() as downloads:
        return downloads.get(store, name, bar)


def _is_there(store: pooch.Pooch, name: str) -> bool:
    path = store.abspath / name
    try:
        return path.is_file() and pooch.hashes.hash_matches(str(path), store.registry[name])
    except OSError:
        return False
