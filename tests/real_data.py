"""What tests of real data ask for: any subset of the published files must do; not a test itself.

A test names what it needs and is skipped with a reason without it. The folder is the one that
``HELA_DATA_DIR`` names, see the fixture ``data_dir``; nothing is downloaded.
"""

import warnings
from pathlib import Path

import pytest

from helpers.data import SAMPLE_SLICES, DataError, load_stack, second_cell
from helpers.data.published import published_name
from helpers.data.stack import Stack


def need_files(data_dir: Path, *names: str) -> list[Path]:
    """Return the paths of published files, or skip the test."""
    missing = [name for name in names if not (data_dir / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        pytest.skip(f"needs {missing[0]}{more} in HELA_DATA_DIR")
    return [data_dir / name for name in names]


def files_of_slice(number: int) -> list[str]:
    """Names of the files that make a slice of the sample."""
    truths = [published_name(number, several_nuclei=several) for several in (False, True)]
    return [SAMPLE_SLICES[number].figure, *truths]


def need_slices(data_dir: Path, *numbers: int) -> None:
    """Skip the test where a slice of the sample cannot be had."""
    need_files(data_dir, *(name for number in numbers for name in files_of_slice(number)))


def open_sample() -> Stack:
    """Open those slices of the sample that can be had, or skip the test."""
    return _open(lambda: load_stack("sample"), "no slice of the sample is in HELA_DATA_DIR")


def open_second_cell(least: int) -> Stack:
    """Open those slices of the second cell that can be had, or skip the test if they are few."""
    cell = _open(second_cell, "no slice of the second cell is in HELA_DATA_DIR")
    if len(cell) < least:
        pytest.skip(f"needs {least} slices of the second cell in HELA_DATA_DIR")
    return cell


def _open(opener, why_not: str) -> Stack:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*left out")
        try:
            return opener()
        except DataError:
            pytest.skip(why_not)
