"""Opens slices of any form as numbered pictures, with what the file says of its voxels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from helpers import tiffs
from helpers.data.folders import (
    JPEG,
    KINDS,
    MATLAB,
    NUMPY,
    TIFF,
    UNREADABLE,
    Picture,
    count_pages,
    find_slices,
    is_thumbnail,
    moved_last,
    picture_form,
    read_matlab,
    read_picture,
)
from helpers.data.microscopes import (
    HDF5,
    RSCIIO,
    Block,
    in_nm,
    open_hdf5,
    open_micrograph,
    open_nifti,
    open_nrrd,
    open_zarr,
)
from helpers.data.stack import Stack

ENDINGS = (*KINDS, *RSCIIO, *HDF5, ".zarr", ".npz", ".nrrd", ".nhdr", ".nii", ".nii.gz")
"""What a path may end in, other than a folder."""

MANY_CHANNELS = 5
"""From this many "channels" or "times" without a depth on, they are taken for slices."""

# Pillow takes more for a picture that is made to fill the memory.
_MOST_PIXELS = 2 * Image.MAX_IMAGE_PIXELS

_AXIS_NAMES = {"c": "channels", "t": "times", "s": "colours"}


@dataclass(frozen=True)
class Slices:
    """Pictures by slice number, as they are stored.

    Attributes
    ----------
    where : str
        What they were opened from, for messages.
    numbers : tuple of int
        Slice numbers, ascending.
    counted : bool
        Whether the numbers are places in a file or an array, from 1, and not the slices' own.
    read : callable
        Takes a slice number and returns a `Picture`.
    form : callable
        Takes a slice number and returns shape and type of that picture, without its pixels where
        the format allows that.
    voxel_nm : dict of str to float
        What the file says: lengths in nanometres of the axes z, y, x, as far as it does.
    notes : tuple of str
        What to tell who opens them.
    sample : int, optional
        Which colour of coloured pictures was asked for.
    is_lossy : bool
        Whether the pictures are JPEG.
    """

    where: str
    numbers: tuple[int, ...]
    counted: bool
    read: Callable[[int], Picture]
    form: Callable[[int], tuple[tuple[int, ...], np.dtype]]
    voxel_nm: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sample: int | None = None
    is_lossy: bool = False


def open_slices(
    where,
    *,
    pattern: str | None = None,
    channel: int | str | Mapping[str, int] | None = None,
    axes: str | None = None,
    dataset: str | None = None,
    shape: tuple[int, int] | None = None,
) -> Slices:
    """Open slices of any form.

    Parameters
    ----------
    where : path, array, mapping of int to (y, x) array, or Stack
        As `helpers.data.open_stack` has it. ``path::dataset`` names a data set within a file.
    pattern : str, optional
        Finds the slice number in the names of a folder's files; see
        `helpers.data.folders.find_slices`.
    channel : int, str or mapping, optional
        Which channel, or which place on several axes: ``{"c": 0, "t": 2}`` or ``"c=0,t=2"``.
    axes : str, optional
        A letter an axis, such as ``zcyx``, where a file says nothing, or what is not so.
    dataset : str, optional
        Data set or variable within the file.
    shape : (int, int), optional
        Of a slice; tells the axes of a MATLAB stack.

    Returns
    -------
    Slices

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, TypeError, ValueError
        If there is nothing, a library is missing, or it is open what is meant.
    """
    options = {"channel": channel, "axes": axes}
    if isinstance(where, Stack):
        return _of_stack(where)
    if isinstance(where, Mapping):
        return _of_mapping(where)
    if not isinstance(where, (str, Path)):
        return _of_array(where, **options)
    path, _, inside = str(where).partition("::")
    path, dataset = Path(path).expanduser(), inside or dataset
    if path.is_dir() and not _is_zarr(path):
        return _of_folder(path, pattern, dataset, channel)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}.")
    suffix = path.suffix.lower()
    if path.name.lower().endswith(".nii.gz"):
        suffix = ".nii"
    kind = KINDS.get(suffix)
    if path.is_dir():
        return _of_block(open_zarr(path, dataset), str(where), **options)
    if kind == TIFF:
        return _of_tiff(path, **options)
    if kind == NUMPY or suffix == ".npz":
        return _of_array(_load_numpy(path, dataset), where=str(path), **options)
    if kind == MATLAB:
        return _of_matlab(path, dataset, shape, **options)
    if suffix in RSCIIO:
        return _of_block(open_micrograph(path, dataset), str(where), **options)
    if suffix in HDF5:
        return _of_block(open_hdf5(path, dataset), str(where), **options)
    if suffix in (".nrrd", ".nhdr"):
        return _of_block(open_nrrd(path), str(where), **options)
    if suffix == ".nii":
        return _of_block(open_nifti(path), str(where), **options)
    if kind:  # PNG and JPEG
        return _of_places({1: (path, 0)}, str(path), channel, counted=True)
    raise ValueError(
        f"{path} is of no form that can be opened; allowed are folders of slices, and files that "
        f"end in {', '.join(ENDINGS)}."
    )


# --- arrays, mappings and stacks -----------------------------------------------------------------


def _of_stack(stack: Stack) -> Slices:
    """Take the labels of a stack that has them, else its pictures."""
    first = stack.labels(stack.slice_numbers[0])
    read = stack.image if first is None else stack.labels

    def form(number):
        return stack.shape, np.dtype(np.uint8)

    voxel_nm = dict(zip("zyx", stack.voxel_nm, strict=True))
    return Slices(
        stack.name, stack.slice_numbers, False, lambda n: Picture(read(n)), form, voxel_nm
    )


def _of_mapping(pictures: Mapping) -> Slices:
    numbers = [_checked_number(number) for number in pictures]
    arrays = dict(zip(numbers, map(np.asarray, pictures.values()), strict=True))
    if not arrays:
        raise ValueError("there is no slice; give at least one, of at least one pixel.")
    return Slices(
        "a mapping",
        tuple(sorted(arrays)),
        False,
        lambda number: Picture(arrays[number]),
        lambda number: (arrays[number].shape, arrays[number].dtype),
    )


def _checked_number(number) -> int:
    if isinstance(number, (bool, str)) or number != int(number) or number < 0:
        raise ValueError(f"slice number is {number!r}; slice numbers are whole, from 0.")
    return int(number)


def _of_array(array, *, channel, axes, where: str = "the array") -> Slices:
    if not (hasattr(array, "shape") and hasattr(array, "dtype")):
        array = np.asarray(array)  # a list of slices
    shape = tuple(map(int, array.shape))
    if axes is None and len(shape) != 3:
        raise ValueError(
            f"the array has shape {shape}; give (z, y, x). For one slice use image[np.newaxis]; "
            "of an array with channels or times say which axis is which, for instance "
            "axes='zcyx', and give channel=."
        )

    def read(index):
        return np.asarray(array[index])

    block = Block(read, shape, np.dtype(array.dtype), axes)
    return _of_block(block, where, channel=channel, axes=axes)


def _load_numpy(path: Path, name: str | None):
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a NumPy file: {error}.") from error
    if isinstance(found, np.ndarray):
        return found if found.ndim != 2 else found[np.newaxis]
    with found:
        if name is None and len(found.files) == 1:
            name = found.files[0]
        if name not in found.files:
            has = ", ".join(found.files) or "none"
            raise ValueError(f"{path} has the arrays {has}; name one: {path.name}::name.")
        array = found[name]
    return array if array.ndim != 2 else array[np.newaxis]


def _of_matlab(path: Path, variable, shape, *, channel, axes) -> Slices:
    try:
        array = read_matlab(path, variable)
    except ModuleNotFoundError:
        raise
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a MATLAB file: {error}.") from error
    if axes is None and array.ndim == 3:
        # MATLAB's stacks are rows, columns, slices.
        fits = {"yxz": array.shape[:2], "zyx": array.shape[1:]}
        fits = {name: size for name, size in fits.items() if shape in (None, size)}
        axes = next(iter(fits), "yxz")
    block = Block(array.__getitem__, array.shape, array.dtype, axes)
    return _of_block(block, str(path), channel=channel, axes=axes)


# --- axes, and blocks of which slices are read one at a time -------------------------------------


def _of_block(block: Block, where: str, *, channel, axes) -> Slices:
    """Take the slices of an array of any number of axes."""
    plan = _Plan.of(axes or block.axes, block.shape, channel, where)
    if not plan.count or not all(block.shape):
        raise ValueError("there is no slice; give at least one, of at least one pixel.")
    shape = tuple(block.shape[plan.axes.index(axis)] for axis in "yxs" if axis in plan.axes)
    return Slices(
        where,
        tuple(range(1, plan.count + 1)),
        True,
        partial(_read_block, block, plan, where),
        lambda number: (shape, block.dtype),
        {axis: length for axis, length in block.voxel_nm.items() if axis in "zyx"},
        (*block.notes, *plan.notes),
        plan.sample,
    )


def _read_block(block: Block, plan: "_Plan", where: str, number: int) -> Picture:
    try:
        pixels = np.asarray(block.read(plan.index(number - 1)))
    except ModuleNotFoundError:
        raise
    except UNREADABLE as error:
        raise ValueError(
            f"slice {number} of {where} cannot be read: {_why(error)}. Is the file whole? Copy it "
            "again from where it came from."
        ) from error
    left = [axis for axis in plan.axes if axis in "yxs"]
    return Picture(np.transpose(pixels, [left.index(axis) for axis in "yxs" if axis in left]))


@dataclass(frozen=True)
class _Plan:
    """Which axis is the depth, and which place is taken on the others."""

    axes: str
    depth: str | None
    count: int
    fixed: Mapping[str, int]
    sample: int | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, axes: str | None, shape: tuple[int, ...], channel, where: str) -> "_Plan":
        axes = _checked_axes(axes, shape, where)
        sizes = dict(zip(axes, shape, strict=True))
        others = [axis for axis in axes if axis not in "yxs" and sizes[axis] > 1]
        depth = next((axis for axis in "zqi" if axis in others), None)
        notes = []
        if depth is None and len(others) == 1 and channel is None:
            (only,) = others
            if only == "t" or sizes[only] >= MANY_CHANNELS:
                depth = only
                name = _AXIS_NAMES.get(only, f"places on axis {only}")
                notes.append(f"{where} calls its {sizes[only]} slices {name}.")
        rest = [axis for axis in others if axis != depth]
        chosen = _chosen(channel, rest + ["s"] * (sizes.get("s", 1) > 1), sizes, where)
        missing = [axis for axis in rest if axis not in chosen]
        if missing:
            raise ValueError(_ask_channel(where, axes, sizes, missing))
        sample = chosen.pop("s", None)
        fixed = {axis: chosen.get(axis, 0) for axis in axes if axis not in ("y", "x", "s", depth)}
        return cls(axes, depth, sizes[depth] if depth else 1, fixed, sample, tuple(notes))

    def index(self, place: int) -> tuple:
        """Return the index of one slice."""
        return tuple(
            place if axis == self.depth else self.fixed.get(axis, slice(None)) for axis in self.axes
        )


def _checked_axes(axes: str | None, shape: tuple[int, ...], where: str) -> str:
    if axes is None:
        if len(shape) not in (2, 3):
            raise ValueError(
                f"{where} has shape {shape} and does not say which axis is which; give for "
                "instance axes='zcyx': z the slices, y and x the picture, c channels, t times."
            )
        return "zyx"[-len(shape) :]
    axes = axes.lower()
    if len(axes) != len(shape) or len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes):
        raise ValueError(
            f"axes is {axes!r} and the shape {shape}; a letter an axis is needed, y and x among "
            "them, for instance 'zyx' or 'zcyx'."
        )
    return axes


def _ask_channel(where: str, axes: str, sizes: Mapping[str, int], open_: list[str]) -> str:
    has = ", ".join(f"{sizes[axis]} {_AXIS_NAMES.get(axis, f'on axis {axis}')}" for axis in open_)
    give = "channel=0" if len(open_) == 1 else "channel='" + ",".join(f"{a}=0" for a in open_) + "'"
    return (
        f"{where} has {has} (axes {axes}): which one is to be segmented? Give one, for instance "
        f"{give}, counted from 0; or, if they are the slices, axes='"
        f"{axes.replace(open_[0], 'z') if 'z' not in axes else axes}'."
    )


def _chosen(channel, allowed: list[str], sizes: Mapping[str, int], where: str) -> dict[str, int]:
    """Read what channel= says of each axis."""
    if channel is None:
        return {}
    if isinstance(channel, str):
        try:
            if "=" in channel:
                parts = [part.split("=") for part in channel.split(",")]
                channel = {name.strip().lower(): int(place) for name, place in parts}
            else:
                channel = int(channel)
        except ValueError:
            raise ValueError(
                f"channel is {channel!r}; give a number from 0, or for several axes 'c=0,t=2'."
            ) from None
    if not isinstance(channel, Mapping):
        allowed = [axis for axis in allowed if axis != "s"] or allowed
        if len(allowed) != 1:
            why = "there are none to choose from" if not allowed else f"there are {allowed}"
            raise ValueError(
                f"channel is {channel!r}, and in {where} {why}; leave it out"
                + (", or say which: channel='c=0,t=2'." if allowed else ".")
            )
        channel = {allowed[0]: channel}
    for axis, place in channel.items():
        if axis not in allowed or place not in range(sizes[axis]):
            has = ", ".join(f"{axis}=0 to {sizes[axis] - 1}" for axis in allowed) or "none"
            raise ValueError(f"channel is {axis}={place}; {where} has {has}.")
    return dict(channel)


# --- folders and TIFFs ---------------------------------------------------------------------------


def _is_zarr(path: Path) -> bool:
    marks = (".zgroup", ".zarray", "zarr.json", ".zattrs")
    return path.suffix.lower() in (".zarr", ".n5") or any((path / mark).is_file() for mark in marks)


def _of_folder(folder: Path, pattern: str | None, variable: str | None, channel) -> Slices:
    files, notes = find_slices(folder, pattern)
    first = next(iter(files.values()))
    thumbnails = 0
    for file in files.values() if KINDS[first.suffix.lower()] == TIFF else ():
        pages, small = count_pages(file)
        thumbnails += small
        if pages != 1:
            raise ValueError(
                f"{file} has {pages} pages; in a folder a file is one slice. "
                "Open that file by itself, or split it."
            )
    if thumbnails:
        notes.append(f"Left out: {thumbnails} thumbnails, smaller pages beside the slices.")
    places = {number: (path, 0) for number, path in files.items()}
    return _of_places(
        places,
        str(folder),
        channel,
        counted=False,
        variable=variable,
        voxel_nm=_voxel_of_file(first),
        notes=tuple(notes),
    )


def _of_places(places, where: str, channel, *, counted: bool, variable=None, **more) -> Slices:
    """Take slices of which each is a page of a file."""
    form = partial(_attempt, picture_form, places, variable)
    sample = None
    if channel is not None:
        shape, _ = form(next(iter(places)))
        sizes = {"s": shape[2] if len(shape) > 2 else 1}
        sample = _chosen(channel, ["s"] * (sizes["s"] > 1), sizes, where)["s"]
    read = partial(_attempt, read_picture, places, variable)
    first, _ = next(iter(places.values()))
    is_lossy = KINDS[first.suffix.lower()] == JPEG
    numbers = tuple(places)
    return Slices(where, numbers, counted, read, form, sample=sample, is_lossy=is_lossy, **more)


def _attempt(task: Callable, places: Mapping, variable: str | None, number: int):
    path, page = places[number]
    try:
        return task(path, page, variable)
    except ModuleNotFoundError:
        raise
    except UNREADABLE as error:
        raise ValueError(
            f"slice {number}, {path}, cannot be read: {_why(error)}. "
            "Replace the file, or take it out of the folder."
        ) from error


def _why(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"{str(error).split(',')[0]}, and PNG and JPEG files may have {_MOST_PIXELS} pixels; "
            "if the slice is that large, save it as a TIFF"
        )
    return str(error).rstrip(".") or f"{type(error).__name__}, the file is too large for the memory"


def _voxel_of_file(path: Path) -> dict[str, float]:
    """Read the pixel size of a slice in a file of its own; its depth says nothing."""
    found = {}
    if KINDS[path.suffix.lower()] == TIFF:
        with tifffile.TiffFile(path) as tiff:
            found = _voxel_of_tiff(tiff)
    elif path.suffix.lower() in RSCIIO:
        found = open_micrograph(path).voxel_nm
    return {axis: length for axis, length in found.items() if axis in "yx"}


def _of_tiff(path: Path, *, channel, axes) -> Slices:
    """Open a TIFF of one page or many; hyperstacks by their axes."""
    try:
        with tifffile.TiffFile(path) as tiff:
            tiffs.check_whole(tiff)
            pages, series = list(tiff.pages), tiff.series
            page, first = pages[0], series[0]
            voxel_nm = _voxel_of_tiff(tiff)
            small = [each for each in pages[1:] if is_thumbnail(each.shape, page.shape)]
            is_hyperstack = first.ndim > page.ndim and len(first.pages) >= len(pages) - len(small)
            if is_hyperstack or (first.ndim > page.ndim and len(pages) == 1):
                names, outer = _page_axes(first, page.ndim)
                places = [_place(each) for each in first.pages]
            else:
                places = [(path, each.index) for each in pages if each not in small]
                names, outer = "z", (len(places),)
            # One page that names a stack after it, as ImageJ writes above 4 GB.
            is_mapped = len(pages) == 1 and first.ndim > page.ndim
    except tiffs.CutOffError:
        raise
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a TIFF: {error}.") from error
    notes = [f"Left out: {len(small)} thumbnails, pages smaller than the others."] if small else []
    if is_mapped:
        mapped = tifffile.memmap(path, mode="r").reshape(*outer, *page.shape)
        inner = "yxs"[: page.ndim]
        block = Block(mapped.__getitem__, mapped.shape, mapped.dtype, names + inner, voxel_nm)
        return _of_block(block, str(path), channel=channel, axes=axes)
    colours = moved_last(page.shape)[2:]
    shape = (*outer, *moved_last(page.shape))
    plan = _Plan.of(axes or names + "yxs"[: page.ndim], shape, channel, str(path))
    if plan.axes[: len(outer)].strip("yxs") != plan.axes[: len(outer)]:
        raise ValueError(f"axes is {axes!r}; a TIFF's pages are pictures: y and x come last.")
    chosen = {}
    for number in range(1, plan.count + 1):
        index = plan.index(number - 1)[: len(outer)]
        place = places[int(np.ravel_multi_index(index, outer))]
        if place is None:
            raise ValueError(f"{path} lacks the page of slice {number}, which it names.")
        chosen[number] = place
    return _of_places(
        chosen,
        str(path),
        {"s": plan.sample} if colours and plan.sample is not None else None,
        counted=True,
        voxel_nm=voxel_nm,
        notes=(*notes, *plan.notes),
    )


def _place(page) -> tuple[Path, int] | None:
    return None if page is None else (Path(page.parent.filehandle.path), page.index)


def _page_axes(series, page_ndim: int) -> tuple[str, tuple[int, ...]]:
    """Name the axes over the pages; one that is unknown ("I", "Q") is the depth."""
    count = series.ndim - page_ndim
    names = series.axes.lower()[:count]
    if "z" not in names and sum(each in "qi" for each in names) == 1:
        names = names.replace("q", "z").replace("i", "z")
    return names, series.shape[:count]


def _voxel_of_tiff(tiff: tifffile.TiffFile) -> dict[str, float]:
    """Read what a TIFF says of its voxels: OME, ImageJ, or the resolution of its first page."""
    page = tiff.pages[0]
    if tiff.is_ome and tiff.ome_metadata:
        return _voxel_of_ome(tiff.ome_metadata)
    found: dict[str, float | None] = {}
    per_pixel = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        if tag in page.tags:
            count, length = page.tags[tag].value
            per_pixel[axis] = length / count if count else 0.0
    if tiff.is_imagej and tiff.imagej_metadata:
        unit = str(tiff.imagej_metadata.get("unit", "")).replace("\\u00B5", "µ")
        found = {axis: in_nm(length, unit) for axis, length in per_pixel.items()}
        found["z"] = in_nm(tiff.imagej_metadata.get("spacing", 0), unit)
    elif "ResolutionUnit" in page.tags:
        unit = {2: "inch", 3: "cm"}.get(int(page.tags["ResolutionUnit"].value))
        found = {axis: in_nm(length, unit) for axis, length in per_pixel.items()}
    return {axis: length for axis, length in found.items() if length}


def _voxel_of_ome(xml: str) -> dict[str, float]:
    pixels = tifffile.xml2dict(xml)["OME"]["Image"]
    pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
    found = {
        axis: in_nm(
            pixels.get(f"PhysicalSize{axis.upper()}", 0),
            pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm"),
        )
        for axis in "zyx"
    }
    return {axis: length for axis, length in found.items() if length}
