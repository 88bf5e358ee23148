"""Label maps made elsewhere: a folder of TIFF, PNG or MATLAB files, one a slice."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io
import tifffile
from PIL import Image

ENDINGS = (".tif", ".tiff", ".png", ".mat")


class LabelFolder:
    """Label maps in a folder, read by slice number.

    Parameters
    ----------
    folder : Path or str
        One file a slice, of one kind: TIFF, PNG (grey, or with a palette, whose numbers count),
        or MATLAB up to version 7.
    pattern : str
        Regular expression that finds the slice number, its only group, in a file's name without
        its ending. By default the last number.
    variable : str, optional
        Which variable of MATLAB files; needed if they have several two-dimensional ones.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it has no such files, of more than one kind, one without a number, or two with the same.
    """

    def __init__(
        self, folder: Path | str, *, pattern: str = r"(\d+)(?!.*\d)", variable: str | None = None
    ):
        self.folder = Path(folder).expanduser()
        self.variable = variable
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {self.folder}.")
        self._paths: dict[int, Path] = {}
        for path in sorted(self.folder.iterdir()):
            if path.suffix.lower() not in ENDINGS or path.name.startswith("."):
                continue
            match = re.search(pattern, path.stem)
            if match is None:
                raise ValueError(
                    f"{path} has no slice number that {pattern!r} finds; give a pattern with one "
                    r"group, for instance r'slice_(\d+)', or move the file away."
                )
            number = int(match[1])
            if number in self._paths:
                raise ValueError(
                    f"{path} and {self._paths[number].name} are both slice {number} after "
                    f"{pattern!r}; give another pattern, or move one away."
                )
            self._paths[number] = path
        if not self._paths:
            raise ValueError(
                f"{self.folder} has no label maps; allowed are files that end in "
                f"{', '.join(ENDINGS)}. For a TIFF with many pages, open it with "
                "helpers.data.open_stack and pass lambda image, number: opened.image(number)."
            )

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the slices that are there, in order."""
        return tuple(sorted(self._paths))

    def read(self, number: int) -> np.ndarray:
        """Read a label map as the file has it.

        Parameters
        ----------
        number : int
            One of `numbers`.

        Returns
        -------
        array

        Raises
        ------
        ValueError
            If the folder does not have that slice, or its file cannot be read.
        """
        if number not in self._paths:
            raise ValueError(f"{self.folder} has no slice {number}; it has {self.numbers}.")
        path = self._paths[number]
        try:
            if path.suffix.lower() == ".mat":
                return self._read_matlab(path)
            if path.suffix.lower() == ".png":
                with Image.open(path) as picture:
                    return np.array(picture)
            return tifffile.imread(path)
        except Exception as error:  # Readers of damaged files raise whatever they meet.
            raise ValueError(f"slice {number}, {path}, cannot be read: {error}.") from error

    def _read_matlab(self, path: Path) -> np.ndarray:
        try:
            content = scipy.io.loadmat(path)
        except NotImplementedError:  # SciPy raises it for this version.
            raise ValueError("it is of MATLAB's version 7.3; save it with '-v7'") from None
        pictures = {
            name: value
            for name, value in content.items()
            if not name.startswith("__") and np.ndim(value) == 2 and np.size(value) > 1
        }
        if self.variable is None and len(pictures) == 1:
            return next(iter(pictures.values()))
        if self.variable not in pictures:
            names = ", ".join(pictures) or "none"
            raise ValueError(f"variable is {self.variable!r}; two-dimensional ones are: {names}")
        return pictures[self.variable]


def translate(labels: np.ndarray, ids: Mapping[int, int], number: int) -> np.ndarray:
    """Give a label map the class numbers of this book.

    Parameters
    ----------
    labels : (y, x) array
        Numbers or bool.
    ids : mapping of number to Label
        Class of each number that occurs; 0 for "not labelled".
    number : int
        Slice number, for messages.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    ValueError
        If a number occurs that `ids` does not have.
    """
    labels = np.asarray(labels)
    result = np.zeros(labels.shape, np.uint8)
    known = np.zeros(labels.shape, bool)
    for theirs, ours in ids.items():
        at = labels == theirs
        result[at] = ours
        known |= at
    if not known.all():
        others = ", ".join(map(str, np.unique(labels[~known])[:10].tolist()))
        raise ValueError(
            f"slice {number} has the numbers {others}, which ids does not have; "
            f"it has {', '.join(map(str, ids))}. Add them, with the class 0 for no label."
        )
    return result
