"""How far a build is, for the person who waits: on a terminal a line that moves, else plain lines.

How long a chapter will take is known from the last time; before, from the table for teachers.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from helpers.cache import write_whole

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
UNITS = {"s": 1, "min": 60, "h": 3600}


def clock(seconds: float) -> str:
    """Write a time as a person would say it.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str

    Examples
    --------
    >>> clock(7.4), clock(83), clock(3725)
    ('7 s', '1 min 23 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def about(seconds: float) -> str:
    """Write a time that is a guess, in no more detail than it deserves.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str

    Examples
    --------
    >>> about(4), about(48), about(100), about(4000)
    ('10 s', '50 s', '2 min', '1 h 7 min')
    """
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def table_of_times(page: Path, profile: str) -> dict[str, float]:
    """Read how long chapters take from the table for teachers, ``tab-teaching-times``.

    Parameters
    ----------
    page : Path
        ``book/teaching.md``.
    profile : str

    Returns
    -------
    dict of str to float
        Seconds by how the names of chapters begin: ``03_``, ``A1_``. Empty without the table, or
        without a column of that profile.
    """
    if not page.is_file():
        return {}
    _, _, rest = page.read_text(encoding="utf-8").partition(":name: tab-teaching-times")
    head, *rows = re.split(r"^\* - ", rest.partition("```")[0], flags=re.MULTILINE)[1:] or [""]
    column = [line.strip(" -`") for line in head.splitlines()]
    if profile not in column:
        return {}
    found = {}
    for row in rows:
        cells = [line.strip(" -") for line in row.splitlines() if line.strip()]
        number = re.match(r"\d+", cells[0])
        time_s = re.search(r"([\d.]+) (s|min|h)\b", cells[column.index(profile)])
        if time_s:
            begins = f"{int(number[0]):02}_" if number else "A1_"
            found[begins] = float(time_s[1]) * UNITS[time_s[2]]
    return found


class Times:
    """How long chapters take: measured the last time, or told.

    Parameters
    ----------
    path : Path
        File that keeps what was measured.
    kind : str
        What was built, say ``quick, sample``: another kind takes another time.
    told : dict of str to float
        Seconds by the beginning of a chapter's name, where nothing was measured.
    """

    def __init__(self, path: Path, kind: str, told: dict[str, float] | None = None):
        self.path = path
        self.kind = kind
        self.told = told or {}
        self.measured: dict[str, float] = {}
        self.cells: dict[str, list[tuple[str, float]]] = {}
        try:
            self._all = dict(json.loads(path.read_text()))
            self.measured = {name: float(s) for name, s in self._all.get(kind, {}).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._all = {}  # Not there, or cut: nothing is known.

    def of(self, name: str) -> float | None:
        """Return how long something will take, in seconds; None if that is not known."""
        if name in self.measured:
            return self.measured[name]
        return next((s for begins, s in self.told.items() if name.startswith(begins)), None)

    def guesses(self, names: Iterable[str]) -> dict[str, float]:
        """Return seconds by name; what is not known, say the start page, counts as the shortest."""
        known = {name: self.of(name) for name in names}
        least = min((seconds for seconds in known.values() if seconds is not None), default=None)
        if least is None:
            return {}
        return {name: least if seconds is None else seconds for name, seconds in known.items()}

    def put(self, name: str, seconds: float, cells: list[tuple[str, float]] = ()) -> None:
        """Keep how long something took, with the first lines and seconds of its cells."""
        self.measured[name] = round(seconds, 1)
        self.cells[name] = list(cells)
        self._all[self.kind] = self.measured
        write_whole(self.path, json.dumps(self._all, indent=1))

    def slowest(self, shown: int = 10) -> list[str]:
        """Return lines with the slowest chapters of this run, and their slowest cells."""
        chapters = sorted(self.cells, key=self.measured.get, reverse=True)
        cells = sorted(
            ((seconds, name, line) for name in self.cells for line, seconds in self.cells[name]),
            reverse=True,
        )
        return [
            *(f"{self.measured[name]:6.1f} s  {name}" for name in chapters[:shown]),
            *(f"{seconds:6.1f} s  {name}: {line}" for seconds, name, line in cells[:shown]),
        ]


class Progress:
    """Tells what is being done.

    Parameters
    ----------
    times : Times
    out : text stream
        On a terminal the last line says what is being done now; elsewhere only what began and ended
        is told.
    """

    def __init__(self, times: Times, out: TextIO | None = None):
        self.times = times
        self.out = out or sys.stdout
        self.is_terminal = self.out.isatty()
        self.period_s = 1.0  # between two looks at what is being done
        self.is_ended = False

    def started(self, name: str) -> None:
        """Say that something began; on a terminal the line that moves says it."""
        if not self.is_terminal:
            expected = self.times.of(name)
            self.said(f"{name}: begun" + (f", about {about(expected)}" if expected else ""))

    def now(self, spent: dict[str, float], left: float | None) -> None:
        """Say what is being done, since when, and when all will be done.

        Raises
        ------
        KeyboardInterrupt
            If a person asked for the end: raised by a signal's handler it may be lost, since Python
            ignores what is raised while an object is being deleted.
        """
        if self.is_ended:
            raise KeyboardInterrupt
        if not self.is_terminal:
            return
        parts = []
        for name, seconds in spent.items():
            expected = self.times.of(name)
            of = f" of about {about(expected)}" if expected else ""
            parts.append(f"{name} {clock(seconds)}{of}")
        if left is not None:
            parts.append(f"all in about {about(left)}")
        self._line(" | ".join(parts))

    def finished(self, name: str, seconds: float, what: str = "") -> None:
        """Say that something ended well, and how many of how many."""
        self.said(f"{name}: {clock(seconds)}" + (f" ({what})" if what else ""))

    def failed(self, name: str, seconds: float, what: str, log: Path) -> None:
        """Say that something went wrong, and where more is to be read."""
        what = what if self.is_terminal else ANSI.sub("", what)
        self.said(f"{name} FAILED after {clock(seconds)}\n{what.rstrip()}\nMore is in {log}")

    def said(self, text: str) -> None:
        """Write lines that stay."""
        self._line("")
        print(text, file=self.out, flush=True)

    def _line(self, text: str) -> None:
        """Write the last line of a terminal anew."""
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self.out.write(f"\r\x1b[K{text[:width]}")
            self.out.flush()
