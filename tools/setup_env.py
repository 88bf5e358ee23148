"""Make the virtual environment of the Makefile; do nothing when it is up to date.

Runs on the standard library alone, and parses on an old Python, so that it can say what is needed.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)  # the pins need it; the package itself runs on 3.10


def wanted() -> str:
    """Return what the environment depends on: this Python, the pins and the package's metadata."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return "{} {}.{} {}".format(sys.base_prefix, *sys.version_info[:2], digest.hexdigest())


def main(folder: Path) -> None:
    """Create or update the environment in ``folder``."""
    if sys.version_info < OLDEST:
        sys.exit(
            "This is Python {}.{}; the book needs {}.{} or newer. "
            "Name one: make PYTHON=/path/to/python3.12 book".format(*sys.version_info[:2], *OLDEST)
        )
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
