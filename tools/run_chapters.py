"""Execute the chapters, some side by side, into the cache from which Jupyter Book takes them.

Jupyter Book itself would execute them one after another, and put all that TensorFlow says between
its own lines. Here each chapter has a log, and `tools/progress.py` shows how far they are.
"""

import asyncio
import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
from book_pages import listed
from convert_notebooks import ACCELERATED
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import is_myst_markdown_notebook, myst_nb_reader_plugin
from nbclient import NotebookClient
from nbformat import NotebookNode
from progress import Progress

from helpers import settings

# Chapters that use what earlier ones leave in the data folder, networks and scores. The start page,
# which shows them, comes after all.
AFTER = {"10_": ("06_", "07_", "08_", "09_", "12_")}
MOST_LANES = 4
LANE_GB = 2.5
TIMEOUT_S = 3600  # a cell; in the profile paper, which trains for a day, there is no limit
END_S = 20


@dataclass(frozen=True, eq=False)
class Chapter:
    """A page with code.

    Attributes
    ----------
    name : str
        Of its file, without suffix.
    path : Path
    notebook : NotebookNode
        As Jupyter Book reads it, and looks for it in the cache.
    after : frozenset of str
        Names of the chapters to be executed before it.
    trains : bool
        Whether it trains for minutes, on all cores: of such chapters one is executed at a time.
        Others go on beside it, and use the cores where it reads, builds or draws.
    """

    name: str
    path: Path
    notebook: NotebookNode
    after: frozenset[str] = frozenset()
    trains: bool = False


def chapters_of(root: Path, profile: str) -> list[Chapter]:
    """Return the pages with code, in the order of the table of contents, the start page last.

    Parameters
    ----------
    root : Path
        Folder with ``_toc.yml``.
    profile : str
        In ``smoke`` a training takes seconds, and some go on side by side.
    """
    start, *others = listed(root)
    paths = [root / f"{name}.md" for name in (*others, start)]
    paths = [p for p in paths if is_myst_markdown_notebook(p.read_text(encoding="utf-8"))]
    made = []
    for path in paths:
        before = next(
            (names for begins, names in AFTER.items() if path.name.startswith(begins)), ()
        )
        after = [p.stem for p in paths if p.name.startswith(before or ("nothing",))]
        if path == root / f"{start}.md":
            after = [p.stem for p in paths if p != path]
        trains = profile != "smoke" and path.name.startswith(ACCELERATED)
        notebook = myst_nb_reader_plugin(str(path))
        made.append(Chapter(path.stem, path, notebook, frozenset(after), trains))
    return made


def lanes(profile: str) -> int:
    """Return how many chapters this machine executes side by side, by its cores and memory.

    In ``paper`` it is one: beside trainings of hours nothing is gained by it, and chapter 5 of all
    300 slices needs the memory that they do.
    """
    if profile == "paper":
        return 1
    cores = len(psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else [])
    gigabytes = psutil.virtual_memory().available / 1e9
    return max(1, min(MOST_LANES, cores or os.cpu_count() or 1, int(gigabytes / LANE_GB)))


def in_order(chapters: Iterable[Chapter], seconds: dict[str, float]) -> list[Chapter]:
    """Order chapters to end early side by side: those that others wait for, then the long ones.

    Those that train come first, since of them there is one at a time.

    Parameters
    ----------
    chapters : iterable of Chapter
    seconds : dict of str to float
        How long each will take, where that is known.
    """
    chapters = list(chapters)
    needed = set().union(*(each.after for each in chapters if len(each.after) + 1 < len(chapters)))
    return sorted(
        chapters,
        key=lambda each: (
            not each.trains,
            each.name not in needed,
            0 if each.trains else -seconds.get(each.name, 0),
        ),
    )


def next_of(waiting: list[Chapter], running: Iterable[Chapter], most: int) -> Chapter | None:
    """Return the first of those waiting that can start beside those running; None if none can."""
    running = list(running)
    if len(running) >= most:
        return None
    trained = any(each.trains for each in running)
    open_names = {each.name for each in (*waiting, *running)}
    for each in waiting:
        if not each.after & open_names and not (each.trains and trained):
            return each
    return None


def seconds_left(
    waiting: list[Chapter], running: dict[Chapter, float], expected: dict[str, float], most: int
) -> float | None:
    """Return how long it will take until all are executed; None where a time is not known.

    Parameters
    ----------
    waiting : list of Chapter
    running : dict of Chapter to float
        With the seconds since each one started.
    expected : dict of str to float
        Seconds of whole chapters.
    most : int
        How many run side by side.
    """
    waiting = list(waiting)
    if any(each.name not in expected for each in (*waiting, *running)):
        return None
    left = {each: max(expected[each.name] - spent, 0) for each, spent in running.items()}
    total = 0.0
    while waiting or left:
        while (chosen := next_of(waiting, left, most)) is not None:
            waiting.remove(chosen)
            left[chosen] = expected[chosen.name]
        if not left:
            return None
        first = min(left, key=left.get)
        step = left.pop(first)
        total += step
        left = {each: seconds - step for each, seconds in left.items()}
    return total


class _Run:
    """A chapter that is being executed, in a thread of its own.

    Parameters
    ----------
    chapter : Chapter
    log : Path
        What the kernel and its processes write that no cell shows.
    events : queue.Queue
        Takes the chapter and None, or what went wrong, once it ended.
    """

    def __init__(self, chapter: Chapter, log: Path, events: queue.Queue):
        self.chapter = chapter
        self.log = log
        self.started = time.monotonic()
        self.cells: list[tuple[int, float]] = []  # where among the cells, and seconds
        self.at: int | None = None  # the cell that is being executed
        self._cell_started = self.started
        self._events = events
        self.client = NotebookClient(
            chapter.notebook,
            timeout=None if settings.read("HELA_PROFILE") == "paper" else TIMEOUT_S,
            record_timing=False,  # it would be in the cells, and the cache knows a chapter by these
            kernel_name=chapter.notebook.metadata["kernelspec"]["name"],
            resources={"metadata": {"path": str(chapter.path.parent)}},
            on_cell_execute=self._note_start,
            on_cell_executed=self._note_end,
        )
        # In a thread, nbclient leaves the signals to us.
        self.thread = threading.Thread(target=self._execute, name=chapter.name)
        self.thread.start()

    @property
    def seconds(self) -> float:
        """Time since it started."""
        return time.monotonic() - self.started

    def _note_start(self, cell_index: int, **_said) -> None:
        self.at = cell_index
        self._cell_started = time.monotonic()

    def _note_end(self, cell_index: int, **_said) -> None:
        if self.chapter.notebook.cells[cell_index].cell_type == "code":
            self.cells.append((cell_index, time.monotonic() - self._cell_started))

    def _execute(self) -> None:
        error = None
        try:
            with self.log.open("w", encoding="utf-8") as log:
                asyncio.run(self.client.async_execute(stdout=log, stderr=subprocess.STDOUT))
        except Exception as raised:  # of many kinds: a cell's, a timeout, a kernel that died
            error = raised
        self._events.put((self.chapter, error))

    def kill(self) -> None:
        """End the kernel and all that it started, at once."""
        provisioner = getattr(self.client.km, "provisioner", None)
        pid = getattr(provisioner, "pid", None)
        if pid:
            with contextlib.suppress(OSError):  # it has ended by itself
                os.killpg(pid, signal.SIGKILL)  # a kernel leads a group of its own


class Runner:
    """Executes chapters and puts them into the cache.

    Parameters
    ----------
    cache : Path
        Folder of jupyter-cache.
    logs : Path
        Folder for what chapters write beside their outputs, a file each.
    progress : Progress
        Is told what happens; its times say how long chapters took.
    most : int
        How many run side by side.
    kept : callable
        Called each time that a chapter is in the cache.
    """

    def __init__(
        self,
        cache: Path,
        logs: Path,
        progress: Progress,
        *,
        most: int = 1,
        kept: Callable[[], None] = lambda: None,
    ):
        self.cache = get_cache(str(cache))
        self.logs = logs
        self.progress = progress
        self.times = progress.times
        self.most = most
        self.kept = kept
        self._events: queue.Queue = queue.Queue()
        self._runs: dict[Chapter, _Run] = {}

    def missing(self, chapters: Iterable[Chapter]) -> list[Chapter]:
        """Return the chapters that are not in the cache."""
        return [each for each in chapters if not self._has(each)]

    def _has(self, chapter: Chapter) -> bool:
        try:
            self.cache.match_cache_notebook(chapter.notebook)
        except KeyError:
            return False
        return True

    def run(self, chapters: list[Chapter]) -> list[str]:
        """Execute chapters; one that fails stops those that come after it, and no others.

        Whatever ends this early, an error or Ctrl-C, ends all kernels.

        Parameters
        ----------
        chapters : list of Chapter

        Returns
        -------
        list of str
            The names of those that failed or were left out.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        expected = self.times.guesses(each.name for each in chapters)
        waiting = in_order(chapters, expected)
        failed: list[str] = []
        try:
            while waiting or self._runs:
                while (chosen := next_of(waiting, self._runs, self.most)) is not None:
                    waiting.remove(chosen)
                    self.progress.started(chosen.name)
                    log = self.logs / f"{chosen.name}.log"
                    self._runs[chosen] = _Run(chosen, log, self._events)
                spent = {each: run.seconds for each, run in self._runs.items()}
                left = seconds_left(waiting, spent, expected, self.most)
                self.progress.now({each.name: spent[each] for each in spent}, left)
                try:
                    chapter, error = self._events.get(timeout=self.progress.period_s)
                except queue.Empty:
                    continue
                done = len(chapters) - len(waiting) - len(self._runs) + 1
                if not self._end(chapter, error, f"{done} of {len(chapters)}"):
                    failed.append(chapter.name)
                for each in [each for each in waiting if each.after & {*failed}]:
                    waiting.remove(each)
                    failed.append(each.name)
                    self.progress.said(f"{each.name} is left out: it needs what failed.")
        finally:
            self._stop()
        return failed

    def _end(self, chapter: Chapter, error: Exception | None, count: str) -> bool:
        """Keep what a chapter gave, or say what went wrong; return whether it went well."""
        run = self._runs.pop(chapter)
        seconds = run.seconds
        run.thread.join()
        run.kill()  # processes that it left
        if error is not None:
            self.progress.failed(chapter.name, seconds, _what_failed(run, error), run.log)
            return False
        # What Jupyter Book puts there, and where it looks for it.
        bundle = CacheBundleIn(
            chapter.notebook, str(chapter.path), data={"execution_seconds": seconds}
        )
        self.cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        codes = [(_first_line(chapter.notebook.cells[at].source), s) for at, s in run.cells]
        self.times.put(chapter.name, seconds, codes)
        self.kept()
        self.progress.finished(chapter.name, seconds, count)
        return True

    def _stop(self) -> None:
        """End all kernels; what they had not finished is lost."""
        until = time.monotonic() + END_S
        while self._runs and time.monotonic() < until:
            for chapter, run in list(self._runs.items()):
                run.kill()
                run.thread.join(timeout=0.1)
                if not run.thread.is_alive():
                    del self._runs[chapter]


def _what_failed(run: _Run, error: Exception) -> str:
    """Return where a chapter failed, and the error with its traceback."""
    place = ""
    if run.at is not None:
        line = run.chapter.notebook.metadata["source_map"][run.at] + 1
        place = f"The cell at line {line} of {run.chapter.path}:\n"
    return f"{place}{error or type(error).__name__}"


def _first_line(source: str) -> str:
    """Return the first line of a cell that does something: no import, no comment."""
    passed_over = ("#", "import ", "from ", " ", ")", "%")
    lines = source.splitlines()
    return next((line for line in lines if line and not line.startswith(passed_over)), "")
