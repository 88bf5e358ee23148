"""How a student starts: wheels for the computer that it is, an environment, JupyterLab."""

import ast
import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import class_wheels
import pytest
import setup_env
import start_class

ROOT = Path(__file__).resolve().parent.parent
PINS = """\
# what uv writes
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
overrides==7.7.0 ; python_full_version < '3.12' \\
    --hash=sha256:cc
numpy==2.1 \\
    --hash=sha256:dd
pexpect==4.9.0 ; sys_platform != 'emscripten' and sys_platform != 'win32' \\
    --hash=sha256:ee
"""


@pytest.mark.parametrize(
    ("platform", "python", "names"),
    [
        ("win_amd64", "3.12", ["colorama", "numpy"]),
        ("win_amd64", "3.11", ["colorama", "overrides", "numpy"]),
        ("linux_x86_64", "3.12", ["numpy", "pexpect"]),
        ("macosx_arm64", "3.13", ["numpy", "pexpect"]),
    ],
)
def test_pins_are_chosen_for_the_students_computers(platform, python, names):
    chosen = class_wheels.chosen_pins(PINS, platform, python)
    assert [line.partition("==")[0] for line in chosen] == names
    assert "numpy==2.1 --hash=sha256:dd" in chosen
    assert not any(";" in line for line in chosen)


def test_windows_gets_the_packages_of_windows():
    pins = class_wheels.chosen_pins((ROOT / "requirements.txt").read_text(), "win_amd64", "3.12")
    names = {line.partition("==")[0] for line in pins}
    assert {"pywinpty", "colorama", "tensorflow", "jupyterlab"} <= names
    assert not {"pexpect", "tensorflow-text", "appnope"} & names
    assert all("--hash=sha256:" in line for line in pins)


def test_pip_is_asked_for_wheels_of_that_platform(monkeypatch, tmp_path):
    calls = []

    def run(command, **options):
        calls.append(command)
        return subprocess.CompletedProcess(command, len(calls) - 1, "", " no such wheel\n")

    monkeypatch.setattr(class_wheels.subprocess, "run", run)
    assert class_wheels.download_wheels(tmp_path, "win_amd64", "3.13") == ""
    assert class_wheels.download_wheels(tmp_path, None, "3.12") == "no such wheel"
    command = " ".join(calls[0])
    assert "--platform win_amd64" in command
    assert "--python-version 3.13" in command
    assert "--require-hashes" in command
    assert f"--dest {tmp_path / 'wheels'}" in command


def test_what_is_installed_from_the_folder(tmp_path):
    with pytest.raises(SystemExit, match="copy the whole folder"):
        start_class.installations(tmp_path)
    wheel = tmp_path / "helpers-1.0-py3-none-any.whl"
    wheel.write_text("")
    pins, package = start_class.installations(tmp_path)
    assert pins == ["--require-hashes", "--requirement", str(tmp_path / "requirements.txt")]
    assert package[-1] == str(wheel)
    (tmp_path / "wheels").mkdir()
    pins, _ = start_class.installations(tmp_path)
    assert pins[:3] == ["--no-index", "--find-links", str(tmp_path / "wheels")]


def test_the_environments_python_is_where_the_system_has_it(monkeypatch):
    at = Path("env")
    monkeypatch.setattr(start_class.os, "name", "nt")
    assert start_class.environment_python(at) == at / "Scripts" / "python.exe"
    monkeypatch.setattr(start_class.os, "name", "posix")
    assert start_class.environment_python(at) == at / "bin" / "python"


def test_another_python_is_told_which_to_take(monkeypatch, tmp_path):
    monkeypatch.setattr(start_class.sys, "version_info", (3, 14, 0))
    with pytest.raises(SystemExit, match=r"This is Python 3\.14; take one from 3\.11 to 3\.13"):
        start_class.prepare(tmp_path)


def test_the_start_of_a_folder(tmp_path):
    """A folder with a small package, and a Jupyter that only says what it was told."""
    (tmp_path / "start.py").write_text((ROOT / "tools" / "start_class.py").read_text())
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "requirements.txt").write_text("")
    source = tmp_path / "source"
    (source / "jupyterlab").mkdir(parents=True)
    (source / "jupyterlab" / "__init__.py").write_text("")
    (source / "jupyterlab" / "__main__.py").write_text(
        "import os, sys\nprint(sys.argv[1:], os.environ['HELA_DATA_DIR'])"
    )
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "helpers"\nversion = "1.0"\n'
        '[tool.setuptools]\npackages = ["jupyterlab"]\n'
    )
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(source)], check=True)

    for first in (True, False):
        started = subprocess.run(
            [sys.executable, str(tmp_path / "start.py")],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )
        assert started.returncode == 0, started.stderr
        assert ("Making the environment" in started.stdout) == first
        where = f"['--ServerApp.root_dir', '{tmp_path / 'notebooks'}'] {tmp_path / 'data'}"
        assert where in started.stdout


def test_the_start_needs_the_standard_library_alone_and_parses_on_an_old_python():
    source = (ROOT / "tools" / "start_class.py").read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


WITHOUT_POSIX = textwrap.dedent(
    """
    import importlib, importlib.abc, pkgutil, sys

    class Windows(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name in ("fcntl", "resource", "pwd", "grp", "termios", "posix_ipc"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    import helpers
    rooms = [each.name for each in pkgutil.walk_packages(helpers.__path__, "helpers.")]
    # What comes with Python or from others is as it is on Windows; here only our own is tried.
    import cv2, filelock, loky, matplotlib.pyplot, pandas, pooch, skimage, tensorflow, tifffile
    import jupytext, PIL.Image, requests, tqdm.auto, urllib3
    for name in ("fcntl", "resource", "pwd", "grp", "termios"):
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Windows())
    for name in rooms:
        importlib.import_module(name)
    print(len(rooms))
    """
)


@pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="needs TensorFlow")
def test_the_package_imports_without_what_windows_has_not():
    run = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout) > 50


@pytest.mark.parametrize("path", sorted((ROOT / "helpers").rglob("*.py")), ids=lambda p: p.stem)
def test_text_is_read_and_written_as_utf8(path):
    """Windows takes cp1252 unless it is told."""
    calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    for call in calls:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        told = {keyword.arg for keyword in call.keywords}
        binary = [a for a in call.args if isinstance(a, ast.Constant) and "b" in str(a.value)]
        if name in ("read_text", "write_text"):
            said = len(call.args) > (name == "write_text")
            assert said or "encoding" in told, ast.unparse(call)
        if isinstance(call.func, ast.Name) and call.func.id == "open":
            assert binary or "encoding" in told, ast.unparse(call)


def test_the_pythons_are_those_of_the_environment():
    assert start_class.PYTHONS[0] == setup_env.OLDEST
