"""Start the chapters of this folder, on any system: ``py -3.12 start.py``, ``python3 start.py``.

Makes the environment ``.venv`` beside it, once; says where the data are; opens JupyterLab. With the
path of another folder of notebooks, that one is opened. Needs nothing but Python.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHONS = ((3, 11), (3, 13))  # the oldest and the newest for which the packages exist


def environment_python(folder):
    """Return the path of an environment's Python, which Windows has elsewhere."""
    windows = os.name == "nt"
    return folder / ("Scripts/python.exe" if windows else "bin/python")


def installations(here):
    """Return pip's arguments, call by call: the pinned packages, then the book's own."""
    (package,) = sorted(here.glob("helpers-*.whl"))[-1:] or [None]
    if package is None:
        sys.exit(f"There is no helpers-*.whl in {here}: copy the whole folder.")
    offline = []
    if (here / "wheels").is_dir():
        offline = ["--no-index", "--find-links", str(here / "wheels")]
    pins = ["--require-hashes", "--requirement", str(here / "requirements.txt")]
    return [[*offline, *pins], ["--no-index", "--no-deps", "--force-reinstall", str(package)]]


def prepare(here):
    """Make the environment unless it is there; return its Python."""
    python = environment_python(here / ".venv")
    stamp = here / ".venv" / "installed.txt"
    if stamp.exists():
        return python
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        sys.exit(
            "This is Python {}.{}; take one from 3.11 to 3.13, for example: {}".format(
                *sys.version_info[:2],
                "py -3.12 start.py" if os.name == "nt" else "python3.12 start.py",
            )
        )
    print("Making the environment: some minutes, once.", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(here / ".venv")], check=True)
    for arguments in installations(here):
        pip = [str(python), "-m", "pip", "install", "--quiet", *arguments]
        if subprocess.run(pip).returncode:
            sys.exit("The packages could not be installed (see above). Then run this again.")
    stamp.write_text("all of requirements.txt, and the book's package\n")
    return python


def main():
    """Open the notebooks."""
    notebooks = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "notebooks"
    if not notebooks.is_dir():
        sys.exit(f"{notebooks} is no folder of notebooks.")
    python = prepare(HERE)
    os.environ.setdefault("HELA_DATA_DIR", str(HERE / "data"))
    command = [str(python), "-m", "jupyterlab", "--ServerApp.root_dir", str(notebooks.resolve())]
    try:
        sys.exit(subprocess.run(command).returncode)
    except KeyboardInterrupt:  # Jupyter has had it too, and ends by itself
        sys.exit(0)


if __name__ == "__main__":
    main()
