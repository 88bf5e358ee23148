"""Run chapters as on Colab: with its versions, each notebook alone, this package from a wheel.

Usage: ``python tools/run_colab.py FOLDER [--python PYTHON] [CHAPTER ...]``

FOLDER keeps the environment, which is made anew when ``tests/colab-constraints.txt`` changes. What
Colab lacks is installed by each notebook's first cell, as there. The profile is ``smoke`` unless
``HELA_PROFILE`` is set; networks are trained, since results and networks go to FOLDER.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from convert_notebooks import ROOT, convert
from link_data import link

from helpers import settings

CONSTRAINTS = ROOT / "tests" / "colab-constraints.txt"
MADE_HERE = ("training", "results", "volume")
"""Folders in a folder of data that chapters fill with what they compute."""
SHOWN = ("ipykernel", "ipython", "ipywidgets", "keras", "numpy", "pandas", "tensorflow")
"""Packages whose versions are printed."""
# What TensorFlow's compiled parts write, and bars of progress; warnings of Python's may be there.
NOISE = re.compile(r"^([IWEF]\d{4} |\d{4}-\d\d-\d\d .*: [IWEF] |WARNING: All log)|\d%\|")
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
try:
    nbclient.NotebookClient(notebook, timeout=3600, kernel_name="python3").execute()
finally:
    nbformat.write(notebook, sys.argv[1])
"""


def environment(folder: Path, python: str) -> Path:
    """Make the environment, or take the one that is there; return its Python.

    Parameters
    ----------
    folder : Path
        Where it is made.
    python : str
        The command that it is made with.

    Raises
    ------
    FileNotFoundError
        If there is no such command.
    """
    if shutil.which(python) is None:
        raise FileNotFoundError(
            f"There is no {python}. Colab has Python 3.12: install it, or name another one, as "
            "make test-colab COLAB_PYTHON=/path/to/python3.13."
        )
    inside = folder / "bin" / "python"
    record = folder / "made-with.txt"
    wanted = f"{shutil.which(python)}\n{CONSTRAINTS.read_text(encoding='utf-8')}"
    if not record.exists() or record.read_text(encoding="utf-8") != wanted:
        print(f"Making an environment with Colab's versions in {folder}", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(CONSTRAINTS)], check=True)
        record.write_text(wanted, encoding="utf-8")
    return inside


def versions(python: Path) -> dict[str, str]:
    """Return name and version of everything that an environment has."""
    command = [str(python), "-m", "pip", "list", "--format", "freeze"]
    command += ["--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(line.split("==") for line in done.stdout.split())


def run(notebook: Path, python: Path, variables: dict[str, str]) -> str:
    """Run a notebook in its folder, in place; return what went wrong, nothing if all is well."""
    bin_first = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HELA_", "PYTHON"))}
    done = subprocess.run(
        [str(python), "-c", EXECUTE, notebook.name],
        cwd=notebook.parent,
        env={**kept, **variables, "PATH": bin_first, "VIRTUAL_ENV": str(python.parent.parent)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return done.stderr[-3000:]
    left = [
        line
        for cell in nbformat.read(notebook, as_version=4).cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
        for line in without_overwritten(output["text"]).split("\n")
        if NOISE.search(line)
    ]
    return f"It leaves noise on standard error: {left}" if left else ""


def without_overwritten(text: str) -> str:
    """Return what a screen shows in the end of a text with carriage returns."""
    lines = (re.split(r"\r", line.rstrip("\r"))[-1].rstrip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chapters; return 1 if one of them fails, or changes a package that was there.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the command line.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("chapters", nargs="*", help="by default all; 06 for instance")
    parser.add_argument("--python", default="python3.12")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder.resolve()
    python = environment(folder / "environment", chosen.python)

    # As a new session has it: of what the first cell installs, nothing is there.
    listed = {line.partition("==")[0] for line in CONSTRAINTS.read_text("utf-8").splitlines()}
    found = versions(python)
    lacking = {"helpers", "imagecodecs", "loky"} & found.keys() - listed
    if lacking:
        subprocess.run([str(python), "-m", "pip", "uninstall", "-qy", *lacking], check=True)
        found = versions(python)
    shutil.rmtree(folder / "wheel", ignore_errors=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "--wheel-dir", str(folder / "wheel"), str(ROOT)], check=True)
    (package,) = (folder / "wheel").glob("helpers-*.whl")

    shutil.rmtree(folder / "data", ignore_errors=True)
    downloaded = settings.read("HELA_DATA_DIR")
    if downloaded:
        link(Path(downloaded), folder / "data")
        for name in MADE_HERE:
            shutil.rmtree(folder / "data" / name, ignore_errors=True)
    variables = {
        "HELA_PACKAGE": str(package),
        "HELA_PROFILE": settings.read("HELA_PROFILE", {"HELA_PROFILE": "smoke", **os.environ}),
        "HELA_SOURCE": settings.read("HELA_SOURCE"),
        "HELA_DATA_DIR": str(folder / "data"),
    }
    told = {name: value for name, value in found.items() if name in SHOWN}
    print(", ".join(f"{name} {value}" for name, value in told.items()), flush=True)
    failed = []
    for path in convert(folder / "notebooks", environment={}):
        if chosen.chapters and not path.name.startswith(tuple(chosen.chapters)):
            continue
        alone = folder / "alone" / path.stem
        shutil.rmtree(alone, ignore_errors=True)
        alone.mkdir(parents=True)
        start = time.monotonic()
        problem = run(Path(shutil.copy(path, alone)), python, variables)
        state = "FAILED" if problem else "ok"
        print(f"{path.stem}: {state}, {time.monotonic() - start:.0f} s\n{problem}".strip())
        sys.stdout.flush()
        failed += [path.stem] if problem else []
    now = versions(python)
    changed = [
        f"{name} {found[name]} -> {now.get(name)}" for name in found if now.get(name) != found[name]
    ]
    if changed:
        print("Changed, though Colab had it:", ", ".join(changed))
    return 1 if failed or changed else 0


if __name__ == "__main__":
    sys.exit(main())
