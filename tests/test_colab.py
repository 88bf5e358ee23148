"""Chapters as on Colab: their notebook alone, TensorFlow and friends, and nothing of this book.

The environment is a new one that sees the installed packages which Colab has, by links, and no
others; the package is a wheel, and what else is missing comes from a folder of wheels, with no
network. The notebook then runs to its end on the phantom.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from convert_notebooks import ROOT, convert
from packaging.requirements import Requirement

# One environment for all of them: they stay together where tests run side by side.
pytestmark = [pytest.mark.colab, pytest.mark.xdist_group("colab")]

# What Colab has, as far as the book is concerned, and what runs a notebook.
PRESENT = (
    *("tensorflow", "keras", "keras-hub", "numpy", "scipy", "pandas", "matplotlib", "pillow"),
    *("scikit-image", "scikit-learn", "opencv-python-headless", "requests", "tqdm", "tifffile"),
    *("ipykernel", "ipywidgets", "jinja2", "nbclient"),
)
MUST_NOT_CHANGE = ("tensorflow", "keras", "numpy")
# Not on Colab, or not for sure.
ABSENT = ("helpers", "anywidget", "imagecodecs", "loky", "pooch", "typer")
# Everything that goes to the network fails at once.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    **{f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")},
}


def with_dependencies(names, absent=()):
    """Return the distributions that ``names`` need in this environment, by normalised name."""
    found, waiting = {}, [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if name in found or name in absent:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # keras-hub's tensorflow-text, which is not made for every computer
        for line in found[name].requires or []:
            needed = Requirement(line)
            extras = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
            if needed.marker is None or any(map(needed.marker.evaluate, extras)):
                waiting.append(needed)
    return found


def top_level(distribution):
    """Return the files and folders of a distribution that lie directly among the packages."""
    parts = {Path(str(file)).parts[0] for file in distribution.files}
    return {part for part in parts if part not in ("..", "__pycache__")}


def wheel_again(distribution, folder):
    """Write the wheel that an installed distribution came from."""
    info = next(part for part in top_level(distribution) if part.endswith(".dist-info"))
    # The last of its tags: the first may be of Python 2.
    tag = re.findall(r"^Tag: (\S+)$", distribution.read_text("WHEEL"), re.MULTILINE)[-1]
    path = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    record = []
    with zipfile.ZipFile(path, "w") as archive:
        for file in distribution.files:
            name = str(file)
            if name.startswith("..") or "__pycache__" in name or name == f"{info}/RECORD":
                continue
            content = file.locate().read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append((name, f"sha256={digest.decode()}", len(content)))
            archive.writestr(name, content)
        lines = [",".join(map(str, row)) for row in [*record, (f"{info}/RECORD", "", "")]]
        archive.writestr(f"{info}/RECORD", "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Make a folder of wheels: the package's, and those of what Colab lacks."""
    folder = tmp_path_factory.mktemp("wheels")
    source = tmp_path_factory.mktemp("source")  # setuptools writes beside what it builds
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "helpers", source / "helpers", ignore=skip)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(source)], check=True)
    present = with_dependencies(PRESENT, ABSENT)
    for distribution in with_dependencies(ABSENT[1:], present).values():
        wheel_again(distribution, folder)
    return folder


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Make the environment, without this package; return its Python."""
    packages = with_dependencies(PRESENT, ABSENT)
    missing = [name for name in PRESENT if name not in packages]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} installed")
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    links = folder / "packages"
    links.mkdir()
    for distribution in packages.values():
        for part in top_level(distribution):
            link = links / part
            if not link.exists():
                link.symlink_to(distribution.locate_file(part))
    python = folder / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    Path(folder.stdout.strip(), "colab.pth").write_text(f"{links}\n")
    return python


def versions(python):
    """Return name and version of everything that an environment has."""
    command = [python, "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(line.split("==") for line in lines)


EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
ask = "import helpers; print('helpers from', helpers.__file__)"
notebook.cells.append(nbformat.v4.new_code_cell(ask))
nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def test_environment_is_without_the_book(colab, tmp_path):
    has = versions(colab)
    assert set(MUST_NOT_CHANGE) <= has.keys()
    assert not set(ABSENT) & has.keys()
    code = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    command = [colab, "-E", "-c", code.format(ABSENT)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "[]"


# In this order: the first one finds the package missing.
@pytest.mark.parametrize("name", ["03_traditional_method", "06_vgg16"])
def test_chapter_runs_on_its_own(colab, wheels, tmp_path, name):
    made = {path.stem: path for path in convert(tmp_path / "made", environment={})}
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(made[name], alone)
    before = versions(colab)

    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HELA_", "PYTHON", "PIP_"))}
    (wheel,) = wheels.glob("helpers-*.whl")
    chosen = {
        "HELA_PACKAGE": str(wheel),
        "HELA_PROFILE": "smoke",
        "HELA_SOURCE": "phantom",
        "HELA_DATA_DIR": str(tmp_path / "data"),
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "VIRTUAL_ENV": str(colab.parent.parent),
    }
    path = alone / f"{name}.ipynb"
    run = subprocess.run(
        [colab, "-c", EXECUTE, path.name],
        cwd=alone,
        env={**clean, **OFFLINE, **chosen},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]

    after = versions(colab)
    assert {key: after.get(key) for key in before} == before
    assert set(ABSENT) <= after.keys()
    cells = nbformat.read(path, as_version=4).cells
    assert "site-packages/helpers" in cells[-1].outputs[0].text
    said = [output.get("text") for output in cells[1].outputs]
    if "helpers" in before:  # the chapter before has installed it
        assert said == []
    else:
        assert any("Installing what is missing" in text for text in said)
