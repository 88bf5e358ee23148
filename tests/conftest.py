"""Fixtures that several test files share."""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from browser import open_browser
from server import FaultyServer

from helpers.data import download
from helpers.settings import Settings

HERE = Path(__file__).resolve().parent
OWN = [path.stem for name in ("tools", "extensions") for path in (HERE.parent / name).glob("*.py")]
OF_THE_BOOK = re.compile(
    rf"^ *(?:from|import) (?:bs4|built_site|nbformat|tomllib|yaml|{'|'.join(OWN)})\b", re.MULTILINE
)

# The package runs on Python 3.10, the book's tools and pins from 3.11 on (make test-oldest).
collect_ignore = [
    path.name
    for path in HERE.glob("test_*.py")
    if sys.version_info < (3, 11) and OF_THE_BOOK.search(path.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the published files, named by HELA_DATA_DIR; without it the test is skipped."""
    folder = os.environ.get("HELA_DATA_DIR")
    if not folder:
        pytest.skip("needs the published files: set HELA_DATA_DIR to a folder that has them")
    return Path(folder)


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Return settings on an empty folder, whatever the environment says."""
    return Settings(profile="smoke", source="auto", data_dir=tmp_path / "data", data_url=None)


@pytest.fixture
def server(monkeypatch):
    """Run a local web server, and be impatient with it."""
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    monkeypatch.setattr(download, "BACK_OFF_S", 0.001)
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.3)
    download._hosts.clear()
    running = FaultyServer()
    yield running
    running.stop()
    download._hosts.clear()


@pytest.fixture
def mirror(settings, server) -> Settings:
    """Return settings on an empty folder with the local server as mirror."""
    return replace(settings, data_url=server.url)


def pytest_collection_modifyitems(items):
    """Mark the tests that need real data, so that they can be run on other subsets of them."""
    for item in items:
        if "data_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


def pytest_generate_tests(metafunc):
    """Give tests of the layout the browser twice: with fonts of ours, and with the system's."""
    if "browser" in metafunc.fixturenames:
        twice = metafunc.definition.get_closest_marker("any_font")
        fonts = ["bundled", "system"] if twice else ["bundled"]
        metafunc.parametrize("browser", fonts, indirect=True, scope="session")


@pytest.fixture(scope="session")
def browser(request):
    """Start a browser; without one the test is skipped, or fails if it is required."""
    with open_browser(request.param) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def sheet(browser):
    """Return a page for tests that leave nothing in it; a new one takes more than most tests."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="session")
def address():
    """Serve the built pages and return their address."""
    from built_site import serve  # it needs the book's tools

    with serve() as at:
        yield at
