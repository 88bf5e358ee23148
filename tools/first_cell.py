"""The first cell of a notebook: it gets the book's package where it is missing, as on Colab.

It runs before anything of the book is there, so it is short; the rest is in `helpers.colab`.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

START = """\
# @title Set up: run this first { display-mode: "form" }
import os
import subprocess
import sys
from importlib import import_module, util

PROFILE = "default"  # @param ["default", "smoke", "quick", "paper"]
SOURCE = "default"  # @param ["default", "phantom", "sample", "full"]
KEEP_IN_DRIVE = False  # @param {type:"boolean"}


def has_book():
    found = util.find_spec("helpers")
    folders = (found and found.submodule_search_locations) or []
    return any(os.path.exists(os.path.join(folder, "colab.py")) for folder in folders)


# A file helpers.py of yours, beside the notebook, is not the book's package.
if util.find_spec("helpers") and not has_book():
    sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]
    sys.modules.pop("helpers", None)
# Nothing is installed where the book's package is there already.
if not has_book():
    package = os.environ.get("HELA_PACKAGE")"""
FROM_REPOSITORY = """\
 or "git+{repository}@{commit}"
"""
UNKNOWN = """

    if not package:
        raise ModuleNotFoundError(
            "The book's package, helpers, is missing, and this notebook was made without the "
            "address of the repository. Choose the Python of the book's folder, .venv/bin/python "
            "after make setup, as kernel; or name a copy of the book and run this cell again: "
            "os.environ['HELA_PACKAGE'] = '/path/to/the/book'"
        )
"""
END = """\
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", package]
    subprocess.run(pip, check=True)

choices = {"profile": PROFILE, "source": SOURCE, "keep_in_drive": KEEP_IN_DRIVE}
import_module("helpers.colab").prepare(**choices)"""


def first_cell(repository: str, commit: str) -> str:
    """Return the code of the first cell.

    Parameters
    ----------
    repository : str
        Address of the repository on GitHub; empty if there is none: then the cell says what to do.
    commit : str
        What is installed from it.
    """
    if not repository:
        return START + UNKNOWN.removeprefix("\n") + END
    return START + FROM_REPOSITORY.format(repository=repository, commit=commit) + END


def commit_of(root: Path, environment: Mapping[str, str]) -> str:
    """Return the commit that the notebooks belong to.

    Raises
    ------
    RuntimeError
        If neither ``GITHUB_SHA`` nor git says it.
    """
    if environment.get("GITHUB_SHA"):
        return environment["GITHUB_SHA"]
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            "HELA_REPOSITORY_URL is set, but git does not say which commit this is. Work in a "
            "clone of the repository, or put the commit into GITHUB_SHA."
        ) from error
