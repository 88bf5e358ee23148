"""HTTP that a class can rely on: retries with back-off, and no waiting for a host that is down.

Chapters do not need it.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from helpers import __version__
from helpers.data.faults import (
    LATER_REMEDY,
    OFFLINE_REMEDY,
    SHUT_S,
    AttemptError,
    TransferError,
    classify,
    status_fault,
)

USER_AGENT = f"hela-book/{__version__} (python-requests/{requests.__version__})"
TRIES = 4
BACK_OFF_S = 0.5
"""Wait before the second try; it doubles before each further one."""
RESOLVE_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
FAILURES_TO_SHUT = 3
"""Files in a row, each given up after all its tries, until their host counts as down."""
CHUNK_BYTES = 1 << 16
FRESH_START_BYTES = 1 << 20
"""A try that adds this much to a file that resumes counts as the first again."""

T = TypeVar("T")


class _Host:
    """What this process learned about one host; shared by all its threads."""

    def __init__(self):
        self.answered = False
        self.pause_until = 0.0
        self._failures = 0
        self._shut_until = 0.0
        self._why = ("", "")
        self._lock = threading.Lock()

    def check(self) -> None:
        left_s = self._shut_until - time.monotonic()
        if left_s > 0:
            reason, remedy = self._why
            raise TransferError(f"{reason} (asked before; next try in {left_s:.0f} s)", remedy)

    def succeeded(self) -> None:
        with self._lock:
            self.answered, self._failures = True, 0

    def gave_up(self, fault: AttemptError) -> None:
        with self._lock:
            self._failures += fault.retry
            shut_s = fault.shut_s or SHUT_S * (self._failures >= FAILURES_TO_SHUT)
            if shut_s:
                self.answered = False
                self._shut_until = time.monotonic() + shut_s
                self._why = (fault.reason, fault.remedy)


_hosts: dict[str, _Host] = {}


def _host(url: str) -> _Host:
    return _hosts.setdefault(urlsplit(url).netloc, _Host())


def forget_hosts() -> None:
    """Forget which hosts were down, so that the next call asks them again."""
    _hosts.clear()


class Client:
    """A few kept-alive connections, used by one batch of downloads.

    Parameters
    ----------
    connections : int
        How many threads share the client.
    """

    def __init__(self, connections: int = 1):
        self.cancelled = threading.Event()
        self._session = requests.Session()
        # Without "identity" a server may compress, and Content-Length says nothing of the file.
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self._session.close()

    def retry(
        self, url: str, attempt: Callable[[], T], kept_bytes: Callable[[], int] = lambda: 0
    ) -> T:
        """Call `attempt` until it succeeds or more tries are of no use.

        Parameters
        ----------
        url : str
            What `attempt` asks for; its host's state is respected and kept.
        attempt : callable
            Takes nothing; raises `AttemptError` or a requests exception when it fails.
        kept_bytes : callable
            How much of the file need not be asked for again; see `FRESH_START_BYTES`.

        Returns
        -------
        object
            What `attempt` returned.

        Raises
        ------
        TransferError
            If the host is down, the file cannot be had, or all tries failed.
        """
        host, tries = _host(url), 0
        while True:
            host.check()
            self._sleep(host.pause_until - time.monotonic())
            before = kept_bytes()
            try:
                if not host.answered:
                    _resolve(url, RESOLVE_TIMEOUT_S)
                result = attempt()
            except (AttemptError, requests.RequestException) as error:
                fault = classify(error)
            else:
                host.succeeded()
                return result
            tries = 1 if kept_bytes() - before >= FRESH_START_BYTES else tries + 1
            if not fault.retry or tries >= TRIES:
                host.gave_up(fault)
                again = f" ({tries} tries)" if tries > 1 else ""
                raise TransferError(fault.reason + again, fault.remedy)
            if fault.wait_s is None:
                # Jitter, so that parallel workers do not come back all at once.
                self._sleep(BACK_OFF_S * 2 ** (tries - 1) * random.uniform(0.8, 1.2))
            else:
                host.pause_until = max(host.pause_until, time.monotonic() + fault.wait_s)

    def _sleep(self, seconds: float) -> None:
        if self.cancelled.wait(max(seconds, 0.0)):
            raise TransferError("cancelled because another file failed", LATER_REMEDY)

    @contextmanager
    def open(self, url: str, *, headers=None, passed=(200, 206)) -> Iterator[requests.Response]:
        """Ask once for `url`; yields the answer with its body not yet read.

        A status that is not in `passed` raises `AttemptError`.
        """
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        with self._session.get(url, headers=headers, stream=True, timeout=timeout) as response:
            if response.status_code not in passed:
                raise status_fault(response)
            yield response

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body piece by piece, and raise `AttemptError` if it ends too early."""
        length, received = content_length(response), 0
        if length is not None:
            # urllib3 checks this only from version 2 on, and then drops the last piece.
            response.raw.enforce_content_length = False
        for chunk in response.iter_content(CHUNK_BYTES):
            if self.cancelled.is_set():
                raise AttemptError("cancelled because another file failed", LATER_REMEDY)
            received += len(chunk)
            yield chunk
        if length is not None and received < length:
            raise AttemptError(
                f"the connection was cut after {received} of {length} bytes",
                LATER_REMEDY,
                retry=True,
            )

    def save(self, url: str, path: str, bar=None) -> None:
        """Download `url` into the file `path`, from its start at each try.

        Parameters
        ----------
        url, path : str
        bar : tqdm.tqdm, optional
            Counts bytes.

        Raises
        ------
        TransferError
            As `retry`.
        OSError
            If the file cannot be written.
        """

        def attempt() -> None:
            with self.open(url, passed=(200,)) as response, open(path, "wb") as file:
                if bar is not None:
                    bar.reset(total=content_length(response))
                for chunk in self.chunks(response):
                    file.write(chunk)
                    if bar is not None:
                        bar.update(len(chunk))

        self.retry(url, attempt)

    def can_serve(self, url: str, timeout_s: float) -> bool:
        """Tell whether `url` would be served now; asks once, for the headers only."""
        outcome: list[bool] = []
        # In a thread, because a time-out of requests holds for each address of a host anew.
        thread = threading.Thread(
            target=lambda: outcome.append(self._probe(url, timeout_s)), daemon=True
        )
        thread.start()
        thread.join(timeout_s)
        return bool(outcome and outcome[0])

    def _probe(self, url: str, timeout_s: float) -> bool:
        host = _host(url)
        try:
            host.check()
            if not host.answered:
                _resolve(url, min(timeout_s, RESOLVE_TIMEOUT_S))
            answer = self._session.head(url, timeout=timeout_s, allow_redirects=True)
            if answer.status_code in (403, 405, 501):
                # Some servers know no HEAD.
                first = {"Range": "bytes=0-0"}
                answer = self._session.get(url, headers=first, stream=True, timeout=timeout_s)
                answer.close()
        except (AttemptError, requests.RequestException) as error:
            host.gave_up(classify(error))
            return False
        except TransferError:
            return False
        host.succeeded()
        # A page instead of a file is a network's login page.
        return answer.ok and "html" not in answer.headers.get("Content-Type", "")


def content_length(response: requests.Response) -> int | None:
    """Return the number of bytes the body must have, or None if the server does not say."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() and "Content-Encoding" not in response.headers else None


def total_bytes(response: requests.Response) -> int | None:
    """Return the size of the whole file, also when the answer is a part of it; None if untold."""
    if response.status_code != 206:
        return content_length(response)
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def validator(response: requests.Response) -> str | None:
    """Return what tells this version of the file from others, fit for the header ``If-Range``.

    A weak ETag may be the same for different bytes (RFC 9110, section 8.8.1) and is not used.
    """
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _resolve(url: str, timeout_s: float) -> None:
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
    thread.join(timeout_s)
    if not outcome or outcome[0]:
        why = outcome[0] if outcome else f"no answer in {timeout_s:g} s"
        raise AttemptError(
            f"no network: {target} is not found ({why})", OFFLINE_REMEDY, shut_s=SHUT_S
        )
