"""Ground truth beside the paper's: of whole slices of the field, and of the whole central cell.

Source: the authors' repository HeLa_Segmentation_UNET2, published with Karabag et al., J. Imaging
9(3):59, 2023, doi 10.3390/jimaging9030059. What the numbers in the files mean is from the code
there and in HeLa-Cell-Segmentation that makes and reads them.
"""

import re
from pathlib import Path

import numpy as np
import scipy.io

from helpers.data import files
from helpers.data.download import DataError
from helpers.labels import Label

FIELD_TRUTHS = {
    number: f"hela-unet2/CODE/GroundTruth_8000/Hela_slice_{number - 1:03d}_GT.mat"
    for number in (31, 131, 231, 331)
}
"""Files by slice of the field, from 1. Those in the files' names are from 0: the authors'
``segmentationHeLaUnet_8000x8000_comparison.m`` holds each against the slice one further."""

FIELD_SLICES = (517, 518)
"""How many the field has: EMPIAR-10094 lists 517, the authors' later paper says 518."""

CENTRAL_CELL = (1, 2, 5)
"""Numbers in `whole_cell_truth` that are the central cell: its envelope, its nucleus, the rest."""

_FIVE_CLASSES = "hela-unet2/CODE/GroundTruth_5c/GT_Slice_{:03d}.mat"


_FIELD_FILE = re.compile(r"Hela_slice_(\d{3})_GT\.mat")


class FieldTruths:
    """Ground truth of whole slices of the field, as `helpers.scoring.score` reads label maps.

    Parameters
    ----------
    folder : path, optional
        Where the authors' files are; by default they are fetched.

    Attributes
    ----------
    where : str
    numbers : tuple of int
        Slices of the field, from 1.
    counted : bool
        False: these are the slices' own numbers.
    classes : tuple of Label
        What the maps know: nuclei.
    """

    counted = False
    classes = (Label.NUCLEUS,)

    def __init__(self, folder: Path | str | None = None):
        self._folder = None if folder is None else Path(folder)
        self.where = "the published ground truth of the field" if folder is None else str(folder)
        there = FIELD_TRUTHS if self._folder is None else self._numbers_in(self._folder)
        self.numbers = tuple(sorted(there))

    @classmethod
    def is_in(cls, folder: Path | str) -> bool:
        """Tell whether a folder has files named as the authors' are, which count from 0."""
        return Path(folder).is_dir() and bool(cls._numbers_in(Path(folder)))

    @staticmethod
    def _numbers_in(folder: Path) -> list[int]:
        names = (_FIELD_FILE.fullmatch(path.name) for path in folder.iterdir())
        return [int(name[1]) + 1 for name in names if name]

    def read(self, number: int) -> np.ndarray:
        """Read the label map of a slice; see `field_truth`."""
        if self._folder is None:
            return field_truth(number)
        path = self._folder / f"Hela_slice_{number - 1:03d}_GT.mat"
        return _nuclei_in(path, path.name)


def field_truth(number: int) -> np.ndarray:
    """Read which pixels of a whole slice of the field are nucleus, of whichever cell.

    Only nuclei were drawn. The rest, the envelope with it, is not told apart, and counts as cell,
    as in `helpers.data.open_labels` of a mask: score the nucleus alone. Nuclei that do not touch
    are pieces of their own (``skimage.measure.label(truth == Label.NUCLEUS)``); a nucleus with
    lobes may be more than one.

    Parameters
    ----------
    number : int
        Slice of the field (EMPIAR-10094), from 1: one of 31, 131, 231, 331.

    Returns
    -------
    (y, x) array of uint8
        `Label.NUCLEUS` and `Label.CELL`; as large as the slice, 8192 x 8192 pixels of 10 nm.

    Raises
    ------
    ValueError
        If that slice has no ground truth.
    helpers.data.DataError
        If the file cannot be had, or is not such a mask.
    """
    if number not in FIELD_TRUTHS:
        raise ValueError(
            f"slice is {number}; of the field the slices {', '.join(map(str, FIELD_TRUTHS))} have "
            "a ground truth (counted from 1; the files' names count from 0)."
        )
    name = FIELD_TRUTHS[number]
    return _nuclei_in(files.fetch(name), name)


def _nuclei_in(path: Path, name: str) -> np.ndarray:
    mask = _read(path, name, "GT", largest=1)
    return np.where(mask, np.uint8(Label.NUCLEUS), np.uint8(Label.CELL))


def whole_cell_truth(number: int) -> np.ndarray:
    """Read the ground truth of five classes, in which the paper's cell is told from the others.

    The authors made it of the four classes: what is cell there, and lies in an outline that they
    drew around the central cell, is class 5. So the central cell is ``np.isin(truth,
    CENTRAL_CELL)``, and, without its nucleus, classes 1 and 5; these two, and the nucleus, are
    what they scored (J. Imaging 7(6):93, 2021, doi 10.3390/jimaging7060093).

    Parameters
    ----------
    number : int
        Slice of the paper's cell, 1 to 300.

    Returns
    -------
    (2000, 2000) array of uint8
        1 nuclear envelope, 2 nucleus, both of the central cell; 3 other cells; 4 background; 5
        rest of the central cell. `helpers.metrics.jaccard_of_masks` scores a mask of it.

    Raises
    ------
    ValueError
        If there is no such slice.
    helpers.data.DataError
        If the file cannot be had, or has other numbers.
    """
    if number not in range(1, 301):
        raise ValueError(f"slice is {number}; the paper's cell has the slices 1 to 300.")
    name = _FIVE_CLASSES.format(int(number))
    return _read(files.fetch(name), name, "groundTruth", largest=5)


def _read(path: Path, name: str, variable: str, *, largest: int) -> np.ndarray:
    """Read a map of numbers up to `largest` from a MATLAB file, and check that it is one."""
    try:
        found = np.asarray(scipy.io.loadmat(path, variable_names=[variable])[variable])
        is_map = found.ndim == 2 and found.min() >= 0 and found.max() <= largest
    except (KeyError, ValueError, TypeError, NotImplementedError) as error:
        found, is_map, said = None, False, f" ({error})"
    else:
        said = f": {found.dtype} {found.shape}"
    if not is_map:
        raise DataError(
            name,
            f"{variable} in it is no map of numbers up to {largest}{said}",
            f"Delete {path} to download it again; if that does not help, report it.",
        )
    return found.astype(np.uint8)
