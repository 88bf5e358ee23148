"""Which Python the environment is made from."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from setup_env import OLDEST, ROOT, installed_python, newest

FAKE = """#!/bin/sh
case "$1" in
  -c) echo {version} ;;
  *) echo "$1 makes $2" ;;
esac
"""


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Return a function that puts fake Pythons, and nothing else, on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name, version):
        path = tmp_path / name
        path.write_text(FAKE.format(version=version))
        path.chmod(0o755)
        return str(path)

    return put


def test_the_newest_python_is_one_that_the_package_allows():
    assert newest() >= (3, 13)
    requires = re.search(r'^requires-python = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert SpecifierSet(requires[1]).contains("{}.{}".format(*newest()))


def test_a_python_that_fits_is_taken_as_it_is(on_path):
    on_path("python3.13", "3 13")
    assert installed_python(OLDEST) == sys.executable
    assert installed_python(newest()) == sys.executable


@pytest.mark.parametrize(
    "asked", [(3, 9, 1), (3, 10, 0), (newest()[0], newest()[1] + 1, 0), (4, 0)]
)
def test_one_that_does_not_fit_gives_way_to_the_newest_that_does(on_path, asked):
    on_path("python3.10", "3 10")
    on_path("python3.99", "3 99")
    older, newer = on_path("python3.11", "3 11"), on_path("python3.12", "3 12")
    assert installed_python(asked) == newer
    Path(newer).write_text("#!/bin/sh\nexit 1\n")  # a shim of pyenv, or one without venv
    assert installed_python(asked) == older
    Path(older).write_text(FAKE.format(version="3 10"))  # not what its name says
    with pytest.raises(SystemExit, match="name it: make PYTHON="):
        installed_python(asked)


def test_without_any_it_says_at_once_what_to_do(on_path):
    wanted = "This is Python 3.14; the book needs 3.11 to 3.1[3-9], .*make PYTHON=/path"
    with pytest.raises(SystemExit, match=wanted):
        installed_python((3, 14))


def test_what_a_person_named_is_not_exchanged(on_path):
    on_path("python3.12", "3 12")
    with pytest.raises(SystemExit, match=r"This is Python 3\.14"):
        installed_python((3, 14), named="python3.14")


def test_the_python_that_was_found_makes_the_environment(on_path, tmp_path):
    found = on_path("python3.12", "3 12")
    code = "import sys; sys.version_info = (3, 14, 0); import setup_env, pathlib; "
    run = [sys.executable, "-c", code + "setup_env.main(pathlib.Path('env'))"]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    done = subprocess.run(
        run, env={**clean, "PYTHONPATH": str(ROOT / "tools")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said == [f"This is Python 3.14: taking {found}.", f"{ROOT}/tools/setup_env.py makes env"]


@pytest.mark.parametrize("page", ["README.md", "book/using.md", "book/teaching.md"])
def test_pages_name_the_same_versions(page):
    versions = [f"{OLDEST[0]}.{minor}" for minor in range(OLDEST[1], newest()[1] + 1)]
    text = f"Python {', '.join(versions[:-1])} or {versions[-1]}"
    assert text in (ROOT / page).read_text(encoding="utf-8")
