"""The notebooks made from the chapters: plain Markdown, nothing lost, the chapters' own code."""

import ast
import re

import jupytext
import nbformat
import pytest
from bs4 import BeautifulSoup
from build_book import ROOT
from convert_notebooks import convert
from test_site import SITE

REPOSITORY = {"HELA_REPOSITORY_URL": "https://github.com/Someone/hela", "GITHUB_SHA": "abc123"}
BOOK = "https://someone.github.io/hela/"
COLAB = "https://colab.research.google.com/github/Someone/hela/blob/notebooks/notebooks/"
TEMPLATE = (ROOT / "notebooks" / "01_data_acquisition.md").read_text(encoding="utf-8")
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
CHECK = "# @title Check your answer"
ROLE = re.compile(r"\s*\{[\w:]+\}`[^`]*`\s*")


@pytest.fixture(scope="module", params=["alone", "published", "students"])
def made(request, tmp_path_factory):
    """Make the notebooks: without an address, with one, and for students; return them by name."""
    folder = tmp_path_factory.mktemp(request.param)
    paths = convert(
        folder,
        students=request.param == "students",
        environment=REPOSITORY if request.param == "published" else {},
    )
    return request.param, {path.stem: nbformat.read(path, as_version=4) for path in paths}


def source_of(name):
    return jupytext.read(ROOT / "notebooks" / f"{name}.md")


def prose_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code_of(notebook):
    """Return the cells of code, without the checks of exercises, which no chapter has."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [source for source in code if not source.startswith(CHECK)]


def without_solutions(cells):
    """Return a chapter's cells, its solutions cut out, by a rule of its own: the test's."""
    kept, inside = [], False
    for cell in cells:
        if cell.cell_type == "code":
            kept += [] if inside else [("code", cell.source)]
            continue
        text = []
        for line in cell.source.splitlines():
            inside = inside or "{solution-start}" in line
            text += [] if inside else [line]
            inside = inside and "{solution-end}" not in line
        kept.append(("markdown", "\n".join(text)))
    return kept


def pattern_of(line):
    """Return a pattern for what has to be left of a line of MyST: all but what its roles say."""
    text = re.sub(r"^(\* - |  - )", "", line)  # a table's cell
    return re.compile(".*?".join(re.escape(part.strip()) for part in ROLE.split(text)))


@pytest.mark.parametrize("name", CHAPTERS)
def test_notebook_is_valid_and_plain(made, name):
    _, notebooks = made
    notebook = notebooks[name]
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            without_code = re.sub(r"(`+)[^`].*?\1", "", cell.source, flags=re.DOTALL)
            assert not re.search(r"^\s*(```|:::|~~~)+ *\{", cell.source, re.MULTILINE)
            assert not re.search(r"\{[\w:-]+\}`", cell.source)
            assert not re.search(r"^\(\S+\)=$|^:{3,}|^:[\w-]+:|^[%+]", without_code, re.MULTILINE)
        assert "mystnb" not in cell.metadata


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_line_of_prose_survives(made, name):
    kind, notebooks = made
    prose = re.sub(r"^> ?", "", prose_of(notebooks[name]), flags=re.MULTILINE)
    cells = source_of(name).cells
    if kind == "students":
        cells = without_solutions(cells)
    else:
        cells = [(cell.cell_type, cell.source) for cell in cells]
    lines = [line for type_, text in cells if type_ == "markdown" for line in text.splitlines()]
    captions = [
        cell.metadata["mystnb"]["figure"]["caption"].strip()
        for cell in source_of(name).cells
        if "figure" in cell.metadata.get("mystnb", {}) and ("code", cell.source) in cells
    ]
    lines += [line for caption in captions for line in caption.splitlines()]
    markup = re.compile(r"^ *(`{3,}|:{3,})( *\{[\w-]+\} *)?|^:[\w-]+:.*|^\(\S+\)=|^#+ ")
    checked = [markup.sub("", line).strip("\n") for line in lines]
    checked = [line for line in checked if len(line.strip()) > 3 and "-exercise-" not in line[:40]]
    assert len(checked) > 30
    assert [line for line in checked if not pattern_of(line).search(prose)] == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_is_the_chapters_own(made, name):
    kind, notebooks = made
    code = code_of(notebooks[name])
    assert "helpers.colab" in code[0]
    if kind == "students":
        kept = without_solutions(source_of(name).cells)
        assert [text for text in code[1:] if text] == [t for kind_, t in kept if kind_ == "code"]
    else:
        assert code[1:] == code_of(source_of(name))


@pytest.mark.parametrize("name", CHAPTERS)
def test_links_lead_somewhere(made, name):
    kind, notebooks = made
    prose = prose_of(notebooks[name])
    own = f"{BOOK}notebooks/{name}.html"  # in the sentence that says which book it is of
    anchors = set(re.findall(r'<a id="([^"]+)"', prose))
    for address in re.findall(r"\]\(([^)\s]+)\)", prose):
        if address.startswith("#"):
            assert address[1:] in anchors
        elif kind == "published":
            assert address.startswith("https://")
            assert not address.startswith(f"{BOOK}notebooks/") or address == own
            path = address.removeprefix(BOOK).partition("#")[0].removesuffix(".html")
            assert path == address.partition("#")[0] or (ROOT / f"{path}.md").is_file()
            if address.startswith(COLAB):
                assert address.removeprefix(COLAB).removesuffix(".ipynb") in notebooks
        elif not address.startswith("https://"):
            assert address.removesuffix(".ipynb") in notebooks


@pytest.mark.parametrize("name", CHAPTERS)
def test_students_get_every_exercise_and_no_solution(made, name):
    kind, notebooks = made
    notebook = notebooks[name]
    source = (ROOT / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
    asked = re.findall(r"^```\{exercise-start\} *(.*)$", source, re.MULTILINE)
    assert asked
    headings = re.findall(r"^### .*Exercise [\d.]+(?:: )?(.*)$", prose_of(notebook), re.MULTILINE)
    assert headings == asked

    checks = [cell for cell in notebook.cells if cell.source.startswith(CHECK)]
    assert len(checks) == len(asked)
    assert all(cell.metadata["cellView"] == "form" for cell in checks)
    places = [cell for cell in notebook.cells if cell.source.startswith("**In your words**")]
    assert len(places) == (source.count("**In words:**") if kind == "students" else 0)
    solved = len(re.findall("^#### Solution of Exercise", prose_of(notebook), re.MULTILINE))
    if kind == "students":
        assert solved == 0
        for text in re.findall(r"\{solution-start\}.*?\{solution-end\}", source, re.DOTALL):
            for line in text.splitlines()[3:]:
                if len(line) > 30 and source.count(line) == 1:
                    assert line not in "\n".join(cell.source for cell in notebook.cells)
    else:
        assert solved >= len(asked)


@pytest.mark.parametrize("page", ["book/index", *(f"notebooks/{name}" for name in CHAPTERS)])
def test_methods_are_told_how_large_a_pixel_is(page):
    # Pixels of the synthetic cell, and of readers' own slices, are not the paper's 10 nm.
    source = "\n".join(code_of(jupytext.read(ROOT / f"{page}.md")))
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    untold = [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).startswith("traditional.segment_")
        and not {"pixel_size_nm", "constants"} & {each.arg for each in call.keywords}
    ]
    assert untold == []


def test_training_chapters_ask_for_a_gpu(made):
    _, notebooks = made
    asking = [name for name, each in notebooks.items() if each.metadata.get("accelerator") == "GPU"]
    assert [name[:2] for name in asking] == ["06", "07", "08", "09", "10"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_are_sections_that_are_closed(made, name):
    """A closed section ends where a heading of its level or a higher one stands."""
    kind, notebooks = made
    notebook = notebooks[name]
    closed = []
    hidden, solution = False, False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := re.match("#+ ", cell.source)):
            if cell.source.startswith("#### Solution of Exercise "):
                assert cell.metadata["jp-MarkdownHeadingCollapsed"]
                assert cell.metadata["id"] == cell["id"]
                closed.append(cell["id"])
                hidden = True
            elif len(heading[0]) <= 5:
                hidden = False
        solution = solution or cell.source.startswith("#### Solution of Exercise ")
        assert not hidden or cell.source not in outside_solutions(name)
    assert notebook.metadata["colab"]["collapsed_sections"] == closed
    assert solution == (kind != "students")


def outside_solutions(name):
    """Return the code of a chapter's cells that are in no solution."""
    kept = without_solutions(source_of(name).cells)
    return {text for type_, text in kept if type_ == "code"}


def test_published_notebooks_of_students_lead_to_each_other(tmp_path):
    paths = convert(tmp_path, students=True, environment=REPOSITORY)
    prose = "\n".join(prose_of(nbformat.read(path, as_version=4)) for path in paths)
    links = re.findall(r"\]\((https://colab[^)]+)\)", prose)
    assert len(links) > 20
    for link in links:
        assert link.startswith(
            COLAB.replace("blob/notebooks/notebooks/", "blob/notebooks/students/")
        )


def test_first_cell_knows_repository_and_commit(made):
    kind, notebooks = made
    for notebook in notebooks.values():
        known = 'git+https://github.com/Someone/hela@abc123"' in code_of(notebook)[0]
        assert known == (kind == "published")
        assert (f"]({BOOK}notebooks/" in notebook.cells[0].source) == (kind == "published")


def test_converting_again_writes_nothing_and_stale_notebooks_go(tmp_path):
    first = convert(tmp_path, environment={})
    before = [path.stat().st_mtime_ns for path in first]
    stale = tmp_path / "99_gone.ipynb"
    stale.write_text("{}")
    assert convert(tmp_path, environment={}) == first
    assert [path.stat().st_mtime_ns for path in first] == before
    assert not stale.exists()


@pytest.fixture
def small(tmp_path):
    """Return a function that converts one small chapter and returns its notebook."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").mkdir()
    (tmp_path / "_config.yml").write_text("title: A small book\n")
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts: [{numbered: true, chapters: [{file: notebooks/01_small}]}]\n"
    )
    (tmp_path / "book" / "index.md").write_text("# The start\n")
    (tmp_path / "book" / "references.bib").write_text(
        '@misc{one, author = {Gr{\\"u}n, A. and Blau, B.}, year = {2001}, doi = {10.1/x}}\n'
        "@misc{two, author = {Rot, A. and Gelb, B. and Weiss, C.}, year = {2002}}\n"
    )
    (tmp_path / "notebooks" / "dot.png").write_bytes(b"not really")

    def run(text, **options):
        (head,) = re.findall(r"^---\n.*?\n---\n", TEMPLATE, re.DOTALL)
        (tmp_path / "notebooks" / "01_small.md").write_text(head + text, encoding="utf-8")
        (path,) = convert(tmp_path / "made", tmp_path / "notebooks", environment={}, **options)
        return nbformat.read(path, as_version=4)

    return run


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{cite:p}`one,two`", "([Grün and Blau, 2001](https://doi.org/10.1/x); Rot et al., 2002)"),
        ("As {cite:t}`one` say", "As [Grün and Blau (2001)](https://doi.org/10.1/x) say"),
        ("{doc}`/book/index`", "*The start*"),
        ("{doc}`here <../book/index>`", None),
        ("see {ref}`below <there>`\n\n(there)=\n## There", "see [below](#there)"),
        ("{term}`stacks <stack>` of {math}`x^2`", "stacks of $x^2$"),
        ("`{ref}` and `code` stay", "`{ref}` and `code` stay"),
        ("```python\n# {ref}`no`\n```", "```python\n# {ref}`no`\n```"),
        (
            ":::{note}\nMind *this*.\n\n- one\n:::",
            '<div class="alert alert-info">\n\n> **Note**\n>\n> Mind *this*.\n>\n> - one\n\n</div>',
        ),
        (
            ":::{warning}\nNo.\n:::",
            '<div class="alert alert-warning">\n\n> **Warning**\n>\n> No.\n\n</div>',
        ),
        (
            "````{admonition} What {cite:t}`two` say\n:class: tip\n```python\n# x\n```\n````",
            '<div class="alert alert-success">\n\n'
            "> **What Rot et al. (2002) say**\n>\n> ```python\n> # x\n> ```\n\n</div>",
        ),
        (
            ":::{dropdown} More\nInside.\n:::",
            "<details>\n<summary><b>More</b></summary>\n\nInside.\n\n</details>",
        ),
        (
            "```{list-table}\n:header-rows: 1\n\n* - a\n  - b\n* - c|d\n  - long\n    line\n```",
            "| a | b |\n| --- | --- |\n| c\\|d | long line |",
        ),
        ("```{math}\nx\n```", "$$\nx\n$$"),
        (
            "```{figure} dot.png\n:alt: A dot\n\nA caption.\n```",
            "![A dot](data:image/png;base64,bm90IHJlYWxseQ==)\n\nA caption.",
        ),
        ("% a remark\nText", "Text"),
    ],
)
def test_directives_and_roles(small, source, wanted):
    if wanted is None:
        with pytest.raises(ValueError, match="there is no page"):
            small(f"# Title\n\n{source}\n")
        return
    assert f"\n\n{wanted}" in small(f"# Title\n\n{source}\n").cells[0].source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("```{glossary}\nx\n```", r"01_small\.md: directive \{glossary\} cannot.*note"),
        ("{eq}`x`", r"01_small\.md: role \{eq\}"),
        ("{ref}`nowhere`", "no label 'nowhere'"),
        ("{cite:p}`nobody`", r"'nobody' is not in book/references\.bib"),
        ("```python\nx = 1", "never closed"),
    ],
)
def test_what_is_not_known_is_an_error(small, source, message):
    with pytest.raises(ValueError, match=message):
        small(f"# Title\n\n{source}\n")


def test_caption_follows_its_cell(small):
    cells = small(
        "# Title\n\n{numref}`fig-a` shows it.\n\n```{code-cell} ipython3\n---\nmystnb:\n  figure:\n"
        "    name: fig-a\n    caption: |\n      What {cite:t}`two`\n      show.\n---\nx = 1\n```\n"
    ).cells
    assert "[Fig. 1.1](#fig-a) shows it." in cells[0].source
    assert cells[2].source == "x = 1"
    assert cells[3].source.endswith("</a>**Fig. 1.1.** What Rot et al. (2002) show.")


def test_headings_begin_cells_but_comments_in_code_do_not(small):
    cells = small("# Title\n\nText.\n\n## Two\n\n```bash\n# a comment\n```\n\nMore.\n").cells
    assert [cell.source.splitlines()[0] for cell in cells] == ["# Title", code_start(), "## Two"]
    assert "# a comment" in cells[2].source


def code_start():
    return '# @title Set up: run this first { display-mode: "form" }'


def test_no_chapter_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no chapters"):
        convert(tmp_path / "made", tmp_path)


@pytest.mark.site
@pytest.mark.parametrize("name", CHAPTERS)
def test_numbers_are_those_of_the_book(name, tmp_path):
    made = {path.stem: path for path in convert(tmp_path, environment={})}
    prose = prose_of(nbformat.read(made[name], as_version=4))
    page = BeautifulSoup((SITE / "notebooks" / f"{name}.html").read_text("utf-8"), "html.parser")
    built = [each.text.strip() for each in page.select(".caption-number")]
    ours = re.findall(r"(Fig\. [\d.]*\d)\.\*\*|^### .*(Exercise [\d.]*\d)", prose, re.MULTILINE)
    assert sorted(a or b for a, b in ours) == sorted(built)
