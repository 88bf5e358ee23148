"""Push files to a branch that grows by a commit each time: what nbgitpuller merges.

Usage: ``python tools/release_branch.py REMOTE BRANCH --notebooks FOLDER``

nbgitpuller brings a student's copy up to date by merging; a branch that is replaced each time has
nothing in common with the copy, and the merge fails. So each release is the child of the last one:
the commit that is checked out, its workflows left out, with the notebooks of FOLDER. What has not
changed is not released again.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHO = {"NAME": "github-actions[bot]"}
WHO["EMAIL"] = "41898282+github-actions[bot]@users.noreply.github.com"


def release(remote: str, branch: str, notebooks: Path, root: Path = ROOT) -> bool:
    """Push one release, and return whether there was anything new.

    Parameters
    ----------
    remote : str
        Address that git can push to.
    branch : str
        Made if it is not there.
    notebooks : Path
        Folder of ``.ipynb`` files; they stand in ``notebooks`` on the branch.
    root : Path
        The repository, with a commit checked out; neither its files nor its index change.

    Raises
    ------
    FileNotFoundError
        If there are no notebooks.
    subprocess.CalledProcessError
        If git cannot, for instance when another release was pushed in between.
    """
    made = sorted(notebooks.glob("*.ipynb"))
    if not made:
        raise FileNotFoundError(f"no notebooks (*.ipynb) in {notebooks}; run make notebooks first.")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_{key}": value for key, value in WHO.items()}

        def git(*arguments: str) -> str:
            run = ["git", "-C", str(root), *arguments]
            done = subprocess.run(
                run, check=True, capture_output=True, text=True, env=environment, encoding="utf-8"
            )
            return done.stdout.strip()

        git("read-tree", "HEAD")
        git("rm", "-r", "--quiet", "--cached", "--ignore-unmatch", ".github")
        for path in made:
            blob = git("hash-object", "-w", "--", str(path.resolve()))
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},notebooks/{path.name}")
        tree = git("write-tree")
        at = git("ls-remote", "--heads", remote, f"refs/heads/{branch}").split()
        parents: list[str] = []
        if at:
            git("fetch", "--quiet", "--depth=1", remote, f"refs/heads/{branch}")
            if git("rev-parse", f"{at[0]}^{{tree}}") == tree:
                return False
            parents = ["-p", at[0]]
        message = f"Notebooks of {git('rev-parse', 'HEAD')}"
        commit = git("commit-tree", *parents, "-m", message, tree)
        git("push", "--quiet", remote, f"{commit}:refs/heads/{branch}")  # refused if it moved on
    return True


def main() -> None:
    """Release the notebooks of FOLDER."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("remote", help="where to push to")
    parser.add_argument("branch")
    parser.add_argument("--notebooks", type=Path, required=True, metavar="FOLDER")
    chosen = parser.parse_args()
    is_new = release(chosen.remote, chosen.branch, chosen.notebooks)
    print(f"{chosen.branch}: " + ("released" if is_new else "nothing new"))


if __name__ == "__main__":
    main()
