"""Files over HTTP: asked for again where that helps, given up soon where it does not.

pooch checks a file's hash and gives it its name when it is whole; requests and urllib3's `Retry`
ask again. What is added here: an error that says what to do, no waiting for a host that is down,
and the end of a batch on Ctrl-C.
"""

import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from tqdm import tqdm
from urllib3.exceptions import (
    InvalidHeader,
    MaxRetryError,
    NewConnectionError,
    ResponseError,
)
from urllib3.util import Retry

from helpers import __version__
from helpers.cache import StorageError, storage_fault

USER_AGENT = f"hela-book/{__version__} (python-requests/{requests.__version__})"
TRIES = 4
BACK_OFF_S = 0.5
"""Doubles from try to try."""
LONGEST_WAIT_S = 60.0
"""A server that asks for a longer wait (``Retry-After``) counts as down for that long."""
RESOLVE_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
SHUT_S = 30.0
"""How long a host that could not be reached is not asked again."""
FAILURES_TO_SHUT = 3
"""Files in a row, each given up after all its tries, until their host counts as down."""
CHUNK_BYTES = 1 << 16

OFFLINE_REMEDY = (
    "Connect to the network, or set HELA_DATA_DIR to a folder that has the file, "
    "or HELA_DATA_URL to a mirror that can be reached."
)
LATER_REMEDY = (
    "Try again later, or set HELA_DATA_URL to a mirror, or HELA_DATA_DIR to a folder "
    "that has the file."
)
MISSING_REMEDY = (
    "If HELA_DATA_URL is set, check that the mirror has the file under this address; "
    "otherwise put the file into the data folder yourself."
)
PORTAL_REMEDY = (
    "A login page or filter of your network may answer instead of the server, or the "
    "mirror in HELA_DATA_URL may have another version: open the address in a browser."
)

# pooch prints a line for every file it gets; the progress bar says the same in one.
pooch.get_logger().setLevel("WARNING")


class DataError(RuntimeError):
    """A file cannot be had; the message names it, what was wrong, and the remedy."""

    def __init__(self, name: str, reason: str, remedy: str):
        super().__init__(name, reason, remedy)
        self.name, self.reason, self.remedy = name, reason, remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}. {self.remedy}"


class TransferError(Exception):
    """What went wrong with a host.

    `shut_s` says for how long it is not worth asking, `may_recur` whether it is likely to do the
    same with the next file.
    """

    def __init__(self, reason: str, remedy: str, *, shut_s: float = 0.0, may_recur: bool = False):
        super().__init__(reason, remedy)
        self.reason, self.remedy, self.shut_s, self.may_recur = reason, remedy, shut_s, may_recur


class CutError(TransferError):
    """The body of an answer that had begun well ended too early: another try may help."""

    def __init__(self, reason: str):
        super().__init__(reason, LATER_REMEDY, may_recur=True)


class _Patience(Retry):
    """Does not wait for longer than `LONGEST_WAIT_S`, nor for what is no time."""

    def get_retry_after(self, response) -> float | None:
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None

    def increment(self, method=None, url=None, response=None, error=None, *rest, **named):
        if response is not None and (self.get_retry_after(response) or 0) > LONGEST_WAIT_S:
            raise MaxRetryError(None, url, ResponseError("the server asks for a long wait"))
        return super().increment(method, url, response, error, *rest, **named)


class Downloads:
    """A few connections that are kept alive for one batch of files.

    Parameters
    ----------
    connections : int
        How many threads share them.
    """

    def __init__(self, connections: int = 1):
        self._cancelled = threading.Event()
        self._unfinished: set[str] = set()
        self._session = requests.Session()
        # Without "identity" a server may compress, and Content-Length says nothing of the file.
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        retry = _Patience(
            TRIES - 1,
            connect=0,
            other=0,
            status_forcelist={408, 425, 429, *range(500, 600)},
            backoff_factor=BACK_OFF_S,
            # So that parallel downloads do not come back all at once.
            backoff_jitter=BACK_OFF_S / 2,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=retry))

    def __enter__(self) -> "Downloads":
        return self

    def __exit__(self, *_) -> None:
        self._session.close()

    @property
    def is_cancelled(self) -> bool:
        """Whether threads shall come to an end."""
        return self._cancelled.is_set()

    def cancel(self, threads: Iterable[threading.Thread]) -> None:
        """Let threads end at their next piece of a file, wait a second, and clear up after them."""
        self._cancelled.set()
        until = time.monotonic() + 1
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
        for temporary in list(self._unfinished):
            with suppress(OSError):
                os.remove(temporary)

    def get(self, store: pooch.Pooch, name: str, bar: tqdm | None = None) -> Path:
        """Get one file through pooch, which checks the hash and moves the file when it is whole.

        Parameters
        ----------
        store : pooch.Pooch
            Knows the folder, the file's hash (None if nobody published one) and its address.
        name : str
            Of the file, in that folder.
        bar : tqdm.tqdm, optional
            Counts bytes.

        Returns
        -------
        Path
            Absolute.

        Raises
        ------
        DataError
            If it cannot be downloaded, checked or stored. Nothing is then left under the final
            name, except what was there before.
        """
        path, url = store.abspath / name, store.get_url(name)

        def downloader(url: str, temporary: str, _store: pooch.Pooch) -> None:
            self._unfinished.add(temporary)
            self._save(url, temporary, bar)
            # pooch's temporary files are private; a shared folder's files are for all to read.
            os.chmod(temporary, 0o644)
            self._unfinished.discard(temporary)

        # A transfer that was damaged on its way (pooch finds a wrong hash) is worth one more try.
        store.retry_if_failed = 1
        try:
            # pooch makes it, too, but fails when a parallel download is a moment faster (PR 554).
            path.parent.mkdir(parents=True, exist_ok=True)
            store.fetch(name, downloader=downloader)
        except ValueError as error:
            reason, remedy, cause = "what the server sent has the wrong hash", PORTAL_REMEDY, error
        except DataError as error:
            reason, remedy, cause = error.reason, error.remedy, error.__cause__
        except OSError as error:
            reason, remedy, cause = *fault_of_storage(path, error), error
        else:
            return path
        if path.exists():
            reason += f"; the copy in the data folder is damaged (wrong hash): {path}"
        raise DataError(name, reason, f"{remedy} (From {without_login(url)} to {path})") from cause

    def _save(self, url: str, path: str, bar: tqdm | None) -> None:
        """Download `url` into the file `path`, from its start at each try."""
        with asking(url):
            for tries in range(1, TRIES + 1):
                try:
                    with self.open(url) as response, open(path, "wb") as file:
                        if bar is not None:
                            bar.reset(total=length_of(response))
                        for chunk in self.chunks(response):
                            file.write(chunk)
                            if bar is not None:
                                bar.update(len(chunk))
                except CutError:
                    if tries == TRIES:
                        raise
                    back_off(tries)
                else:
                    return

    def open(self, url: str, headers=None, allowed=(200,)) -> requests.Response:
        """Ask for `url`; returns the answer with its body not yet read."""
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        response = self._session.get(url, headers=headers, stream=True, timeout=timeout)
        if response.status_code not in allowed or _is_page(response):
            with response:
                raise _fault_of_answer(response)
        return response

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body piece by piece."""
        length, received = length_of(response), 0
        if length is not None:
            # urllib3 counts, too, but drops the last piece of a body that was cut.
            response.raw.enforce_content_length = False
        try:
            for chunk in response.iter_content(CHUNK_BYTES):
                if self.is_cancelled:
                    raise TransferError("cancelled, because another file failed", LATER_REMEDY)
                received += len(chunk)
                yield chunk
        except requests.RequestException as error:
            raise CutError(_fault_of_request(error, response.url).reason) from error
        if length is not None and received < length:
            raise CutError(f"the connection was cut after {received} of {length} bytes")


def back_off(tries: int) -> None:
    """Wait before the next try; the longer, the more there were."""
    time.sleep(BACK_OFF_S * 2 ** (tries - 1))


def without_login(url: str) -> str:
    """Return an address as it may be shown: without the name and password that it may have.

    Examples
    --------
    >>> without_login("https://me:secret@mirror.org:8000/a")
    'https://mirror.org:8000/a'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def can_serve(url: str, timeout_s: float) -> bool:
    """Tell whether `url` would be served now; asks once, for the headers only.

    Parameters
    ----------
    url : str
    timeout_s : float
        Longest wait, in seconds.

    Returns
    -------
    bool
    """
    outcome: list[bool] = []

    def ask() -> None:
        with suppress(DataError), asking(url), requests.Session() as session:
            answer = session.head(url, timeout=timeout_s, allow_redirects=True)
            if answer.status_code in (403, 405, 501):  # Some servers know no HEAD.
                first = {"Range": "bytes=0-0"}
                answer = session.get(url, headers=first, stream=True, timeout=timeout_s)
                answer.close()
            outcome.append(answer.ok and not _is_page(answer))

    # In a thread, because a time-out of requests holds for each address of a host anew.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return bool(outcome and outcome[0])


class _Host:
    """What this process learned about one host; shared by all its threads."""

    def __init__(self):
        self.answered, self.failures, self.shut_until, self.why = False, 0, 0.0, ("", "")


_hosts: dict[str, _Host] = {}


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Turn what goes wrong with a host into a `DataError`, and ask it no more for a while."""
    host = _hosts.setdefault(urlsplit(url).netloc, _Host())
    left_s = host.shut_until - time.monotonic()
    if left_s > 0:
        reason, remedy = host.why
        raise DataError(url, f"{reason} (asked before; next try in {left_s:.0f} s)", remedy)
    try:
        if not host.answered:
            _resolve(url)
        yield
    except (TransferError, requests.RequestException) as error:
        fault = error if isinstance(error, TransferError) else _fault_of_request(error, url)
        host.failures += fault.may_recur
        shut_s = fault.shut_s or SHUT_S * (host.failures >= FAILURES_TO_SHUT)
        if shut_s:
            host.answered, host.why = False, (fault.reason, fault.remedy)
            host.shut_until = time.monotonic() + shut_s
        raise DataError(url, fault.reason, fault.remedy) from error
    host.answered, host.failures = True, 0


def _resolve(url: str) -> None:
    """Look up the host's address, because that step knows no time-out of its own."""
    proxy = select_proxy(url, get_environ_proxies(url))
    target = urlsplit(url if not proxy else proxy if "://" in proxy else f"//{proxy}").hostname
    outcome: list[Exception | None] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(target, None)
            outcome.append(None)
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(RESOLVE_TIMEOUT_S)
    if not outcome or outcome[0]:
        why = outcome[0] if outcome else f"no answer in {RESOLVE_TIMEOUT_S:g} s"
        reason = f"no network: {target} is not found ({why})"
        raise TransferError(reason, OFFLINE_REMEDY, shut_s=SHUT_S)


def _fault_of_request(error: requests.RequestException, url: str) -> TransferError:
    host, text = urlsplit(without_login(url)).netloc, str(error).lower()
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.ProxyError):
        reason = f"the proxy did not let through to {host} ({cause})"
    elif isinstance(error, requests.exceptions.SSLError) and "certificate" in text:
        reason = f"the certificate of {host} is not trusted ({cause})"
    elif isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError):
        reason = f"no connection to {host}"
    elif isinstance(error, requests.Timeout) or "timed out" in text:
        return TransferError("the server stopped answering", LATER_REMEDY, may_recur=True)
    elif isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return TransferError(f"the connection was cut ({error})", LATER_REMEDY, may_recur=True)
    else:
        return TransferError(f"the address cannot be asked for ({error})", MISSING_REMEDY)
    return TransferError(reason, OFFLINE_REMEDY, shut_s=SHUT_S)


def _fault_of_answer(response: requests.Response) -> TransferError:
    status = f"HTTP {response.status_code} {response.reason}".strip()
    wait_s = _Patience().get_retry_after(response)
    if response.ok:
        return TransferError(
            "the server sent a web page, not the file", PORTAL_REMEDY, may_recur=True
        )
    if wait_s is not None and wait_s > LONGEST_WAIT_S:
        reason = f"the server asks to wait {wait_s:.0f} s ({status})"
        return TransferError(reason, LATER_REMEDY, shut_s=wait_s)
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        reason = f"the server is busy or broken ({status})"
        return TransferError(reason, LATER_REMEDY, may_recur=True)
    return TransferError(f"the server does not have it ({status})", MISSING_REMEDY)


def fault_of_storage(path: Path, error: OSError) -> tuple[str, str]:
    """Say what an error of the file system means for a download: reason and remedy."""
    cause = error.__cause__ if isinstance(error, StorageError) else error
    reason, remedy = storage_fault(path, cause)
    return reason, f"{remedy} Or put the file there yourself."


def _is_page(response: requests.Response) -> bool:
    """Tell whether a page came instead of a file, as from a network that wants a login."""
    return response.ok and "html" in response.headers.get("Content-Type", "")


def length_of(response: requests.Response) -> int | None:
    """Return the number of bytes the body must have, or None if the server does not say."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() and "Content-Encoding" not in response.headers else None


def total_of(response: requests.Response) -> int | None:
    """Return the size of the whole file, also when the answer is a part of it; None if untold."""
    if response.status_code != 206:
        return length_of(response)
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def version_of(response: requests.Response) -> str | None:
    """Return what tells this version of the file from others, fit for the header ``If-Range``.

    A weak ETag may be the same for different bytes (RFC 9110, section 8.8.1) and is not used.
    """
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")
