"""What can go wrong between a server and a file, in words a user can act on."""

import errno
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NewConnectionError

LONGEST_WAIT_S = 60.0
"""A server that asks for a longer wait (``Retry-After``) counts as down for that long."""
SHUT_S = 30.0
"""How long a host that could not be reached is not asked again."""

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


class TransferError(RuntimeError):
    """What went wrong on the way to a file, and what to do; arguments ``reason``, ``remedy``."""

    @property
    def reason(self) -> str:
        """What was wrong, without a full stop."""
        return self.args[0]

    @property
    def remedy(self) -> str:
        """What the user can do, one or more sentences."""
        return self.args[1]

    def __str__(self) -> str:
        return f"{self.reason}. {self.remedy}"


class AttemptError(Exception):
    """One failed try.

    Parameters
    ----------
    reason, remedy : str
        As in `TransferError`.
    retry : bool
        Whether another try may help.
    shut_s : float
        How long the host is not worth asking, in seconds; 0 when the fault is the file's alone.
    wait_s : float or None
        The wait the server asked for, in seconds.
    """

    def __init__(self, reason, remedy, *, retry=False, shut_s=0.0, wait_s=None):
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy
        self.retry, self.shut_s, self.wait_s = retry, shut_s, wait_s


def classify(error: Exception) -> AttemptError:
    """Turn what requests raised into an `AttemptError`."""
    if isinstance(error, AttemptError):
        return error
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    address = urlsplit(error.request.url).netloc if error.request is not None else "the server"
    if isinstance(error, requests.exceptions.ProxyError):
        return AttemptError(
            f"the proxy did not let through to {address} ({cause})", OFFLINE_REMEDY, shut_s=SHUT_S
        )
    if isinstance(error, requests.exceptions.SSLError) and "certificate" in str(error).lower():
        return AttemptError(
            f"the certificate of {address} is not trusted ({cause})", OFFLINE_REMEDY, shut_s=SHUT_S
        )
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError):
        return AttemptError(f"no connection to {address}", OFFLINE_REMEDY, shut_s=SHUT_S)
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return AttemptError("the server stopped answering", LATER_REMEDY, retry=True)
    cut = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    if isinstance(error, cut):
        return AttemptError(f"the connection was cut ({error})", LATER_REMEDY, retry=True)
    return AttemptError(f"the address cannot be asked for ({error})", MISSING_REMEDY)


def status_fault(response: requests.Response) -> AttemptError:
    """Turn an answer other than the file into an `AttemptError`."""
    status = f"HTTP {response.status_code} {response.reason}".strip()
    wait_s = _retry_after_s(response.headers.get("Retry-After"))
    busy = response.status_code in (408, 425, 429) or response.status_code >= 500
    if wait_s is not None and wait_s > LONGEST_WAIT_S:
        reason = f"the server asks to wait {wait_s:.0f} s ({status})"
        return AttemptError(reason, LATER_REMEDY, shut_s=wait_s)
    if busy or wait_s is not None:
        return AttemptError(
            f"the server is busy or broken ({status})", LATER_REMEDY, retry=True, wait_s=wait_s
        )
    return AttemptError(f"the server does not have it ({status})", MISSING_REMEDY)


def _retry_after_s(text: str | None) -> float | None:
    """Read seconds or an HTTP date.

    Examples
    --------
    >>> _retry_after_s("7"), _retry_after_s("soon"), _retry_after_s(None)
    (7.0, None, None)
    """
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


def storage_fault(folder: Path, error: OSError) -> tuple[str, str]:
    """Say what an error of the file system means for the user.

    Parameters
    ----------
    folder : Path
        Where a file was to be written.
    error : OSError

    Returns
    -------
    reason, remedy : str
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full, no room in {folder}",
            "Free some space, or set HELA_DATA_DIR to a folder on another disk.",
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return (
            f"the folder {folder} is read-only",
            "Set HELA_DATA_DIR to a folder you may write to, or put the file there yourself.",
        )
    return (
        f"the file cannot be stored in {folder} ({error})",
        "Check that folder, or set HELA_DATA_DIR to another.",
    )
