"""The PDF: pages joined so that links, ids and pictures still fit, and printed."""

import base64
import io
import re

import build_pdf
import pytest
from browser import require_chromium
from bs4 import BeautifulSoup
from PIL import Image

TOC = """
root: book/index
parts:
  - chapters:
      - file: notebooks/01_one
"""
PAGE = """<html><head><link rel="stylesheet" href="../_static/a.css?v=1"></head><body>
<nav>not printed</nav><article class="bd-article"><h1>{title}</h1>{body}</article></body></html>"""


def webp() -> bytes:
    stored = io.BytesIO()
    Image.new("RGBA", (40, 30), (255, 0, 0, 128)).save(stored, "WEBP")
    return stored.getvalue()


@pytest.fixture
def book(tmp_path):
    """Return a folder with a table of contents, and one with the built pages."""
    site = tmp_path / "html"
    for name in ("book", "notebooks", "_images", "_static"):
        (site / name).mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "_config.yml").write_text("title: A & B\nauthor: Us\n")
    (site / "_static" / "a.css").write_text("")
    (site / "_images" / "a.webp").write_bytes(webp())
    data = base64.b64encode(webp()).decode()
    first = f"""<section id="summary"><a href="../notebooks/01_one.html#summary">on</a>
      <a href="#summary">here</a> <a href="../genindex.html">index</a>
      <a href="https://doi.org/10.1/x">out</a>
      <img src="../_images/a.webp" loading="lazy" alt="a">
      <img src="data:image/webp;base64,{data}" alt="b"></section>"""
    second = """<section id="summary"><p>second</p><details><summary>more</summary>hidden</details>
      <details class="hide above-input"><summary>Show code</summary>folded</details>
      <figure class="hela-chart"><details><summary>values</summary>0.1</details></figure>
      <noscript><p>Shown at 3.</p></noscript><script>throw 1</script>
      <div class="admonition toggle dropdown">solution</div></section>"""
    (site / "book" / "index.html").write_text(PAGE.format(title="First", body=first))
    (site / "notebooks" / "01_one.html").write_text(PAGE.format(title="Second", body=second))
    return tmp_path, site


def test_pages_are_joined_in_order_and_links_lead_to_them(book):
    root, site = book
    soup = BeautifulSoup(build_pdf.one_page(site, root, "quick"), "html.parser")

    titles = [tag.get_text() for tag in soup.find_all("h1")]
    assert titles == ["A & B", "First", "Second"]
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(set(ids)) == len(ids)
    links = {tag.get_text(): tag["href"] for tag in soup.find_all("a")}
    assert links["on"] == "#notebooks-01_one--summary"
    assert links["here"] == "#book-index--summary"
    assert links["index"] == "#"
    assert links["out"] == "https://doi.org/10.1/x"
    inside = [href[1:] for href in links.values() if href.startswith("#") and href != "#"]
    assert set(inside) <= set(ids)
    assert links["Second"] == "#notebooks-01_one"


def test_nothing_stays_hidden_and_nothing_runs(book):
    root, site = book
    text = build_pdf.one_page(site, root, "quick")
    soup = BeautifulSoup(text, "html.parser")
    assert soup.find("script") is None
    assert "not printed" not in text
    assert soup.find("details").has_attr("open")
    assert not soup.select(".hela-chart details")
    assert "folded" not in text
    assert soup.find("noscript") is None
    assert "Shown at 3." in soup.get_text()
    assert "toggle" not in soup.find(class_="admonition")["class"]


def test_pictures_become_jpeg_on_white(book):
    root, site = book
    soup = BeautifulSoup(build_pdf.one_page(site, root, "quick"), "html.parser")
    for image in soup.find_all("img"):
        assert image["loading"] == "eager"
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            red, green, _ = picture.getpixel((20, 15))
        # Half transparent red on white.
        assert red > 240
        assert 110 < green < 145


def test_a_page_without_an_article_is_named(book):
    root, site = book
    (site / "book" / "index.html").write_text("<html></html>")
    with pytest.raises(ValueError, match=r"index.html has no article; build the book anew"):
        build_pdf.one_page(site, root, "")


def test_it_is_printed_with_bookmarks(book, tmp_path):
    require_chromium()
    root, site = book
    page = tmp_path / "book.html"
    page.write_text(build_pdf.one_page(site, root, "quick"), encoding="utf-8")
    build_pdf.print_page(page, tmp_path / "book.pdf")
    content = (tmp_path / "book.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    # A title, the contents, and two pages of the book.
    assert len(re.findall(rb"/Type /Page\b", content)) == 4
    assert b"/Outlines" in content
    assert b"/Subtype /Link" in content
    assert content.count(b"/DCTDecode") >= 1
