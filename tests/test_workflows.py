"""The GitHub workflows: what they may do and call, and their script run here."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(name: str) -> list[dict]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_workflows():
    names = {path.stem for path in WORKFLOWS}
    assert names >= {"tests", "weekly", "deploy", "links"}


def test_every_make_target_of_a_workflow_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = set()
    for path in WORKFLOWS:
        asked |= set(re.findall(r"\bmake ([a-z-]+)", path.read_text()))
        asked |= set(re.findall(r"\btarget: ([a-z-]+)", path.read_text()))
    assert {"test", "test-helpers", "test-oldest", "book", "links", "notebooks"} <= asked
    assert asked <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_with_their_version_beside(path):
    uses = re.findall(r"uses: (.*)", path.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_rights_but_those_of_its_jobs(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        written = {right for right, level in job["permissions"].items() if level != "read"}
        assert written <= {"contents", "pages", "id-token"}
        assert not written or path.stem == "deploy"


def test_notebooks_go_to_a_branch_without_history_and_workflows(tmp_path):
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"

    def git(*arguments, folder=clone):
        done = subprocess.run(
            ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    git("init", "--quiet", "--bare", str(remote), folder=tmp_path)
    git("init", "--quiet", str(clone), folder=tmp_path)
    for name in (".github/workflows/a.yml", "notebooks/01_a.md", ".gitignore", "environment.yml"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("/notebooks/*.ipynb\n_build/\n" if "ignore" in name else name)
    git("add", ".")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    git(*identity, "commit", "--quiet", "-m", "all")
    (clone / "_build" / "notebooks").mkdir(parents=True)
    (clone / "_build" / "students").mkdir()
    script = next(s for s in steps("deploy.yml") if s.get("name") == "Push the branch")["run"]

    for content in ("first", "second"):
        (clone / "_build" / "notebooks" / "01_a.ipynb").write_text(content)
        (clone / "_build" / "students" / "01_a.ipynb").write_text(f"{content}, no solutions")
        # As GitHub runs it; the checkout is new each time.
        git("reset", "--quiet", "HEAD")
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "REMOTE": str(remote),
            "HELA_REPOSITORY_BRANCH": "notebooks",
        }
        subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=clone, env=environment, check=True
        )

        names = git("ls-tree", "-r", "--name-only", "notebooks", folder=remote).split()
        assert names == [
            ".gitignore",
            "environment.yml",
            "notebooks/01_a.ipynb",
            "notebooks/01_a.md",
            "students/01_a.ipynb",
        ]
        assert git("show", "notebooks:notebooks/01_a.ipynb", folder=remote) == content
        assert git("rev-list", "--count", "notebooks", folder=remote).strip() == "1"
