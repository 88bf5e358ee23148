"""What the first cell of a notebook does once this package is there; on Colab most of all.

Until `prepare` has run, the packages that the others of this package need may be missing, so this
module imports the standard library alone.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import import_module, metadata, util
from pathlib import Path

DRIVE = Path("/content/drive")
DRIVE_FOLDER = DRIVE / "MyDrive" / "hela-book"
"""Where data and results are kept if they go to Drive."""

# Where the module is not named like the package; one module may come from several packages.
_MODULES = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
# The chapter on strokes: small, and Colab lacks a part of it.
_CHAPTERS_NEED = ("live", "strokes")
_EXTRA = re.compile(r"""extra == ["']([\w-]+)["']""")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"\d[\w.!+]*")


AS_SET = "default"
"""Choice of the first cell that leaves a setting as the environment has it."""

# What the environment had before the first cell changed it, and what it has from that cell.
_found: dict[str, str | None] = {}
_ours: dict[str, str | None] = {}


def prepare(*, profile: str = AS_SET, source: str = AS_SET, keep_in_drive: bool = False) -> None:
    """Make a notebook ready: install what is missing, and on Colab widgets; then set what is asked.

    It may run again with other choices: they hold from then on. It says what has changed.

    Parameters
    ----------
    profile : {"default", "smoke", "quick", "paper"}
        Sets ``HELA_PROFILE``, unless it is ``default``.
    source : {"default", "phantom", "sample", "full"}
        Sets ``HELA_SOURCE``, unless it is ``default``.
    keep_in_drive : bool
        On Colab, keep data and results in Google Drive, where they outlast the session; those that
        are there already are copied.

    Raises
    ------
    RuntimeError
        If a package is missing and cannot be installed beside those that are there.
    """
    missing = missing_requirements()
    if missing:
        print("Installing what is missing:", ", ".join(missing))
        install(missing)
    chosen = {"HELA_PROFILE": profile, "HELA_SOURCE": source, "HELA_DATA_DIR": AS_SET}
    if on_colab():
        import_module("google.colab.output").enable_custom_widget_manager()
        if keep_in_drive:
            if not DRIVE_FOLDER.parent.exists():  # mounted twice, it says so
                import_module("google.colab.drive").mount(str(DRIVE))
            DRIVE_FOLDER.mkdir(parents=True, exist_ok=True)
            chosen["HELA_DATA_DIR"] = str(DRIVE_FOLDER)
    _choose(chosen)


def _choose(chosen: dict[str, str]) -> None:
    """Set variables of the environment, for the settings in use too, and say what has changed."""
    from helpers import settings  # not before all that it needs is installed

    before = settings.current() if settings.are_read() else None
    for variable, value in chosen.items():
        has = os.environ.get(variable)
        if variable not in _ours or has != _ours[variable]:
            _found[variable] = has
        _ours[variable] = _found[variable] if value == AS_SET else value
        if _ours[variable] is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = _ours[variable]
    now = settings.read_again()
    if now.data_dir == DRIVE_FOLDER and (before is None or before.data_dir != DRIVE_FOLDER):
        copied = _copy_what_lacks(_folder_of_the_session(), DRIVE_FOLDER)
        also = f"; {copied} files that this session had are copied there" if copied else ""
        print(f"Data and results are kept in {DRIVE_FOLDER}{also}.")
    elif before is not None and before.data_dir != now.data_dir:
        print(f"Data and results are no longer kept in {before.data_dir}, but in {now.data_dir}.")
    if before is not None and (before.profile, before.source) != (now.profile, now.source):
        print(
            f"The profile is now {now.profile}, the source {now.source}. Run the cells below again:"
            " what they have made so far is of the choice before."
        )


def _folder_of_the_session() -> Path:
    """Return where data and results are that do not go to Drive."""
    from helpers.settings import Settings

    has = _found.get("HELA_DATA_DIR")
    return Settings.from_environment({} if has is None else {"HELA_DATA_DIR": has}).data_dir


def _copy_what_lacks(source: Path, target: Path) -> int:
    """Copy those files of a folder that another one lacks; return their number."""
    copied = 0
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        # Locks and what is being written begin with a point.
        if path.is_file() and not path.name.startswith(".") and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_name(f".{copy.name}.copying")
            shutil.copy2(path, unfinished)
            unfinished.replace(copy)
            copied += 1
    return copied


def on_colab() -> bool:
    """Return whether this is a notebook on Google Colab."""
    return "google.colab" in sys.modules


def need(extra: str) -> None:
    """Install an extra of this package that only one chapter needs, where it is missing.

    Parameters
    ----------
    extra : str
        For example ``"field"``.

    Raises
    ------
    RuntimeError
        If a package cannot be installed beside those that are there.
    """
    missing = missing_requirements((extra,))
    if missing:
        print("Installing what this chapter needs:", ", ".join(missing))
        install(missing)


def missing_requirements(extras: Iterable[str] = _CHAPTERS_NEED) -> list[str]:
    """Return those requirements of this package whose module is not there, as in its metadata.

    A module is enough, from whichever package and of whichever version: what a computer has is
    left alone.

    Parameters
    ----------
    extras : iterable of str
        Beside what it needs in any case.

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
    wanted = []
    for line in stated:
        requirement, _, condition = line.partition(";")
        extra = _EXTRA.search(condition)
        if extra is None:
            wanted.append(line)
        elif extra[1] in extras:
            wanted.append(requirement.strip())
    return [line for line in wanted if util.find_spec(_module_of(line)) is None]


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
            ),
            encoding="utf-8",
        )
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
        run = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(
            f"pip could not install {', '.join(requirements)} beside the packages that are there. "
            "Without a network, put wheels into a folder and name it in PIP_FIND_LINKS. "
            f"pip says:\n{run.stderr.strip()}"
        )
