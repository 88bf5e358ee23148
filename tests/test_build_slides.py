"""Slides for the two-hour course: cut from built pages, complete, and turned by keys."""

import io

import build_slides
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import watch
from bs4 import BeautifulSoup
from built_site import SITE
from PIL import Image

TEACHING = """<article><table id="tab-teaching-course-1"><thead><tr><th>What</th></tr></thead>
<tbody><tr><td><a href="../notebooks/01_one.html#b">One</a>, then
<a href="using.html">using</a></td></tr></tbody></table></article>"""
CELL = """<div class="cell"><div class="cell_input"><pre>{code}</pre></div>
<div class="cell_output">{output}</div></div>"""
PICTURE = """<figure id="{name}"><img src="../_images/{name}.webp" alt="{name}, 0.97">
<figcaption>Fig. {name}<a class="headerlink" href="#{name}">#</a></figcaption></figure>"""
CHAPTER = f"""<html><head><title>x</title></head><body><article><section id="one">
<h1>1. One<a class="headerlink" href="#one">#</a></h1><p>What it is.</p>
<section id="a"><h2>1.1. A</h2><p>{"First. " * 30}
Never on the slide. <em id="dup">Cut</em>
off.</p>
{CELL.format(code="import numpy", output="")}
{CELL.format(code="def shown(): pass", output=PICTURE.format(name="square"))}
<p>Leads on.</p><p><a href="#square">Square</a> before
<a href="02_two.html">two</a>, <a href="01_one.html#b">b</a>, <a href="https://a.b/c">out</a>.</p>
<div class="cell"><details class="above-input"><summary>Show</summary><pre>folded</pre></details>
<div class="cell_output">{PICTURE.format(name="broad")}</div></div>
<p>After.</p></section>
<section id="b"><h2>1.2. B</h2><p>Formula:</p><div class="math"><math><mi>J</mi></math></div>
<p>is it.</p><div class="hela-table"><table><tr><td>0.5</td></tr></table></div></section>
<section id="exercises"><h2>1.3. Exercises</h2>
<div class="exercise admonition" id="ask"><p class="admonition-title">Exercise 1.1</p>
<section><p>How many?</p></section></div>
<div class="solution admonition"><section><p>Three.</p>
{CELL.format(code="def three(): pass", output="3")}</section></div>
</section></section></article></body></html>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a site of one chapter and the teaching notes."""
    site = tmp_path_factory.mktemp("built") / "html"
    for name in ("book", "notebooks", "_images"):
        (site / name).mkdir(parents=True)
    for name, size in {"square": (900, 900), "broad": (1600, 400)}.items():
        stored = io.BytesIO()
        Image.new("RGB", size, "grey").save(stored, "WEBP")
        (site / "_images" / f"{name}.webp").write_bytes(stored.getvalue())
    (site / "book" / "teaching.html").write_text(TEACHING)
    (site / "notebooks" / "01_one.html").write_text(CHAPTER)
    return site


@pytest.fixture(scope="module")
def deck(site, tmp_path_factory):
    """Return the file of the chapter's slides; the index lies beside it."""
    first, index = build_slides.build(site, tmp_path_factory.mktemp("slides"))
    assert (first.name, index.name) == ("01_one.html", "index.html")
    return first


def parts_of(deck):
    soup = BeautifulSoup(deck.read_text(encoding="utf-8"), "html.parser")
    return soup, soup.main.find_all("section", recursive=False)


def test_each_section_and_picture_has_a_slide_and_code_stands_behind_it(deck):
    _, parts = parts_of(deck)
    found = [(part["class"][0], part["id"], part.find(["h1", "h2"]).get_text()) for part in parts]
    assert found == [
        ("text", "one", "1. One"),
        ("picture", "a", "1.1. A"),
        ("code", "slide-3", "1.1. A"),
        ("picture", "slide-4", "1.1. A"),
        ("formula", "b", "1.2. B"),
        ("picture", "slide-6", "1.2. B"),
        ("exercise", "ask", "Exercise 1.1"),
    ]
    assert [part["aria-label"] for part in parts][1] == "2 of 7: 1.1. A"


def test_a_slide_shows_the_first_sentences_and_notes_have_the_rest(deck):
    _, parts = parts_of(deck)
    first, broad, asked = parts[1], parts[3], parts[6]
    assert first.select_one(".body p").get_text().strip() == ("First. " * 30).strip()
    assert first.details.get_text().count("Never on the slide. Cut\noff.") == 1
    assert "Leads on." in first.details.get_text()
    assert broad.select_one(".body p").get_text().startswith("Square before")
    assert "After." in broad.details.get_text()
    assert "After." not in broad.select_one(".body").get_text()
    assert "Three." not in asked.select_one(".body").get_text()
    assert "Three." in asked.details.get_text()
    assert "folded" not in str(parts)
    assert "import numpy" not in str(parts)


def test_slides_hold_their_pictures_and_links_lead_to_slides_or_out(deck):
    soup, _ = parts_of(deck)
    for image in soup.find_all("img"):
        assert image["src"].startswith("data:image/webp;base64,")
        assert image["alt"].endswith(", 0.97")
    wide = {image.parent["id"]: "wide" in image.parent.get("class", []) for image in soup("img")}
    assert wide == {"square": False, "broad": True}
    links = {link.get_text(): link["href"] for link in soup.find_all("a")}
    assert links == {"Square": "#square", "b": "01_one.html#b", "out": "https://a.b/c"}
    index = BeautifulSoup((deck.parent / "index.html").read_text(), "html.parser")
    assert [link["href"] for link in index.find_all("a")] == ["01_one.html#b"]
    assert "using" in index.get_text()


def test_what_is_no_built_book_is_named(site, tmp_path):
    page = tmp_path / "01_one.html"
    page.write_text("<html></html>")
    with pytest.raises(ValueError, match=r"01_one.html has no sections; build the book anew"):
        build_slides.cut(page)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "teaching.html").write_text("<article></article>")
    with pytest.raises(ValueError, match=r"no table tab-teaching-course-1; build the book anew"):
        build_slides.build(tmp_path, tmp_path / "slides")


SIZES = "[...document.querySelectorAll('main > section')].map(s => [s.offsetHeight, s.scrollWidth])"


def look(browser, file):
    """Open slides at the size of a projector; return the page and its log."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    log = watch(page)
    page.goto(file.as_uri())
    return page, log


def violations(page):
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found]


def test_keys_turn_the_slides_and_a_second_window_with_notes_follows(browser, deck):
    page, log = look(browser, deck)
    assert violations(page) == []
    assert page.evaluate(SIZES) == [[720, 1280]] * 7

    def shown(page=page):
        return page.evaluate("document.activeElement.id")

    turned = ["Home", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "End", "PageDown"]
    at = []
    for key in turned:
        page.keyboard.press(key)
        at.append(shown())
    assert at == ["one", "a", "slide-4", "a", "slide-3", "ask", "ask"]
    page.keyboard.press("n")
    assert page.locator("#ask > details").get_attribute("open") is not None
    page.keyboard.press("n")
    assert page.locator("#ask > details").get_attribute("open") is None

    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_load_state()
    assert speaker.locator("#ask > details").get_attribute("open") is not None
    assert shown(speaker) == "ask"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    speaker.wait_for_function("document.activeElement.id === 'a'")
    speaker.keyboard.press("End")
    page.wait_for_function("document.activeElement.id === 'ask'")
    assert (log.errors, log.remote) == ([], [])
    speaker.close()
    page.close()


@pytest.mark.site
def test_slides_of_the_built_pages_fit_and_their_sliders_move(browser, tmp_path):
    *decks, index = build_slides.build(SITE, tmp_path)
    assert [deck.name[:2] for deck in decks] == ["01", "03", "04"]
    for file in (index, *decks):
        page, log = look(browser, file)
        if file in (index, decks[-1]):  # the last has the most kinds of things
            assert violations(page) == []
        for number, (height, width) in enumerate(page.evaluate(SIZES), start=1):
            assert (height <= 740, width <= 1280) == (True, True), f"{file.name}, slide {number}"
        sliders = page.locator("section > .body input[type=range]")
        if "traditional" in file.name:
            assert sliders.count() >= 8
            picture = page.locator(".hela-explorer > img").first
            before = picture.get_attribute("src")
            sliders.first.press("End")
            assert picture.get_attribute("src") != before
        assert (log.errors, log.remote) == ([], [])
        page.close()
