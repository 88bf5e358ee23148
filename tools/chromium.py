"""Find Chromium or Chrome, for the tests that open pages and for the PDF."""

import os
import shutil

# Only files of this computer are opened: no sandbox is needed (root has none in a container), and
# the browser must not call home.
LAUNCH_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium_path() -> str | None:
    """Path of Chromium or Chrome: the variable ``CHROMIUM``, else the first one on the PATH."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def why_none() -> str:
    """Say why `chromium_path` found nothing, and what to do."""
    named = os.environ.get("CHROMIUM")
    found = f"CHROMIUM={named!r} is not a program" if named else "no Chromium or Chrome on PATH"
    return f"{found}; install one (apt-get install chromium) or set CHROMIUM to its path."
