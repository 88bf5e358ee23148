"""The page of promises: the record that it shows is of a whole campaign."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_record_is_dated_and_of_every_attack():
    record = (ROOT / "tests" / "attack" / "record.md").read_text(encoding="utf-8")
    assert re.match(r"On \d+ \w+ 20\d\d, of commit `[0-9a-f]{7,}`, with the seed \d+:", record)
    rows = re.findall(r"^\| ([^|]+) \| (\d+)(?: of \d+)? \| (\d+) \|$", record, re.MULTILINE)
    tried = {name: int(count) for name, count, _ in rows}
    assert sum(count for name, count in tried.items() if name.startswith("kill")) >= 20
    assert tried["two processes at once, in one folder"] >= 8
    assert sum(count for name, count in tried.items() if "bit" in name) >= 2000
    assert sum(count for name, count in tried.items() if "server" in name) >= 2 * 26
    assert tried["broken slices of one's own"] >= 50


def test_the_page_shows_it():
    page = (ROOT / "book" / "promises.md").read_text(encoding="utf-8")
    assert "```{include} ../tests/attack/record.md" in page
    assert "file: book/promises" in (ROOT / "_toc.yml").read_text(encoding="utf-8")
