"""Bars of progress: in a running notebook a place that is empty at the end, else tqdm's own."""

import io
import warnings

import pytest

from helpers import progress


@pytest.fixture
def shown(monkeypatch):
    """Put a running notebook in place; return what it was told to show, in order."""
    from IPython import display

    told = []

    class Handle:
        def update(self, what):
            told.append(what.data)

    def show(what, display_id):
        warnings.warn("utcnow is deprecated", DeprecationWarning, stacklevel=1)
        told.append(what.data)
        return Handle()

    monkeypatch.setattr(display, "display", show)
    monkeypatch.setattr(progress, "is_live", lambda: True)
    return told


def test_a_finished_bar_leaves_nothing_in_a_notebook(shown, capsys):
    for _ in progress.progress_bar("abc", desc="<slices>", mininterval=0):
        pass
    assert "&lt;slices&gt;:   0%" in shown[0]
    assert "2/3" in "".join(shown)
    assert shown[-1] == ""
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_is_not_wanted_is_not_there(shown, capsys):
    with progress.progress_bar(total=3, disable=True) as bar:
        bar.update()
    assert shown == []
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_line(monkeypatch):
    monkeypatch.setenv("HELA_STATIC", "1")
    assert not progress.is_live()
    told = io.StringIO()
    for _ in progress.progress_bar("abc", file=told):
        pass
    assert "100%" in told.getvalue()
