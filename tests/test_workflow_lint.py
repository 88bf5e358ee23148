"""What ``make lint`` finds in a broken workflow."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINTER = Path(sys.executable).with_name("jactionlint")


def lint_command() -> list[str]:
    """Return the command of ``make lint``, from the Makefile."""
    line = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if "/jactionlint" in line
    )
    return [str(LINTER), *line.split()[1:]]


MISTAKES = {
    "a key that does not exist": ("runs-on:", "run-on:"),
    "an expression of nothing": ("github.ref }}", "github.reference }}"),
    "an action by a tag": (
        "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd",
        "actions/checkout@v6",
    ),
    "a matrix value that is not there": ("matrix.target }}", "matrix.tarquet }}"),
    "the default rights": ("permissions: {}\n", ""),
}


@pytest.mark.parametrize("mistake", [None, *MISTAKES], ids=str)
def test_lint_finds_a_broken_workflow(mistake, tmp_path):
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    if mistake:
        before, after = MISTAKES[mistake]
        assert before in text
        text = text.replace(before, after)
    if mistake == "the default rights":
        text = re.sub(r"    permissions:\n      contents: read\n", "", text)
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "tests.yml").write_text(text)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)

    done = subprocess.run(lint_command(), cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == (1 if mistake else 0), done.stdout + done.stderr
