"""Bars of progress: one line that grows, and in a notebook nothing that stays when all is done."""

import html
import warnings

from tqdm import tqdm

from helpers import settings


def is_live() -> bool:
    """Whether somebody watches: in a notebook that runs, and not while the book is built.

    Returns
    -------
    bool
    """
    if settings.is_static():
        return False
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")


def progress_bar(*arguments, **options) -> tqdm:
    """Make a bar of progress for where this runs.

    Parameters
    ----------
    *arguments, **options
        As for ``tqdm.tqdm``.

    Returns
    -------
    tqdm.tqdm
        In a terminal tqdm's own. In a running notebook one in a place of its own in the output,
        which is empty at the end: tqdm's widget would stand at 0 % wherever the notebook is read
        later, and its text is an error's to Jupyter.
    """
    return (_InNotebook if is_live() else tqdm)(*arguments, **options)


class _InNotebook(tqdm):
    """tqdm's line as a part of the output that is written anew."""

    def __init__(self, *arguments, **options):
        self._handle = None
        super().__init__(*arguments, **{**options, "leave": False, "ncols": 80})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the line; no text takes it away."""
        from IPython.display import HTML, display

        text = html.escape(str(self) if msg is None else msg)
        line = HTML(f'<pre style="margin: 0">{text}</pre>' if text else "")
        # Old kernels, as Colab's, deprecate themselves under a new Python.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._handle is None:
                self._handle = display(line, display_id=True)
            else:
                self._handle.update(line)
