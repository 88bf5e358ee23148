"""A second button for Colab on each chapter's page: the notebook without the solutions.

A Sphinx extension. The theme makes the first one, and knows one notebook a page.
"""

from sphinx.application import Sphinx

COLAB = "Colab"
TEXT = "Colab, without solutions"


def add_button(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Put the button after the theme's own for Colab, where there is one."""
    for group in context.get("header_buttons", []):
        if group.get("label") != "launch-buttons":
            continue
        buttons = group["buttons"]
        at = next((n for n, each in enumerate(buttons) if each["text"] == COLAB), None)
        if at is None or TEXT in [each["text"] for each in buttons]:
            continue
        address, found, name = buttons[at]["url"].rpartition("/notebooks/")
        if found:
            own = {
                "text": TEXT,
                "tooltip": f"{buttons[at]['tooltip']}, without the solutions",
                "url": f"{address}/students/{name}",
            }
            buttons.insert(at + 1, buttons[at] | own)


def setup(app: Sphinx) -> dict:
    """Register the button, after the theme's own, which come at 501."""
    app.connect("html-page-context", add_button, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
