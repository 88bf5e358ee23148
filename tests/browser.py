"""Find and start a browser for the tests that open pages; not a test itself."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import pytest
from chromium import LAUNCH_ARGS, chromium_path, why_none

from helpers import settings


def require_chromium() -> str:
    """Path of the browser; without one the test skips, or fails if ``HELA_REQUIRE_BROWSER=1``."""
    path = chromium_path()
    if path is None:
        if settings.read("HELA_REQUIRE_BROWSER") == "1":
            pytest.fail(why_none())
        pytest.skip(why_none())
    return path


# What fontconfig is told where pages shall look the same on every machine: the fonts that
# matplotlib brings, by the names that pages ask for.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<dir>{fonts}</dir>
<cachedir>{cache}</cachedir>
<alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>serif</family><prefer><family>STIXGeneral</family></prefer></alias>
<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


@contextmanager
def open_browser(fonts: str = "bundled") -> Iterator:
    """Start the browser without a window and yield Playwright's ``Browser``; close it after.

    With ``bundled`` fonts (on Linux) pages are laid out alike on every machine, with ``system``
    as they are on this one.
    """
    path = require_chromium()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        environment = dict(os.environ)
        if fonts == "bundled":
            config = Path(folder) / "fonts.conf"
            bundled = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
            config.write_text(FONTS.format(fonts=bundled, cache=folder))
            environment["FONTCONFIG_FILE"] = str(config)
        chromium = playwright.chromium.launch(
            executable_path=path, args=list(LAUNCH_ARGS), env=environment
        )
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
        Console errors, uncaught exceptions, failed requests and answers that say so.
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

    def on_response(response):
        if response.status >= 400:
            log.errors.append(f"{response.status}: {response.url[:200]}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: log.errors.append(str(error)))
    page.on("requestfailed", lambda request: log.errors.append(f"failed: {request.url[:200]}"))
    page.on("response", on_response)
    page.on("request", on_request)
    return log


@contextmanager
def visits(browser, folder: Path) -> Iterator:
    """Yield a function that opens figures from a file; close what it opened after.

    It takes figures with ``html``, ``width_px`` and what a Playwright context takes, and returns
    the page, higher than the window, and its `PageLog`.
    """
    contexts = []

    def visit(*figures, width_px: int = 1280, **options):
        file = folder / "page.html"
        file.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>'
            '<meta name="viewport" content="width=device-width"><style>'
            ":root{color-scheme:light dark} body{margin:0;font-family:sans-serif}"
            "h1{margin:0;font-size:1rem;line-height:2rem}</style>"
            f"<main><h1>t</h1>{''.join(figure.html for figure in figures)}</main>"
            '<div style="height:3000px"></div></html>',
            encoding="utf-8",
        )
        context = browser.new_context(viewport={"width": width_px, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        log = watch(page)
        page.goto(file.as_uri())
        return page, log

    try:
        yield visit
    finally:
        for context in contexts:
            context.close()


def touch(page, *moments) -> None:
    """Put fingers down at the first moment's points (x, y), move them to the next ones, lift."""
    session = page.context.new_cdp_session(page)
    kinds = ["touchStart", *["touchMove"] * (len(moments) - 1), "touchEnd"]
    for kind, points in zip(kinds, [*moments, []], strict=True):
        places = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
