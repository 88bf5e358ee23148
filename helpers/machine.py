"""What a result was computed with; and TensorFlow, loaded without its noise."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep what compiled libraries write to standard error out of a notebook.

    They write past Python, so warnings still come through. Where an exception is raised, what they
    wrote comes out after all.
    """
    try:
        kept = os.dup(2)
    except OSError:  # A program without standard error.
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            said.seek(0)
            with open(2, "wb", closefd=False) as error:
                shutil.copyfileobj(said, error)
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def load_tensorflow():
    """Import TensorFlow and Keras, and start a GPU, without notes on drivers and processors.

    Returns
    -------
    module
        ``tensorflow``

    Raises
    ------
    ImportError
        If one of them is not installed.
    """
    if "keras" in sys.modules and "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # That level leaves out what is written before it is read, as about cuInit and cuDNN on Colab.
    with without_chatter():
        import keras  # noqa: F401
        import tensorflow

        gpus = tensorflow.config.list_physical_devices("GPU")
        for gpu in gpus:
            # Else a chapter's kernel takes all memory, and a process that it starts finds none.
            tensorflow.config.experimental.set_memory_growth(gpu, True)
        if gpus:
            tensorflow.nn.conv2d(
                tensorflow.zeros((1, 4, 4, 1)), tensorflow.zeros((1, 1, 1, 1)), 1, "SAME"
            )
    return tensorflow
