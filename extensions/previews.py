"""What a word or a citation means, shown where one points at its link.

A Sphinx extension. The texts are those of the glossary and of the list of references, in one small
script that every page loads, so that it works from files too; ``_static/previews.js`` shows them.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinxcontrib.bibtex.nodes import bibliography

DATA = "previews-data.js"
_LONGEST = 400


def cut(text: str, longest: int = _LONGEST) -> str:
    """Shorten a text at the end of a word.

    Examples
    --------
    >>> cut("A thin line that separates  two pixels.", 20)
    'A thin line that…'
    """
    text = " ".join(text.split())
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0].rstrip(".,;") + "…"


def entries(doctree: nodes.document) -> Iterator[tuple[str, str]]:
    """Return anchor and text of each term and each reference of a page."""
    for item in doctree.findall(nodes.definition_list_item):
        if not isinstance(item.parent.parent, addnodes.glossary):
            continue
        texts = [part.astext() for part in item if isinstance(part, nodes.definition)]
        for term in item:
            if isinstance(term, nodes.term):
                for anchor in term["ids"]:
                    yield anchor, cut(" ".join(texts))
    for entry in doctree.findall(nodes.citation):
        text = " ".join(part.astext() for part in entry if not isinstance(part, nodes.label))
        for anchor in entry["ids"]:
            yield anchor, cut(text)


def write_data(app: Sphinx, error: Exception | None) -> None:
    """Write the texts of all pages that have a glossary or a list of references."""
    if error or app.builder.format != "html":
        return
    texts = {}
    for page in sorted(app.env.found_docs):
        plain = app.env.get_doctree(page)
        if any(plain.findall(addnodes.glossary)) or any(plain.findall(bibliography)):
            resolved = app.env.get_and_resolve_doctree(page, app.builder)
            address = app.builder.get_target_uri(page)
            texts |= {f"{address}#{anchor}": text for anchor, text in entries(resolved)}
    script = f"window.helaPreviews = {json.dumps(texts, ensure_ascii=False)};\n"
    Path(app.outdir, "_static", DATA).write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Register it; Jupyter Book adds ``_static/previews.js``, as every script there."""
    app.add_js_file(DATA)
    app.connect("build-finished", write_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
