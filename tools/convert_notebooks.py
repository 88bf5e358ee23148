"""Make ``.ipynb`` files, without outputs, from the chapters' text: for Colab, Jupyter and classes.

Usage: ``python tools/convert_notebooks.py FOLDER [--students]``

They read well without Sphinx: directives, roles and labels become plain Markdown and links, to the
other notebooks, and into the published book where ``HELA_REPOSITORY_URL`` tells its address; then
the notebooks link to each other on Colab. Solutions are sections that are closed at first, with
what their code shows. The code is the chapters' own; a first cell installs the package where it is
missing. Each exercise ends with a cell that checks the answer: what it expects is the solution's
own code, folded up. With ``--students`` the solutions are left out, and there is a place to write
where an exercise asks for words. With ``--prove`` too, the tests' notebooks: a student's, in which
each solution is run in place of the check.
"""

import argparse
import ast
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import jupytext
from book_pages import Book, Page, colab_address, figure_of
from first_cell import commit_of, first_cell
from nbformat import v4
from plain_markdown import HEADING, Directive, PlainMarkdown, anchor_of, split

from helpers import exercises, settings

ROOT = Path(__file__).resolve().parent.parent
ACCELERATED = ("06_", "07_", "08_", "09_", "10_")
"""Chapters that train networks: Colab is asked for a GPU."""
CLOSED = "jp-MarkdownHeadingCollapsed"
"""How Jupyter notes that a section is closed: all cells to the next heading of its level."""
IN_WORDS = "**In words:**"
"""How the line of an exercise begins that asks for words."""
CHECK = """\
# @title Check your answer: run this {{ display-mode: "form" }}
exercises.{function}(
    "{name}",
    {answer},
    solution=\"\"\"
{solution}
\"\"\",
)"""


def convert(
    target: Path,
    source: Path = ROOT / "notebooks",
    *,
    students: bool = False,
    prove: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> list[Path]:
    """Convert every chapter in ``source`` and return the notebooks, in order.

    Notebooks in ``target`` whose chapter is gone are removed. A notebook is written only when its
    text changed, so that its time says when that was.

    Raises
    ------
    FileNotFoundError
        If ``source`` holds no chapter.
    ValueError
        If a chapter has a directive, role, label or reference that is not known, or an exercise
        whose solution does not say what it expects.
    """
    chapters = sorted(source.glob("*.md"))
    if not chapters:
        raise FileNotFoundError(f"no chapters (*.md) in {source}")
    target.mkdir(parents=True, exist_ok=True)
    repository = (settings.read("HELA_REPOSITORY_URL", environment) or "").rstrip("/")
    setup = first_cell(repository, commit_of(source.parent, environment) if repository else "")
    beside = ""
    if repository:
        branch = settings.read("HELA_REPOSITORY_BRANCH", environment)
        beside = colab_address(repository, branch, "students" if students else "notebooks")
    book = Book(source.parent, repository, beside)
    made = []
    for chapter in chapters:
        page = book.pages[f"notebooks/{chapter.stem}"]
        notebook = Chapter(book, page, students=students, prove=prove).notebook(setup)
        text = jupytext.writes(notebook, fmt="ipynb")
        path = target / f"{chapter.stem}.ipynb"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        made.append(path)
    for stale in set(target.glob("*.ipynb")) - set(made):
        stale.unlink()
    return made


class Chapter:
    """Goes through a chapter's cells and collects those of its notebook."""

    def __init__(self, book: Book, page: Page, *, students: bool, prove: bool = False):
        self.book = book
        self.page = page
        self.students = students
        self.prove = prove
        self.plain = PlainMarkdown(book, page)
        self.cells: list = []
        self.lines: list[str] = []  # of the Markdown not yet put into a cell
        self.solution = ""  # the title of the one that we are in
        self.exercises: dict[str, str] = {}  # their headings, by label
        self.asks_for_words = False  # the exercise that we are in

    def notebook(self, setup: str):
        """Return the notebook, with ``setup`` as the first cell of code."""
        source = jupytext.read(self.page.file)
        self.solutions = solutions_of(source)
        for cell in source.cells:
            if cell.cell_type == "code":
                self._code(cell)
            else:
                self._markdown(cell.source)
        self.cells[0].source += f"\n\n*{self.book.belongs(self.page)}*"
        self.cells.insert(1, v4.new_code_cell(setup, metadata={"cellView": "form"}))
        for number, cell in enumerate(self.cells):
            cell["id"] = f"cell-{number}"  # otherwise random: the same text makes the same file
            if CLOSED in cell.metadata:
                cell.metadata["id"] = cell["id"]  # Colab's own
        colab = {"name": f"{self.page.file.stem}.ipynb", "provenance": []}
        colab["collapsed_sections"] = [c["id"] for c in self.cells if CLOSED in c.metadata]
        metadata = {
            "kernelspec": source.metadata["kernelspec"],
            "language_info": {"name": "python"},
            "colab": colab,
        }
        if self.page.file.name.startswith(ACCELERATED):
            colab["gpuType"] = "T4"
            metadata["accelerator"] = "GPU"
        return v4.new_notebook(cells=self.cells, metadata=metadata)

    def _code(self, cell) -> None:
        if self.solution and self.students:
            return
        metadata = {key: value for key, value in cell.metadata.items() if key != "mystnb"}
        if {"hide-input", "remove-input"} & set(metadata.get("tags", [])):
            metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        self.cells.append(v4.new_code_cell(cell.source, metadata=metadata))
        figure = figure_of(cell)
        if figure:
            name = figure["name"]
            number = self.book.targets[name].text
            caption = " ".join(self.plain.convert(figure["caption"]).split("\n"))
            self._add(f"{anchor_of(name)}**{number}.** {caption}")

    def _markdown(self, text: str) -> None:
        for piece in split(text):
            if not isinstance(piece, Directive) or not piece.name.endswith(("-start", "-end")):
                self.lines.append(piece if isinstance(piece, str) else piece.source)
                continue
            self._flush()
            if piece.name == "exercise-start":
                label, title = piece.options["label"], self.plain.convert(piece.argument)
                number = self.book.targets[label].text
                self.exercises[label] = f"{number}: {title}" if title else number
                self.lines.append(f"({label})=\n### {self.exercises[label]}")
                self.asks_for_words = False
            elif piece.name == "exercise-end":
                self._end_exercise(list(self.exercises)[-1])
            elif piece.name == "solution-start":
                self.solution = f"Solution of {self.exercises[piece.argument]}"
                if not self.students:
                    self._add(f"#### {self.solution}", {CLOSED: True})
            elif piece.name == "solution-end":
                self.solution = ""
        self._flush()

    def _end_exercise(self, label: str) -> None:
        """Add the check, and for students a place to write."""
        solution = self.solutions.get(label, "")
        name = label.rpartition("-")[2]
        call = _expect_in(solution)
        if call is None or ast.literal_eval(call.args[0]) != name:
            raise ValueError(
                f"{self.page.file.name}: the solution of {label} does not say what it expects; let "
                f'it call exercises.expect("{name}", answer, look_at="...") once.'
            )
        code = CHECK.format(
            function="prove" if self.prove else "check",
            name=name,
            answer=ast.get_source_segment(solution, call.args[1]),
            solution=exercises.fold(solution),
        )
        if self.asks_for_words and self.students:
            self._add("**In your words** (double-click here and write):")
        metadata = {"cellView": "form", "jupyter": {"source_hidden": True}}
        self.cells.append(v4.new_code_cell(code, metadata=metadata))

    def _flush(self) -> None:
        """Put the collected lines into cells: one for each heading, so that sections fold."""
        text = self.plain.convert("\n".join(self.lines))
        self.lines = []
        self.asks_for_words |= IN_WORDS in text
        if not text.strip() or (self.solution and self.students):
            return
        part: list[str] = []
        for piece in split(text):
            if HEADING.match(piece):
                self._add("\n".join(part))
                part = []
            part.append(piece)
        self._add("\n".join(part))

    def _add(self, text: str, metadata: Mapping = MappingProxyType({})) -> None:
        if text.strip():
            self.cells.append(v4.new_markdown_cell(text.strip("\n"), metadata=dict(metadata)))


def solutions_of(notebook) -> dict[str, str]:
    """Return the code of a chapter's solutions, by the labels of their exercises."""
    solutions: dict[str, list[str]] = {}
    label = ""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if label:
                solutions[label].append(cell.source)
            continue
        for piece in split(cell.source):
            if isinstance(piece, Directive) and piece.name == "solution-start":
                label = piece.argument
                solutions[label] = []
            elif isinstance(piece, Directive) and piece.name == "solution-end":
                label = ""
    return {label: "\n\n".join(code) for label, code in solutions.items()}


def _expect_in(solution: str) -> ast.Call | None:
    """Return a solution's only call of `exercises.expect`."""
    calls = [
        node
        for node in ast.walk(ast.parse(solution))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "exercises.expect"
    ]
    return calls[0] if len(calls) == 1 else None


def main() -> None:
    """Convert the chapters into FOLDER."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", action="store_true", help="leave the solutions out")
    parser.add_argument("--prove", action="store_true", help="run the solutions as checks")
    chosen = parser.parse_args()
    convert(chosen.folder, students=chosen.students, prove=chosen.prove)


if __name__ == "__main__":
    main()
