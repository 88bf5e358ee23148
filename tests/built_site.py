"""The built pages and a server for them; for the tests that open them, not a test itself.

They are those of the smoke book (``make test-site``), or of the folder named in ``HELA_SITE``.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from book_pages import listed
from bs4 import BeautifulSoup

from helpers import settings

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(settings.read("HELA_SITE") or ROOT / "_build" / "smoke" / "_build" / "html")


def pages() -> list[str]:
    """Every page of the table of contents, the start page first, and the search page."""
    return [f"{name}.html" for name in (*listed(ROOT), "search")]


@functools.cache
def soup_of(name: str) -> BeautifulSoup:
    """Parse a page, once a process: they hold megabytes of pictures. Leave it as it is."""
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")


class QuietHandler(SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, *args):
        pass


@contextmanager
def serve() -> Iterator[str]:
    """Serve the built pages and yield their address."""
    if not SITE.is_dir():
        pytest.fail(f"no built pages in {SITE}; run make test-site, which builds them first.")
    handler = functools.partial(QuietHandler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
