"""Make a writable folder of links to data files, to all of them or to a part.

``python3 tools/link_data.py SOURCE TARGET [--half]``. The files stay where they are, read-only or
not; what a run writes goes into TARGET. Runs on the standard library alone.
"""

import argparse
import re
from pathlib import Path

PICTURES = (".png", ".tif", ".tiff")


def link(source: Path, target: Path, half: bool = False) -> list[str]:
    """Link the files.

    Parameters
    ----------
    source, target : Path
        Folders; ``target`` is made.
    half : bool
        Whether to leave out every other slice that there is a picture of, with its ground truth,
        so that tests can show that they hold on slices that their authors did not choose.

    Returns
    -------
    list of str
        Names of the files linked, relative to the folders, sorted.
    """
    files = sorted(path for path in source.rglob("*") if path.is_file())
    shown = {slice_of(path) for path in files if path.suffix.lower() in PICTURES} - {None}
    left_out = set(sorted(shown)[1::2]) if half else set()
    linked = [path.relative_to(source) for path in files if slice_of(path) not in left_out]
    for name in linked:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to((source / name).resolve())
    return [name.as_posix() for name in linked]


def slice_of(path: Path) -> int | None:
    """Return the number of the slice that a file is of: the last one in its name, up to 300.

    Examples
    --------
    >>> slice_of(Path("GT_Slice_071.mat")), slice_of(Path("accuracy_2022_03_03_135000_82.png"))
    (71, 82)
    >>> slice_of(Path("README.md"))
    """
    numbers = [int(digits) for digits in re.findall(r"(?<![0-9])[0-9]{1,4}(?![0-9])", path.stem)]
    numbers = [number for number in numbers if 1 <= number <= 300]
    return numbers[-1] if numbers else None


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--half", action="store_true", help="leave out every other slice")
    options = parser.parse_args()
    linked = link(options.source, options.target, options.half)
    print(f"{len(linked)} files of {options.source} linked in {options.target}")


if __name__ == "__main__":
    main()
