"""The book's pages, and what on them can be pointed at: for links out of a notebook.

Figures and exercises are numbered as Sphinx numbers them: within a numbered chapter, in order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import jupytext
import yaml
from pybtex.database import parse_file

TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
HEADING_LABEL = re.compile(r"^\((\S+)\)=\n+#+ +(.+)$", re.MULTILINE)
EXERCISE = re.compile(r"^(`{3,}|:{3,})\{exercise-start\} *(.*)\n:label: *(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A place that can be linked to.

    Attributes
    ----------
    page : str
        The page's path without its suffix, ``notebooks/03_traditional_method``.
    anchor : str
        Its id on the page; empty for the page itself.
    text : str
        What a link to it says: a heading, or ``Fig. 3.1``.
    """

    page: str
    anchor: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page of the table of contents: its path without suffix, file, title and number."""

    name: str
    file: Path
    title: str
    number: int | None

    @property
    def is_notebook(self) -> bool:
        """Whether it is a chapter with code."""
        return self.name.startswith("notebooks/")


class Book:
    """The pages of the table of contents, their labels and the bibliography.

    Parameters
    ----------
    root : Path
        Folder with ``_toc.yml``, ``notebooks`` and ``book/references.bib``.
    repository : str
        Address of the repository on GitHub; empty if there is none.
    notebooks : str
        Where the chapters' notebooks lie, with a final slash; empty for beside each other.
    """

    def __init__(self, root: Path, repository: str = "", notebooks: str = ""):
        self.root = root
        self.address = pages_address(repository) if repository else ""
        self.notebooks = notebooks

    @cached_property
    def pages(self) -> dict[str, Page]:
        """Every page by name, in order; chapters that are in no table of contents come last."""
        numbers = listed(self.root)
        for file in sorted((self.root / "notebooks").glob("*.md")):
            numbers.setdefault(f"notebooks/{file.stem}", None)
        pages = {}
        for name, number in numbers.items():
            file = self.root / f"{name}.md"
            title = TITLE.search(file.read_text(encoding="utf-8"))
            pages[name] = Page(name, file, title[1].strip() if title else file.stem, number)
        return pages

    @cached_property
    def targets(self) -> dict[str, Target]:
        """Every label, and every figure and exercise, of all pages."""
        return {name: target for page in self.pages.values() for name, target in _targets(page)}

    def belongs(self, page: Page) -> str:
        """Return a sentence that says which book a page is of, with its address if it is known."""
        config = yaml.safe_load((self.root / "_config.yml").read_text(encoding="utf-8"))
        if not self.address:
            return f"A chapter of the book “{config['title']}”."
        return f"A chapter of the book [{config['title']}]({self.address}{page.name}.html)."

    @cached_property
    def references(self) -> dict:
        """The bibliography's entries by key."""
        return dict(parse_file(str(self.root / "book" / "references.bib")).entries)


def pages_address(repository: str) -> str:
    """Return where GitHub Pages publishes the book of a repository, with a final slash.

    Examples
    --------
    >>> pages_address("https://github.com/someone/hela")
    'https://someone.github.io/hela/'
    >>> pages_address("https://github.com/someone/someone.github.io.git")
    'https://someone.github.io/'
    """
    owner, name = _owner_and_name(repository)
    site = f"{owner.lower()}.github.io"
    return f"https://{site}/" if name.lower() == site else f"https://{site}/{name}/"


def colab_address(repository: str, branch: str, folder: str) -> str:
    """Return where Colab opens the notebooks in a folder of a branch, with a final slash.

    Examples
    --------
    >>> colab_address("https://github.com/someone/hela", "notebooks", "students")
    'https://colab.research.google.com/github/someone/hela/blob/notebooks/students/'
    """
    owner, name = _owner_and_name(repository)
    return f"https://colab.research.google.com/github/{owner}/{name}/blob/{branch}/{folder}/"


def _owner_and_name(repository: str) -> tuple[str, str]:
    owner, _, name = urlsplit(repository).path.strip("/").partition("/")
    name = name.removesuffix(".git")
    if not owner or not name or "/" in name:
        raise ValueError(
            f"HELA_REPOSITORY_URL is {repository!r}; it must look like "
            "https://github.com/OWNER/NAME."
        )
    return owner, name


def listed(root: Path) -> dict[str, int | None]:
    """Return the pages of the table of contents in order, with the numbers of those that have one.

    Parameters
    ----------
    root : Path
        Folder with ``_toc.yml``.
    """
    return dict(_listed(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))


def _listed(toc: dict) -> Iterator[tuple[str, int | None]]:
    """Yield the pages' names and, in numbered parts, their numbers."""
    yield toc["root"], None
    number = 0
    for part in toc.get("parts", [toc]):
        for entry in part.get("chapters", []):
            if "file" not in entry:
                continue
            if part.get("numbered"):
                number += 1
            yield entry["file"], number if part.get("numbered") else None
            for section in entry.get("sections", []):
                if "file" in section:
                    yield section["file"], None


def _targets(page: Page) -> Iterator[tuple[str, Target]]:
    text = page.file.read_text(encoding="utf-8")
    for label, heading in HEADING_LABEL.findall(text):
        whole_page = heading.strip() == page.title
        yield label, Target(page.name, "" if whole_page else label, heading.strip())
    if not page.is_notebook:
        return
    prefix = f"{page.number}." if page.number else ""
    for number, (_, _, label) in enumerate(EXERCISE.findall(text), start=1):
        yield label, Target(page.name, label, f"Exercise {prefix}{number}")
    number = 0
    for cell in jupytext.read(page.file).cells:
        name = figure_of(cell).get("name")
        if name:
            number += 1
            yield name, Target(page.name, name, f"Fig. {prefix}{number}")


def figure_of(cell) -> dict:
    """Return the figure that a cell's metadata make of its output: name and caption, or nothing."""
    return cell.metadata.get("mystnb", {}).get("figure", {})
