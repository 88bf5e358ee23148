"""What is killed: a piece of the book's work, ``python victims.py KIND FOLDER [ADDRESS]``."""

import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

warnings.simplefilter("ignore")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent), str(HERE.parent.parent / "tools")]

FILES = {f"cell/slice_{number:03d}.bin": bytes([number]) * 200_000 for number in range(24)}
"""What the download fetches."""


def run_all(folder: Path) -> None:
    """Run the three ways of image processing, each in a process of its own."""
    from drawn_stack import drawn_stack

    from helpers import methods

    methods.run_all(drawn_stack(), methods.METHODS[:3], progress=False)


def training(folder: Path) -> None:
    """Train a tiny network for forty steps, with a checkpoint after each."""
    import test_training as tests

    tests.fit.CHECKPOINT_EVERY_S = 0.0
    recipe = replace(tests.RECIPE, steps=40)
    tests.train(tests.network(), tests.CELL, tests.SPLIT, recipe, folder, progress=False)


def volume(folder: Path) -> None:
    """Segment a cell in three dimensions, on two processes."""
    from drawn_stack import drawn_stack

    from helpers.volume import segment_to_folder

    segment_to_folder(drawn_stack(), folder / "maps", workers=2, progress=False)


def download(folder: Path, address: str) -> None:
    """Fetch two dozen files from a slow server."""
    import hashlib

    import pooch

    from helpers.data import files

    store = pooch.create(path="", base_url="")
    for name, body in FILES.items():
        store.registry[name] = hashlib.sha256(body).hexdigest()
        store.urls[name] = f"{address}/{name}"
    files._registry = lambda: store
    files.PROBE_NAME = next(iter(FILES))
    files.fetch_many(list(FILES))


def prepare(kind: str, folder: Path) -> None:
    """Write what must be there before the first run."""
    if kind == "build":
        from test_run_chapters import small_book

        (folder / "small").mkdir(parents=True)
        small_book(folder / "small", a="print(1 + 1)", b="print(2 + 2)", c="print(3 + 3)")


def build(folder: Path) -> None:
    """Execute the three chapters of a small book, two at a time."""
    from build_book import ending_on_signals
    from test_run_chapters import Progress, Runner, Times, chapters_of

    root = folder / "small"
    with open(os.devnull, "w") as nowhere:
        progress = Progress(Times(root / "times.json", "smoke"), nowhere)
        with ending_on_signals(progress):
            runner = Runner(root / ".jupyter_cache", root / "logs", progress, most=2)
            failed = runner.run(runner.missing(chapters_of(root, "smoke")))
    if failed:
        sys.exit(f"failed: {failed}")


KINDS = {each.__name__: each for each in (run_all, training, volume, download, build)}
"""What can be killed, by name."""


def main() -> None:
    """Do it, in a data folder of its own."""
    from helpers.settings import Settings, using

    kind, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    chosen = Settings(profile="quick", source="auto", data_dir=folder / "data", data_url=None)
    with using(chosen):
        KINDS[kind](folder, *sys.argv[3:])


if __name__ == "__main__":
    main()
