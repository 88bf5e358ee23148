"""Nothing that helpers and chapters call is newer than what Colab has, as far as that is written.

`make test-colab` runs the chapters with Colab's versions; this finds in seconds what libraries say
of themselves: a function or parameter with a later ``versionadded`` than Colab's version.
"""

import ast
import importlib
import inspect
import re
import textwrap

import jupytext
import pytest
from convert_notebooks import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

# Libraries whose documentation says when something came, by the name of their module.
TOLD = {
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "skimage": "scikit-image",
}
# IPython's does not; these are the parameters of 7.34, which Colab has.
IPYTHON = {
    "HTML": {"data", "url", "filename", "metadata"},
    "Image": {
        *("data", "url", "filename", "format", "embed", "width", "height", "retina"),
        *("unconfined", "metadata"),
    },
    "display": {"include", "exclude", "metadata", "transient", "display_id", "raw", "clear"},
    "clear_output": {"wait"},
}
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("helpers/**/*.py", "notebooks/*.md")
    for path in ROOT.glob(pattern)
)
ADDED = re.compile(r"^( *)\.\. versionadded:: *v?(\d[\d.]*)", re.MULTILINE)


def colab_has():
    """Return the versions that Colab has, by name."""
    text = (ROOT / "tests" / "colab-constraints.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


def code_of(name):
    if name.endswith(".py"):
        return (ROOT / name).read_text(encoding="utf-8")
    cells = jupytext.read(ROOT / name).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def calls(code):
    """Yield what is used of other modules: its full name, and the keywords of a call."""
    tree = ast.parse(code)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                whole = each.name if each.asname else each.name.split(".")[0]
                names[each.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    for node in ast.walk(tree):
        used = node.func if isinstance(node, ast.Call) else node
        if not isinstance(used, ast.Attribute | ast.Name):
            continue
        first, *rest = ast.unparse(used).split(".")
        if first in names:
            keywords = [each.arg for each in node.keywords] if used is not node else []
            yield ".".join([names[first], *rest]), keywords


def find(name):
    """Return what a full name stands for, or None."""
    parts = name.split(".")
    for at in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:at]))
        except ImportError:
            continue
        for part in parts[at:]:
            thing = getattr(thing, part, None)
        return thing
    return None


def too_new(thing, keywords, has):
    """Return what of a function, and of the parameters used, came after a version."""
    if not callable(thing):
        return []
    doc = textwrap.dedent("    " + (inspect.getdoc(thing) or "")).strip("\n")
    found = []
    for note in ADDED.finditer(doc):
        if Version(note[2].rstrip(".")) <= has:
            continue
        if not note[1]:
            found.append("itself")
            continue
        heads = re.findall(r"^(\w[\w, ]*?) *:", doc[: note.start()], re.MULTILINE)
        of = heads[-1].split(", ") if heads else []
        found += [name for name in of if name in keywords]
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_newer_than_on_colab(name):
    has, problems = colab_has(), []
    for used, keywords in calls(code_of(name)):
        library = used.split(".")[0]
        if library in TOLD:
            new = too_new(find(used), keywords, has[canonicalize_name(TOLD[library])])
            problems += [f"{used}: {each}" for each in new]
        elif used.startswith("IPython.display."):
            known = IPYTHON[used.rpartition(".")[2]]
            problems += [f"{used}: {each}" for each in set(keywords) - known]
    assert problems == []


def test_what_is_too_new_is_found():
    def made(old, new):
        """Make something.

        Parameters
        ----------
        old, other : int
            What was there.

            .. versionadded:: 1.0
        new : int
            What came.

            .. versionadded:: 2.5
        """

    assert too_new(made, ["old", "new"], Version("2.0.2")) == ["new"]
    assert too_new(made, ["old"], Version("2.0.2")) == []
    assert too_new(made, ["new"], Version("2.5.1")) == []
    made.__doc__ = "Make something.\n\n.. versionadded:: 2.1"
    assert too_new(made, [], Version("2.0.2")) == ["itself"]
    code = (
        "from IPython.display import Image\nimport numpy as np\nnp.linalg.norm(Image(b'', alt=''))"
    )
    assert ("IPython.display.Image", ["alt"]) in calls(code)
    assert ("numpy.linalg.norm", []) in calls(code)


def test_the_list_says_when_it_was_made_and_suits_the_package():
    text = (ROOT / "tests" / "colab-constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^# Colab's own list of \d+ \w+ 20\d\d", text, re.MULTILINE)
    assert "index-url" not in text
    has = colab_has()
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [*project["dependencies"], *project["optional-dependencies"]["networks"]]
    for requirement in map(Requirement, stated):
        version = has.get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version), requirement
