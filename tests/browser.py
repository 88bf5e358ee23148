"""Find and start a browser for the tests that open pages; not a test itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from chromium import LAUNCH_ARGS, chromium_path, why_none


def require_chromium() -> str:
    """Path of the browser; without one the test skips, or fails if ``HELA_REQUIRE_BROWSER=1``."""
    path = chromium_path()
    if path is None:
        if os.environ.get("HELA_REQUIRE_BROWSER") == "1":
            pytest.fail(why_none())
        pytest.skip(why_none())
    return path


@contextmanager
def open_browser() -> Iterator:
    """Start the browser without a window and yield Playwright's ``Browser``; close it after."""
    path = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(LAUNCH_ARGS))
        try:
            yield chromium
        finally:
            chromium.close()


@dataclass
class PageLog:
    """What a page complained about and asked for.

    Attributes
    ----------
    errors : list of str
        Console errors, uncaught exceptions and failed requests.
    remote : list of str
        Addresses requested that are neither files of this computer nor data inside the page.
    """

    errors: list[str] = field(default_factory=list)
    remote: list[str] = field(default_factory=list)


def watch(page) -> PageLog:
    """Record what a Playwright page does from now on; call it before ``page.goto``."""
    log = PageLog()

    def on_console(message):
        if message.type == "error":
            log.errors.append(message.text)

    def on_request(request):
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            log.remote.append(request.url)

    page.on("console", on_console)
    page.on("pageerror", lambda error: log.errors.append(str(error)))
    page.on("requestfailed", lambda request: log.errors.append(f"failed: {request.url[:200]}"))
    page.on("request", on_request)
    return log
