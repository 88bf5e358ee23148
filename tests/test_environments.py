"""Every way to install the book takes the same Python and the same pins."""

import json
import re
import stat

import tomllib
import yaml
from build_book import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from setup_env import OLDEST


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def project():
    return tomllib.loads(read("pyproject.toml"))["project"]


def pins():
    """Return the pinned version of every package; some have one for each of several systems."""
    found = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", read("requirements.txt"), re.M):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def conda():
    return yaml.safe_load(read("environment.yml"))


def python_of_conda():
    (pin,) = (line for line in conda()["dependencies"] if str(line).startswith("python="))
    return pin.removeprefix("python=")


def test_pins_meet_what_the_package_states():
    stated = [*project()["dependencies"]]
    for extra in project()["optional-dependencies"].values():
        stated += extra
    pinned = pins()
    assert len(pinned) > 50
    for requirement in map(Requirement, stated):
        versions = pinned[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_conda_takes_a_python_that_the_pins_and_the_package_allow():
    version = python_of_conda()
    assert tuple(map(int, version.split("."))) >= OLDEST
    assert SpecifierSet(project()["requires-python"]).contains(version)


def test_conda_takes_everything_else_from_the_pins():
    packages = [line for line in conda()["dependencies"] if isinstance(line, str)]
    assert [line.partition("=")[0] for line in packages] == ["python", "pip"]
    (by_pip,) = (line["pip"] for line in conda()["dependencies"] if isinstance(line, dict))
    assert by_pip == ["-r requirements.txt"]


def test_pins_are_resolved_for_the_oldest_python_of_the_makefile():
    recipe = re.search(r"--python-version (\d+)\.(\d+)", read("Makefile"))
    assert tuple(map(int, recipe.groups())) == OLDEST


def test_binder_installs_the_package_after_the_pins():
    lines = [line for line in read("postBuild").splitlines() if line and line[0] != "#"]
    assert lines[-1] == "python -m pip install --no-deps --no-build-isolation -e ."
    assert (ROOT / "postBuild").stat().st_mode & stat.S_IXUSR


def test_dev_container_uses_the_make_targets_and_the_same_python():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    assert f"-{python_of_conda()}-" in container["image"]
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.M)
    commands = [value for key, value in container.items() if key.endswith("Command")]
    used = [name for command in commands for name in re.findall(r"\bmake ([a-z-]+)", command)]
    assert used
    assert set(used) <= set(targets)
    assert not any("pip install" in command for command in commands)
    chosen = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert chosen.endswith("/.venv/bin/python")
