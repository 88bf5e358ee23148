"""The slowest notebooks and cells, named after a run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import v4

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def test_the_slowest_come_first(tmp_path):
    quick = v4.new_notebook(cells=[v4.new_code_cell("answer = 1")])
    slow = v4.new_notebook(
        cells=[
            v4.new_code_cell("import time"),
            v4.new_markdown_cell("# Not code"),
            v4.new_code_cell("# why\nfrom time import sleep\n\nsleep(1)"),
        ]
    )
    (tmp_path / "quick.ipynb").write_text(v4.writes(quick))
    (tmp_path / "slow.ipynb").write_text(v4.writes(slow))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "-p",
        "slowest",
    ]
    command += ["-n", "2", "--dist", "loadfile", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = re.findall(r"^ *([\d.]+) s  (.*)$", done.stdout, re.MULTILINE)
    names = [name for _, name in listed]
    assert sorted(names[:2]) == ["quick.ipynb", "slow.ipynb"]
    assert "slow.ipynb, cell 1: sleep(1)" in names[2:]
    assert len(names) == 5
    for part in (listed[:2], listed[2:]):
        seconds = [float(number) for number, _ in part]
        assert seconds == sorted(seconds, reverse=True)
    by_name = {name: float(seconds) for seconds, name in listed}
    cells = [value for name, value in by_name.items() if name.startswith("slow.ipynb, ")]
    assert by_name["slow.ipynb, cell 1: sleep(1)"] >= 1
    assert by_name["slow.ipynb"] == pytest.approx(sum(cells), abs=0.2)
