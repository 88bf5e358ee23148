"""What the first cell of a notebook does, step by step; `test_colab.py` runs whole notebooks."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest
from convert_notebooks import ROOT
from first_cell import commit_of, first_cell

from helpers import colab, settings
from helpers.settings import PROFILES, SOURCES

URL = "https://github.com/someone/hela"


DEFAULT = {"profile": "default", "source": "default", "keep_in_drive": False}


def run_cell(monkeypatch, code, *, place=None):
    """Run the cell's code; return the commands that it would run and what it told `prepare`.

    ``place`` is the folder where the package is; it is nowhere by default.
    """
    commands, prepared = [], []
    fake = ModuleType("helpers.colab")
    fake.prepare = lambda **options: prepared.append(options)
    monkeypatch.setitem(sys.modules, "helpers.colab", fake)
    spec = SimpleNamespace(submodule_search_locations=[str(place)]) if place else None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    exec(compile(code, "first cell", "exec"), {})
    return commands, prepared


@pytest.mark.parametrize("repository", ["", URL])
def test_cell_installs_nothing_where_the_package_is(monkeypatch, repository):
    code, place = first_cell(repository, "abc"), ROOT / "helpers"
    assert run_cell(monkeypatch, code, place=place) == ([], [DEFAULT])


def test_cell_installs_the_package_alone_at_its_commit(monkeypatch):
    monkeypatch.delenv("HELA_PACKAGE", raising=False)
    (command,), prepared = run_cell(monkeypatch, first_cell(URL, "abc"))
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert "--no-deps" in command
    assert command[-1] == f"git+{URL}@abc"
    assert len(prepared) == 1


@pytest.mark.parametrize("repository", ["", URL])
def test_package_may_come_from_elsewhere(monkeypatch, repository):
    monkeypatch.setenv("HELA_PACKAGE", "/a/wheel.whl")
    (command,), _ = run_cell(monkeypatch, first_cell(repository, "abc"))
    assert command[-1] == "/a/wheel.whl"


def test_cell_without_a_repository_says_what_to_do(monkeypatch):
    monkeypatch.delenv("HELA_PACKAGE", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"make setup.*HELA_PACKAGE"):
        run_cell(monkeypatch, first_cell("", ""))


@pytest.mark.parametrize("beside", ["helpers.py", "helpers/__init__.py", "helpers/notes.txt"])
@pytest.mark.parametrize("is_imported", [True, False])
def test_helpers_of_the_readers_own_are_not_taken_for_the_book(tmp_path, beside, is_imported):
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_text("mine = True\n")
    (tmp_path / "cell.py").write_text(
        "import sys\nsys.path.insert(0, '')\n"
        + ("import helpers\n" if is_imported else "")
        + first_cell("", "")
        + "\nimport helpers.labels\nprint(helpers.__file__)"
    )
    # As installed: behind the notebook's folder on the path.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    run = subprocess.run(
        [sys.executable, "cell.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.stdout.splitlines() == [str(ROOT / "helpers" / "__init__.py")], run.stderr


def test_cell_offers_the_choices_that_there_are():
    offered = dict(re.findall(r'^(\w+) = "default"  # @param (\[.*\])$', first_cell("", ""), re.M))
    chosen = {name: tuple(json.loads(values)) for name, values in offered.items()}
    sources = tuple(source for source in SOURCES if source != "auto")  # that is the default
    assert chosen == {"PROFILE": ("default", *PROFILES), "SOURCE": ("default", *sources)}


def test_cell_is_short():
    assert max(len(first_cell(*told).splitlines()) for told in [("", ""), (URL, "abc")]) <= 40


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
        'a-third-one>=3; extra == "strokes"',  # of an extra that a chapter needs
    )
    assert colab.missing_requirements() == ["not-a-package-at-all>=1.2", "a-third-one>=3"]


def test_a_chapter_gets_what_it_alone_needs(stated, monkeypatch, capsys):
    stated("numpy>=1", 'a-third-one>=3; extra == "strokes"', 'yet-another>=4; extra == "field"')
    installed = []
    monkeypatch.setattr(colab, "install", installed.append)
    colab.need("field")
    assert installed == [["yet-another>=4"]]
    assert "yet-another" in capsys.readouterr().out
    stated("numpy>=1")
    colab.need("field")
    assert len(installed) == 1


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


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Begin as in a new session, without choices; end with the settings that were."""
    for variable in ("HELA_DATA_DIR", "HELA_PROFILE", "HELA_SOURCE"):
        monkeypatch.setenv(variable, "to be restored")
        monkeypatch.delenv(variable)
    monkeypatch.setattr(colab, "_found", {})
    monkeypatch.setattr(colab, "_ours", {})
    settings._of_environment.cache_clear()
    yield
    monkeypatch.undo()
    settings._of_environment.cache_clear()


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
    monkeypatch.setenv("HELA_DATA_DIR", str(tmp_path / "session"))
    return asked


def test_colab_gets_widgets_and_leaves_drive_alone(fake_colab, tmp_path, capsys):
    colab.prepare()
    assert fake_colab == ["widgets"]
    assert settings.current().data_dir == tmp_path / "session"
    assert capsys.readouterr().out == ""


def test_colab_keeps_results_in_drive_if_asked_and_says_so_once(fake_colab, capsys):
    colab.prepare(keep_in_drive=True)
    assert fake_colab == ["widgets", str(colab.DRIVE)]
    assert settings.current().data_dir == colab.DRIVE_FOLDER
    assert colab.DRIVE_FOLDER.is_dir()
    assert capsys.readouterr().out == f"Data and results are kept in {colab.DRIVE_FOLDER}.\n"
    colab.prepare(keep_in_drive=True)
    assert fake_colab[2:] == ["widgets"]
    assert capsys.readouterr().out == ""


def test_drive_that_is_chosen_late_gets_what_the_session_has(fake_colab, tmp_path, capsys):
    colab.prepare()
    assert settings.current().data_dir == tmp_path / "session"
    for name in ("a/slice.png", "b.npy", "b.npz", ".lock", "a/.x.tmp.npy"):
        (tmp_path / "session" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "session" / name).write_text("of the session")
    colab.DRIVE_FOLDER.mkdir(parents=True)
    (colab.DRIVE_FOLDER / "b.npz").write_text("of Drive")
    colab.prepare(keep_in_drive=True)
    assert settings.current().data_dir == colab.DRIVE_FOLDER
    assert "; 2 files that this session had are copied there" in capsys.readouterr().out
    has = {str(f.relative_to(colab.DRIVE_FOLDER)) for f in colab.DRIVE_FOLDER.rglob("*.*")}
    assert has == {"a/slice.png", "b.npy", "b.npz"}
    assert (colab.DRIVE_FOLDER / "b.npz").read_text() == "of Drive"
    colab.prepare()  # and back
    assert settings.current().data_dir == tmp_path / "session"
    assert "no longer kept in" in capsys.readouterr().out


def test_other_choices_hold_at_once_and_say_what_to_do(fake_colab, monkeypatch, capsys):
    monkeypatch.setenv("HELA_SOURCE", "sample")
    colab.prepare(profile="smoke")
    assert capsys.readouterr().out == ""  # nothing has been made yet
    assert (settings.current().profile, settings.current().source) == ("smoke", "sample")
    colab.prepare(profile="paper", source="full")
    assert (settings.current().profile, settings.current().source) == ("paper", "full")
    assert re.search(r"now paper, the source full\. Run the cells", capsys.readouterr().out)
    colab.prepare()
    assert (settings.current().profile, settings.current().source) == ("quick", "sample")
    # What the reader sets in between stays.
    monkeypatch.setenv("HELA_PROFILE", "smoke")
    colab.prepare()
    assert settings.current().profile == "smoke"


def test_drive_is_of_no_concern_elsewhere(monkeypatch):
    monkeypatch.setenv("HELA_DATA_DIR", "mine")
    monkeypatch.setattr(colab, "missing_requirements", list)
    colab.prepare(keep_in_drive=True)
    assert colab.os.environ["HELA_DATA_DIR"] == "mine"
