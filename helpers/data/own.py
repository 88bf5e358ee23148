"""Opens a reader's own slices as a `Stack`."""

import re
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from helpers.data.foreign import ForeignLabels, match_numbers, unchecked_labels
from helpers.data.formats import Slices, open_slices
from helpers.data.grey import GreyRule, grey_rule, shown_grey
from helpers.data.stack import Stack
from helpers.data.voxels import voxel_size

SQUARE = 0.01
"""Pixels whose sides differ by a smaller share are square."""


def open_stack(
    where,
    *,
    voxel_nm: Sequence[float] | None = None,
    labels=None,
    ids: str | Mapping | None = None,
    pattern: str | None = None,
    channel: int | str | Mapping[str, int] | None = None,
    axes: str | None = None,
    crop: str | tuple[slice, slice] | None = None,
    grey_range: tuple[float, float] | None = None,
    invert: bool = False,
    name: str = "own data",
    licence: str = "not stated",
    citation: str = "not stated",
) -> Stack:
    r"""Open your own slices: a folder of pictures, a file of any common form, or an array.

    What was decided on the way in, such as how grey levels were converted, is printed, and kept in
    the stack's `notes`. What would have to be guessed is asked for.

    Parameters
    ----------
    where : path, array, or mapping of int to (y, x) array
        A folder of TIFF, PNG, JPEG, DM3, DM4 or NumPy files, one a slice, which keep the numbers in
        their names; a TIFF with one page a slice, or a hyperstack; MRC (MAP, REC), DM3, DM4, EMD,
        SER, HDF5, Zarr, OME-Zarr, NRRD, NIfTI, MATLAB or NumPy files (``path::dataset`` where a
        file has several); an array of NumPy, h5py or Zarr, (z, y, x); or slices by their numbers.
        What has no numbers of its own is counted from 1. Slices are read one at a time, when they
        are asked for.
    voxel_nm : (float, float, float), optional
        Distance of slices whose numbers differ by one, and pixel size, (z, y, x), in nanometres.
        May be left out where the file has it. Pixels that are not square are resampled to square
        ones, as small as their shorter side.
    labels : optional
        Ground truth of any of these forms; see `open_labels`, which it may also be of. It is joined
        by slice number, and may be there for some slices only.
    ids : str or mapping, optional
        What the numbers in `labels` mean, if they are not those of `helpers.labels.Label`; see
        `open_labels`.
    pattern : str, optional
        Regular expression that finds the slice number, its only group, in the names of a folder's
        files without their endings, such as ``r"raw_(\d+)"``; other files are left out. By
        default the number is what differs from name to name.
    channel : int, str or mapping, optional
        Which channel, from 0, of slices that have several; ``"c=0,t=2"`` if there are times too.
    axes : str, optional
        A letter an axis, such as ``"zcyx"``, for arrays of more than three axes, or where a file
        calls its slices something else.
    crop : str or (slice, slice), optional
        Part of each slice, rows and columns in pixels: ``"100:1100,200:1200"``, or the same as
        ``np.s_[100:1100, 200:1200]``.
    grey_range : (float, float), optional
        What becomes 0 and 255. By default uint8 stays as it is, and all other types are converted
        by the percentiles of `helpers.data.grey.PERCENTILES`, the same for all slices.
    invert : bool
        For slices with bright membranes on dark ground: the methods want membranes dark.
    name, licence, citation : str
        What `Stack` reports.

    Returns
    -------
    Stack

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ModuleNotFoundError
        If the format needs a library that is not installed.
    TypeError
        If slices or labels are no numbers.
    ValueError
        If slices are not grey, not all of one size and type, or not there; if a file cannot be
        read; if it is open which files, channel or data set is meant; if labels and slices do not
        agree in number or size, or it is open what labels mean; or if the voxel size is unknown or
        none.

    Examples
    --------
    >>> cell = open_stack(np.zeros((3, 20, 30), np.uint8), voxel_nm=(50, 10, 10))
    >>> cell.slice_numbers, cell.image(3).shape
    ((1, 2, 3), (20, 30))
    """
    slices = open_slices(where, pattern=pattern, channel=channel, axes=axes)
    shape, dtype = _checked_forms(slices)
    voxel, voxel_notes = voxel_size(voxel_nm, slices.voxel_nm)
    window = _checked_crop(crop, shape)
    frame, square_nm, square_note = _square(window, voxel)

    def grey(number):
        return shown_grey(slices.read(number), f"slice {number} of {slices.where}", slices.sample)

    first = grey(slices.numbers[0])  # so that a stack that cannot be read is not opened
    rule = grey_rule(grey, slices.numbers, first.dtype, grey_range, invert)
    reader = _Reader(slices, rule, dtype, shape, window, frame)
    truth = None
    if labels is not None:
        truth = labels
        if not isinstance(labels, ForeignLabels):
            truth = unchecked_labels(labels, ids=ids, shape=shape)
        match_numbers(truth, slices.numbers)
        truth.check_size(shape)
        truth.check_meaning()
    notes = (
        *slices.notes,
        *voxel_notes,
        *_gap_note(slices.numbers, voxel[0]),
        *filter(None, [square_note, rule.note]),
        *(truth.notes if truth else ()),
    )
    if notes:
        print("\n".join(notes))
    changed = frame != (window[0].stop - window[0].start, window[1].stop - window[1].start)
    readers = {} if truth is None else {"_labels": reader.labels_of(truth)}
    return Stack(
        name=name,
        source="own",
        slice_numbers=slices.numbers,
        shape=frame,
        voxel_nm=square_nm,
        licence=licence,
        citation=citation,
        _image=reader,
        native_shapes=dict.fromkeys(slices.numbers, shape) if changed else {},
        notes=notes,
        **readers,
    )


class _Reader:
    """Reads a slice as the methods want it."""

    def __init__(self, slices: Slices, rule: GreyRule, dtype, shape, window, frame):
        self._slices, self._rule, self._dtype = slices, rule, dtype
        self._shape, self._window, self._frame = shape, window, frame

    def __call__(self, number: int) -> np.ndarray:
        slices = self._slices
        pixels = shown_grey(slices.read(number), f"slice {number} of {slices.where}", slices.sample)
        image = np.ascontiguousarray(self._rule.apply(pixels[self._window]))
        if image.shape == self._frame:
            return image
        return cv2.resize(image, self._frame[::-1], interpolation=cv2.INTER_LINEAR)

    def labels_of(self, truth: ForeignLabels):
        """Return what reads the ground truth of a slice, or None where there is none."""

        def read(number: int) -> np.ndarray | None:
            if number not in truth.numbers:
                return None
            labels = np.ascontiguousarray(truth.read(number)[self._window])
            if labels.shape == self._frame:
                return labels
            return cv2.resize(labels, self._frame[::-1], interpolation=cv2.INTER_NEAREST)

        return read


def _checked_forms(slices: Slices) -> tuple[tuple[int, int], np.dtype]:
    """Return size and type of the slices, which must have one, or say which one has another."""
    first, *others = slices.numbers
    shape, dtype = slices.form(first)
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(
            f"slice {first} of {slices.where} has shape {shape}; slices are grey pictures, (y, x), "
            "of at least one pixel."
        )
    for number in others:
        other, kind = slices.form(number)
        if other[:2] != shape[:2]:
            raise ValueError(
                f"slice {number} is {other[:2]}, slice {first} {shape[:2]}; all must have one "
                "size. Crop or pad them first."
            )
        if kind != dtype:
            raise TypeError(
                f"slice {number} is {kind}, slice {first} {dtype}; all must be of one type, or one "
                "grey level would mean two things. Export them again, all in the same way."
            )
    return tuple(shape[:2]), dtype


def _checked_crop(crop, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return rows and columns as slices with both ends."""
    if crop is None:
        return slice(0, shape[0]), slice(0, shape[1])
    parts = crop
    if isinstance(crop, str):
        match = re.fullmatch(r"\s*(\d*):(\d*)\s*,\s*(\d*):(\d*)\s*", crop)
        ends = [int(each) if each else None for each in match.groups()] if match else []
        parts = (slice(*ends[:2]), slice(*ends[2:])) if ends else None
    try:
        rows, columns = parts
        window = []
        for part, side in zip((rows, columns), shape, strict=True):
            start, stop = part.start or 0, side if part.stop is None else part.stop
            if not 0 <= start < stop <= side or part.step not in (None, 1):
                raise ValueError
            window.append(slice(int(start), int(stop)))
    except (TypeError, ValueError, AttributeError):
        raise ValueError(
            f"crop is {crop!r}; it must be rows and columns inside {shape[0]} x {shape[1]} pixels, "
            f"for instance '0:{shape[0]},0:{shape[1]}'."
        ) from None
    return tuple(window)


def _square(window, voxel_nm) -> tuple[tuple[int, int], tuple[float, float, float], str]:
    """Return size and voxel of a slice with square pixels, and what to say of it."""
    height, width = (part.stop - part.start for part in window)
    z, y, x = voxel_nm
    if abs(y - x) <= SQUARE * max(y, x):
        return (height, width), voxel_nm, ""
    side = min(y, x)
    frame = (max(1, round(height * y / side)), max(1, round(width * x / side)))
    note = (
        f"Pixels of {y:g} x {x:g} nm (y, x) are not square: slices are resampled from {height} x "
        f"{width} to {frame[0]} x {frame[1]} pixels of {side:g} nm."
    )
    return frame, (z, side, side), note


def _gap_note(numbers: tuple[int, ...], z_nm: float) -> list[str]:
    """Say how far apart slices lie whose numbers differ by more than one."""
    steps = sorted(set(np.diff(numbers).tolist()))
    if not steps or steps == [1]:
        return []
    far = f"{z_nm * steps[0]:g}" + (f" to {z_nm * steps[-1]:g}" if len(steps) > 1 else "")
    note = (
        f"Slices {numbers[0]} to {numbers[-1]} have gaps: neighbours lie {far} nm apart, their "
        f"numbers' difference times {z_nm:g} nm."
    )
    if len(steps) == 1:
        note += (
            f" If {z_nm:g} nm is the distance from file to file, give {z_nm / steps[0]:g} instead."
        )
    return [note]
