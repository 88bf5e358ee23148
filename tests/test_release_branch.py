"""Releases of the students' branch: a copy can be brought up to date by a merge."""

import subprocess

import pytest
from release_branch import release


@pytest.fixture
def git(tmp_path):
    """Return a function that runs git in a folder of the test's."""

    def run(*arguments, folder="clone"):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", *who, "-C", str(tmp_path / folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def clone(tmp_path, git):
    """Make a remote, and a clone with workflows, a chapter and made notebooks."""
    (tmp_path / "clone").mkdir()
    git("init", "--quiet", "--bare", str(tmp_path / "remote.git"))
    git("init", "--quiet")
    made = tmp_path / "clone" / "_build" / "students"
    made.mkdir(parents=True)
    (made / "01_a.ipynb").write_text("first\n\n\n\nend\n")
    commit(tmp_path / "clone", git, "one")
    return tmp_path / "clone"


def commit(folder, git, text):
    for name in (".github/workflows/a.yml", "notebooks/01_a.md", ".gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("_build/\n*.ipynb\n" if "ignore" in name else text)
    git("add", ".")
    git("commit", "--quiet", "-m", text)


def publish(clone):
    return release(
        str(clone.parent / "remote.git"), "students", clone / "_build" / "students", clone
    )


def test_a_students_copy_with_own_work_takes_a_second_release(clone, git, tmp_path):
    assert publish(clone)
    git("clone", "--quiet", "-b", "students", str(tmp_path / "remote.git"), "copy", folder=".")
    copy = tmp_path / "copy"
    assert (copy / "notebooks" / "01_a.ipynb").read_text() == "first\n\n\n\nend\n"
    assert not (copy / ".github").exists()
    # As nbgitpuller does: what a student wrote is committed, and the release merged.
    (copy / "notebooks" / "01_a.ipynb").write_text("first\n\n\n\nend\nmine\n")
    git("commit", "--quiet", "-am", "mine", folder="copy")

    (clone / "_build" / "students" / "01_a.ipynb").write_text("second\n\n\n\nend\n")
    commit(clone, git, "two")
    assert publish(clone)
    git("fetch", "--quiet", folder="copy")
    git("merge", "--quiet", "-Xours", "origin/students", folder="copy")
    merged = (copy / "notebooks" / "01_a.ipynb").read_text()
    assert merged == "second\n\n\n\nend\nmine\n"
    assert git("rev-list", "--count", "origin/students", folder="copy") == "2"


def test_an_untouched_copy_fast_forwards_and_nothing_new_is_no_release(clone, git, tmp_path):
    assert publish(clone)
    assert not publish(clone)
    git("clone", "--quiet", "-b", "students", str(tmp_path / "remote.git"), "copy", folder=".")
    (clone / "_build" / "students" / "02_b.ipynb").write_text("new")
    assert publish(clone)
    git("pull", "--quiet", "--ff-only", folder="copy")
    assert (tmp_path / "copy" / "notebooks" / "02_b.ipynb").read_text() == "new"


def test_the_clone_is_as_it_was(clone, git):
    publish(clone)
    assert git("status", "--porcelain") == ""
    assert git("diff", "--cached", "--name-only") == ""


def test_without_notebooks_there_is_no_release(clone, tmp_path):
    with pytest.raises(FileNotFoundError, match="run make notebooks first"):
        release(str(tmp_path / "remote.git"), "students", tmp_path, clone)
