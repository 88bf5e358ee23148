"""The list of references in roles that voices know: a list and its items.

A Sphinx extension. What docutils writes, ``doc-biblioentry``, is deprecated.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def visit_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """Begin an entry, and the list before the first one."""
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict:
    """Register it."""
    visitors = (visit_citation, HTML5Translator.depart_citation)
    app.add_node(nodes.citation, override=True, html=visitors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
