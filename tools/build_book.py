"""Execute the chapters and build the site: ``make book``.

A chapter is executed again when its code changes (`tools/run_chapters.py`). What else a result
depends on (the helpers, the pins, the profile, the data) is compared here with what the last build
had; when any of it changed, the execution cache is dropped and every page is read again.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import report_tests
import yaml
from progress import Progress, Times, table_of_times
from run_chapters import Chapter, Runner, chapters_of, lanes

from helpers import settings
from helpers.cache import write_whole

ROOT = Path(__file__).resolve().parent.parent
STATE = "executed-with.json"
MADE_HERE = ("results", "training", "volume")
# What the foot of each page says of the choices.
SOURCES = {
    "phantom": "phantom, a synthetic cell and not a real one",
    "sample": "sample, eleven real slices",
    "full": "full, all 300 real slices",
}
PROFILES = {
    "smoke": "smoke, a trial run whose numbers are not results",
    "quick": "quick, minutes a chapter on two processor cores",
    "paper": "paper, the paper's own configuration",
}


def digest_files(root: Path, paths: list[Path]) -> str:
    """Hash names, relative to ``root``, and contents."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def code_state(root: Path) -> dict[str, str]:
    """Return the state of the code that chapters run: helpers, pins and Python."""
    helpers = [p for p in (root / "helpers").rglob("*") if "__pycache__" not in p.parts]
    return {
        "helpers": digest_files(root, [p for p in helpers if p.is_file()]),
        "pins": digest_files(root, [root / "requirements.txt"]),
        "python": platform.python_version(),
    }


def pages_state(root: Path) -> str:
    """Hash what makes pages of the chapters' results, other than their text and the configuration.

    Sphinx sees neither its extensions nor the files beside the pages change.
    """
    files = [p for name in ("extensions", "_static") for p in (root / name).rglob("*")]
    return digest_files(root, [p for p in files if p.is_file() and p.suffix != ".pyc"])


def data_state(folder: Path) -> str:
    """Hash the names and sizes in the data folder; reading a gigabyte each time would be slow.

    What the chapters put there themselves, trained networks and results, is not data; nor are
    locks and unfinished files, whose names begin with a dot.
    """
    listing = sorted(
        f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}"
        for path in folder.rglob("*")
        if path.is_file()
        and path.relative_to(folder).parts[0] not in MADE_HERE
        and not path.name.startswith(".")
    )
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def forget_if_changed(build: Path, state: dict[str, str]) -> list[str]:
    """Drop what the last build executed and read, unless it was made with the same ``state``.

    Where nothing differs but what makes pages of results, the results stay.

    Parameters
    ----------
    build : Path
        The ``_build`` folder of one book.
    state : dict of str to str
        What the results depend on, by name.

    Returns
    -------
    list of str
        The names that differ, all of them if nothing is known about the last build.
    """
    record = build / STATE
    try:
        before = dict(json.loads(record.read_text()))
    except (OSError, ValueError, TypeError):
        before = {}  # A record that is not there, or was cut, says nothing.
    changed = [name for name in {**state, **before} if state.get(name) != before.get(name)]
    if changed:
        # The pages too: Sphinx looks at their text only and would keep the old outputs.
        folders = [".doctrees", "html", "jupyter_execute"]
        if changed != ["pages"]:
            folders.append(".jupyter_cache")
        for folder in folders:
            shutil.rmtree(build / folder, ignore_errors=True)
        build.mkdir(parents=True, exist_ok=True)
        write_whole(record, json.dumps(state, indent=1))
    return changed


def book_config(root: Path, build: Path, environment: dict[str, str]) -> dict:
    """Return ``_config.yml`` with the cache folder and, where there is one, the repository.

    Parameters
    ----------
    root : Path
        Folder with ``_config.yml``.
    build : Path
        The ``_build`` folder of this book.
    environment : mapping of str to str
        ``HELA_PROFILE=paper`` gives cells all the time that they need;
        ``HELA_REPOSITORY_URL`` adds the launch buttons, which open the ``.ipynb`` files of the
        branch ``HELA_REPOSITORY_BRANCH`` (default ``notebooks``).
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["cache"] = str(build / ".jupyter_cache")
    if settings.read("HELA_PROFILE", environment) == "paper":
        config["execute"]["timeout"] = -1  # none: a cell trains for a day where there is no GPU
    # The file is written into the build folder, to which Jupyter Book takes such paths as relative.
    extensions = config["sphinx"]["local_extensions"]
    extensions.update({name: str(root / folder) for name, folder in extensions.items()})
    url = settings.read("HELA_REPOSITORY_URL", environment)
    if url:
        branch = settings.read("HELA_REPOSITORY_BRANCH", environment)
        config["repository"] = {"url": url.rstrip("/"), "branch": branch}
        config["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
        }
    return config


def commit(root: Path) -> str:
    """Return the short name of the commit checked out, or say that there is none or more to it."""

    def git(*arguments: str) -> str:
        run = ["git", "-C", str(root), *arguments]
        return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

    try:
        name = git("rev-parse", "--short=10", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "not known"
    return f"{name}, with changes" if changed else name


def run_record(root: Path, state: dict[str, str], environment: dict[str, str]) -> dict:
    """Return what the foot of each page says; see ``extensions/run_record.py``.

    Parameters
    ----------
    root : Path
        The repository.
    state : dict of str to str
        ``profile`` and ``source`` of this build.
    environment : mapping of str to str
        With ``HELA_REPOSITORY_URL`` the commit is a link.
    """
    from helpers.machine import versions

    found = versions()
    titles = {"python": "Python", "numpy": "NumPy", "scikit-image": "scikit-image"}
    titles["tensorflow"] = "TensorFlow"
    name = commit(root)
    url = (settings.read("HELA_REPOSITORY_URL", environment) or "").rstrip("/")
    return {
        "built": time.time(),
        "source": SOURCES[state["source"]],
        "profile": PROFILES[state["profile"]],
        "versions": {title: found.get(key, "none") for key, title in titles.items()},
        "commit": name,
        "commit_url": f"{url}/commit/{name.split(',')[0]}" if url and " " not in name else "",
    }


def main() -> None:
    """Build the book into ``OUTPUT/_build/html``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=ROOT, help="default: the repository")
    parser.add_argument("--test", action="store_true", help="name the slowest cells, keep a report")
    arguments = parser.parse_args()
    build = arguments.output.resolve() / "_build"

    # A page has no kernel: explorers are drawn as plain HTML. Set before helpers reads settings.
    os.environ["HELA_STATIC"] = "1"
    from helpers.data import sources

    chosen = settings.current()

    def data() -> dict[str, str]:
        return {
            "source": sources.resolve_source(chosen.source),
            "files": data_state(chosen.data_dir),
        }

    state = {"profile": chosen.profile, **code_state(ROOT), **data(), "pages": pages_state(ROOT)}
    # What "auto" stands for is settled once, so that no two chapters differ.
    os.environ["HELA_SOURCE"] = state["source"]
    # Chapters run in folders of their own: a relative path would name another one there.
    os.environ["HELA_DATA_DIR"] = str(chosen.data_dir)
    changed = forget_if_changed(build, state)
    print(f"Profile {chosen.profile}, source {state['source']}.", end=" ")
    if changed == ["pages"]:
        print("Writing all pages again.")
    else:
        print(f"New or changed: {', '.join(changed)}." if changed else "")

    config_file = build / "_config.yml"
    config = book_config(ROOT, build, os.environ)
    config["sphinx"]["config"]["run_record"] = run_record(ROOT, state, os.environ)
    config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    if settings.read("HELA_REPOSITORY_URL"):
        # The theme links a chapter's .ipynb, not its .md, when it lies beside it.
        from convert_notebooks import convert

        convert(ROOT / "notebooks")

    def remember() -> None:
        """Files that the chapters themselves downloaded are no reason to execute them again."""
        write_whole(build / STATE, json.dumps({**state, **data()}, indent=1))

    kind = f"{chosen.profile}, {state['source']}"
    told = table_of_times(ROOT / "book" / "teaching.md", chosen.profile)
    times = Times(build / "times.json", kind, told)
    progress = Progress(times)
    try:
        with ending_on_signals(progress):
            pages = chapters_of(ROOT, chosen.profile)
            failed = execute(pages, build, progress, remember)
            status = 1 if failed else write_pages(ROOT, build, config_file, progress)
            if arguments.test:
                print("The slowest chapters and cells:", *times.slowest(), sep="\n")
                # The site is one more thing that can fail.
                done = len(pages) - len(failed) + (status == 0)
                report_tests.keep(done, len(pages) + 1 - done, [])
    except KeyboardInterrupt:
        status = 130
        with contextlib.suppress(OSError):  # the terminal may be gone
            progress.said("\nStopped. What is finished is kept; make book goes on from there.")
    finally:
        remember()
    if status == 0:
        print(f"The book: {build / 'html' / 'index.html'}")
    sys.exit(status)


@contextlib.contextmanager
def ending_on_signals(progress: Progress) -> Iterator[None]:
    """Let Ctrl-C, a closed terminal and ``kill`` end the build tidily.

    A signal that is ignored, as ``nohup`` does with a closed terminal, stays so.

    Parameters
    ----------
    progress : Progress
        Is told of it.
    """

    def end(number: int, _frame) -> None:
        progress.is_ended = True
        raise KeyboardInterrupt

    numbers = [getattr(signal, n) for n in ("SIGINT", "SIGHUP", "SIGTERM") if hasattr(signal, n)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: was for number, was in before.items() if was is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def execute(
    chapters: list[Chapter], build: Path, progress: Progress, kept: Callable[[], None]
) -> list[str]:
    """Execute the chapters that are not in the cache, and return those that failed."""
    most = lanes(settings.read("HELA_PROFILE"))
    runner = Runner(build / ".jupyter_cache", build / "logs", progress, most=most, kept=kept)
    missing = runner.missing(chapters)
    if not missing:
        return []
    side = f", up to {most} side by side" if most > 1 else ""
    print(f"Executing {len(missing)} of {len(chapters)} pages with code{side}.", flush=True)
    failed = runner.run(missing)
    if failed:
        print(f"Not executed: {', '.join(failed)}. What was is kept.")
    return failed


def write_pages(root: Path, build: Path, config_file: Path, progress: Progress) -> int:
    """Let Jupyter Book write the pages; return its exit status, and show its complaints."""
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    command = [jupyter_book, "build", str(root), "-W", "-n", "--keep-going"]
    command += ["--config", str(config_file), "--path-output", str(build.parent)]
    log = build / "logs" / "pages.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    name, started = "pages", time.monotonic()
    progress.started(name)
    with log.open("w", encoding="utf-8") as out:
        writing = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        while True:
            seconds = time.monotonic() - started
            expected = progress.times.of(name)
            left = None if expected is None else max(expected - seconds, 0)
            progress.now({name: seconds}, left)
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = writing.wait(timeout=progress.period_s)
                break
    finally:
        if writing.poll() is None:
            writing.kill()
            writing.wait()
    seconds = time.monotonic() - started
    if status == 0:
        progress.times.put(name, seconds)
        progress.finished(name, seconds)
    else:
        progress.failed(name, seconds, complaints(log.read_text(encoding="utf-8")), log)
    return status


def complaints(log: str) -> str:
    """Return the warnings and errors of Jupyter Book's log, or its end if there are none.

    Parameters
    ----------
    log : str

    Returns
    -------
    str
        Lines.
    """
    lines = log.splitlines()
    found = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)]
    return "\n".join(found or lines[-30:])


if __name__ == "__main__":
    main()
