"""Print the built book into one PDF: ``make pdf``, after ``make book``.

The pages' articles, in the order of the table of contents, become one HTML page, which Chromium
prints. No page is executed or built again, and no LaTeX is needed.
"""

import argparse
import base64
import html
import io
import json
import sys
import tempfile
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from book_pages import listed
from bs4 import BeautifulSoup, Tag
from build_book import ROOT, STATE
from chromium import LAUNCH_ARGS, chromium_path, why_none
from PIL import Image

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
FOOTER = (
    '<div style="width:100%;text-align:center;font-size:8px;color:#555">'
    '<span class="pageNumber"></span></div>'
)
# The last two: code that the pages fold, which draws explorers and boxes; a chart's values, which
# would fill pages.
DROPPED = (
    "script, button, .headerlink, .hela-controls, nav, #searchbox, details.above-input, "
    ".hela-chart details"
)


def anchor(page: str, fragment: str = "") -> str:
    """Id, in the one page, of a page or of a place on it; ids of several pages may be equal."""
    return f"{page.replace('/', '-')}--{fragment}" if fragment else page.replace("/", "-")


def article(site: Path, page: str, known: list[str]) -> Tag:
    """Return a page's article, fit to stand beside those of the other pages.

    Parameters
    ----------
    site : Path
        Folder of the built pages.
    page : str
        Its name in the table of contents.
    known : list of str
        All pages: links between them stay within the PDF.
    """
    path = site / f"{page}.html"
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    content = soup.find("article")
    if content is None:
        raise ValueError(f"{path} has no article; build the book anew: make book.")
    for each in content.select(DROPPED):
        each.decompose()
    for each in content.find_all("noscript"):
        each.name = "div"  # What explorers say to those who cannot move them.
    for each in content.find_all("details"):
        each["open"] = ""
    for each in content.select(".toggle, .dropdown"):
        each["class"] = [name for name in each["class"] if name not in ("toggle", "dropdown")]
    for each in content.find_all(id=True):
        each["id"] = anchor(page, each["id"])
    for each in content.find_all("a", href=True):
        each["href"] = _link(site, path, page, each["href"], known)
    for each in content.find_all("source"):
        each.decompose()
    for each in content.find_all("img"):
        each.attrs.pop("srcset", None)
        each["loading"] = "eager"
        each["src"] = _picture(path, each["src"])
    content["id"] = anchor(page)
    return content


def _link(site: Path, path: Path, page: str, href: str, known: list[str]) -> str:
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return href
    if not parts.path:
        return f"#{anchor(page, parts.fragment)}"
    target = (path.parent / unquote(parts.path)).resolve()
    try:
        name = target.relative_to(site.resolve()).with_suffix("").as_posix()
    except ValueError:
        return "#"
    return f"#{anchor(name, parts.fragment)}" if name in known else "#"


def _picture(path: Path, src: str) -> str:
    """Return a picture's address; photographs as JPEG, which is all that a PDF stores small."""
    if src.startswith("data:image/webp;base64,"):
        content = base64.b64decode(src.partition(",")[2])
    elif src.startswith(("data:", "http:", "https:")):
        return src
    else:
        file = (path.parent / unquote(urlsplit(src).path)).resolve()
        if file.suffix != ".webp":
            return file.as_uri()
        content = file.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        if "A" in picture.getbands():
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        stored = io.BytesIO()
        picture.convert("RGB").save(stored, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(stored.getvalue()).decode("ascii")


def one_page(site: Path, root: Path, about: str) -> str:
    """Return the whole book as one HTML page.

    Parameters
    ----------
    site : Path
        Folder of the built pages.
    root : Path
        Folder with ``_toc.yml`` and ``_config.yml``.
    about : str
        For the title page: when and from what it was made.
    """
    names = list(listed(root))
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    articles = {name: article(site, name, names) for name in names}
    first = site / f"{names[0]}.html"
    head = BeautifulSoup(first.read_text(encoding="utf-8"), "html.parser").head
    styles = [
        (first.parent / urlsplit(link["href"]).path).resolve().as_uri()
        for link in head.find_all("link", rel="stylesheet")
        if not urlsplit(link["href"]).scheme
    ]
    links = "".join(f'<link rel="stylesheet" href="{url}">' for url in styles)
    contents = "".join(
        f'<li><a href="#{anchor(name)}">{html.escape(content.find("h1").get_text())}</a></li>'
        for name, content in articles.items()
    )
    title = html.escape(config["title"])
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{title}</title>{links}<style>{STYLE}</style></head><body>'
        f'<div class="hela-title"><h1>{title}</h1><p>{html.escape(config["author"])}</p>'
        f"<p>{html.escape(about)}</p></div>"
        f'<div class="hela-contents"><h2>Contents</h2><ul>{contents}</ul></div>'
        + "".join(map(str, articles.values()))
        + "</body></html>"
    )


def print_page(page: Path, target: Path) -> None:
    """Print an HTML file to PDF, with bookmarks and page numbers.

    Parameters
    ----------
    page, target : Path
    """
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        sys.exit(why_none())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(LAUNCH_ARGS))
        tab = browser.new_page(color_scheme="light")
        tab.set_default_timeout(600_000)
        tab.goto(page.as_uri(), wait_until="load")
        tab.evaluate("Promise.all([...document.images].map(i => i.decode().catch(() => {})))")
        tab.pdf(
            path=target,
            prefer_css_page_size=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()


def main() -> None:
    """Print the book of a ``_build`` folder into its ``book.pdf``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "_build")
    build = parser.parse_args().build.resolve()
    if not (build / "html" / "index.html").exists():
        sys.exit(f"There is no book in {build}: run make book first.")
    state = json.loads((build / STATE).read_text())
    about = f"Printed on {date.today()}; profile {state['profile']}, source {state['source']}."
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "book.html"
        page.write_text(one_page(build / "html", ROOT, about), encoding="utf-8")
        print_page(page, build / "book.pdf")
    print(f"{build / 'book.pdf'}: {(build / 'book.pdf').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
