"""Tables that can be read on a phone, and headings that say something.

A Sphinx extension. A table of the code's output that is wider than a phone scrolls by itself, by
touch and by keyboard; the page does not. pandas writes the empty corner of a table as a heading,
which voices read out as one. A table of sentences gets the class `hela-sentences`: where the screen
is narrow, its cells stand one below the other (`_static/book.css`).
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

_EMPTY = re.compile(r"<th((?:\s[^>]*)?)>\s*(?:&nbsp;)?\s*</th>")
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
# A row of so many characters, on average, does not fit on a phone.
_LONG_ROW = 80


def mend(page: str) -> str:
    """Return the HTML with its tables mended.

    Examples
    --------
    >>> mend('<table><tr><th class="blank">&nbsp;</th></tr></table>')
    '<div class="hela-table" tabindex="0"><table><tr><td class="blank"></td></tr></table></div>'
    """

    def boxed(table: re.Match) -> str:
        cells = _EMPTY.sub(r"<td\1></td>", table[0])
        return f'<div class="hela-table" tabindex="0">{cells}</div>'

    return _TABLE.sub(boxed, page)


def holds_sentences(table: nodes.table) -> bool:
    """Return whether three columns or more hold more text than fits beside each other."""
    rows = [
        [len(entry.astext()) for entry in row]
        for body in table.findall(nodes.tbody)
        for row in body.findall(nodes.row)
    ]
    return len(rows[0]) >= 3 and sum(map(sum, rows)) / len(rows) > _LONG_ROW


def mend_all(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Mend the tables of one page."""
    for table in doctree.findall(nodes.table):
        if holds_sentences(table):
            table["classes"].append("hela-sentences")
    for node in list(doctree.findall(nodes.raw)):
        if "html" in node.get("format", "") and "<table" in node.astext():
            made = mend(node.astext())
            node.replace_self(nodes.raw(made, made, **node.attributes))


def setup(app: Sphinx) -> dict:
    """Register it."""
    app.connect("doctree-resolved", mend_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
