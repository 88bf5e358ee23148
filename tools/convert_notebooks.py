"""Make ``.ipynb`` files, without outputs, from the chapters' text.

Usage: ``python tools/convert_notebooks.py FOLDER``
"""

import sys
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parent.parent


def convert(target: Path, source: Path = ROOT / "notebooks") -> list[Path]:
    """Convert every chapter in ``source`` and return the notebooks, in order.

    Notebooks in ``target`` whose chapter is gone are removed. A notebook is written only when its
    text changed, so that its time says when that was.

    Raises
    ------
    FileNotFoundError
        If ``source`` holds no chapter.
    """
    chapters = sorted(source.glob("*.md"))
    if not chapters:
        raise FileNotFoundError(f"no chapters (*.md) in {source}")
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for chapter in chapters:
        notebook = jupytext.read(chapter)
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"  # otherwise random: the same text makes the same file
        text = jupytext.writes(notebook, fmt="ipynb")
        path = target / f"{chapter.stem}.ipynb"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        made.append(path)
    for stale in set(target.glob("*.ipynb")) - set(made):
        stale.unlink()
    return made


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
