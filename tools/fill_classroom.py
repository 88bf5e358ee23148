"""Fill a folder to hand out to a class: data, networks' weights, notebooks: ``make classroom``.

What is there already, with the right hash, is not downloaded again.
"""

import argparse
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers import settings
from helpers.data import DataError, files, whole_cell
from helpers.networks import weights


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


@dataclass(frozen=True)
class Missing:
    """Files that could not be had, why, and what that means."""

    what: str
    why: str
    meaning: str


def fill_data() -> list[Missing]:
    """Bring into the data folder what the chapters use, and return what is still missing.

    Returns
    -------
    list of Missing
    """
    missing = []
    for part in PARTS:
        names = part.names()
        print(f"{part.title}: {len(names)} files", flush=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            had = files.fetch_many(names, missing="skip")
        if len(had) < len(names):
            why = " ".join(str(warning.message) for warning in caught)
            count = f"{part.title} ({len(names) - len(had)} of {len(names)} files)"
            missing.append(Missing(count, why, part.without))
    for backbone in dict.fromkeys(weights.BACKBONES.values()):
        print(f"weights of {backbone}, trained on ImageNet", flush=True)
        try:
            weights.fetch_imagenet(backbone)
        except DataError as error:
            missing.append(Missing(f"weights of {backbone}", str(error), WITHOUT_WEIGHTS))
    if settings.current().source == "full":
        print("the whole stack, 1.2 GB", flush=True)
        try:
            whole_cell.fetch_full()
        except DataError as error:
            missing.append(Missing("the whole stack", str(error), WITHOUT_STACK))
    return missing


def readme(missing: Sequence[Missing], folders: Sequence[str]) -> str:
    """Return the text of the folder's README.

    Parameters
    ----------
    missing : sequence of Missing
        What could not be had.
    folders : sequence of str
        Names of the folders with notebooks.
    """
    gaps = "\n".join(f"- {gap.what.capitalize()}.\n  {gap.meaning}" for gap in missing)
    about = {
        "notebooks": "- `notebooks`: the chapters, with the solutions of their exercises",
        "students": "- `students`: the same without the solutions",
    }
    listed = "\n".join(about.get(name, f"- `{name}`") for name in folders)
    return f"""# HeLa book: folder for a class

- `data`: what the chapters would otherwise download, for `HELA_DATA_DIR`
{listed}
- `helpers-*.whl`: the package that the notebooks need, if it is not installed

## For everyone

Copy this folder to your computer, and say where `data` is before you start Jupyter:

    export HELA_DATA_DIR=/path/to/this/folder/data      (Linux, macOS)
    set HELA_DATA_DIR=C:\\path\\to\\this\\folder\\data      (Windows)

In a notebook that is open already, as its very first cell:

    %env HELA_DATA_DIR=/path/to/this/folder/data

Nothing is downloaded then.
Where the book's package is not installed, name it in the same way, as `HELA_PACKAGE`: the path of
the file `helpers-*.whl`; the notebooks' first cell installs it.
Chapters 1 to 5 write nothing into `data`: for them one folder can be shared, read-only.
Chapters 6 to 11 keep there what they train and compute: everyone needs a copy.

## For the teacher

Train the networks once, before class, and hand out what came of it, so that no one waits:

    HELA_DATA_DIR=/path/to/this/folder/data make book

To begin the league table of chapter 11 with no results but the class's own, delete `data/results`.

## What is missing

{gaps or "Nothing."}
{chr(10) + "Run `make classroom` again: it goes on where it stopped." if missing else ""}
""".rstrip().replace("\n\n\n", "\n\n") + "\n"  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folder; return 1 if something could not be had.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the command line.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="may exist already")
    parser.add_argument("notebooks", type=Path, nargs="*", help="folders of notebooks to copy")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder.expanduser().resolve()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for source in chosen.notebooks:
        shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
    with settings.using(data_dir=folder / "data"):
        missing = fill_data()
    text = readme(missing, [source.name for source in chosen.notebooks])
    (folder / "README.md").write_text(text, encoding="utf-8")
    for gap in missing:
        print(f"\nMissing: {gap.what}.\n{gap.meaning}\nWhy: {gap.why}")
    if missing:
        print("\nThe folder can be used as it is. To get the rest, run make classroom again.")
    print(f"For the class: {folder} (its README.md says how to use it)")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
