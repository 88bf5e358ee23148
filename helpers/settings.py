"""What a run may choose: every ``HELA_*`` variable, its values and its default, in one place."""

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pooch

PROFILES = ("smoke", "quick", "paper")
SOURCES = ("auto", "phantom", "sample", "full")

CHOICES: dict[str, tuple[str, ...]] = {
    "HELA_PROFILE": PROFILES,
    "HELA_SOURCE": SOURCES,
    "HELA_PALETTE": ("paper", "safe"),
    "HELA_STATIC": ("0", "1"),
    "HELA_FEW_SLICES": ("0", "1"),
    "HELA_REQUIRE_BROWSER": ("0", "1"),
}
"""Variables with a few values."""

DEFAULTS: dict[str, str | None] = {
    "HELA_PROFILE": "quick",
    "HELA_SOURCE": "auto",
    "HELA_DATA_DIR": None,  # the user's cache folder
    "HELA_DATA_URL": None,  # the addresses of the registry
    "HELA_PALETTE": "paper",
    "HELA_STATIC": "0",
    "HELA_FEW_SLICES": "0",
    "HELA_REPOSITORY_URL": None,  # no buttons for Colab and Binder
    "HELA_REPOSITORY_BRANCH": "notebooks",
    "HELA_PACKAGE": None,  # the repository at the notebook's commit; read before helpers is there
    "HELA_REQUIRE_BROWSER": "0",
    "HELA_SITE": None,  # the pages that the tests built
}
"""All variables, and what holds where one is not set."""


def read(variable: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Read a variable of the environment and check it.

    Parameters
    ----------
    variable : str
        One of `DEFAULTS`.
    environment : mapping of str to str

    Returns
    -------
    str or None
        Its value, without spaces around it; the default where it is not set.

    Raises
    ------
    ValueError
        If it is set to nothing, or to a value that is not allowed; the message lists those that
        are.

    Examples
    --------
    >>> read("HELA_PROFILE", {"HELA_PROFILE": "smoke"}), read("HELA_SOURCE", {})
    ('smoke', 'auto')
    """
    default = DEFAULTS[variable]
    if variable not in environment:
        return default
    value = environment[variable].strip()
    allowed = CHOICES.get(variable)
    if not value:
        choices = f", or set it to {' or '.join(allowed)}" if allowed else ""
        held = f"{default} then holds" if default else "the default then holds"
        raise ValueError(f"{variable} is set to nothing. Unset it ({held}){choices}.")
    if value[0] in "'\"" or value[-1] in "'\"":
        raise ValueError(
            f"{variable} is {value}, with quotes as part of the value. Set it without them."
        )
    return check_choice(value, variable, allowed) if allowed else value


def check_choice(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return a choice, or say which ones there are.

    Parameters
    ----------
    value : str
    name : str
        What the caller calls it.
    allowed : tuple of str

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is not among those allowed.

    Examples
    --------
    >>> check_choice("QUICK", "profile", PROFILES)
    Traceback (most recent call last):
    ValueError: profile is 'QUICK'; allowed are smoke, quick, paper. Did you mean quick?
    """
    if value in allowed:
        return value
    near = difflib.get_close_matches(str(value).lower(), allowed, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"{name} is {value!r}; allowed are {', '.join(allowed)}.{hint}")


def is_static() -> bool:
    """Return whether pages are made that have no kernel: ``HELA_STATIC=1``, set by the build."""
    return read("HELA_STATIC") == "1"


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
        Folder with the downloaded files, absolute.
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

        Parameters
        ----------
        environment : mapping of str to str

        Returns
        -------
        Settings

        Raises
        ------
        ValueError
            As `read`; or if the folder's user is not known, or the address is none of the web.

        Examples
        --------
        >>> Settings.from_environment({"HELA_PROFILE": "smoke"}).profile
        'smoke'
        """
        url = (read("HELA_DATA_URL", environment) or "").rstrip("/")
        if url and not url.startswith(("http://", "https://")):
            raise ValueError(
                f"HELA_DATA_URL is {url!r}; it must start with http:// or https://. "
                "For a folder on this computer set HELA_DATA_DIR instead."
            )
        folder = Path(read("HELA_DATA_DIR", environment) or pooch.os_cache("hela-book"))
        try:
            folder = folder.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError(
                f"HELA_DATA_DIR is {str(folder)!r}, and there is no such user. "
                "Write the folder's whole path."
            ) from error
        return cls(
            profile=read("HELA_PROFILE", environment),
            source=read("HELA_SOURCE", environment),
            data_dir=folder,
            data_url=url or None,
        )


@cache
def _of_environment() -> Settings:
    return Settings.from_environment()


def are_read() -> bool:
    """Return whether something has asked for the settings of the environment in this process."""
    return _of_environment.cache_info().currsize > 0


def read_again() -> Settings:
    """Return the settings of the environment as it is now; they are those in use from now on."""
    _of_environment.cache_clear()
    return _of_environment()


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
