"""A page that lists every figure and explorer of the book, made from the pages themselves.

A Sphinx extension with the directive ``{figure-index}``, and with ``{citation}``, which writes how
to cite the book from ``CITATION.cff``.
"""

import html
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class figure_index(nodes.General, nodes.Element):  # noqa: N801 (docutils names nodes so)
    """Stands where the list will be."""


class FigureIndex(SphinxDirective):
    """``{figure-index}``."""

    def run(self) -> list[nodes.Node]:
        """Leave a place; the other pages may not have been read yet."""
        return [figure_index()]


class Citation(SphinxDirective):
    """``{citation}``."""

    def run(self) -> list[nodes.Node]:
        """Write the citation as text and as BibTeX."""
        path = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(path))
        entry = yaml.safe_load(path.read_text(encoding="utf-8"))
        text, bibtex = cite(entry)
        return [nodes.paragraph(text, text), nodes.literal_block(bibtex, bibtex, language="bibtex")]


def cite(entry: dict) -> tuple[str, str]:
    """Return a citation in words and as BibTeX.

    Parameters
    ----------
    entry : dict
        The content of a ``CITATION.cff``.
    """
    names = [
        who.get("name") or f"{who['family-names']}, {who['given-names']}"
        for who in entry["authors"]
    ]
    fields = {
        "author": " and ".join(f"{{{name}}}" for name in names),
        "title": f"{{{entry['title']}}}",
        "version": str(entry["version"]),
    }
    year = str(entry.get("date-released", ""))[:4]
    where = entry.get("doi") or entry.get("repository-code") or ""
    fields |= {"year": year} if year else {}
    fields |= {"doi": where} if "doi" in entry else {"url": where} if where else {}
    text = f"{', '.join(names)}: {entry['title']}. Version {entry['version']}"
    text += "".join(f", {part}" for part in (year, where) if part) + "."
    lines = "".join(f"  {key} = {{{value}}},\n" for key, value in fields.items())
    return text, f"@software{{helabook,\n{lines}}}"


def figures_of(doctree: nodes.document, docname: str, numbers: dict) -> list[tuple[str, str, str]]:
    """List the figures of a page, in order.

    Parameters
    ----------
    doctree : document
    docname : str
    numbers : dict
        Sphinx's figure numbers: page, kind and id to a tuple of numbers.

    Returns
    -------
    list of (str, str, str)
        Id, number (empty for explorers and charts, which have none) and caption.
    """
    found = []
    of_page = numbers.get(docname, {}).get("figure", {})
    for node in doctree.findall():
        if isinstance(node, nodes.figure) and node["ids"]:
            caption = next(iter(node.findall(nodes.caption)), None)
            number = next((of_page[name] for name in node["ids"] if name in of_page), ())
            text = caption.astext() if caption else ""
            found.append((node["ids"][0], ".".join(map(str, number)), text))
        elif isinstance(node, nodes.raw) and 'figure class="hela-' in node.astext():
            for figure in BeautifulSoup(node.astext(), "html.parser").find_all("figure", id=True):
                found.append((figure["id"], "", figure.figcaption.get_text()))
    return found


def first_sentence(caption: str) -> str:
    """Return a caption up to its first full stop, in one line."""
    line = " ".join(caption.split())
    return line.partition(". ")[0].rstrip(".")


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the list where the directive left a place."""
    for place in list(doctree.findall(figure_index)):
        parts = []
        titles, numbers = app.env.titles, app.env.toc_fignumbers
        for page in pages_in_order(app):
            found = figures_of(app.env.get_doctree(page), page, numbers)
            if not found:
                continue
            address = app.builder.get_relative_uri(docname, page)
            items = "".join(
                f'<li><a href="{address}#{html.escape(name)}">'
                f"{f'Fig. {number}: ' if number else 'To try: '}"
                f"{html.escape(first_sentence(caption))}</a></li>"
                for name, number, caption in found
            )
            title = html.escape(titles[page].astext())
            parts.append(f"<h2>{title}</h2>\n<ul class='hela-figures'>{items}</ul>\n")
        place.replace_self(nodes.raw("", "".join(parts), format="html"))


def pages_in_order(app: Sphinx) -> list[str]:
    """Return all pages in the order of the table of contents."""
    order, waiting = [], [app.config.root_doc]
    while waiting:
        page = waiting.pop(0)
        if page not in order:
            order.append(page)
            waiting = [*app.env.toctree_includes.get(page, []), *waiting]
    return order


def pages_with_index(app: Sphinx, env) -> list[str]:
    """Return the pages to write again, because other pages changed."""
    return [name for name in env.found_docs if any(env.get_doctree(name).findall(figure_index))]


def setup(app: Sphinx) -> dict:
    """Register both directives."""
    app.add_node(figure_index)
    app.add_directive("figure-index", FigureIndex)
    app.add_directive("citation", Citation)
    app.connect("doctree-resolved", fill)
    app.connect("env-updated", pages_with_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
