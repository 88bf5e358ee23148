"""The other cells of the field that were published as the paper's was: 18 with it.

Source: EMPIAR-10478 (CC0; Peddie, Jones, Collinson), the benchmark of Etch a Cell, Spiers et al.,
Traffic 22:240, 2021, doi 10.1111/tra.12789.
"""

from helpers.data import whole_cell
from helpers.data.published import PAPER_VOXEL_NM, full_stack
from helpers.data.slices_by_range import open_slices_of
from helpers.data.stack import Stack
from helpers.settings import check_choice

CELLS = (
    "1416-1932-171",
    "1536-3456-213",
    "1584-6996-1",
    "1608-912-1",
    "1656-6756-329",
    "1716-7800-517",
    "2052-5784-112",
    "2448-4704-271",
    "2820-6780-468",
    "2832-1692-1",
    "3000-3264-393",
    "3516-5712-314",
    "3576-5232-35",
    "3588-3972-1",
    "3624-2712-201",
    "3768-7248-143",
    "3972-1956-438",
    "4320-1260-95",
)
"""Names of the cells, which are those of the files without ``ROI_`` and ``.tiff``. They tell where
in the field a cell lies, last the slice: a cell near slice 1 or 517 may not be whole."""

_LICENCE = "CC0 (EM images, EMPIAR)"
_CITATION = (
    "Spiers H, Songhurst H, Nightingale L, de Folter J, Hutchings R, Peddie CJ, Weston A, "
    "Strange A, Hindmarsh S, Lintott C, Collinson LM, Jones ML. Deep learning for automatic "
    "segmentation of the nuclear envelope in electron microscopy data, trained with volunteer "
    "segmentations. Traffic 22(7):240-253 (2021). doi 10.1111/tra.12789. EM: EMPIAR-10478."
)


def open_cell(name: str) -> Stack:
    """Open one of the field's 18 published cells.

    Nothing is downloaded whole. Where the slices lie in the file, which has about 1.2 GB, is read
    once; each slice, about 4 MB, is fetched when it is first asked for, and kept in the data
    folder with its hash. The whole file is used instead if it lies there
    (``empiar-10478/ROI_<name>.tiff``).

    The envelopes that volunteers and experts drew in these cells (Spiers et al., 2021) are not
    read: they lie elsewhere, as lines of many people in a table, and merging them is a method of
    its own.

    Parameters
    ----------
    name : str
        One of `CELLS`, such as ``1416-1932-171``.

    Returns
    -------
    Stack
        Slices of 2000 x 2000 pixels of 10 nm, 50 nm apart, numbered from 1. The paper's cell
        comes as ``load_stack("full")`` does, with its ground truth; the others have none.

    Raises
    ------
    ValueError
        If there is no such cell; the message lists them.
    helpers.data.DataError
        If its index or a slice cannot be had: no network, a server that sends whole files only, or
        one that has another file than when the index was read. The message has the remedy.
    """
    name = check_choice(str(name).removeprefix("ROI_").removesuffix(".tiff"), "cell", CELLS)
    if name == whole_cell.PAPERS_CELL:
        return full_stack()
    read, count, notes = open_slices_of(name)
    return Stack(
        name=f"the cell {name} of the field, {count} slices",
        source="other",
        slice_numbers=tuple(range(1, count + 1)),
        shape=whole_cell.FULL_SHAPE[1:],
        voxel_nm=PAPER_VOXEL_NM,
        licence=_LICENCE,
        citation=_CITATION,
        _image=read,
        notes=notes,
    )
