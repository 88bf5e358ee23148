"""What can go wrong: each message quoted on the page is one that the code has."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "troubleshooting.md"
# Said by Python, not by the book; and a heading that names a command.
FOREIGN = {"ModuleNotFoundError: No module named 'helpers'"}
GAP = "…"


def quoted() -> list[str]:
    """Messages that have an entry: terms of the definition lists that are all code."""
    return re.findall(r"^`([^`]+)`\n: ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def literal(node: ast.expr) -> str:
    """Return a text of the code, with a gap where something is put in."""
    if isinstance(node, ast.Constant):
        return re.sub(r"\{[^{}]*\}", GAP, node.value)
    parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
    return "".join(parts)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    found = [(ROOT / "Makefile").read_text(encoding="utf-8")]
    sources = [*(ROOT / "helpers").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text or isinstance(node, ast.JoinedStr):
                found.append(literal(node))
    return found


def pattern(message: str) -> re.Pattern:
    """Return what finds a message whose gaps may hold anything."""
    parts = [re.escape(part) for part in message.strip(f"{GAP} ").split(GAP)]
    return re.compile(".*".join(parts), re.DOTALL)


def test_the_page_has_entries_with_remedies():
    assert len(quoted()) > 40
    assert len(set(quoted())) == len(quoted())


@pytest.mark.parametrize("message", [each for each in quoted() if each not in FOREIGN])
def test_a_quoted_message_is_in_the_code(message, texts):
    wanted = pattern(message)
    assert any(wanted.search(text) for text in texts), f"no code says: {message}"


@pytest.mark.parametrize("invented", ["the disk is fuller, no room in …", "the folder … is mauve"])
def test_a_message_that_nobody_says_is_noticed(invented, texts):
    assert not any(pattern(invented).search(text) for text in texts)
