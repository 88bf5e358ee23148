"""What a run was: everything that its results depend on, and what it cost."""

import hashlib
import importlib.metadata
import inspect
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import ModuleType

import helpers

try:
    import resource
except ImportError:  # On Windows.
    resource = None

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "tensorflow",
    "keras",
    "keras-hub",
)


@dataclass(frozen=True)
class Record:
    """What a run was.

    Attributes
    ----------
    method, run, origin : str
    source, stack, profile : str
        Where the slices come from, what they show, and how much was computed.
    shape : (int, int)
        Size of a slice, (y, x), in pixels.
    pixel_size_nm : float
    split : str
        How slices were divided into training and test, in words.
    training_slices : tuple of int or None
        None where that is not known.
    seed : int or None
    weights : str or None
        Where the first weights came from.
    parameters : dict
        Whatever else the result depends on; what JSON can hold.
    code : str
        Fingerprint of the code that made the label maps.
    scoring : str
        Fingerprint of what made scores of them.
    device : str
    versions : dict of str to str
    seconds_per_slice, training_minutes, peak_memory_mb : float or None
        None where it was not measured. Memory is that of the whole process.
    slices : tuple of int
        What has been scored.
    complete : bool
        Whether that is all that was asked for.
    """

    method: str
    run: str
    origin: str
    source: str
    stack: str
    profile: str
    shape: tuple[int, int]
    pixel_size_nm: float
    split: str = "none"
    training_slices: tuple[int, ...] | None = ()
    seed: int | None = None
    weights: str | None = None
    parameters: dict = field(default_factory=dict)
    code: str = ""
    scoring: str = ""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds_per_slice: float | None = None
    training_minutes: float | None = None
    peak_memory_mb: float | None = None
    slices: tuple[int, ...] = ()
    complete: bool = False

    def identity(self) -> dict:
        """Return the entries that label maps depend on, and that must not change in a run."""
        measured = (
            "scoring",
            "device",
            "versions",
            "seconds_per_slice",
            "training_minutes",
            "peak_memory_mb",
            "slices",
            "complete",
        )
        return {key: value for key, value in asdict(self).items() if key not in measured}

    @classmethod
    def from_json(cls, content: dict) -> "Record":
        """Make a record from what its file has.

        Parameters
        ----------
        content : dict

        Returns
        -------
        Record

        Raises
        ------
        ValueError
            If an entry is missing or unknown.
        """
        if not isinstance(content, dict):
            raise ValueError(f"the record is a {type(content).__name__}, not a mapping of entries.")
        wanted = {each.name for each in fields(cls)}
        if set(content) != wanted:
            differ = ", ".join(sorted(set(content) ^ wanted))
            raise ValueError(f"the record does not have the entries it should: {differ}.")
        for key in ("shape", "slices", "training_slices"):
            if content[key] is not None:
                content[key] = tuple(content[key])
        return cls(**content)


def fingerprint(*parts: Callable | ModuleType | str) -> str:
    """Return a short hash of source code, which changes when the code does.

    Parameters
    ----------
    *parts : function, class, module, package or str
        A package counts with all of its modules. Code that is called from elsewhere does not
        count: name it too.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    ValueError
        If the source of a part cannot be had.
    """
    digest = hashlib.sha256()
    for part in parts:
        for text in _sources(part):
            digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:16]


def _sources(part) -> list[str]:
    if isinstance(part, str):
        return [part]
    if isinstance(part, ModuleType) and hasattr(part, "__path__"):
        files = (file for folder in part.__path__ for file in Path(folder).rglob("*.py"))
        return [file.read_text(encoding="utf-8") for file in sorted(files)]
    while hasattr(part, "func"):  # functools.partial
        part = part.func
    if not isinstance(part, ModuleType) and not hasattr(part, "__code__"):
        part = part if inspect.isclass(part) else type(part)
    try:
        return [inspect.getsource(part)]
    except (OSError, TypeError):
        methods = vars(part).values() if inspect.isclass(part) else ()
        # Of a class made in a notebook only its methods' source can be had.
        found = [inspect.getsource(each) for each in methods if inspect.isfunction(each)]
        if found:
            return found
        raise ValueError(
            f"the source of {part!r} cannot be had; give code=, a text that you change "
            "whenever what it computes changes."
        ) from None


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that results depend on."""
    found = {"python": platform.python_version(), "helpers": helpers.__version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device() -> str:
    """Name the processor that runs this when no other one is named."""
    return f"CPU, {os.cpu_count()} cores, {platform.machine()}"


def peak_memory_mb() -> float | None:
    """Return the most memory that this process has had, in MB; None where that is not known."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / 1e6 if platform.system() == "Darwin" else peak * 1024 / 1e6, 1)
