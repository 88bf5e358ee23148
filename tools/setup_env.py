"""Make the virtual environment of the Makefile; do nothing when it is up to date.

Runs on the standard library alone, and parses on an old Python, so that it can say what is needed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)  # the pins need it; the package itself runs on 3.10
CLASSIFIER = re.compile(r'^ *"Programming Language :: Python :: (\d+)\.(\d+)"', re.MULTILINE)


def newest():
    """Return the newest Python for which all packages have wheels: pyproject.toml names them."""
    named = CLASSIFIER.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return max((int(major), int(minor)) for major, minor in named)


def installed_python(version=None, named=None):
    """Return a Python that the book can be installed with; stop if there is none.

    Parameters
    ----------
    version : tuple of int
        Of the Python that was asked for; by default of this one.
    named : str, optional
        What a person chose (``make PYTHON=...``); then no other is looked for.
    """
    version = tuple(version or sys.version_info)[:2]
    if OLDEST <= version <= newest():
        return sys.executable
    for minor in range(newest()[1], OLDEST[1] - 1, -1):
        other = None if named else shutil.which(f"python{newest()[0]}.{minor}")
        if other and can_make_environments(other, (newest()[0], minor)):
            return other
    asked = "{}.{}".format(*version)
    allowed = "{}.{} to {}.{}".format(*OLDEST, *newest())
    return sys.exit(
        f"This is Python {asked}; the book needs {allowed}, for which TensorFlow has wheels. "
        "Install one of them beside it, and name it: make PYTHON=/path/to/python3.12 book"
    )


def can_make_environments(python, version):
    """Say whether a program is the Python that its name says, with the module ``venv``."""
    code = "import sys, ensurepip, venv; print(*sys.version_info[:2])"
    try:
        said = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return said.returncode == 0 and said.stdout.split() == [str(part) for part in version]


def wanted() -> str:
    """Return what the environment depends on: this Python, the pins and the package's metadata."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return "{} {}.{} {}".format(sys.base_prefix, *sys.version_info[:2], digest.hexdigest())


def main(folder: Path) -> None:
    """Create or update the environment in ``folder``."""
    python = installed_python(named=os.environ.get("PYTHON"))
    if python != sys.executable:
        print("This is Python {}.{}: taking {}.".format(*sys.version_info[:2], python), flush=True)
        sys.exit(subprocess.call([python, __file__, str(folder)]))
    stamp = folder / ".installed"
    installed = stamp.read_text() if stamp.exists() else ""
    if installed == wanted():
        return
    same_python = installed.rpartition(" ")[0] == wanted().rpartition(" ")[0]
    stamp.unlink(missing_ok=True)
    try:
        if not same_python:
            print(f"Making the environment in {folder} ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        print("Installing the pinned packages (minutes the first time) ...", flush=True)
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.txt")], check=True)
        # The pins hold setuptools: nothing is fetched to build the package.
        package = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        subprocess.run([*pip, *package], check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(
            "Failed (see above): {}\nWithout the venv module: apt-get install python3-venv. "
            "Without a network: point pip at a folder of wheels (PIP_FIND_LINKS, PIP_NO_INDEX=1). "
            "Then run make again.".format(" ".join(error.cmd))
        )
    stamp.write_text(wanted())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
