"""The built pages in a browser: nothing missing, nothing broken, nothing wider than the screen."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from browser import watch
from built_site import SITE, pages, soup_of

pytestmark = pytest.mark.site

PHONE_PX, SCREEN_PX = 390, 1280
# The pieces of a picture are described together, by what they lie in.
IMAGES = """[...document.images].map(i => ({
  src: i.src, loaded: i.naturalWidth > 0,
  alt: i.alt || i.closest('.hela-view[aria-label]')?.getAttribute('aria-label') || '',
}))"""


@pytest.fixture(scope="session")
def phone(browser, address):
    """Open pages as on a phone, other origins with an empty answer: there may be no network."""
    context = browser.new_context(viewport={"width": PHONE_PX, "height": 900})
    foreign = re.compile(f"^(?!{re.escape(address)}/)")
    context.route(foreign, lambda route: route.fulfill(status=200, body=""))
    yield context
    context.close()


@pytest.mark.any_font
@pytest.mark.parametrize("name", pages())
def test_page(phone, address, name):
    page = phone.new_page()
    log = watch(page)
    response = page.goto(f"{address}/{name}", wait_until="load")
    assert response.status == 200
    # Pictures marked as lazy load only when they come into view.
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.evaluate("for (const hidden of document.querySelectorAll('details')) hidden.open = true")
    page.wait_for_load_state("networkidle")

    assert page.title().strip()
    assert page.locator("h1").count() >= 1
    images = page.evaluate(IMAGES)
    assert [image["src"][:200] for image in images if not image["loaded"]] == []
    assert [image["src"][:200] for image in images if not image["alt"].strip()] == []
    outputs = page.locator(".cell_output").all_inner_texts()
    assert [text for text in outputs if "Traceback (most recent call last)" in text] == []

    for width_px in (PHONE_PX, SCREEN_PX):
        page.set_viewport_size({"width": width_px, "height": 900})
        wide = page.evaluate(
            "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
        )
        assert wide[1] <= wide[0], f"the page is wider than {width_px} px"
    assert log.errors == []
    assert [url for url in log.remote if not url.startswith(address)] == []
    page.close()


@pytest.mark.any_font
def test_tables_of_sentences_are_whole_on_a_phone(phone, address):
    page = phone.new_page()
    page.goto(f"{address}/book/reproducing.html", wait_until="load")
    page.set_viewport_size({"width": PHONE_PX, "height": 900})
    tables = page.locator("table.hela-sentences")
    assert tables.count() >= 3
    ends = tables.evaluate_all("them => them.map(each => each.getBoundingClientRect().right)")
    assert max(ends) <= PHONE_PX
    page.close()


def test_address_of_the_site_leads_to_the_start_page(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_url("**/book/index.html")
    assert page.title().strip()
    page.close()


def test_every_link_inside_the_site_has_a_target(address):
    soups = {name: soup_of(name) for name in pages()}
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
