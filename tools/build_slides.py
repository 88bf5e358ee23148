"""Make slides of the chapters of the two-hour course: ``make slides``, after ``make book``.

The built pages are cut up, so that nothing is written twice: each section gives a slide with its
heading, its first sentences and its picture; a further picture, formulas and exercises get slides
of their own, and so does code that the page shows openly. The rest of the text are the notes.
The files hold everything that they show; they open anywhere, without the internet.
"""

import argparse
import base64
import copy
import html
import io
import mimetypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag
from build_book import ROOT
from PIL import Image

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
KEYS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
COURSE = "tab-teaching-course-1"
PICTURES = "figure, .hela-table:not(figure *)"
DROPPED = "button, .headerlink, source, details.above-input, link"
LEAD = 150  # characters after which a slide begins no further sentence
TEXT = 380  # the same for a slide without a picture
WIDE = 1.9  # a picture wider than this many times its height has its caption below, not beside


@dataclass
class Slide:
    """One slide: what it shows, and what is said.

    Attributes
    ----------
    title : str
    kind : str
        ``text``, ``picture``, ``formula``, ``exercise`` or ``code``.
    shown, notes : list of Tag
        Pictures, formulas or code; and the text, of which the first sentences are shown, too.
    id : str
        The section's on the page; empty where it goes on.
    """

    title: str
    kind: str = "text"
    shown: list[Tag] = field(default_factory=list)
    notes: list[Tag] = field(default_factory=list)
    id: str = ""


def chapters(site: Path) -> tuple[Tag, list[str]]:
    """Return the course's timetable, and the names of the chapters that it links to, in order."""
    page = site / "book" / "teaching.html"
    table = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find(id=COURSE)
    if table is None:
        raise ValueError(f"{page} has no table {COURSE}; build the book anew: make book.")
    paths = [Path(urlsplit(link["href"]).path) for link in table.find_all("a", href=True)]
    return table, list(
        dict.fromkeys(path.stem for path in paths if path.parent.name == "notebooks")
    )


def cut(page: Path) -> list[Slide]:
    """Cut a built page into slides.

    Parameters
    ----------
    page : Path
        HTML file of a chapter.
    """
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
    if article is None or article.section is None:
        raise ValueError(f"{page} has no sections; build the book anew: make book.")
    for each in article.select(DROPPED):
        each.decompose()
    for image in article.find_all("img"):
        _inline(image, page)
    slides: list[Slide] = []
    for block in _blocks(article.section):
        _place(block, slides)
    return [slide for slide in slides if slide.shown or slide.notes]


def _blocks(section: Tag) -> Iterator[Tag]:
    """Yield what a section has, in order; of cells the code that is open and the results."""
    for child in section.find_all(True, recursive=False):
        if child.name == "section":
            yield from _blocks(child)
        elif "cell" in child.get("class", []):
            yield from child.select(":scope > .cell_input pre")
            yield from child.select(PICTURES)
        else:
            yield child


def _place(block: Tag, slides: list[Slide]) -> None:
    """Put a block onto the last slide, or begin another."""
    names = set(block.get("class", []))
    # Code stands behind its slide, which goes on after it.
    last = next((slide for slide in reversed(slides) if slide.kind != "code"), None)
    if block.name in ("h1", "h2"):
        title = block.get_text(" ", strip=True)
        slides.append(Slide(title, id=block.parent.get("id", "")))
    elif last is None:
        return
    elif "exercise" in names:
        title = block.find(class_="admonition-title").extract().get_text(" ", strip=True)
        task = block.section.find_all(True, recursive=False)
        slides.append(Slide(title, "exercise", notes=task, id=block.get("id", "")))
    elif block.name == "pre":
        # What defines nothing loads, calls and draws: that is for whoever runs the chapter.
        if block.get_text().lstrip().startswith("def "):
            slides.append(Slide(last.title, "code", shown=[block]))
    elif block.name == "figure" or names & {"hela-table", "pst-scrollable-table-container", "math"}:
        kind = "formula" if "math" in names else "picture"
        if last.kind != "text" and not last.kind == kind == "formula":
            leads = len(last.notes) > 1 and last.notes[-1].name == "p"
            last = Slide(last.title, notes=[last.notes.pop()] if leads else [])
            slides.append(last)
        last.kind = kind
        last.shown.append(block)
        if kind == "formula":
            last.notes.append(block)
    elif block.get_text(strip=True):
        last.notes.append(block)


def _inline(image: Tag, page: Path) -> None:
    """Put a picture's file into its address, and say whether it is wide."""
    src = image["src"]
    if not src.startswith("data:"):
        file = page.parent / unquote(urlsplit(src).path)
        kind = mimetypes.guess_type(file.name)[0] or f"image/{file.suffix[1:]}"
        image["src"] = f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"
    image.attrs.pop("srcset", None)
    image["loading"] = "eager"
    figure = image.find_parent("figure")
    if figure and "svg" not in image["src"][:20]:
        content = base64.b64decode(image["src"].partition(";base64,")[2])
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width > WIDE * picture.height:
                figure["class"] = [*figure.get("class", []), "wide"]


def first_sentences(text: Tag, enough: int) -> Tag:
    """Return a copy of a paragraph up to the line, which is a sentence, that makes it long enough.

    Parameters
    ----------
    text : Tag
        Of the pages' source, with a sentence a line.
    enough : int
        Number of characters.
    """
    short = copy.copy(text)
    length, full = 0, False
    for part in list(short.children):
        if full:
            part.extract()
        elif isinstance(part, NavigableString):
            lines = str(part).split("\n")
            for number, line in enumerate(lines[:-1]):
                length += len(line)
                if length >= enough:
                    part.replace_with("\n".join(lines[: number + 1]))
                    full = True
                    break
            length += len(lines[-1])
        else:
            length += len(part.get_text())
    for each in short.find_all(id=True):
        del each["id"]
    return short


def _says(slide: Slide) -> list[Tag]:
    """Return the text that a slide shows."""
    if slide.kind == "code":
        return []
    if slide.kind == "picture":
        return [first_sentences(text, LEAD) for text in slide.notes if text.name == "p"][:1]
    if slide.kind == "formula":
        enough = LEAD if len(slide.shown) == 1 else 1
        return [first_sentences(each, enough) for each in slide.notes]
    said, length = [], 0
    for text in slide.notes:
        if text.name in ("p", "ul", "ol", "dl") and length < TEXT:
            said.append(first_sentences(text, LEAD) if text.name == "p" else copy.copy(text))
            length += len(said[-1].get_text())
    return said


def deck(slides: list[Slide], style: str, names: list[str]) -> str:
    """Return slides as one HTML page.

    Parameters
    ----------
    slides : list of Slide
    style : str
        Colours of code.
    names : list of str
        Chapters that have slides, which links may lead to.
    """
    parts = []
    for number, slide in enumerate(slides, start=1):
        shown = slide.shown if slide.kind in ("picture", "code") else []
        if slide.kind == "code":
            lines = slide.shown[0].get_text().strip().count("\n") + 1
            body = f'<div class="highlight" style="--lines: {lines}">{shown[0]}</div>'
        else:
            body = "".join(map(str, [*map(copy.copy, _says(slide)), *shown]))
        notes = "".join(map(str, slide.notes))
        level = "h1" if number == 1 else "h2"
        title = html.escape(slide.title)
        label = f"{number} of {len(slides)}: {title}"
        parts.append(
            f'<section class="{slide.kind}" aria-label="{label}" tabindex="-1"'
            f' id="{slide.id or f"slide-{number}"}"><{level}>{title}</{level}>'
            f'<div class="body">{body}</div>'
            + (f"<details><summary>Notes</summary>{notes}</details>" if notes else "")
            + f'<p class="number" aria-hidden="true">{number}</p></section>'
        )
    soup = BeautifulSoup("".join(parts), "html.parser")
    _link(soup, names)
    return _page(slides[0].title, f"<main>{soup}</main><script>{KEYS}</script>", style)


def _link(soup: BeautifulSoup | Tag, names: list[str]) -> None:
    """Let links lead to slides or out; others, to pages that are not here, become plain text."""
    here = {tag["id"] for tag in soup.find_all(id=True)}
    for link in soup.find_all("a", href=True):
        parts = urlsplit(link["href"])
        name = Path(parts.path).stem
        if not parts.scheme and name in names:
            link["href"] = f"{name}.html" + (f"#{parts.fragment}" if parts.fragment else "")
        elif not parts.scheme and (parts.path or parts.fragment not in here):
            link.unwrap()


def _page(title: str, body: str, style: str = "") -> str:
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def build(site: Path, target: Path) -> list[Path]:
    """Write the course's slides and their index; return the files.

    Parameters
    ----------
    site : Path
        Folder of the built pages.
    target : Path
        Folder for the slides.
    """
    table, names = chapters(site)
    colours = site / "_static" / "pygments.css"
    style = colours.read_text(encoding="utf-8") if colours.exists() else ""
    target.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in names:
        slides = cut(site / "notebooks" / f"{name}.html")
        written[target / f"{name}.html"] = deck(slides, style, names)
    _link(table, names)
    how = (
        "Arrow keys and Page Down turn the slides, down with code, right without; "
        "N shows the notes, S opens a window with them that follows; Ctrl+P prints both."
    )
    index = f'<main class="index"><h1>Slides: two hours</h1><p>{how}</p>{table}</main>'
    written[target / "index.html"] = _page("Slides: two hours", index)
    for file, content in written.items():
        file.write_text(content, encoding="utf-8")
    return list(written)


def main() -> None:
    """Make slides of the book in a ``_build`` folder, in its folder ``slides``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "_build")
    build_dir = parser.parse_args().build.resolve()
    site = build_dir / "html"
    if not (site / "index.html").exists():
        sys.exit(f"There is no book in {build_dir}: run make book first.")
    *_, index = build(site, build_dir / "slides")
    print(f"{index}: open it in a browser.")


if __name__ == "__main__":
    main()
