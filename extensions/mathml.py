"""Formulas as MathML, made when the book is built: the pages need no script and no font for them.

A Sphinx extension. Set ``html_math_renderer: mathml`` with it.
"""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

_UPRIGHT = re.compile(r'<mrow>((?:<mi mathvariant="normal">\w</mi>)+)</mrow>')


def to_mathml(latex: str, display: str) -> str:
    r"""Translate a formula.

    Parameters
    ----------
    latex : str
    display : {"inline", "block"}

    Returns
    -------
    str
        A ``math`` element.

    Raises
    ------
    ValueError
        If a command is unknown or braces do not match.

    Examples
    --------
    >>> to_mathml(r"\mathrm{area}", "inline")[-33:]
    '<mrow><mi>area</mi></mrow></math>'
    """
    if len(re.findall(r"(?<!\\)\{", latex)) != len(re.findall(r"(?<!\\)\}", latex)):
        raise ValueError("braces do not match")
    made = convert(latex, display=display)
    unknown = re.findall(r"<m[ion]>(\\[^<]+)</m[ion]>", made)
    if unknown:
        raise ValueError(f"no translation of {', '.join(unknown)}")
    # A word set upright is one identifier, not a product of letters: readers' voices spell it else.
    return _UPRIGHT.sub(lambda word: f"<mi>{re.sub('<[^>]+>', '', word[1])}</mi>", made)


def _translated(node: nodes.Element, display: str) -> str:
    try:
        return to_mathml(node.astext().strip(), display)
    except Exception as error:  # the converter raises errors of many kinds
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        return ""


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(f'<span class="math">{_translated(node, "inline")}</span>')
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula; a numbered one with its number and a link to it."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    # Wide formulas scroll by themselves, also by keyboard.
    self.body.append(f'<div class="formula" tabindex="0">{_translated(node, "block")}</div></div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
