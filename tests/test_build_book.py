"""What makes the book execute its chapters again."""

import json
import platform
import re
import subprocess
from pathlib import Path

import pytest
from build_book import (
    ROOT,
    STATE,
    book_config,
    code_state,
    data_state,
    forget_if_changed,
    pages_state,
    run_record,
)


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "helpers" / "deep" / "__pycache__").mkdir(parents=True)
    (tmp_path / "helpers" / "stack.py").write_text("one = 1\n")
    (tmp_path / "helpers" / "deep" / "steps.py").write_text("two = 2\n")
    (tmp_path / "helpers" / "registry.txt").write_text("a.mat hash url\n")
    (tmp_path / "requirements.txt").write_text("numpy==2\n")
    (tmp_path / "README.md").write_text("Read me.\n")
    return tmp_path


def test_code_state_of_an_unchanged_tree_is_the_same(tree):
    before = code_state(tree)
    (tree / "README.md").write_text("Changed.\n")
    (tree / "helpers" / "deep" / "__pycache__" / "steps.pyc").write_bytes(b"compiled")
    (tree / "helpers" / "stack.py").touch()
    assert code_state(tree) == before


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("helpers/stack.py", "helpers"),
        ("helpers/deep/steps.py", "helpers"),
        ("helpers/registry.txt", "helpers"),
        ("requirements.txt", "pins"),
    ],
)
def test_code_state_sees_a_change(tree, name, part):
    before = code_state(tree)
    (tree / name).write_text("changed\n")
    after = code_state(tree)
    assert [key for key in before if before[key] != after[key]] == [part]


def test_code_state_sees_a_renamed_helper(tree):
    before = code_state(tree)
    (tree / "helpers" / "stack.py").rename(tree / "helpers" / "pile.py")
    assert code_state(tree)["helpers"] != before["helpers"]


def test_data_state_sees_files_come_and_grow(tmp_path):
    missing = data_state(tmp_path / "not-there-yet")
    assert data_state(tmp_path) == missing
    file = tmp_path / "set" / "slice.tif"
    file.parent.mkdir()
    file.write_bytes(b"half")
    half = data_state(tmp_path)
    file.write_bytes(b"half and half")
    whole = data_state(tmp_path)
    assert len({missing, half, whole}) == 3
    file.with_name(".lock").touch()
    assert data_state(tmp_path) == whole
    # What a killed run left, for the next one to go on with.
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "slice.tif").write_bytes(b"map")
    assert data_state(tmp_path) == whole


def test_unchanged_state_keeps_the_cache_and_a_changed_one_drops_it(tmp_path):
    state = {"profile": "quick", "helpers": "abc"}
    assert forget_if_changed(tmp_path, state) == ["profile", "helpers"]
    kept = [
        tmp_path / ".jupyter_cache" / "global.db",
        tmp_path / ".doctrees" / "environment.pickle",
    ]
    other = tmp_path / "notebooks" / "01.ipynb"
    for file in [*kept, other]:
        file.parent.mkdir()
        file.write_text("executed")

    assert forget_if_changed(tmp_path, state) == []
    assert all(file.exists() for file in kept)

    assert forget_if_changed(tmp_path, {**state, "helpers": "def"}) == ["helpers"]
    assert not any(file.exists() for file in kept)
    assert other.exists()
    assert json.loads((tmp_path / STATE).read_text())["helpers"] == "def"


@pytest.mark.parametrize("left", ["", '{"profile": "smo', "[1, 2]", "null"])
def test_a_record_that_cannot_be_read_counts_as_nothing_known(tmp_path, left):
    (tmp_path / STATE).write_text(left)
    state = {"profile": "smoke"}
    assert forget_if_changed(tmp_path, state) == ["profile"]
    assert forget_if_changed(tmp_path, state) == []


def test_what_only_makes_pages_keeps_the_results(tmp_path):
    state = {"profile": "quick", "pages": "abc"}
    forget_if_changed(tmp_path, state)
    results, pages = tmp_path / ".jupyter_cache" / "global.db", tmp_path / "html" / "index.html"
    for file in (results, pages):
        file.parent.mkdir()
        file.write_text("made")
    assert forget_if_changed(tmp_path, {**state, "pages": "def"}) == ["pages"]
    assert results.exists()
    assert not pages.exists()
    assert forget_if_changed(tmp_path, {"profile": "smoke", "pages": "ghi"}) == [*state]
    assert not results.exists()


def test_pages_state_sees_extensions_and_files_beside_the_pages(tmp_path):
    states = [pages_state(tmp_path)]
    for name in ("extensions/mathml.py", "_static/book.css"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("new")
        states.append(pages_state(tmp_path))
    assert len(set(states)) == 3


def test_extensions_are_found_from_the_build_folder(tmp_path):
    folders = book_config(ROOT, tmp_path, {})["sphinx"]["local_extensions"].values()
    assert all((Path(folder) / "mathml.py").is_file() for folder in folders)


def test_run_record_names_the_commit_and_links_it(tmp_path):
    state = {"profile": "smoke", "source": "phantom"}
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *who, *command], check=True)
    record = run_record(tmp_path, state, {"HELA_REPOSITORY_URL": "https://example.org/a/"})
    assert re.fullmatch("[0-9a-f]{10}", record["commit"])
    assert record["commit_url"] == f"https://example.org/a/commit/{record['commit']}"
    assert "synthetic" in record["source"]
    assert "not results" in record["profile"]
    assert record["versions"]["Python"] == platform.python_version()
    assert run_record(tmp_path, state, {})["commit_url"] == ""


def test_run_record_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    record = run_record(
        tmp_path, {"profile": "quick", "source": "full"}, {"HELA_REPOSITORY_URL": "x"}
    )
    assert (record["commit"], record["commit_url"]) == ("not known", "")


def test_a_cell_may_train_for_a_day_in_paper_and_an_hour_otherwise(tmp_path):
    limits = [
        book_config(ROOT, tmp_path, {"HELA_PROFILE": profile})["execute"]["timeout"]
        for profile in ("smoke", "quick", "paper")
    ]
    assert limits == [3600, 3600, -1]  # for nbclient no limit


def test_launch_buttons_need_a_repository(tmp_path):
    plain = book_config(ROOT, tmp_path, {})
    assert "launch_buttons" not in plain
    assert plain["execute"]["cache"] == str(tmp_path / ".jupyter_cache")

    url = "https://github.com/someone/hela"
    told = book_config(ROOT, tmp_path, {"HELA_REPOSITORY_URL": url + "/"})
    assert told["repository"] == {"url": url, "branch": "notebooks"}
    assert "colab_url" in told["launch_buttons"]
