"""What a page was made with, at its foot: when, from which data, how much, with which versions.

A Sphinx extension. ``tools/build_book.py`` sets ``run_record``; without it the foot is left out.
"""

import html
from datetime import datetime, timezone

from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx


def foot(record: dict, executed: float | None) -> str:
    """Write the lines.

    Parameters
    ----------
    record : dict
        ``built`` (seconds since 1970), ``source`` and ``profile``, in words, ``versions`` (name to
        version), ``commit`` and ``commit_url`` (may be empty).
    executed : float or None
        When the page's code ran, in seconds since 1970; None for a page without code.

    Returns
    -------
    str
        HTML.
    """
    when = datetime.fromtimestamp(executed or record["built"], timezone.utc)
    verb = "built" if executed is None else "executed"
    commit = html.escape(record["commit"])
    if record["commit_url"]:
        commit = f'<a href="{html.escape(record["commit_url"])}">{commit}</a>'
    rows = {
        f"Last {verb}": f"<time datetime='{when:%Y-%m-%dT%H:%MZ}'>"
        f"{when.day} {when:%B %Y, %H:%M} UTC</time>",
        "Source": html.escape(record["source"]),
        "Profile": html.escape(record["profile"]),
        "Versions": ", ".join(
            f"{html.escape(name)} {html.escape(version)}"
            for name, version in record["versions"].items()
        ),
        "Commit": commit,
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in rows.items())
    return f'<dl class="hela-run">{items}</dl>'


def add_foot(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give the page its foot."""
    record = app.config.run_record
    if record:
        executed = None
        if pagename in app.env.found_docs:
            data = NbMetadataCollector.get_exec_data(app.env, pagename)
            executed = data and data["mtime"]
        context["theme_extra_footer"] = foot(record, executed)


def setup(app: Sphinx) -> dict:
    """Register the foot."""
    # No rebuild when it changes: a page says what it was made with, not what was there later.
    app.add_config_value("run_record", {}, "", [dict])
    app.connect("html-page-context", add_foot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
