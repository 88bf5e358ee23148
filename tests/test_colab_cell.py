"""What the first cell of a notebook does, step by step; `test_colab.py` runs whole notebooks."""

import subprocess
import sys
from importlib import metadata
from types import ModuleType

import pytest
from first_cell import commit_of, first_cell

from helpers import colab

URL = "https://github.com/someone/hela"


def run_cell(monkeypatch, code, *, installed):
    """Run the cell's code; return the commands that it would run and what it told `prepare`."""
    commands, prepared = [], []
    fake = ModuleType("helpers.colab")
    fake.prepare = lambda **options: prepared.append(options)
    monkeypatch.setitem(sys.modules, "helpers.colab", fake)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    exec(compile(code, "first cell", "exec"), {})
    return commands, prepared


@pytest.mark.parametrize("repository", ["", URL])
def test_cell_installs_nothing_where_the_package_is(monkeypatch, repository):
    code = first_cell(repository, "abc")
    assert run_cell(monkeypatch, code, installed=True) == ([], [{"keep_in_drive": False}])


def test_cell_installs_the_package_alone_at_its_commit(monkeypatch):
    monkeypatch.delenv("HELA_PACKAGE", raising=False)
    (command,), prepared = run_cell(monkeypatch, first_cell(URL, "abc"), installed=False)
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert "--no-deps" in command
    assert command[-1] == f"git+{URL}@abc"
    assert len(prepared) == 1


@pytest.mark.parametrize("repository", ["", URL])
def test_package_may_come_from_elsewhere(monkeypatch, repository):
    monkeypatch.setenv("HELA_PACKAGE", "/a/wheel.whl")
    (command,), _ = run_cell(monkeypatch, first_cell(repository, "abc"), installed=False)
    assert command[-1] == "/a/wheel.whl"


def test_cell_without_a_repository_says_what_to_do(monkeypatch):
    monkeypatch.delenv("HELA_PACKAGE", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"make setup.*HELA_PACKAGE"):
        run_cell(monkeypatch, first_cell("", ""), installed=False)


def test_cell_is_short():
    assert max(len(first_cell(*told).splitlines()) for told in [("", ""), (URL, "abc")]) <= 24


def test_commit_is_what_the_workflow_says_or_what_git_says(tmp_path):
    assert commit_of(tmp_path, {"GITHUB_SHA": "abc"}) == "abc"
    with pytest.raises(RuntimeError, match="GITHUB_SHA"):
        commit_of(tmp_path, {})
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    assert len(commit_of(tmp_path, {})) == 40


@pytest.fixture
def stated(monkeypatch):
    """State other requirements of the package than its own."""
    return lambda *lines: monkeypatch.setattr(metadata, "requires", lambda _: list(lines))


def test_only_modules_that_are_not_there_are_missing(stated):
    stated(
        "numpy>=999",  # too old, but there: it is not touched
        "opencv-python-headless>=4.8",
        "not-a-package-at-all>=1.2",
        'another-one>=2; extra == "test"',
    )
    assert colab.missing_requirements() == ["not-a-package-at-all>=1.2"]


def test_nothing_is_missing_where_the_package_is_not_installed(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert colab.missing_requirements() == []


def test_own_requirements_name_modules_that_can_be_found():
    # Of this package as it is here, installed or not: every name has to lead to a module.
    from pathlib import Path

    import tomllib

    root = Path(__file__).resolve().parent.parent
    lines = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [line for line in lines if colab.util.find_spec(colab._module_of(line)) is None] == []


def test_pip_may_not_change_what_is_there(monkeypatch):
    seen = {}

    def run(command, **_):
        at = command.index("--constraint") + 1
        with open(command[at]) as file:
            seen["constraints"] = file.read().splitlines()
        seen["asked"] = command[at + 1 :]
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    colab.install(["loky>=3.4"])
    assert seen["asked"] == ["loky>=3.4"]
    assert f"numpy=={metadata.version('numpy')}" in seen["constraints"]


def test_failing_pip_is_reported_with_what_to_do(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stderr="No matching distribution")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match=r"loky>=3\.4.*PIP_FIND_LINKS(?s:.*)No matching"):
        colab.install(["loky>=3.4"])


@pytest.fixture
def fake_colab(monkeypatch, tmp_path):
    """Put stand-ins in the place of Colab's modules; return what they were asked for."""
    asked = []
    modules = {name: ModuleType(name) for name in ("google.colab", "google.colab.output")}
    modules["google.colab.drive"] = ModuleType("google.colab.drive")
    modules["google.colab.output"].enable_custom_widget_manager = lambda: asked.append("widgets")
    modules["google.colab.drive"].mount = asked.append
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(colab, "DRIVE", tmp_path)
    monkeypatch.setattr(colab, "DRIVE_FOLDER", tmp_path / "MyDrive" / "hela-book")
    monkeypatch.setattr(colab, "missing_requirements", list)
    monkeypatch.delenv("HELA_DATA_DIR", raising=False)
    return asked


def test_colab_gets_widgets_and_leaves_drive_alone(fake_colab):
    colab.prepare()
    assert fake_colab == ["widgets"]
    assert "HELA_DATA_DIR" not in colab.os.environ


def test_colab_keeps_results_in_drive_if_asked(fake_colab, monkeypatch):
    monkeypatch.setenv("HELA_DATA_DIR", "to be restored")
    colab.prepare(keep_in_drive=True)
    assert fake_colab == ["widgets", str(colab.DRIVE)]
    assert colab.os.environ["HELA_DATA_DIR"] == str(colab.DRIVE_FOLDER)
    assert colab.DRIVE_FOLDER.is_dir()


def test_drive_is_of_no_concern_elsewhere(monkeypatch):
    monkeypatch.setenv("HELA_DATA_DIR", "mine")
    monkeypatch.setattr(colab, "missing_requirements", list)
    colab.prepare(keep_in_drive=True)
    assert colab.os.environ["HELA_DATA_DIR"] == "mine"
