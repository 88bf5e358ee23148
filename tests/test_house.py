"""The rules of the house: who imports whom, what a room offers, and what stands where."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "helpers"
MODULES = sorted(HELPERS.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in HELPERS.glob("*/__init__.py"))
CHAPTERS = sorted(path for path in ROOT.glob("notebooks/*.md") if path.stem[:2].isdigit())
PAGES = sorted([*ROOT.glob("notebooks/*.md"), *ROOT.glob("book/*.md")])

# From the ground up: a room imports from the floors below it and from itself. The background of the
# ground truth is found by the traditional method, so that it stands above.
FLOORS = (
    {
        "labels",
        "settings",
        "masks",
        "cache",
        "machine",
        "colab",
        "label_maps",
        "exercises",
        "progress",
        "tiffs",
        "processes",
    },
    {"phantom"},
    {"data", "show"},
    {"metrics", "traditional"},
    {"ground_truth", "volume"},
    {"networks"},
    {"training"},
    {"postprocessing", "field"},
    {"strokes"},
    {"results"},
    {"methods", "segmenting"},
    {"scoring"},
    {"command"},
    {"__main__"},
)
# The chapter that opens a room; the others are open from the start. Chapter 2 needs the Jaccard
# index, chapter 6 the size of the networks' input.
OPENS = {"ground_truth": 2, "metrics": 2, "traditional": 3, "volume": 5, "networks": 6}
OPENS |= {
    "training": 6,
    "methods": 10,
    "postprocessing": 9,
    "results": 10,
    "strokes": 12,
    "field": 13,
}
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path):
    return path.relative_to(HELPERS).with_suffix("").parts[0]


def modules_of(room):
    return [path for path in MODULES if room_of(path) == room]


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    """Return what of helpers is imported: (module within helpers, name) pairs."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "helpers":
            inside = node.module.partition(".")[2]
            found += [(inside, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("helpers.")]
            found += [(name.partition(".")[2], "") for name in names]
    return found


@cache
def page_code(path):
    """Return the code of a page's cells as one tree."""
    text = path.read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    cells = [
        re.sub(r"\A(---\n.*?\n---\n|(:[^\n]*\n)+)", "", cell, flags=re.DOTALL) for cell in cells
    ]
    lines = [line for cell in cells for line in cell.splitlines() if line[:1] not in ("%", "!")]
    return ast.parse("\n".join(lines))


def used_by_pages():
    """Return the (room, name) pairs that pages use; networks are named by texts too."""
    used = set()
    for path in PAGES:
        tree = page_code(path)
        used |= {(inside or name, name) for inside, name in imports(tree)}
        used |= {
            (node.value.id, node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        used |= {
            ("networks", each.value) for each in ast.walk(tree) if isinstance(each, ast.Constant)
        }
    return used


def test_every_room_has_its_floor():
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(FLOOR)


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_imports_go_down(room):
    for path in modules_of(room):
        wanted = {(inside or name).split(".")[0] for inside, name in imports(parsed(path))}
        wanted = wanted & FLOOR.keys() - {room}
        above = [other for other in wanted if FLOOR[other] >= max(FLOOR[room], 1)]
        assert above == [], path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_offers_what_pages_use_and_nothing_else(room):
    path = HELPERS / room / "__init__.py"
    offered = {name for _, name in imports(parsed(path))}
    used = {name for of, name in used_by_pages() if of == room}
    assert sorted(offered - used) == []


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_settings_are_read_and_not_handed_on(room):
    for path in modules_of(room):
        takes = [
            node.name
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.FunctionDef)
            and any(each.arg == "settings" for each in [*node.args.args, *node.args.kwonlyargs])
        ]
        assert takes == [] or room == "settings", path


def test_scripts_and_styles_have_files_of_their_own():
    script = re.compile(r"\bfunction\b.*\(|=>|^[^\n]*\{[^{}]*:[^{}]*;", re.MULTILINE)
    for path in [*MODULES, *ROOT.glob("tools/*.py"), *ROOT.glob("extensions/*.py")]:
        nodes = list(ast.walk(parsed(path)))
        docstrings = {ast.get_docstring(node, clean=False) for node in nodes if has_doc(node)}
        found = [
            node.lineno
            for node in nodes
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.count("\n") > 10
            and node.value not in docstrings
            and script.search(node.value)
        ]
        assert found == [], path


def has_doc(node):
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pages_import_rooms_and_no_rooms_within(path):
    deep = [inside for inside, _ in imports(page_code(path)) if "." in inside]
    assert deep == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_imports_its_room_and_those_of_chapters_before(path):
    rooms = {(inside or name).split(".")[0] for inside, name in imports(page_code(path))}
    assert sorted(room for room in rooms if OPENS.get(room, 0) > int(path.stem[:2])) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_directive_of_backquotes_has_one_in_its_first_line(page):
    """Markdown takes such a line for text, and what follows for code, without a word."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.match(r"`{3,}\{", line) and "`" in line.lstrip("`")] == []
