"""What a result was computed with: versions, processor and memory."""

import importlib.metadata
import os
import platform

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


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that results depend on."""
    found = {"python": platform.python_version(), "helpers": helpers.__version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Name the processor that runs this when no other one is named."""
    return f"CPU, {os.cpu_count()} cores, {platform.machine()}"


def peak_memory_mb() -> float | None:
    """Return the most memory that this process has had, in MB; None where that is not known."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / 1e6 if platform.system() == "Darwin" else peak * 1024 / 1e6, 1)
