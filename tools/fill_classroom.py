"""Fill two folders for a class, ``for-students`` and ``for-teacher``: ``make classroom``.

What the teacher has already, data, weights, trained networks and results, is copied; the rest is
downloaded, as far as it can be had. What is there with the right hash is left alone.
"""

import argparse
import shutil
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from class_wheels import PLATFORMS, download_wheels

from helpers import settings
from helpers.cache import write_whole
from helpers.data import DataError, files, whole_cell
from helpers.networks import weights

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Part:
    """Files that are of use together.

    Attributes
    ----------
    title : str
    prefixes : tuple of str
        How their names in `helpers.data.files` begin.
    suffix : str
        How they end.
    without : str
        What it means when some are missing.
    """

    title: str
    prefixes: tuple[str, ...]
    suffix: str
    without: str

    def names(self) -> list[str]:
        """Names of the files, in `helpers.data.files`."""
        return [
            name
            for name in files.names()
            if name.startswith(self.prefixes) and name.endswith(self.suffix)
        ]


CODE = "hela-unet2/CODE/"
PARTS = (
    Part(
        "the paper's slices",
        (CODE + "Figures/",),
        ".png",
        "Slices whose figure is missing are left out of the sample; without any, the chapters run "
        "on the synthetic cell.",
    ),
    Part(
        "the ground truth",
        (CODE + "GroundTruth_4c/", CODE + "GroundTruth_multiNuclei/"),
        ".mat",
        "Slices without ground truth are left out of the sample, and chapter 2 has fewer of them.",
    ),
    Part(
        "the authors' published curves",
        (CODE + "Figures/",),
        ".fig",
        "Chapter 10 cannot show the paper's own values beside those computed.",
    ),
    Part(
        "a second cell",
        ("mitoem/CODE/OriginalImages/",),
        ".tif",
        "Chapter 5 has no second cell to try the method on, and appendix A1 no raw slice.",
    ),
)
WITHOUT_WEIGHTS = (
    "That network begins with other weights (edges, or random ones), which the chapter says, and "
    "its results are worse."
)
WITHOUT_STACK = "HELA_SOURCE=full does not work; the sample does."
NETWORKS = (*weights.BACKBONES, "unet", "paper_unet")
"""Networks that chapters 6 to 10 train, as their folders begin."""


@dataclass(frozen=True)
class Missing:
    """Files that could not be had, why, and what that means."""

    what: str
    why: str
    meaning: str


def take(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy files that one data folder has and another one has not.

    Parameters
    ----------
    names : iterable of str
        Relative to both; those that are nowhere are passed over.
    source, target : Path
    """
    for name in names:
        if (source / name).is_file() and not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(target / name, lambda path, at=source / name: shutil.copyfile(at, path))


def take_made(source: Path, target: Path, profile: str) -> list[str]:
    """Copy trained networks and results of a profile; return the networks that are in neither.

    Parameters
    ----------
    source, target : Path
        Data folders.
    profile : str
        What another profile computed is not for this class.

    Returns
    -------
    list of str
        Of `NETWORKS`.
    """
    for folder in sorted((source / "training").glob(f"*-{profile}-*")):
        if (folder / "record.json").is_file():  # else it is not finished
            inside = [path.relative_to(source).as_posix() for path in folder.glob("[!.]*")]
            take(inside, source, target)
    for folder in (source / "results").glob(f"*/{profile}"):
        inside = [path for path in folder.rglob("[!.]*") if path.is_file()]
        take([path.relative_to(source).as_posix() for path in inside], source, target)
    return [
        name
        for name in NETWORKS
        if not list((target / "training").glob(f"{name}-*-{profile}-*/record.json"))
    ]


def fill_data(own: Path) -> list[Missing]:
    """Bring into the data folder what the chapters use, and return what is still missing.

    Parameters
    ----------
    own : Path
        The teacher's data folder, from which is copied what it has.

    Returns
    -------
    list of Missing
    """
    chosen = settings.current()
    missing = []
    for part in PARTS:
        names = part.names()
        print(f"{part.title}: {len(names)} files", flush=True)
        take(names, own, chosen.data_dir)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            had = files.fetch_many(names, missing="skip")
        if len(had) < len(names):
            why = " ".join(str(warning.message) for warning in caught)
            count = f"{part.title} ({len(names) - len(had)} of {len(names)} files)"
            missing.append(Missing(count, why, part.without))
    for backbone in dict.fromkeys(weights.BACKBONES.values()):
        print(f"weights of {backbone}, trained on ImageNet", flush=True)
        take(weights.names(backbone), own, chosen.data_dir)
        try:
            weights.fetch_imagenet(backbone)
        except DataError as error:
            missing.append(Missing(f"weights of {backbone}", str(error), WITHOUT_WEIGHTS))
    if chosen.source == "full":
        print("the whole stack, 1.2 GB", flush=True)
        take([whole_cell.FULL_NAME], own, chosen.data_dir)
        try:
            whole_cell.fetch_full()
        except DataError as error:
            missing.append(Missing("the whole stack", str(error), WITHOUT_STACK))
    print(f"trained networks and results, profile {chosen.profile}", flush=True)
    untrained = take_made(own, chosen.data_dir, chosen.profile)
    if untrained:
        meaning = (
            "Chapters 6 to 10 train these where they run, which takes from minutes to half an hour "
            "each on two processor cores."
        )
        why = f"{own} does not have them: run make book, and make classroom after it."
        missing.append(Missing(f"trained networks ({', '.join(untrained)})", why, meaning))
    return missing


STUDENTS = """# HeLa book: for students

Copy this folder to your computer, to a place with a short path: `C:\\hela`, or your home folder.
You need Python 3.11, 3.12 or 3.13{network}.

In PowerShell on Windows (the installer from python.org brings `py`):

    cd C:\\hela\\for-students
    py -3.12 start.py

In a terminal on Linux or macOS:

    cd ~/for-students
    python3.12 start.py

The first time that makes an environment in this folder, `.venv` (minutes, 3 GB).
Then JupyterLab opens in the browser; open a chapter and run its cells from the top.
To end it, press Ctrl-C in the window where it was started; the same command starts it again.

- `notebooks`: the chapters, with exercises that check your answers
- `data`: what the chapters would otherwise download; networks and results are kept there too
- `start.py`, `requirements.txt`, `helpers-*.whl`{wheels}: what the start needs

If you have Jupyter already, install `helpers-*.whl` into its environment.
Set `HELA_DATA_DIR` to the path of `data` before you start it; in a notebook that is open, as its
very first cell: `%env HELA_DATA_DIR=/path/to/data`.
"""

TEACHER = """# HeLa book: for the teacher

- `notebooks`: the chapters with the solutions of their exercises
- beside this folder, `for-students`: what to hand out; its `README.md` is for them

To run the chapters with solutions, on the students' data:

    cd for-students
    python3.12 start.py ../for-teacher/notebooks

Chapters 1 to 5 write nothing into `for-students/data`: one folder can be shared, read-only.
Chapters 6 to 11 keep there what they train and compute: everyone needs a copy.
To begin the league table of chapter 11 with no results but the class's own, delete
`for-students/data/results`.
Who wants to can unfold the solutions in the cells that check: for marks, ask what they do not say.

## What is missing

{missing}
"""


def told(missing: Sequence[Missing]) -> str:
    """Return the list of what could not be had, for the teacher."""
    if not missing:
        return "Nothing."
    gaps = "\n".join(f"- {gap.what[0].upper()}{gap.what[1:]}.\n  {gap.meaning}" for gap in missing)
    return f"{gaps}\n\nRun `make classroom` again: it goes on where it stopped."


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folders; return 1 if what was asked for by name, wheels, could not be had.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the command line.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="may exist already")
    parser.add_argument("--students", type=Path, required=True, help="notebooks without solutions")
    parser.add_argument("--teacher", type=Path, required=True, help="notebooks with solutions")
    parser.add_argument("--wheels", action="store_true", help="add packages, to install offline")
    parser.add_argument("--platform", choices=PLATFORMS, help="of the wheels; default: this one")
    parser.add_argument("--python", default="3.12", help="the students' Python, for the wheels")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder.expanduser().resolve()
    students, teacher = folder / "for-students", folder / "for-teacher"
    (students / "data").mkdir(parents=True, exist_ok=True)
    shutil.copytree(chosen.students, students / "notebooks", dirs_exist_ok=True)
    shutil.copytree(chosen.teacher, teacher / "notebooks", dirs_exist_ok=True)
    shutil.copyfile(ROOT / "tools" / "start_class.py", students / "start.py")
    shutil.copyfile(ROOT / "requirements.txt", students / "requirements.txt")
    own = settings.current().data_dir
    with settings.using(data_dir=students / "data"):
        missing = fill_data(own)
    fault = ""
    if chosen.wheels:
        fault = download_wheels(students, chosen.platform, chosen.python)
    text = STUDENTS.format(
        network="" if chosen.wheels and not fault else ", and the internet for the first start",
        wheels=", `wheels`" if chosen.wheels else "",
    )
    write_whole(students / "README.md", text)
    write_whole(teacher / "README.md", TEACHER.format(missing=told(missing)))
    for gap in missing:
        print(f"\nMissing: {gap.what}.\n{gap.meaning}\nWhy: {gap.why}")
    if missing:
        print("\nThe folder can be used as it is. To get the rest, run make classroom again.")
    if fault:
        print(f"\nThe wheels are not there: an installation needs the internet.\nWhy: {fault}")
    print(f"For the class: {students}\nFor you: {teacher} (README.md in each says how to use it)")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
