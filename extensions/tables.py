"""Tables of the code's output: their own scroll box, and no headings that say nothing.

A Sphinx extension. A table wider than a phone scrolls by itself, by touch and by keyboard; the page
does not. pandas writes the empty corner of a table as a heading, which voices read out as one.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

_EMPTY = re.compile(r"<th((?:\s[^>]*)?)>\s*(?:&nbsp;)?\s*</th>")
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)


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


def mend_all(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Mend the tables of one page."""
    for node in list(doctree.findall(nodes.raw)):
        if "html" in node.get("format", "") and "<table" in node.astext():
            made = mend(node.astext())
            node.replace_self(nodes.raw(made, made, **node.attributes))


def setup(app: Sphinx) -> dict:
    """Register it."""
    app.connect("doctree-resolved", mend_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
