"""A pytest plugin that ends a run of notebooks with the slowest of them and of their cells.

Used by ``make test-notebooks`` (``-p slowest``); durations include starting the notebook's kernel,
which counts as part of its first cell.
"""

import json
from collections import Counter
from pathlib import Path

SHOWN = 10

_seconds_by_cell: Counter = Counter()


def pytest_runtest_logreport(report) -> None:
    """Add up set-up, call and tear-down of a cell."""
    name, _, cell = report.nodeid.partition(".ipynb::Cell ")
    if cell.isdigit():
        _seconds_by_cell[f"{name}.ipynb", int(cell)] += report.duration


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the lists; nothing if no notebook was run."""
    if not _seconds_by_cell:
        return
    notebooks: Counter = Counter()
    for (notebook, _), seconds in _seconds_by_cell.items():
        notebooks[notebook] += seconds
    root = terminalreporter.config.rootpath
    terminalreporter.section(f"slowest {SHOWN} notebooks")
    for notebook, seconds in notebooks.most_common(SHOWN):
        terminalreporter.write_line(f"{seconds:6.1f} s  {Path(notebook).name}")
    terminalreporter.section(f"slowest {SHOWN} cells")
    for (notebook, cell), seconds in _seconds_by_cell.most_common(SHOWN):
        line = first_line(root / notebook, cell)
        terminalreporter.write_line(f"{seconds:6.1f} s  {Path(notebook).name}, cell {cell}: {line}")


def first_line(notebook: Path, cell: int) -> str:
    """Return the first line of a cell that is code and no import.

    Parameters
    ----------
    notebook : Path
    cell : int
        Counted from 0 among the cells with code, as nbval does.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    source = [c["source"] for c in cells if c["cell_type"] == "code"][cell]
    lines = "".join(source).splitlines()
    passed_over = ("#", "import ", "from ", " ", ")")
    return next((line for line in lines if line and not line.startswith(passed_over)), "")
