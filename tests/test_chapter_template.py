"""The chapter template of CONTRIBUTING.md is what it says: it builds as it stands."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bs4 import BeautifulSoup
from progress import Progress, Times
from run_chapters import Runner, chapters_of

ROOT = Path(__file__).resolve().parent.parent


def test_template_builds_without_a_warning(tmp_path):
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    template = re.search(r"<!-- template -->\n````markdown\n(.*?)\n````\n", guide, re.DOTALL)[1]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_topic.md").write_text(template + "\n", encoding="utf-8")
    (tmp_path / "book").mkdir()
    for name in ("_config.yml", "CITATION.cff", "book/references.bib", "book/references.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "_static", tmp_path / "_static")
    shutil.copytree(ROOT / "extensions", tmp_path / "extensions")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/references\nchapters: [{file: notebooks/01_topic}]\n"
    )

    progress = Progress(Times(tmp_path / "times.json", "smoke"), io.StringIO())
    runner = Runner(tmp_path / "_build" / ".jupyter_cache", tmp_path / "logs", progress)
    assert runner.run(chapters_of(tmp_path, "smoke")) == []
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    build = subprocess.run(
        [jupyter_book, "build", tmp_path, "-W", "-n", "--keep-going"],
        capture_output=True,
        text=True,
    )
    said = build.stdout + build.stderr
    assert build.returncode == 0, said
    assert "Using cached notebook" in said, "the book finds what was executed beforehand"
    assert "Executing notebook" not in said

    html = (tmp_path / "_build" / "html" / "notebooks" / "01_topic.html").read_text("utf-8")
    page = BeautifulSoup(html, "html.parser")
    assert page.select_one("figure img")["alt"].startswith("What is to be seen")
    assert "What the figure shows." in page.select_one("figcaption").text
    exercise = page.select_one("div.exercise")
    assert "count = ..." in exercise.select_one(".cell").text
    assert exercise.select_one("details").text.split() == ["Hint", "Where", "to", "begin."]
    solution = page.select_one("div.solution.dropdown")
    count, checked = (output.text.strip() for output in solution.select(".cell_output"))
    assert count == "4"
    assert checked == "one: checked."
