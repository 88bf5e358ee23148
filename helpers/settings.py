"""What a run may choose: profile, data source and folders, read once from the environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pooch

from helpers.labels import check_choice

PROFILES = ("smoke", "quick", "paper")
SOURCES = ("auto", "phantom", "sample", "full")


@dataclass(frozen=True)
class Settings:
    """Choices that hold for a whole run.

    Attributes
    ----------
    profile : {"smoke", "quick", "paper"}
        How much is computed: seconds, minutes, or the paper's own configuration.
    source : {"auto", "phantom", "sample", "full"}
        Where the slices come from; see `helpers.data.load_stack`.
    data_dir : Path
        Folder with the downloaded files.
    data_url : str or None
        Address that replaces those of the registry, for a classroom mirror; no final slash.
    """

    profile: str
    source: str
    data_dir: Path
    data_url: str | None

    def __post_init__(self):
        check_choice(self.profile, "profile", PROFILES)
        check_choice(self.source, "source", SOURCES)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read ``HELA_PROFILE``, ``HELA_SOURCE``, ``HELA_DATA_DIR`` and ``HELA_DATA_URL``.

        An empty variable counts as not set.

        Parameters
        ----------
        environment : mapping of str to str

        Returns
        -------
        Settings

        Raises
        ------
        ValueError
            If a variable has a value that is not allowed; the message lists those that are.

        Examples
        --------
        >>> Settings.from_environment({"HELA_PROFILE": "smoke"}).profile
        'smoke'
        """
        folder = environment.get("HELA_DATA_DIR") or pooch.os_cache("hela-book")
        url = (environment.get("HELA_DATA_URL") or "").rstrip("/")
        if url and not url.startswith(("http://", "https://")):
            raise ValueError(
                f"HELA_DATA_URL is {url!r}; it must start with http:// or https://. "
                "For a folder on this computer set HELA_DATA_DIR instead."
            )
        return cls(
            profile=_choice(environment, "HELA_PROFILE", PROFILES, "quick"),
            source=_choice(environment, "HELA_SOURCE", SOURCES, "auto"),
            data_dir=Path(folder).expanduser(),
            data_url=url or None,
        )


def _choice(environment, variable: str, allowed: tuple[str, ...], default: str) -> str:
    return check_choice(environment.get(variable) or default, variable, allowed)


@cache
def _of_environment() -> Settings:
    return Settings.from_environment()


_in_use: Settings | None = None


def current() -> Settings:
    """Return the settings in use.

    Returns
    -------
    Settings
        Those of `using`, else those of the environment, which is read once a process.
    """
    return _in_use or _of_environment()


@contextmanager
def using(settings: Settings | None = None, **changes) -> Iterator[Settings]:
    """Use other settings for a while, in all threads of this process.

    Parameters
    ----------
    settings : Settings, optional
        By default those in use.
    **changes
        Attributes of `Settings` with new values.

    Yields
    ------
    Settings

    Examples
    --------
    >>> with using(profile="smoke"):
    ...     current().profile
    'smoke'
    """
    global _in_use
    before = _in_use
    chosen = replace(settings or current(), **changes)
    _in_use = chosen
    try:
        yield chosen
    finally:
        _in_use = before
