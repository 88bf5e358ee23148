"""Published files by name: downloaded once, checked by hash, kept in one folder."""

import difflib
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from importlib import resources
from pathlib import Path

import pooch
from tqdm import tqdm

from helpers import settings as settings_module
from helpers.data.download import DataError, download
from helpers.data.transfer import Client
from helpers.labels import check_choice
from helpers.settings import Settings

PROBE_NAME = "hela-unet2/CODE/GroundTruth_4c/GT_Slice_001.mat"
"""A small file that `is_reachable` asks for unless told otherwise."""
MAX_WORKERS = 8
"""More connections than that are impolite to a public server."""


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
        raise ValueError(f"names is the text {names!r}; give a list of names, or use fetch.")
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
    hint = (
        f"Did you mean {' or '.join(near[:4])}?"
        if near
        else "helpers.data.files.names() lists all."
    )
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
