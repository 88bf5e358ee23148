"""The built pages in a browser: nothing missing, nothing broken, nothing wider than the screen."""

from urllib.parse import unquote, urlsplit

import pytest
from browser import watch
from bs4 import BeautifulSoup
from built_site import SITE, pages

pytestmark = pytest.mark.site

WIDTHS_PX = (390, 1280)


@pytest.fixture(params=WIDTHS_PX, ids="{}px".format)
def visit(request, browser, address):
    """Open a page at one width; return it and what it complained about."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    # Other origins get an empty answer: the pages must work where there is no network.
    context.route(
        lambda url: not url.startswith(address), lambda route: route.fulfill(status=200, body="")
    )

    def open_page(name):
        page = context.new_page()
        log = watch(page)
        page.on(
            "response",
            lambda response: (
                response.status >= 400 and log.errors.append(f"{response.status}: {response.url}")
            ),
        )
        response = page.goto(f"{address}/{name}", wait_until="load")
        assert response.status == 200
        # Pictures marked as lazy load only when they come into view.
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        page.evaluate(
            "for (const hidden of document.querySelectorAll('details')) hidden.open = true"
        )
        page.wait_for_load_state("networkidle")
        log.remote = [url for url in log.remote if not url.startswith(address)]
        return page, log

    yield open_page
    context.close()


@pytest.mark.any_font
@pytest.mark.parametrize("name", pages())
def test_page(visit, name):
    page, log = visit(name)

    assert log.errors == []
    assert log.remote == []
    assert page.title().strip()
    assert page.locator("h1").count() >= 1

    images = page.evaluate(
        "[...document.images].map(i => ({src: i.src, alt: i.alt, loaded: i.naturalWidth > 0}))"
    )
    assert [image["src"][:200] for image in images if not image["loaded"]] == []
    assert [image["src"][:200] for image in images if not image["alt"].strip()] == []

    wide = page.evaluate(
        """[document.documentElement.clientWidth, document.documentElement.scrollWidth]"""
    )
    assert wide[1] <= wide[0], "the page is wider than the screen"

    outputs = page.locator(".cell_output").all_inner_texts()
    assert [text for text in outputs if "Traceback (most recent call last)" in text] == []


def test_address_of_the_site_leads_to_the_start_page(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_url("**/book/index.html")
    assert page.title().strip()
    page.close()


def test_every_link_inside_the_site_has_a_target(address):
    soups = {
        name: BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")
        for name in pages()
    }
    ids = {
        (SITE / name).resolve(): {tag["id"] for tag in soup.find_all(id=True)}
        for name, soup in soups.items()
    }
    checked, missing = 0, []
    for name, soup in soups.items():
        for tag in soup.find_all("a", href=True):
            parts = urlsplit(tag["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (SITE / name).parent / unquote(parts.path) if parts.path else SITE / name
            anchor = unquote(parts.fragment)
            found = target.is_file()
            if found and anchor:
                found = anchor in ids.get(target.resolve(), ())
            checked += 1
            if not found:
                missing.append(f"{name}: {tag['href']}")
    assert checked
    assert missing == []
