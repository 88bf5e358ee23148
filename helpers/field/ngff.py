"""Fields as OME-Zarr: what is in the file, how it is opened, and how its pyramid is written."""

import errno
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from helpers.cache import storing, write_whole
from helpers.data.stack import Stack
from helpers.labels import check_length

N_LEVELS = 5
CHUNK_PX = 512
"""Side of a chunk in the plane: a plane of 8192 pixels is 256 chunks, a box of 2000 some 25."""
CHUNK_SLICES = 8
BAND_BYTES = 1 << 29
"""Most that the full planes of one layer of chunks may have: what a worker holds of a field."""


NOTES = "damaged"
"""Folder in an image: a note for each slice that could not be read."""
GRAIN = 4.0
"""Standard deviation of the grey levels that stand for resin beyond a field's sides."""


class DamagedChunkError(ValueError):
    """A part of a field cannot be decoded; the message names the level and the slices."""


def need_zarr():
    """Import zarr, or say how to get it.

    Returns
    -------
    module

    Raises
    ------
    ModuleNotFoundError
        If it is not installed, or is too old for OME-Zarr 0.5.
    """
    try:
        import zarr
    except ModuleNotFoundError:
        zarr = None
    if zarr is None or int(zarr.__version__.split(".")[0]) < 3:
        raise ModuleNotFoundError(
            "A whole field needs zarr 3 and dask, on Python 3.11 or later: "
            "pip install 'helpers[field]', from the folder of the book."
        )
    return zarr


@dataclass(frozen=True)
class Field:
    """An image of OME-Zarr, read in parts.

    Attributes
    ----------
    where : str
        Folder or address.
    levels : tuple of zarr.Array
        (z, y, x), from full size down; each has half the rows and columns of the one before.
    voxel_nm : (float, float, float)
        Of the full size, (z, y, x).
    about : dict
        What `helpers.field.convert` wrote of its source: ``key``, ``source``, ``damaged``.
    """

    where: str
    levels: tuple
    voxel_nm: tuple[float, float, float]
    about: dict

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size (z, y, x) at full size."""
        return self.levels[0].shape

    @property
    def extent_um(self) -> tuple[float, float, float]:
        """Size (z, y, x) in micrometres."""
        return tuple(n * side / 1000 for n, side in zip(self.shape, self.voxel_nm, strict=True))

    @property
    def damaged(self) -> tuple[int, ...]:
        """Slices, from 1, that could not be read when the field was converted; they are black."""
        return tuple(sorted(int(number) for number in self.about.get("damaged", {})))

    def pixel_nm(self, level: int) -> float:
        """Return the side of a pixel at a level."""
        return self.voxel_nm[1] * 2**level

    def level_for(self, pixel_nm: float) -> int:
        """Return the coarsest level whose pixels are no larger than that; else the finest."""
        fit = [n for n in range(len(self.levels)) if self.pixel_nm(n) <= pixel_nm]
        return fit[-1] if fit else 0

    def read_what_can_be(
        self, z: slice, y: slice, *, fill: int
    ) -> tuple[np.ndarray, dict[int, str]]:
        """Read rows of slices at full size; chunks that cannot be decoded are filled.

        Parameters
        ----------
        z, y : slice
            Places, from 0.
        fill : int
            Grey level.

        Returns
        -------
        pixels : (z, y, x) array
        damaged : dict of int to str
            What is wrong, by slice, from 1.
        """
        try:
            return self.read(z, y), {}
        except DamagedChunkError:
            array = self.levels[0]
        # One chunk after another: zarr does not say which one it is.
        z, y = (slice(*part.indices(n)) for part, n in zip((z, y), array.shape, strict=False))
        shape = (z.stop - z.start, y.stop - y.start, array.shape[2])
        pixels, damaged = np.full(shape, fill, array.dtype), {}
        whole = (z, y, slice(0, array.shape[2]))
        pieces = [
            range(part.start // side, -(-part.stop // side))
            for part, side in zip(whole, array.chunks, strict=True)
        ]
        for place in itertools.product(*pieces):
            part = tuple(
                slice(max(w.start, at * side), min(w.stop, (at + 1) * side))
                for w, at, side in zip(whole, place, array.chunks, strict=True)
            )
            onto = tuple(
                slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, whole, strict=True)
            )
            try:
                pixels[onto] = self.read(*part)
            except DamagedChunkError as error:
                damaged |= dict.fromkeys(range(part[0].start + 1, part[0].stop + 1), str(error))
        return pixels, damaged

    def read(self, z, y=slice(None), x=slice(None), *, level: int = 0) -> np.ndarray:
        """Read a part.

        Parameters
        ----------
        z, y, x : int or slice
            Places, from 0, at that level.
        level : int

        Returns
        -------
        array of uint8 or uint16

        Raises
        ------
        DamagedChunkError
            If a chunk in it cannot be decoded.
        """
        try:
            return np.asarray(self.levels[level][z, y, x])
        except (OSError, MemoryError):
            raise
        except Exception as error:  # What codecs raise has no common type.
            raise DamagedChunkError(
                f"{self.where}, level {level}: a chunk of slices {_from_one(z)} cannot be decoded "
                f"({error}). Delete that chunk's file and convert again, which writes it anew."
            ) from error

    def stack(
        self, z: slice, y: tuple[int, int], x: tuple[int, int], *, name: str, fill: int = 0
    ) -> Stack:
        """Open a box as a stack, at full size.

        Parameters
        ----------
        z : slice
            Places from 0, inside the field.
        y, x : (int, int)
            First and last but one; what lies beyond the field is filled, with a little grain, so
            that it looks neither lost nor like a frame.
        name : str
        fill : int
            Grey level beyond the field.

        Returns
        -------
        Stack
            Its slice numbers are the field's, from 1.
        """
        layer = self.levels[0].chunks[0]
        inside = tuple(
            slice(max(0, a), min(n, b)) for (a, b), n in zip((y, x), self.shape[1:], strict=True)
        )
        margins = [
            (part.start - a, b - part.stop) for part, (a, b) in zip(inside, (y, x), strict=True)
        ]

        @lru_cache(maxsize=2)
        def band(first: int) -> np.ndarray:
            return self.read(slice(first, min(first + layer, self.shape[0])), *inside)

        def image(number: int) -> np.ndarray:
            first = (number - 1) // layer * layer
            plane = np.pad(band(first)[number - 1 - first], margins, constant_values=fill)
            if any(map(any, margins)):
                beyond = np.pad(
                    np.zeros([w.stop - w.start for w in inside], bool),
                    margins,
                    constant_values=True,
                )
                grain = np.random.default_rng(number).normal(fill, GRAIN, np.count_nonzero(beyond))
                plane[beyond] = np.clip(np.round(grain), 0, 255)
            return plane

        return Stack(
            name=name,
            source="own",
            slice_numbers=tuple(range(z.start + 1, z.stop + 1)),
            shape=(y[1] - y[0], x[1] - x[0]),
            voxel_nm=self.voxel_nm,
            licence="that of the field",
            citation=self.where,
            _image=image,
        )


def _from_one(z) -> str:
    if isinstance(z, slice):
        return f"{(z.start or 0) + 1} to {z.stop}"
    return str(int(z) + 1)


def open_field(where: Path | str) -> Field:
    """Open a field for reading.

    Parameters
    ----------
    where : path or str
        A folder with OME-Zarr 0.4 or 0.5, or its address (http, https, s3): of a remote one only
        the chunks that are asked for are fetched.

    Returns
    -------
    Field

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is not a grey image (z, y, x) of OME-Zarr.
    ModuleNotFoundError
        If zarr is not installed.
    """
    zarr = need_zarr()
    where = str(where)
    remote = "://" in where
    if not remote and not Path(where).is_dir():
        raise FileNotFoundError(f"{where}: there is no such folder; give a field.zarr, or convert.")
    try:
        group = zarr.open_group(where, mode="r")
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"{where} is not OME-Zarr: it has no group ({error}). "
            "Make one with helpers.field.convert."
        ) from error
    attributes = dict(group.attrs)
    told = attributes.get("ome", attributes)
    try:
        image = told["multiscales"][0]
        axes = [axis["name"] for axis in image["axes"]]
        levels = tuple(group[each["path"]] for each in image["datasets"])
        scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
        unit = {axis.get("unit", "nanometer") for axis in image["axes"]}
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{where} is not an image of OME-Zarr: its metadata lack {error}. "
            "Make one with helpers.field.convert."
        ) from error
    factors = {"nanometer": 1.0, "micrometer": 1000.0, "angstrom": 0.1}
    if axes != ["z", "y", "x"] or len(unit) != 1 or not unit <= factors.keys():
        raise ValueError(
            f"{where} has the axes {axes} in {sorted(unit)}; allowed are z, y, x, all in "
            f"{', '.join(factors)}. Write the channel that you need with helpers.field.convert."
        )
    factor = factors[unit.pop()]
    voxel_nm = tuple(check_length(side * factor, "scale") for side in scale)
    return Field(where, levels, voxel_nm, attributes.get("hela", {}))


# --- writing -------------------------------------------------------------------------------------


def level_shapes(shape: Sequence[int], n_levels: int = N_LEVELS) -> list[tuple[int, int, int]]:
    """Return the sizes of a pyramid, each with half the rows and columns, rounded up.

    Examples
    --------
    >>> level_shapes((4, 10, 7), 3)
    [(4, 10, 7), (4, 5, 4), (4, 3, 2)]
    """
    return [(shape[0], *(math.ceil(n / 2**level) for n in shape[1:])) for level in range(n_levels)]


def layer_slices(shape: Sequence[int]) -> int:
    """Return how many slices a chunk has: eight, or fewer where planes are huge."""
    return max(1, min(CHUNK_SLICES, shape[0], BAND_BYTES // (shape[1] * shape[2])))


def create(
    out: Path,
    shape: tuple[int, int, int],
    voxel_nm: tuple[float, float, float],
    *,
    name: str,
    about: dict,
    dtype: str = "uint8",
    n_levels: int = N_LEVELS,
    chunk: tuple[int, int, int] | None = None,
    colours: dict[int, tuple[int, int, int]] | None = None,
) -> None:
    """Write the metadata of an image, and its levels without any chunk.

    Parameters
    ----------
    out : Path
        New folder.
    shape, voxel_nm : (z, y, x)
    name : str
    about : dict
        Kept under ``hela`` beside the standard's metadata.
    dtype : str
    n_levels : int
    chunk : (int, int, int), optional
        By default `layer_slices` x 512 x 512.
    colours : dict, optional
        For labels, by value: marks the image as one of labels.

    Raises
    ------
    helpers.cache.StorageError
        If it cannot be written.
    """
    zarr = need_zarr()
    chunk = chunk or (layer_slices(shape), CHUNK_PX, CHUNK_PX)
    datasets = []
    with storing(out):
        group = zarr.open_group(str(out), mode="a", zarr_format=3)
        for level, size in enumerate(level_shapes(shape, n_levels)):
            group.create_array(
                str(level),
                shape=size,
                dtype=dtype,
                chunks=tuple(min(c, n) for c, n in zip(chunk, size, strict=True)),
                compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"),
                dimension_names=("z", "y", "x"),
                config={"write_empty_chunks": True},
                overwrite=True,
            )
            scale = [voxel_nm[0], *(side * 2**level for side in voxel_nm[1:])]
            # A pixel of a coarser level has its centre between those that it is made of.
            shift = [0.0, *(side * (2**level - 1) / 2 for side in voxel_nm[1:])]
            transformations = [
                {"type": "scale", "scale": [float(each) for each in scale]},
                {"type": "translation", "translation": [float(each) for each in shift]},
            ]
            datasets.append({"path": str(level), "coordinateTransformations": transformations})
        axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
        ome = {
            "version": "0.5",
            "multiscales": [
                {
                    "name": name,
                    "axes": axes,
                    "datasets": datasets,
                    "type": "every second pixel" if colours else "mean of 2 x 2 pixels",
                }
            ],
        }
        if colours is not None:
            listed = [{"label-value": v, "rgba": [*c, 255]} for v, c in sorted(colours.items())]
            ome["image-label"] = {"colors": listed}
        # Last, so that what has metadata has its levels.
        group.attrs.update({"ome": ome, "hela": about})


def write_layer(
    out: Path, first: int, stripes: Iterator[tuple[int, np.ndarray]], *, again: bool = False
) -> int:
    """Write the chunks of one layer of slices at all levels.

    A chunk that is there is whole, for it is renamed into its place, and is not written again.

    Parameters
    ----------
    out : Path
        An image that `create` made.
    first : int
        First slice of the layer, from 0.
    stripes : iterator of (int, (z, y, x) array)
        First row and pixels of each stripe of full width, one row of chunks high.
    again : bool
        Write chunks anew that are there.

    Returns
    -------
    int
        How many chunks were written.
    """
    levels = _levels(str(out))
    labels = "image-label" in dict(_group(str(out)).attrs)["ome"]
    below = None
    written = 0
    for row, stripe in stripes:
        written += _write_rows(out, 0, levels[0], first, row, stripe, again)
        half = shrink(stripe, labels=labels)
        if below is None:
            below = np.zeros((len(half), *levels[1].shape[1:]), half.dtype) if levels[1:] else None
        if below is not None:
            below[:, row // 2 : row // 2 + half.shape[1]] = half
    for level, array in enumerate(levels[1:], start=1):
        height = array.chunks[1]
        for row in range(0, array.shape[1], height):
            written += _write_rows(
                out, level, array, first, row, below[:, row : row + height], again
            )
        below = shrink(below, labels=labels)
    return written


def _write_rows(out, level, array, first, row, pixels, again) -> int:
    width, written = array.chunks[2], 0
    place = (first // array.chunks[0], row // array.chunks[1])
    for column in range(0, array.shape[2], width):
        path = chunk_path(out, level, (*place, column // width))
        if again or not path.is_file():
            part = pixels[:, :, column : column + width]
            with storing(path):
                array[
                    first : first + len(part), row : row + part.shape[1], column : column + width
                ] = part
            written += 1
    return written


def chunk_path(out: Path, level: int, place: tuple[int, int, int]) -> Path:
    """Return the file of a chunk."""
    return Path(out, str(level), "c", *map(str, place))


def layer_is_whole(out: Path, first: int) -> bool:
    """Tell whether all chunks of a layer of slices are there, at all levels."""
    for level, array in enumerate(_levels(str(out))):
        depth, *sides = array.chunks
        counts = [math.ceil(n / side) for n, side in zip(array.shape[1:], sides, strict=True)]
        for place in np.ndindex(*counts):
            if not chunk_path(out, level, (first // depth, *place)).is_file():
                return False
    return True


def shrink(pixels: np.ndarray, *, labels: bool = False) -> np.ndarray:
    """Halve rows and columns: the mean of 2 x 2 pixels, or for labels every second one.

    Parameters
    ----------
    pixels : (z, y, x) array
    labels : bool

    Returns
    -------
    (z, y, x) array of the same type
        An odd last row or column is a mean of what there is.

    Examples
    --------
    >>> shrink(np.array([[[1, 3, 9], [5, 7, 9]]], dtype=np.uint8)).tolist()
    [[[4, 9]]]
    """
    if labels:
        return np.ascontiguousarray(pixels[:, ::2, ::2])
    odd = [(0, n % 2) for n in pixels.shape[1:]]
    size = tuple((n + 1) // 2 for n in pixels.shape[1:])
    planes = (np.pad(plane, odd, mode="edge") if any(map(sum, odd)) else plane for plane in pixels)
    return np.stack([cv2.resize(p, size[::-1], interpolation=cv2.INTER_AREA) for p in planes])


def _group(out: str):
    return need_zarr().open_group(out, mode="r+")


def _levels(out: str) -> list:
    group = _group(out)
    paths = [each["path"] for each in group.attrs["ome"]["multiscales"][0]["datasets"]]
    # What a stored array was created with is not stored: empty chunks are files too.
    return [group[path].with_config({"write_empty_chunks": True}) for path in paths]


def read_about(out: Path) -> dict | None:
    """Return what was written about an image's making; None where there is no whole metadata."""
    try:
        told = json.loads(Path(out, "zarr.json").read_text(encoding="utf-8"))
        return told["attributes"]["hela"]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    except (ValueError, KeyError, TypeError):
        return None


def note_of(out: Path, number: int) -> Path:
    """Return the file that says why a slice, from 1, cannot be read."""
    return Path(out, NOTES, f"{number}.txt")


def note_damage(out: Path, number: int, why: str) -> None:
    """Note that a slice, from 1, cannot be read, before its chunks are written."""
    note = note_of(out, number)
    with storing(note):
        note.parent.mkdir(exist_ok=True)
    write_whole(note, why)


def collect_damage(out: Path) -> None:
    """Put the notes on slices that cannot be read where `Field.damaged` has them."""
    about = read_about(out)
    damaged = {path.stem: path.read_text(encoding="utf-8") for path in out.glob(f"{NOTES}/*.txt")}
    if about.get("damaged", {}) != damaged:
        with storing(out):
            _group(str(out)).attrs["hela"] = about | {"damaged": damaged}
