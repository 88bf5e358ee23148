"""Chapters executed side by side: order, cache, what a person sees, and that nothing is left."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from build_book import ROOT, complaints, ending_on_signals
from progress import Progress, Times, table_of_times
from run_chapters import Chapter, Runner, chapters_of, in_order, lanes, next_of, seconds_left

HEAD = re.match(
    r"---\n.*?\n---\n", (ROOT / "notebooks" / "01_data_acquisition.md").read_text(), re.S
)


def small_book(root, **cells):
    """Write a book with a chapter for each name, one cell each, and a start page without code."""
    (root / "notebooks").mkdir()
    (root / "book").mkdir()
    listed = "".join(f"  - file: notebooks/{name}\n" for name in cells)
    (root / "_toc.yml").write_text(f"root: book/index\nchapters:\n{listed}")
    (root / "book" / "index.md").write_text("# Start\n")
    for name, code in cells.items():
        text = f"{HEAD[0]}\n# {name}\n\n```{{code-cell}} ipython3\n{code}\n```\n"
        (root / "notebooks" / f"{name}.md").write_text(text)
    return root


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def runner(tmp_path):
    """Return a function that makes a runner, and the text that it shows."""

    def make(out=None, most=2):
        shown = out or io.StringIO()
        progress = Progress(Times(tmp_path / "times.json", "smoke"), shown)
        return Runner(tmp_path / "cache", tmp_path / "logs", progress, most=most), shown

    return make


def chapter(name, *after, trains=False):
    return Chapter(name, Path(f"{name}.md"), None, frozenset(after), trains)


def order_of(waiting, most):
    """Return what starts together with what, where each takes as long as the others."""
    started, running = [], []
    while waiting or running:
        while (chosen := next_of(waiting, running, most)) is not None:
            waiting.remove(chosen)
            running.append(chosen)
        started.append([each.name for each in running])
        running = []
    return started


def test_the_books_chapters_wait_for_trainings_and_the_start_page_for_all():
    chapters = {each.name: each for each in chapters_of(ROOT, "quick")}
    assert list(chapters)[-1] == "index"
    assert chapters["index"].after == set(chapters) - {"index"}
    trainings = {name for name in chapters if name[:2] in ("06", "07", "08", "09")}
    assert len(trainings) == 4
    assert chapters["10_comparison"].after == {*trainings, "12_strokes"}
    # Beside the trainings there is time for all others.
    alone = set(chapters) - {"10_comparison", "index"}
    assert not any(chapters[name].after for name in alone)
    assert {n for n, each in chapters.items() if each.trains} == {*trainings, "10_comparison"}
    assert not any(each.trains for each in chapters_of(ROOT, "smoke"))


def test_what_others_wait_for_comes_first_and_one_training_at_a_time():
    seconds = {"a": 9, "b": 2, "c": 5, "d": 1}
    smoke = [chapter("a"), chapter("b"), chapter("c"), chapter("d", "b")]
    assert [each.name for each in in_order(smoke, seconds)] == ["b", "a", "c", "d"]
    assert order_of(in_order(smoke, seconds), 2) == [["b", "a"], ["c", "d"]]
    assert order_of(in_order(smoke, seconds), 1) == [["b"], ["a"], ["c"], ["d"]]
    quick = [*smoke[:3], chapter("t1", trains=True), chapter("t2", trains=True)]
    assert order_of(in_order(quick, seconds), 2) == [["t1", "a"], ["t2", "c"], ["b"]]
    assert order_of(in_order(quick, seconds), 1) == [["t1"], ["t2"], ["a"], ["c"], ["b"]]


def test_in_paper_no_chapter_runs_beside_another(monkeypatch):
    class Memory:
        available = 64e9

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [0, 1])
    assert (lanes("quick"), lanes("paper")) == (2, 1)


def test_the_time_left_counts_what_runs_side_by_side():
    waiting, running = [chapter("b"), chapter("c"), chapter("d", "a", "b", "c")], {chapter("a"): 4}
    expected = {"a": 10, "b": 3, "c": 5, "d": 2}
    assert seconds_left(waiting, running, expected, 2) == pytest.approx(8 + 2)
    assert seconds_left(waiting, running, expected, 1) == pytest.approx(6 + 3 + 5 + 2)
    # A chapter that takes longer than the last time is done any moment.
    assert seconds_left([], {chapter("a"): 99}, expected, 1) == 0
    assert seconds_left(waiting, running, {"a": 10}, 2) is None


def test_chapters_are_executed_once_and_a_changed_one_again(tmp_path, runner):
    root = small_book(
        tmp_path, a="print('from a')", b="import sys\nprint('log', file=sys.__stderr__)"
    )
    made, shown = runner()
    chapters = chapters_of(root, "smoke")
    assert made.missing(chapters) == chapters
    assert made.run(chapters) == []
    assert chapters[0].notebook.cells[1].outputs[0].text == "from a\n"
    assert (tmp_path / "logs" / "b.log").read_text().endswith("log\n")
    assert re.search(r"^a: \d+ s \([12] of 2\)$", shown.getvalue(), re.MULTILINE)

    again, _ = runner()
    assert again.missing(chapters_of(root, "smoke")) == []
    assert again.progress.times.of("a") > 0
    (root / "notebooks" / "b.md").write_text(f"{HEAD[0]}\n```{{code-cell}}\n1\n```\n")
    assert [each.name for each in again.missing(chapters_of(root, "smoke"))] == ["b"]


def test_a_failure_names_cell_traceback_and_log_and_stops_only_what_needs_it(tmp_path, runner):
    names = {"06_net": "1 / 0", "10_all": "2", "03_other": "3"}
    root = small_book(tmp_path, **names)
    made, shown = runner()
    assert made.run(chapters_of(root, "smoke")) == ["06_net", "10_all"]
    said = shown.getvalue()
    path = root / "notebooks" / "06_net.md"
    line = path.read_text().splitlines().index("1 / 0") + 1
    assert f"The cell at line {line} of {path}:" in said
    assert "ZeroDivisionError: division by zero" in said
    assert f"More is in {tmp_path / 'logs' / '06_net.log'}" in said
    assert "\x1b" not in said
    assert "10_all is left out" in said
    assert [each.name for each in made.missing(chapters_of(root, "smoke"))] == ["06_net", "10_all"]


def test_a_kernel_that_dies_is_a_failure(tmp_path, runner):
    made, shown = runner()
    root = small_book(tmp_path, a="import os\nos._exit(3)")
    assert made.run(chapters_of(root, "smoke")) == ["a"]
    assert "a FAILED" in shown.getvalue()
    assert "Kernel died" in shown.getvalue()


def test_a_terminal_shows_what_runs_and_how_long_it_will_take(tmp_path, runner):
    root = small_book(tmp_path, a="import time\ntime.sleep(1.2)")
    made, shown = runner(Terminal())
    made.progress.times.put("a", 200)
    made.run(chapters_of(root, "smoke"))
    lines = shown.getvalue().split("\r\x1b[K")
    assert any(re.fullmatch(r"a 1 s of about 3 min \| all in about 3 min", line) for line in lines)
    assert lines[-1].startswith("a: ")
    ((line, seconds),) = made.progress.times.cells["a"]
    assert line == "time.sleep(1.2)"
    assert 1.2 <= seconds <= made.progress.times.of("a")


# What ends a build: Ctrl-C, a closed terminal, kill. They are heard whatever the tests' shell does.
BUILD = """
import signal, sys
from pathlib import Path
from build_book import chapters_of, ending_on_signals, execute
from progress import Progress, Times
root = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
progress = Progress(Times(root / "times.json", "smoke"))
try:
    with ending_on_signals(progress):
        execute(chapters_of(root, "smoke"), root, progress, lambda: None)
except KeyboardInterrupt:
    sys.exit(130)
"""
FOREVER = """
import os, subprocess, time
from pathlib import Path
child = subprocess.Popen(["sleep", "600"])
Path({!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
time.sleep(600)
"""


def wait_for(what, seconds=60):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_ending_a_build_ends_its_kernels_and_keeps_what_is_finished(tmp_path, name):
    at = tmp_path / "pids"
    root = small_book(tmp_path, a="1 + 1", b=FOREVER.format(str(at)))
    path = os.pathsep.join([str(ROOT / "tools"), str(ROOT)])
    building = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(root)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: at.exists() and len(at.read_text().split()) == 2)
        wait_for(lambda: list((root / ".jupyter_cache").glob("executed/*/base.ipynb")))
        pids = [int(pid) for pid in at.read_text().split()]
        building.send_signal(getattr(signal, name))
        said, _ = building.communicate(timeout=30)
    finally:
        building.kill()
        building.communicate()
    assert building.returncode == 130
    assert "a: " in said
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids), seconds=5)
    progress = Progress(Times(root / "times.json", "smoke"), io.StringIO())
    runner = Runner(root / ".jupyter_cache", root / "logs", progress)
    assert [each.name for each in runner.missing(chapters_of(root, "smoke"))] == ["b"]


def test_an_end_that_python_lost_comes_at_the_next_look(tmp_path, monkeypatch):
    class Deleted:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: lost.append(each.exc_type))
    progress = Progress(Times(tmp_path / "times.json", "smoke"), io.StringIO())
    with ending_on_signals(progress):
        Deleted()
        assert lost == [KeyboardInterrupt]
        with pytest.raises(KeyboardInterrupt):
            progress.now({}, None)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_what_was_ignored_stays_so(tmp_path, name):
    """``nohup make book`` goes on when the terminal is closed."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with ending_on_signals(Progress(Times(tmp_path / "times.json", "smoke"), io.StringIO())):
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


# What a person is told


def test_the_teachers_table_gives_a_time_for_every_chapter():
    for profile in ("smoke", "quick"):
        told = table_of_times(ROOT / "book" / "teaching.md", profile)
        names = [each.name for each in chapters_of(ROOT, profile) if each.name != "index"]
        assert sorted(told) == sorted(f"{name.partition('_')[0]}_" for name in names)
        assert min(told.values()) >= 1
    assert table_of_times(ROOT / "book" / "teaching.md", "paper") == {}


def test_times_measured_are_better_than_times_told(tmp_path):
    path = tmp_path / "times.json"
    times = Times(path, "quick, sample", {"06_": 500.0})
    assert (times.of("06_vgg16"), times.of("03_other")) == (500, None)
    assert times.guesses(["06_vgg16", "index"]) == {"06_vgg16": 500, "index": 500}
    assert Times(path, "quick, sample").guesses(["index"]) == {}
    times.put("06_vgg16", 60.04, [("train()", 50.0), ("show()", 9.0)])
    times.put("03_other", 70, [("look()", 69.0)])
    assert Times(path, "quick, sample", {"06_": 500.0}).of("06_vgg16") == 60
    assert Times(path, "smoke, sample").of("06_vgg16") is None
    assert [line.split(" s  ")[1] for line in times.slowest(2)] == [
        *("03_other", "06_vgg16"),
        *("03_other: look()", "06_vgg16: train()"),
    ]
    path.write_text('{"quick, sample": ')
    assert Times(path, "quick, sample").measured == {}


def test_of_a_long_log_the_complaints_are_shown():
    log = "reading\n/a.md:3: WARNING: no such label\nwriting\n"
    assert complaints(log) == "/a.md:3: WARNING: no such label"
    assert complaints("one\ntwo\n") == "one\ntwo"
