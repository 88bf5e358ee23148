"""Slices into OME-Zarr: in parallel, in layers of chunks, and going on where a run was stopped."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from helpers import data
from helpers.cache import key_of, storing, write_whole
from helpers.data.stack import Stack
from helpers.field import ngff, tasks
from helpers.field.ngff import Field, open_field

PICTURES = "pictures"
"""Folder in the Zarr: digests of the slices."""


def convert(
    source,
    out: Path | str,
    *,
    voxel_nm=None,
    client=None,
    n_levels: int = ngff.N_LEVELS,
    chunk: tuple[int, int, int] | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **opening,
) -> Field:
    """Write slices as OME-Zarr 0.5, with a pyramid.

    Parameters
    ----------
    source : path, array or Stack
        What `helpers.data.open_stack` opens, such as a folder of DM4 or TIFF slices; a
        (z, y, x) array of uint8; or a stack.
    out : path
        Folder of the field, such as ``field.zarr``. Where a run was stopped, the same call writes
        the chunks that are missing and tries damaged slices again. All slices are read again, to
        tell whether they are the same pictures.
    voxel_nm : (float, float, float), optional
        (z, y, x); needed where the files do not have it.
    client : distributed.Client, optional
        Of `helpers.field.cluster`; by default this process does it. The workers read the source.
    n_levels : int
        Of the pyramid, 1 to 8.
    chunk : (int, int, int), optional
        By default 8 x 512 x 512, with fewer slices where a plane has more than 64 megapixels.
    overwrite : bool
        Replace another field in `out`.
    progress : bool
    **opening
        Other options of `helpers.data.open_stack`.

    Returns
    -------
    Field
        Slices that could not be read are black in it, and `Field.damaged`.

    Raises
    ------
    ValueError
        If `out` has another field, or an option is not allowed.
    helpers.cache.StorageError
        If it cannot be written.
    """
    out = Path(out)
    if not 1 <= n_levels <= 8:
        raise ValueError(f"n_levels is {n_levels}; allowed are 1 to 8.")
    stack = as_stack(source, voxel_nm=voxel_nm, **opening)
    shape = (len(stack), *stack.shape)
    chunk = tuple(chunk or (ngff.layer_slices(shape), ngff.CHUNK_PX, ngff.CHUNK_PX))
    if len(chunk) != 3 or min(chunk) < 1 or chunk[1] % 2 or chunk[2] % 2:
        raise ValueError(f"chunk is {chunk}; it needs slices, and an even number of rows, columns.")
    key = key_of(
        "field 1",
        name=stack.name,
        numbers=stack.slice_numbers,
        shape=shape,
        voxel=stack.voxel_nm,
        chunk=chunk,
        n_levels=n_levels,
        notes=stack.notes,
    )
    about = ngff.read_about(out)
    if about is not None and about.get("key") != key:
        if not overwrite:
            raise ValueError(
                f"{out} is another field ({about.get('source')}, or other options); "
                "give overwrite=True to replace it, or another folder."
            )
        about = None
    if about is None:
        if out.exists() and overwrite:
            shutil.rmtree(out)
        if out.exists() and any(path.suffix == ".json" for path in out.iterdir()):
            # Stopped before its metadata were whole: no chunk can be in it.
            shutil.rmtree(out)
        about = {"key": key, "source": stack.name, "numbers": list(stack.slice_numbers)}
        ngff.create(
            out,
            shape,
            stack.voxel_nm,
            name=out.stem,
            about=about,
            n_levels=n_levels,
            chunk=chunk,
        )
    _write_all(stack, out, chunk[0], overwrite, client, progress)
    ngff.collect_damage(out)
    return open_field(out)


def as_stack(source, *, voxel_nm=None, **opening) -> Stack:
    """Open what `convert` takes.

    Parameters
    ----------
    source, voxel_nm, **opening
        As `convert`.

    Returns
    -------
    Stack

    Raises
    ------
    ValueError
        If there is no voxel size, or pixels are not allowed.
    """
    if isinstance(source, Stack):
        return source
    if not isinstance(source, str | Path) and getattr(source, "ndim", 0) == 3:
        if voxel_nm is None:
            raise ValueError("an array has no voxel size; give voxel_nm=(z, y, x), in nanometres.")
        if source.dtype != np.uint8:
            raise ValueError(f"the array is {source.dtype}; allowed is uint8, grey 0 to 255.")
        return Stack(
            name="an array",
            source="own",
            slice_numbers=tuple(range(1, len(source) + 1)),
            shape=tuple(source.shape[1:]),
            voxel_nm=tuple(voxel_nm),
            licence="",
            citation="",
            _image=lambda number: np.asarray(source[number - 1]),
        )
    return data.open_stack(source, voxel_nm=voxel_nm, **opening)


def _write_all(stack: Stack, out: Path, depth: int, overwrite: bool, client, progress) -> None:
    todo = {
        first: (write_layer, stack, out, first, depth, overwrite)
        for first in range(0, len(stack), depth)
    }
    tasks.all_of(tasks.run(todo, client, what="layers", progress=progress))


def write_layer(stack: Stack, out: Path, first: int, depth: int, overwrite: bool) -> int:
    """Read the slices of one layer of chunks, and write what is not there: one task.

    Parameters
    ----------
    stack : Stack
    out : Path
    first : int
        Place of the first of them, from 0.
    depth : int
        How many slices a chunk has.
    overwrite : bool
        Whether chunks of other pictures are replaced.

    Returns
    -------
    int
        How many chunks were written.

    Raises
    ------
    ValueError
        If the chunks that are there are of other pictures.
    """
    numbers = stack.slice_numbers[first : first + depth]
    record = Path(out, PICTURES, f"{first}.json")
    known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    found = {}
    again = any(ngff.note_of(out, number).is_file() for number in numbers)
    planes = np.zeros((len(numbers), *stack.shape), np.uint8)
    for place, number in enumerate(numbers):
        try:
            planes[place] = stack.image(number)
        except MemoryError:
            raise
        except Exception as error:  # Whatever the file's reader raises.
            ngff.note_damage(out, number, str(error))
        else:
            ngff.note_of(out, number).unlink(missing_ok=True)
            found[str(number)] = key_of("slice", pixels=planes[place])
    other = [number for number in found if known.get(number, found[number]) != found[number]]
    if other and not overwrite:
        raise ValueError(
            f"{out} is another field: its slice {other[0]} is another picture. "
            "Give overwrite=True to replace it, or another folder."
        )
    again |= bool(other)
    if ngff.layer_is_whole(out, first) and not again:
        return 0
    # First, so that no chunk is there of which it is not known what it shows.
    with storing(record):
        record.parent.mkdir(exist_ok=True)
    write_whole(record, json.dumps(known | found))
    return ngff.write_layer(out, first, _stripes(out, planes), again=again)


def _stripes(out: Path, planes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    height = open_field(out).levels[0].chunks[1]
    for row in range(0, planes.shape[1], height):
        yield row, planes[:, row : row + height]
