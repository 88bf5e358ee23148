"""Files of microscopes and of other programs, through the libraries that know them.

The libraries are the extra ``formats`` of this package; each is imported when a file needs it.
"""

import importlib
import json
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType

import numpy as np

from helpers.data.stack import DOUBTFUL

RSCIIO = {
    **dict.fromkeys((".mrc", ".map", ".rec", ".ali", ".st"), "mrc"),
    **dict.fromkeys((".dm3", ".dm4"), "digitalmicrograph"),
    **dict.fromkeys((".ser", ".emi"), "tia"),
    ".emd": "emd",
}
"""Endings that RosettaSciIO reads, and its module for each."""

HDF5 = (".h5", ".hdf5", ".hdf", ".he5")
_PACKAGES = {"rsciio": "rosettasciio", "nrrd": "pynrrd"}
_NM = {
    **{"nm": 1.0, "nanometer": 1.0, "nanometre": 1.0, "nanometers": 1.0},
    **{"um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3},
    **{"micrometre": 1e3, "micrometers": 1e3, "mm": 1e6, "millimeter": 1e6, "millimetre": 1e6},
    **{"cm": 1e7, "centimeter": 1e7, "m": 1e9, "meter": 1e9, "metre": 1e9, "inch": 25.4e6},
    **{"a": 0.1, "å": 0.1, "Å": 0.1, "angstrom": 0.1, "pm": 1e-3, "picometer": 1e-3},
}


@dataclass(frozen=True)
class Block:
    """An array in a file, of which parts are read when they are asked for.

    Attributes
    ----------
    read : callable
        Takes a tuple of integers and slices, one an axis, and returns that part.
    shape : tuple of int
    dtype : dtype
    axes : str or None
        A letter an axis: z, y, x; c, t for channels and times; s for the samples of colour. None
        where the file does not say.
    voxel_nm : dict of str to float
        Length of a step, in nanometres, of the axes for which the file has it.
    notes : tuple of str
        What to tell who opens it.
    """

    read: Callable[[tuple], np.ndarray]
    shape: tuple[int, ...]
    dtype: np.dtype
    axes: str | None
    voxel_nm: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def needed(module: str, what: str) -> ModuleType:
    """Import a library, or say how to install it.

    Parameters
    ----------
    module : str
    what : str
        What needs it, in the plural.

    Returns
    -------
    module

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        package = _PACKAGES.get(top, top)
        raise ModuleNotFoundError(
            f"{what} are read by {package}, which is not installed here. Install it with "
            f"'pip install {package}', or all readers of formats with this package's extra "
            "'formats': pip install 'helpers[formats] @ git+ADDRESS_OF_THE_REPOSITORY'.",
            name=error.name,
        ) from error


def in_nm(value: float, unit: str | None) -> float | None:
    """Convert a length, or return None where the unit is none of length or the length is none.

    Examples
    --------
    >>> in_nm(0.05, "um"), in_nm(5, None)
    (50.0, None)
    """
    scale = _NM.get(unit) or _NM.get(str(unit).lower()) if unit else None
    if not scale or not value or not np.isfinite(value) or value <= 0:
        return None
    return float(f"{value * scale:.6g}")


# --- RosettaSciIO: MRC, Digital Micrograph, EMD, SER ---------------------------------------------


def open_micrograph(path: Path, dataset: str | None = None) -> Block:
    """Open a file that RosettaSciIO reads.

    Parameters
    ----------
    path : Path
        Its ending is one of `RSCIIO`.
    dataset : str, optional
        Number or title of a data set, where the file has several.

    Returns
    -------
    Block

    Raises
    ------
    ValueError
        If it cannot be read, or it is open which of its data sets is meant.
    ModuleNotFoundError
        If RosettaSciIO is not installed.
    """
    found = _data_sets(path)
    pictures = [each for each in found if np.ndim(each["data"]) >= 2]
    titles = [each.get("metadata", {}).get("General", {}).get("title", "") for each in pictures]
    if dataset is not None:
        chosen = [
            each
            for at, (each, title) in enumerate(zip(pictures, titles, strict=True))
            if dataset in (str(at), title)
        ]
    else:
        chosen = pictures
    if len(chosen) != 1:
        has = ", ".join(f"{at} {title!r}" for at, title in enumerate(titles)) or "none"
        raise ValueError(
            f"{path} has {len(pictures)} pictures or stacks: {has}. Name one by its number, for "
            f"instance {path.name}::0."
        )
    one = chosen[0]
    data = one["data"]
    if data.dtype.names:
        raise ValueError(f"{path} has colours ({', '.join(data.dtype.names)}); slices are grey.")
    axes, voxel_nm = _axes_of_rsciio(one["axes"], data.ndim)
    dtype, notes = np.dtype(data.dtype), ()
    if path.suffix.lower() in (".mrc", ".map", ".rec", ".ali", ".st") and dtype == np.uint8:
        dtype, note = _sign_of_mrc(path)
        notes = (note,) if note else ()
    place = found.index(one) if len(found) > 1 else 0
    read = partial(_read_rsciio, path, place, str(dtype))
    return Block(read, tuple(data.shape), dtype, axes, voxel_nm, notes)


@lru_cache(maxsize=2)
def _data_sets(path: Path) -> list[dict]:
    module = RSCIIO[path.suffix.lower()]
    reader = needed(f"rsciio.{module}", f"{path.suffix} files").file_reader
    why = ""
    # Its readers leave files to be closed by the garbage collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return reader(str(path), lazy=True)
        except Exception as error:  # A damaged file makes it raise whatever it meets.
            why = f"{type(error).__name__}: {error}".rstrip(".")
    raise ValueError(
        f"{path} cannot be read as {module}: {why}. Is the file whole, and its ending right?"
    )


def _read_rsciio(path: Path, place: int, dtype: str, index: tuple) -> np.ndarray:
    part = np.asarray(_data_sets(path)[place]["data"][index])
    return part.view(dtype) if part.dtype == np.uint8 and dtype == "int8" else part


def _axes_of_rsciio(axes: list[dict], ndim: int) -> tuple[str, dict[str, float]]:
    """Name the axes; where the file does not, they are those of a stack."""
    axes = sorted(axes, key=lambda axis: axis.get("index_in_array", 0))
    names = [str(axis.get("name") or "").lower() for axis in axes]
    if len(set(names)) != ndim or set(names[-2:]) != {"x", "y"} or max(map(len, names)) > 1:
        names = list("tczyx"[-ndim:])
    voxel_nm = {}
    for name, axis in reversed(list(zip(names, axes, strict=True))):
        # An MRC file does not say of its depth that it has the unit of the others.
        unit = axis.get("units") or ("nm" if name == "z" and "x" in voxel_nm else None)
        length = in_nm(axis.get("scale", 0), unit)
        if length:
            voxel_nm[name] = length
    return "".join(names), voxel_nm


def _sign_of_mrc(path: Path) -> tuple[np.dtype, str]:
    """Tell whether the bytes of an MRC file of mode 0 are signed; its readers do not agree.

    The standard says signed (MRC2014, Cheng et al. 2015, doi 10.1016/j.jsb.2015.04.002); IMOD says
    in its header what it wrote, and the least and greatest value often tell.
    """
    with path.open("rb") as file:
        header = file.read(1024)
    if len(header) < 1024:
        raise ValueError(f"{path} is cut off: an MRC file begins with 1024 bytes of header.")
    order = ">" if header[212:213] == b"\x11" else "<"
    (mode,) = struct.unpack_from(order + "i", header, 12)
    if mode != 0:
        return np.dtype(np.uint8), ""
    low, high = struct.unpack_from(order + "2f", header, 76)
    stamp, flags = struct.unpack_from(order + "2i", header, 152)
    if high > 127 and low >= 0:
        return np.dtype(np.uint8), "MRC mode 0 is read as unsigned: its header says up to 255."
    if low < 0 and high <= 127:
        return np.dtype(np.int8), ""
    if stamp == 1146047817:  # IMOD's
        return np.dtype(np.int8 if flags & 1 else np.uint8), ""
    return np.dtype(np.int8), (
        f"{DOUBTFUL} MRC mode 0 is read as signed, -128 to 127, which is the standard; the header "
        "does not say."
    )


def read_micrograph(path: Path) -> np.ndarray:
    """Read the picture of a file that holds one slice."""
    block = open_micrograph(path)
    depth = tuple(slice(None) if side > 1 else 0 for side in block.shape[:-2])
    return block.read((*depth, slice(None), slice(None)))


# --- HDF5 and Zarr -------------------------------------------------------------------------------


def open_hdf5(path: Path, dataset: str | None = None) -> Block:
    """Open a data set of an HDF5 file.

    Parameters
    ----------
    path : Path
    dataset : str, optional
        Its name within the file; needed where there are several.

    Returns
    -------
    Block

    Raises
    ------
    ValueError
        If it cannot be read, or it is open which data set is meant.
    ModuleNotFoundError
        If h5py is not installed.
    """
    h5py = needed("h5py", "HDF5 files")
    try:
        with h5py.File(path, "r") as file:
            names = []
            file.visititems(
                lambda name, each: (
                    names.append(name)
                    if isinstance(each, h5py.Dataset)
                    and each.ndim >= 2
                    and each.dtype.kind in "buif"
                    else None
                )
            )
            name = _one_of(names, dataset, path)
            found = file[name]
            axes = _axistags(found.attrs.get("axistags"))
            return Block(
                partial(_read_hdf5, path, name),
                tuple(found.shape),
                found.dtype,
                axes,
                _voxel_of_attributes(found.attrs),
            )
    except OSError as error:
        raise ValueError(f"{path} cannot be read as HDF5: {error}.") from error


def _read_hdf5(path: Path, name: str, index: tuple) -> np.ndarray:
    h5py = needed("h5py", "HDF5 files")
    with h5py.File(path, "r") as file:
        return file[name][index]


def _one_of(names: list[str], wanted: str | None, path: Path) -> str:
    names = sorted(name.strip("/") for name in names)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is not None and wanted.strip("/") in names:
        return wanted.strip("/")
    has = ", ".join(names[:12]) or "none"
    what = "Name one" if wanted is None else f"{wanted!r} is none of them; name one"
    example = names[0] if names else "volume"
    raise ValueError(f"{path} has the data sets {has}. {what}: {path.name}::{example}.")


def _axistags(tags) -> str | None:
    """Read the axes as ilastik writes them."""
    if tags is None:
        return None
    try:
        return "".join(axis["key"] for axis in json.loads(tags)["axes"]).lower()
    except (ValueError, KeyError, TypeError):
        return None


def _voxel_of_attributes(attributes: Mapping) -> dict[str, float]:
    """Read the attributes that Fiji's HDF5 plugin and the CREMI challenge write, (z, y, x)."""
    for name, unit in (("element_size_um", "um"), ("resolution", "nm")):
        if name in attributes and np.size(attributes[name]) == 3:
            lengths = [in_nm(float(each), unit) for each in np.ravel(attributes[name])]
            return {axis: each for axis, each in zip("zyx", lengths, strict=True) if each}
    return {}


def open_zarr(path: Path, dataset: str | None = None) -> Block:
    """Open an array of a Zarr store, version 2 or 3; of OME-Zarr, the finest level.

    Parameters
    ----------
    path : Path
        Folder of the store.
    dataset : str, optional
        Array or OME-Zarr group within it; needed where there are several arrays.

    Returns
    -------
    Block

    Raises
    ------
    ValueError
        If it cannot be read, or it is open which array is meant.
    ModuleNotFoundError
        If zarr is not installed.
    """
    zarr = needed("zarr", "Zarr stores")
    try:
        found = zarr.open(str(path), mode="r")
        if dataset is not None:
            found = found[dataset.strip("/")]
    except Exception as error:  # The library's own, and those of what it is made of.
        raise ValueError(
            f"{path} cannot be read as Zarr{f', {dataset!r} in it' if dataset else ''}: "
            f"{type(error).__name__}: {error}."
        ) from error
    axes, voxel_nm, name = None, {}, (dataset or "").strip("/")
    if not hasattr(found, "shape"):
        attributes = dict(found.attrs)
        scales = attributes.get("ome", attributes).get("multiscales")
        if scales:
            level = scales[0]["datasets"][0]
            inside = level["path"]
            axes, voxel_nm = _axes_of_ome(scales[0], level)
        else:
            inside = _one_of(sorted(_arrays_of(found)), None, path)
        name = f"{name}/{inside}".strip("/")
        found = found[inside]
    if axes is None:
        named = getattr(getattr(found, "metadata", None), "dimension_names", None)
        named = named or found.attrs.get("_ARRAY_DIMENSIONS")
        if named and all(named):
            axes = "".join(str(each)[0].lower() for each in named)
            axes = axes if len(set(axes)) == len(axes) else None
        voxel_nm = voxel_nm or _voxel_of_attributes(found.attrs)
    read = partial(_read_zarr, path, name)
    notes = _missing_chunks(found, path)
    return Block(read, tuple(found.shape), np.dtype(found.dtype), axes, voxel_nm, notes)


def _missing_chunks(array, path: Path) -> tuple[str, ...]:
    """Say how many chunks are not there: empty ones need not be, and a store may be incomplete."""
    missing = array.nchunks - array.nchunks_initialized
    if not missing:
        return ()
    return (
        f"{path} has {array.nchunks_initialized} of {array.nchunks} chunks; what the others would "
        f"hold is read as {array.fill_value}. If it was copied, was it copied whole?",
    )


def _arrays_of(group, within: str = "") -> list[str]:
    names = [within + name for name, each in group.arrays() if each.ndim >= 2]
    for name, each in group.groups():
        names += _arrays_of(each, f"{within}{name}/")
    return names


@lru_cache(maxsize=4)
def _open_zarr_array(path: Path, name: str):
    found = needed("zarr", "Zarr stores").open(str(path), mode="r")
    return found[name] if name else found


def _read_zarr(path: Path, name: str, index: tuple) -> np.ndarray:
    return np.asarray(_open_zarr_array(path, name)[index])


def _axes_of_ome(scale: dict, level: dict) -> tuple[str | None, dict[str, float]]:
    """Read axes and voxel size of OME-Zarr, versions 0.1 to 0.5."""
    axes = scale.get("axes") or list("tczyx")
    names = [each if isinstance(each, str) else each["name"] for each in axes]
    units = [None if isinstance(each, str) else each.get("unit") for each in axes]
    lengths = np.ones(len(names))
    for each in (level, scale):
        for step in each.get("coordinateTransformations", []):
            if step.get("type") == "scale" and len(step.get("scale", ())) == len(names):
                lengths *= step["scale"]
    found = {name: in_nm(*pair) for name, *pair in zip(names, lengths, units, strict=True)}
    letters = "".join(name[0].lower() for name in names)
    return letters, {name: length for name, length in found.items() if length and name in "zyx"}


# --- NRRD and NIfTI ------------------------------------------------------------------------------


def open_nrrd(path: Path) -> Block:
    """Open an NRRD file, as 3D Slicer writes it; it is read whole."""
    nrrd = needed("nrrd", "NRRD files")
    try:
        data, header = nrrd.read(str(path), index_order="C")
    except Exception as error:  # nrrd.NRRDError, and what a damaged file causes.
        raise ValueError(f"{path} cannot be read as NRRD: {error}.") from error
    if "space directions" in header:
        steps = np.linalg.norm(np.nan_to_num(header["space directions"]), axis=1)
    else:
        steps = np.asarray(header.get("spacings", ()), float)
    units = header.get("space units") or header.get("units") or []
    lengths = [in_nm(float(step), unit) for step, unit in zip(steps, units, strict=False)]
    voxel_nm = {axis: length for axis, length in zip("xyz", lengths, strict=False) if length}
    return Block(data.__getitem__, data.shape, data.dtype, "zyx"[-data.ndim :], voxel_nm)


def open_nifti(path: Path) -> Block:
    """Open a NIfTI file, as nnU-Net and ITK-SNAP write it."""
    nibabel = needed("nibabel", "NIfTI files")
    try:
        image = nibabel.load(str(path))
    except Exception as error:  # nibabel's own, and what a damaged file causes.
        raise ValueError(f"{path} cannot be read as NIfTI: {error}.") from error
    units, _ = image.header.get_xyzt_units()
    zooms = [in_nm(float(step), units) for step in image.header.get_zooms()[:3]]
    voxel_nm = {axis: length for axis, length in zip("xyz", zooms, strict=False) if length}
    shape = tuple(image.shape[::-1])
    scaled = image.dataobj.slope not in (1, None) or image.dataobj.inter not in (0, None)
    dtype = np.dtype(np.float64) if scaled else image.get_data_dtype()
    axes = "tzyx"[-len(shape) :] if len(shape) > 2 else "yx"
    return Block(partial(_read_nifti, image.dataobj), shape, dtype, axes, voxel_nm)


def _read_nifti(data, index: tuple) -> np.ndarray:
    return np.asarray(data[index[::-1]]).T
