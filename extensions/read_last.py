"""Execute the start page after the chapters, whose results it shows. A Sphinx extension."""

from sphinx.application import Sphinx


def move_root_last(app: Sphinx, env, docnames: list[str]) -> None:
    """Put the start page at the end of what is read."""
    docnames.sort(key=lambda name: (name == app.config.root_doc, name))


def setup(app: Sphinx) -> dict:
    """Register the order."""
    app.connect("env-before-read-docs", move_root_last)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
