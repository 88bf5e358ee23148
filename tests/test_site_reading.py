"""What readers of the built pages can count on: light pages, no network, keys, touch, colours."""

import io
import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import watch
from built_site import SITE, pages, soup_of
from PIL import Image
from playwright.sync_api import expect

from helpers.methods import ALSO, METHODS

pytestmark = pytest.mark.site

START, *OTHERS = pages()
WITH_EXPLORERS = [name for name in pages() if "index" in name or "/0" in name or "/A1" in name]


SCREEN = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def screen(browser):
    """Return a browser's memory that tests share: a new one takes longer than many tests."""
    context = browser.new_context(viewport=SCREEN)
    yield context
    context.close()


@pytest.fixture
def page(screen):
    opened = screen.new_page()
    yield opened
    opened.close()


def pixels(locator):
    picture = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    return np.asarray(picture, dtype=np.int16)


def differ(a, b):
    """Say whether two pictures differ in more than a pixel here and there."""
    return a.shape != b.shape or (np.abs(a - b).max(axis=-1) > 8).mean() > 0.001


# Weight


@pytest.mark.parametrize("name", pages())
def test_page_is_light(browser, address, name):
    page = browser.new_page(viewport=SCREEN)  # nothing of it has been loaded before
    log = watch(page)
    sizes = {}
    page.on("response", lambda got: sizes.__setitem__(got.url, len(got.body())))
    page.goto(f"{address}/{name}", wait_until="load")
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_load_state("networkidle")
    assert len(sizes) > 5
    most_mb = 1.5 if name == START else 5
    largest = sorted(((size, url) for url, size in sizes.items()), reverse=True)[:4]
    assert sum(sizes.values()) < most_mb * 1e6, largest
    assert log.errors == []
    page.close()


def test_pictures_are_lazy_modern_and_keep_their_room():
    seen = 0
    for name in pages():
        for image in soup_of(name).select("article img"):
            if image["src"].startswith("data:image/webp"):
                continue
            seen += 1
            assert image["src"].endswith(".webp"), (name, image["src"])
            assert image["loading"] == "lazy"
            assert int(image["width"]) > 0
            assert int(image["height"]) > 0
    assert seen > 20


# No network


def test_no_page_names_another_site_to_load_from():
    for name in pages():
        page = soup_of(name)
        wanted = [tag.get("src") for tag in page.find_all(["script", "img", "iframe", "source"])]
        wanted += [tag.get("href") for tag in page.find_all("link")]
        assert [at for at in wanted if at and at.startswith(("http:", "https:", "//"))] == []


def test_formulas_are_drawn_without_a_script(page):
    page.goto((SITE / "notebooks" / "04_metrics.html").as_uri())
    boxes = page.evaluate(
        "[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().width)"
    )
    assert len(boxes) > 5
    assert min(boxes) > 3
    block = page.locator("div.math").first
    assert block.bounding_box()["height"] > 25, "a fraction is taller than a line"
    assert not page.locator("script[src*=mathjax i]").count()


@pytest.mark.parametrize("word", ["Jaccard", "superpixel"])
def test_search_finds_from_files(page, word):
    log = watch(page)
    page.goto(f"{(SITE / 'search.html').as_uri()}?q={word}")
    results = page.locator("ul.search li")
    results.first.wait_for()
    links = results.locator("a").evaluate_all("found => found.map(each => each.href)")
    assert any("notebooks/0" in link for link in links)
    assert (log.errors, log.remote) == ([], [])


# Explorers


def first_explorer(page, name):
    page.goto((SITE / name).as_uri())
    figure = page.locator(".hela-explorer:has(input[type=range])").first
    figure.scroll_into_view_if_needed()
    return figure, figure.locator("img"), figure.locator("input[type=range]").first


def has_explorer(name):
    return bool(soup_of(name).select(".hela-explorer input[type=range]"))


def test_there_are_explorers_to_test():
    assert has_explorer(START)
    assert sum(map(has_explorer, WITH_EXPLORERS)) >= 6


@pytest.mark.parametrize("name", WITH_EXPLORERS)
def test_explorer_is_dragged_with_the_mouse_and_moved_by_keys(page, name):
    if not has_explorer(name):
        pytest.skip("no explorer on this page")
    log = watch(page)
    _figure, picture, slider = first_explorer(page, name)
    slider.focus()
    page.keyboard.press("Home")
    first = pixels(picture)
    page.keyboard.press("End")
    last = pixels(picture)
    assert differ(first, last), "keys change the picture"
    outline = slider.evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline != "none", "focus is to be seen"

    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 4, y, steps=8)
    page.mouse.up()
    assert slider.input_value() == slider.get_attribute("min")
    assert not differ(pixels(picture), first), "back where it was"
    assert (log.errors, log.remote) == ([], [])


@pytest.mark.any_font
@pytest.mark.parametrize("name", WITH_EXPLORERS)
def test_explorer_works_by_touch(browser, name):
    if not has_explorer(name):
        pytest.skip("no explorer on this page")
    phone = browser.new_context(
        has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844}
    )
    page = phone.new_page()
    _figure, picture, slider = first_explorer(page, name)
    box = slider.bounding_box()
    assert box["height"] >= 24, "WCAG 2.2, 2.5.8: target size"
    y = box["y"] + box["height"] / 2
    page.touchscreen.tap(box["x"] + 4, y)
    first = pixels(picture)
    page.touchscreen.tap(box["x"] + box["width"] - 4, y)
    assert slider.input_value() == slider.get_attribute("max")
    assert differ(first, pixels(picture))
    phone.close()


def test_hover_chart_is_read_by_keys(page):
    page.goto((SITE / "notebooks" / "10_comparison.html").as_uri())
    charts = page.locator(".hela-chart")
    if not charts.count():
        pytest.skip("no chart on this page: its data cannot be had")
    chart = charts.first
    slider, said = chart.locator(".hela-slice input"), chart.locator(".hela-slice output")
    slider.focus()
    before = said.inner_text()
    cursor = chart.locator(".hela-cursor").get_attribute("d")
    page.keyboard.press("ArrowRight")
    assert said.inner_text() != before
    assert chart.locator(".hela-cursor").get_attribute("d") != cursor


# Colours


def test_choice_of_colours_is_remembered_and_changes_the_classes_only(browser, address):
    context = browser.new_context(viewport=SCREEN)
    page = context.new_page()
    page.goto(f"{address}/{START}")
    truth = page.locator(".hela-gallery img").nth(1)
    plain = page.locator(".hela-gallery img").nth(0)
    switch = page.get_by_role("button", name="Colours for the colour-blind")
    before, grey = pixels(truth), pixels(plain)
    switch.focus()
    page.keyboard.press("Enter")
    assert switch.get_attribute("aria-pressed") == "true"
    after = pixels(truth)
    assert differ(before, after)
    assert not differ(grey, pixels(plain)), "a slice without classes stays as it is"
    # The paper's green, over grey, is nowhere any more without blue beside it.
    green = (before[..., 1] - before[..., 2] > 60) & (before[..., 1] - before[..., 0] > 60)
    assert green.mean() > 0.02
    assert (after[green][:, 2] - after[green][:, 0]).mean() > 10

    page.goto(f"{address}/notebooks/01_data_acquisition.html")
    assert page.evaluate("document.documentElement.dataset.palette") == "safe"
    again = page.get_by_role("button", name="Colours for the colour-blind")
    assert again.get_attribute("aria-pressed") == "true"
    filters = page.locator("img.hela-classes").first.evaluate("e => getComputedStyle(e).filter")
    assert "hela-safe" in filters
    context.close()


# What stands on each page


@pytest.mark.parametrize("name", pages())
def test_foot_says_what_made_the_page(name):
    text = " ".join(soup_of(name).select_one(".hela-run").get_text(" ").split())
    for word in ("Last ", " UTC", "Source", "Profile", "Python 3", "NumPy", "TensorFlow", "Commit"):
        assert word in text
    executed = "notebooks/" in name or name == START
    assert ("Last executed" if executed else "Last built") in text


def test_index_lists_every_figure():
    links = {a["href"].partition("notebooks/")[2] for a in soup_of("book/figures.html").select("a")}
    missing = [
        f"{name}#{figure['id']}"
        for name in pages()
        if name.startswith("notebooks/")
        for figure in soup_of(name).select("article figure[id]")
        if f"{name.partition('/')[2]}#{figure['id']}" not in links
    ]
    assert missing == []


def test_start_page_shows_a_result_of_each_method_with_its_score_and_four_ways_in():
    start = soup_of(START)
    titles = [each.get_text() for each in start.select(".hela-gallery strong")]
    names = list(dict.fromkeys(each.method for each in (*METHODS, *ALSO)))
    assert titles[1:] == ["ground truth", *names]
    scored = [each for each in start.select(".hela-gallery li") if "here:" in each.get_text()]
    assert len(scored) == len(names) == 6
    assert len(start.select("article .sd-card a")) == 4


def test_terms_are_explained():
    terms = {tag["id"] for tag in soup_of("book/glossary.html").select("dt[id]")}
    used = [
        a["href"].partition("#")[2]
        for name in pages()
        if name.startswith("notebooks/")
        for a in soup_of(name).select("a[href*='glossary.html#term-']")
    ]
    assert len(used) > 12
    assert set(used) <= terms


# Accessibility


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", pages())
def test_page_is_accessible(page, name, mode):
    page.emulate_media(color_scheme=mode)
    page.goto((SITE / name).as_uri())
    # Halfway through a fade, text has less contrast than a reader will see.
    page.add_style_tag(
        content="*, *::before, *::after {animation: none !important; transition: none !important}"
    )
    page.evaluate("for (const hidden of document.querySelectorAll('details')) hidden.open = true")
    # Pictures inside the page would be copied into the report, megabytes of them.
    page.evaluate(
        "for (const image of document.images) if (image.src.startsWith('data:')) image.src = ''"
    )
    page.evaluate(
        "for (const data of document.querySelectorAll('script[type=\"application/json\"]'))"
        " data.remove()"
    )
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    said = [(each["id"], len(each["nodes"]), each["nodes"][0]["html"][:200]) for each in found]
    assert said == []


# Previews


def test_words_and_citations_show_what_they_mean(page):
    page.goto((SITE / "notebooks" / "06_vgg16.html").as_uri())
    box = page.locator(".hela-preview")
    word = page.locator(".bd-article a[href*='glossary.html#term-']").first
    word.hover()
    expect(box).to_be_visible()
    assert len(box.inner_text()) > 20
    assert word.get_attribute("aria-describedby") == box.get_attribute("id")
    box.hover()
    page.wait_for_timeout(400)
    expect(box).to_be_visible()
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    citation = page.locator(".bd-article a[href*='references.html#']").first
    citation.focus()
    expect(box).to_contain_text(re.compile(r"\b(19|20)\d\d\b"))
    right = box.evaluate("box => box.getBoundingClientRect().right")
    assert right <= SCREEN["width"]
    page.keyboard.press("Tab")
    expect(citation).not_to_have_attribute("aria-describedby", "hela-preview")
