"""What the authors published of the paper's cell and of a second one, as stacks."""

import warnings
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import scipy.io
import tifffile

from helpers import settings
from helpers.data import figures, files, whole_cell
from helpers.data.download import DataError
from helpers.data.slices_by_range import open_slices_of
from helpers.data.stack import Reader, Stack
from helpers.settings import Settings

PAPER_VOXEL_NM = (50.0, 10.0, 10.0)
"""Voxel of the paper's stack, (z, y, x)."""

_GROUND_TRUTH = "hela-unet2/CODE/GroundTruth_4c/GT_Slice_{:03d}.mat"
_SEVERAL_NUCLEI = "hela-unet2/CODE/GroundTruth_multiNuclei/GT_Slice_{:03d}.mat"
_SECOND_CELL = "mitoem/CODE/OriginalImages/"
_LICENCE = "CC0 (EM images, EMPIAR); ground truth published by its authors"
_CITATION = (
    "Karabag C, Jones ML, Peddie CJ, Weston AE, Collinson LM, Reyes-Aldasoro CC. "
    "Semantic segmentation of HeLa cells: An objective comparison between one traditional "
    "algorithm and four deep-learning architectures. PLoS ONE 15(10):e0230605 (2020). "
    "doi 10.1371/journal.pone.0230605. EM: EMPIAR-10094, EMPIAR-10478."
)


def published_name(number: int, *, several_nuclei: bool = False) -> str:
    """Name in `helpers.data.files` of a published label map of the paper's cell.

    Parameters
    ----------
    number : int
        Slice, 1 to 300.
    several_nuclei : bool
        The ground truth that also has the neighbours' nuclei.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such slice.
    """
    if number not in range(1, 301):
        raise ValueError(f"slice is {number}; the paper's cell has the slices 1 to 300.")
    return (_SEVERAL_NUCLEI if several_nuclei else _GROUND_TRUTH).format(int(number))


def published_labels(number: int, *, several_nuclei: bool = False) -> np.ndarray:
    """Read a published label map of the paper's cell, whatever the source of the slices.

    Parameters
    ----------
    number : int
        Slice, 1 to 300.
    several_nuclei : bool
        The ground truth that also has the neighbours' nuclei.

    Returns
    -------
    (2000, 2000) array of uint8
        Numbers of `helpers.labels.Label`.

    Raises
    ------
    ValueError
        If there is no such slice.
    helpers.data.DataError
        If the file cannot be had.
    """
    return _read_labels(settings.current(), number, several_nuclei=several_nuclei)


def _read_labels(chosen: Settings, number: int, *, several_nuclei: bool = False) -> np.ndarray:
    name = published_name(number, several_nuclei=several_nuclei)
    path = files.fetch_from(files.store_of(chosen, [name]), name)
    return read_label_map(path)


def read_label_map(path: Path) -> np.ndarray:
    """Read a file that has a published label map.

    Parameters
    ----------
    path : Path
        See `published_name`.

    Returns
    -------
    (2000, 2000) array of uint8
        Numbers of `helpers.labels.Label`.
    """
    return scipy.io.loadmat(path)["groundTruth"]


def second_cell() -> Stack:
    """Open the published slices of a second HeLa cell.

    Returns
    -------
    Stack
        As many of its 24 slices as can be had, 2000 x 2000 pixels of 10 nm; the slices with
        consecutive numbers would be 50 nm apart. There is no ground truth of its nucleus.

    Raises
    ------
    helpers.data.DataError
        If none of them can be had.
    """
    names = {int(name[-8:-4]): name for name in files.names() if name.startswith(_SECOND_CELL)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = files.fetch_many(names.values(), missing="skip")
    numbers = tuple(sorted(number for number, name in names.items() if name in paths))
    if not numbers:
        raise DataError("The second cell", "none of its slices can be had", "Set HELA_DATA_DIR.")
    return Stack(
        name=f"a second HeLa cell, {len(numbers)} slices",
        source="sample",
        slice_numbers=numbers,
        shape=figures.SHAPE,
        voxel_nm=PAPER_VOXEL_NM,
        licence=_LICENCE,
        citation="EM: EMPIAR-10094, published with doi 10.3390/jimaging9030059.",
        _image=lambda number: tifffile.imread(paths[names[number]]),
    )


def _readers() -> dict[str, Reader]:
    """Return what reads the two ground truths of the paper's cell, also in another process."""
    chosen = settings.current()
    return {
        "_labels": partial(_read_labels, chosen),
        "_nuclei": partial(_read_labels, chosen, several_nuclei=True),
    }


def sample_stack() -> Stack:
    """Open the sample: slices of the paper's cell, recovered from published figures.

    Returns
    -------
    Stack
        As many of its eleven slices as can be had, with both ground truths; a warning names the
        others.

    Raises
    ------
    helpers.data.DataError
        If none of them can be had.
    """
    wanted = {
        number: [
            entry.figure,
            published_name(number),
            published_name(number, several_nuclei=True),
        ]
        for number, entry in figures.SAMPLE_SLICES.items()
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        paths = files.fetch_many(chain.from_iterable(wanted.values()), missing="skip")
    had = [n for n, needed in wanted.items() if all(name in paths for name in needed)]
    reason = " ".join(str(warning.message) for warning in caught)
    if not had:
        raise DataError(
            "The sample", "none of its slices can be had", reason or "Set HELA_DATA_DIR."
        )
    if len(had) < len(wanted):
        left_out = ", ".join(str(number) for number in wanted if number not in had)
        warnings.warn(f"Slices {left_out} of the sample are left out. {reason}", stacklevel=3)
    return Stack(
        name="slices of the paper's cell, recovered from published figures",
        source="sample",
        slice_numbers=tuple(had),
        shape=figures.SHAPE,
        voxel_nm=PAPER_VOXEL_NM,
        licence=_LICENCE,
        citation=_CITATION,
        _image=lambda number: figures.recover_slice(
            paths[figures.SAMPLE_SLICES[number].figure], figures.SAMPLE_SLICES[number]
        ),
        **_readers(),
        native_shapes={number: figures.SAMPLE_SLICES[number].native_shape for number in had},
    )


def full_stack() -> Stack:
    """Open the paper's whole cell, 300 slices.

    Returns
    -------
    Stack
        With both ground truths, which are fetched slice by slice. So are the slices, about 4 MB
        each, unless the whole file is in the data folder; `helpers.data.whole_cell.fetch_full`
        downloads that.

    Raises
    ------
    helpers.data.DataError
        As `helpers.data.slices_by_range.open_slices_of`.
    """
    read, count, notes = open_slices_of(whole_cell.PAPERS_CELL)
    return Stack(
        name=f"the paper's cell, {count} slices",
        source="full",
        slice_numbers=tuple(range(1, count + 1)),
        shape=figures.SHAPE,
        voxel_nm=PAPER_VOXEL_NM,
        licence=_LICENCE,
        citation=_CITATION,
        _image=read,
        **_readers(),
        notes=notes,
    )
