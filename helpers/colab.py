"""What the first cell of a notebook does once this package is there; on Colab most of all.

Until `prepare` has run, the packages that the others of this package need may be missing, so this
module imports the standard library alone.
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib import import_module, metadata, util
from pathlib import Path

DRIVE = Path("/content/drive")
DRIVE_FOLDER = DRIVE / "MyDrive" / "hela-book"
"""Where data and results are kept if they go to Drive."""

# Where the module is not named like the package; one module may come from several packages.
_MODULES = {"opencv-python-headless": "cv2", "pillow": "PIL", "scikit-image": "skimage"}
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"\d[\w.!+]*")


def prepare(*, keep_in_drive: bool = False) -> None:
    """Make a notebook ready: install what is missing, and on Colab widgets and, if wanted, Drive.

    Parameters
    ----------
    keep_in_drive : bool
        On Colab, keep data and results in Google Drive, where they outlast the session.

    Raises
    ------
    RuntimeError
        If a package is missing and cannot be installed beside those that are there.
    """
    missing = missing_requirements()
    if missing:
        print("Installing what is missing:", ", ".join(missing))
        install(missing)
    if on_colab():
        output = import_module("google.colab.output")
        output.enable_custom_widget_manager()
        if keep_in_drive:
            import_module("google.colab.drive").mount(str(DRIVE))
            DRIVE_FOLDER.mkdir(parents=True, exist_ok=True)
            os.environ["HELA_DATA_DIR"] = str(DRIVE_FOLDER)
            print("Data and results are kept in", DRIVE_FOLDER)


def on_colab() -> bool:
    """Return whether this is a notebook on Google Colab."""
    return "google.colab" in sys.modules


def missing_requirements() -> list[str]:
    """Return those requirements of this package whose module is not there, as in its metadata.

    A module is enough, from whichever package and of whichever version: what a computer has is
    left alone.

    Returns
    -------
    list of str
        For example ``["loky>=3.4"]``. Empty too where the package is used without being installed,
        for then nothing says what it requires.
    """
    try:
        stated = metadata.requires("helpers") or []
    except metadata.PackageNotFoundError:
        return []
    always = [line for line in stated if "extra ==" not in line]
    return [line for line in always if util.find_spec(_module_of(line)) is None]


def _module_of(requirement: str) -> str:
    name = _NAME.match(requirement)[0].lower()
    return _MODULES.get(name, name.replace("-", "_"))


def install(requirements: list[str]) -> None:
    """Install packages without changing any that is there: TensorFlow, NumPy and Keras stay.

    Parameters
    ----------
    requirements : list of str
        As for pip.

    Raises
    ------
    RuntimeError
        If pip cannot; with its message.
    """
    present = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "present.txt"
        constraints.write_text(
            "".join(
                f"{name}=={version}\n"
                for name, version in present.items()
                if name and _NAME.fullmatch(name) and _VERSION.fullmatch(version or "")
            )
        )
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
        run = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(
            f"pip could not install {', '.join(requirements)} beside the packages that are there. "
            "Without a network, put wheels into a folder and name it in PIP_FIND_LINKS. "
            f"pip says:\n{run.stderr.strip()}"
        )
