"""A network over the whole field: block by block on Dask, so that no block shows in the labels."""

import dataclasses
import math
import shutil
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from helpers.cache import key_of
from helpers.field import ngff, tasks
from helpers.field.convert import PICTURES
from helpers.field.ngff import Field, open_field
from helpers.labels import PALETTES, Label
from helpers.traditional.constants import REFERENCE_PIXEL_SIZE_NM
from helpers.training.device import need_tensorflow
from helpers.training.examples import as_input
from helpers.training.predict import predictor
from helpers.training.prepare import Preparation

BLOCK_PX = 512
"""Side of a block; a field's chunks have the same."""

# Keras is not made for two threads that build a model at once.
_building = threading.Lock()


def predict(
    pictures,
    network,
    *,
    block_px: int = BLOCK_PX,
    overlap_px: int | None = None,
    level: int = 0,
    slices: Iterable[int] | None = None,
    preparation: Preparation | None = None,
):
    """Label slices with a network, block by block; nothing is computed before it is asked for.

    Each block is given to the network with a margin of its neighbours' pixels, which is cut off
    afterwards (Dask's ``map_overlap``). With a margin as wide as the network reaches, every pixel
    that is kept was computed from the same surroundings, whatever the block: so the labels do not
    depend on `block_px`. For the same reason blocks begin on the grid of the network's deepest
    maps: else its pooling would meet other pixels together. Beyond its sides the field goes on as
    its mirror image.

    Parameters
    ----------
    pictures : Field, or (z, y, x) array of uint8
        A NumPy or Dask array, or a field.
    network : keras.Model
        From grey levels 0 to 255, of any size, to the softmax of four classes.
    block_px : int
        Side of a block without its margin: a multiple of the network's stride, no smaller than
        `overlap_px`.
    overlap_px : int, optional
        Width of the margin, a multiple of the network's stride. By default what the network
        needs: see `reach`. 0 is blocks without overlap, as the authors' later U-Net was applied.
    level : int
        Of the field's pyramid.
    slices : iterable of int, optional
        Numbers from 1; by default all.
    preparation : Preparation, optional
        That of the recipe which the network was trained with; of a field only, whose pixel size is
        known. By default slices are taken as they are.

    Returns
    -------
    (z, y, x) dask array of uint8
        Numbers of `helpers.labels.Label`. ``.compute()`` gives them, on the workers of a
        `helpers.field.tasks.cluster` where one is open, else on threads of this process.

    Raises
    ------
    ValueError
        If a size does not fit, there is no such slice, or the network looks at the whole picture.
    TypeError
        If the pictures are not of uint8, or where a layer of the network looks is not known.
    ModuleNotFoundError
        If Dask is not installed.

    Notes
    -----
    A task holds one block with its margin, as many slices of it as a chunk of the field has, and
    the network's maps of one of these. Each process of a cluster builds the network once.

    Blocks without overlap are what the authors' code for a whole slice of 8192 x 8192 has, of
    2048 x 2048: ``segmentationHeLaUnet_8000x8000.m`` in HeLa_Segmentation_UNET2, which belongs to
    Karabag et al., J. Imaging 9(3):59 (2023), doi 10.3390/jimaging9030059.

    On a processor no pixel has been seen to differ, in float32 or bfloat16. A device that adds in
    another order for another size of block can turn over what is equally likely to the last digit.
    """
    da = tasks.need_dask("dask.array")
    stored = network if isinstance(network, _Stored) else _store(network)
    pixel_nm = pictures.pixel_nm(level) if isinstance(pictures, Field) else None
    _check_preparation(preparation, pixel_nm, level)
    stride, overlap = stored.stride, overlap_px
    if overlap is None:
        overlap = stored.reach
        if math.isinf(overlap):
            raise ValueError(
                f"{stored.name} looks at the whole picture, so that each block changes what it "
                "sees. Take a network that does not, such as helpers.networks.unet, or give "
                "overlap_px and look at the seams with count_seams."
            )
        overlap = -(-(int(overlap) + _radius(preparation, pixel_nm)) // stride) * stride
    if block_px < stride or block_px % stride:
        raise ValueError(
            f"block_px is {block_px}; it must be a multiple of the stride of {stored.name}, "
            f"{stride}."
        )
    if overlap < 0 or overlap % stride or overlap > block_px:
        raise ValueError(
            f"overlap_px is {overlap} for blocks of {block_px}; it must be a multiple of the "
            f"stride of {stored.name}, {stride}, and no more than a block."
        )
    planes = _planes(da, pictures, level, slices)
    height, width = planes.shape[1:]
    for axis in (1, 2):
        planes = _fit(da, planes, axis, block_px, overlap, stride)
    labels = da.map_overlap(
        _label_block,
        planes,
        depth={0: 0, 1: overlap, 2: overlap},
        # Dask's word for what NumPy calls symmetric.
        boundary={0: "none", 1: "reflect", 2: "reflect"},
        # Dask would cut other blocks, off the grid.
        allow_rechunk=False,
        dtype=np.uint8,
        meta=np.empty((0, 0, 0), np.uint8),
        # One node of the graph: a worker gets the weights once, not with each block.
        stored=tasks.need_dask("dask").delayed(stored, pure=True),
        preparation=preparation,
        pixel_nm=pixel_nm,
    )
    # The blocks beyond the field are never asked for.
    return labels[:, :height, :width]


def reach(network) -> tuple[float, int]:
    """Return how far from a pixel a network looks, and the grid that it is bound to.

    Parameters
    ----------
    network : keras.Model

    Returns
    -------
    reach_px : int or inf
        Pixels farther away do not change a pixel's label; infinite if a layer looks at the whole
        picture.
    stride_px : int
        The same labels come out, moved, if the picture is moved by a multiple of it.

    Raises
    ------
    TypeError
        If where a layer looks is not known.
    """
    need_tensorflow()
    from helpers.networks.describe import receptive_field, total_stride

    return receptive_field(network).reach_px, total_stride(network)


def predict_to_field(
    field: Field,
    network,
    out: Path | str,
    *,
    block_px: int = BLOCK_PX,
    overlap_px: int | None = None,
    preparation: Preparation | None = None,
    client=None,
    progress: bool = False,
) -> Field:
    """Label a whole field with a network, and keep the labels as OME-Zarr.

    Parameters
    ----------
    field : Field
    network : keras.Model
    out : path
        Folder of the labels, such as ``network.zarr``. The same call goes on where a run was
        stopped, a layer of chunks a task; labels of another network or field are replaced.
    block_px, overlap_px, preparation
        See `predict`.
    client : distributed.Client, optional
        Of `helpers.field.tasks.cluster`; by default this process does it.
    progress : bool

    Returns
    -------
    Field
        Numbers of `helpers.labels.Label`. Damaged slices, which are black, are labelled too.

    Raises
    ------
    ValueError, TypeError, ModuleNotFoundError
        As `predict`.
    helpers.cache.StorageError
        If it cannot be written.
    """
    out, stored = Path(out), _store(network)
    options = {"block_px": block_px, "overlap_px": overlap_px, "preparation": preparation}
    predict(field, stored, **options)  # Says what does not fit before anything is replaced.
    key = key_of(
        ["network labels 1", predict, _label_block, _fit],
        network=stored.key,
        field=field.about.get("key", field.where),
        pictures=_pictures(field),
        shape=field.shape,
        **options,
    )
    about = ngff.read_about(out)
    if about is None or about.get("key") != key:
        shutil.rmtree(out, ignore_errors=True)
        ngff.create(
            out,
            field.shape,
            field.voxel_nm,
            name=out.stem,
            about={"key": key, "source": field.where, "network": stored.name},
            n_levels=len(field.levels),
            # Rows of chunks are rows of blocks: none is computed twice.
            chunk=(field.levels[0].chunks[0], block_px, block_px),
            colours={int(label): PALETTES["safe"][label] for label in Label},
        )
    depth = field.levels[0].chunks[0]
    sent = stored if client is None else client.scatter(stored, broadcast=True)
    todo = {
        first: (_write_layer, field.where, out, first, sent, options)
        for first in range(0, field.shape[0], depth)
        if not ngff.layer_is_whole(out, first)
    }
    tasks.all_of(tasks.run(todo, client, what="layers", progress=progress))
    return open_field(out)


def _pictures(field: Field):
    """Return what tells the field's pictures from others: of foreign ones, the coarsest level."""
    digests = Path(field.where, PICTURES)
    if digests.is_dir():
        return digests
    coarsest = len(field.levels) - 1
    return [key_of("", pixels=field.read(n, level=coarsest)) for n in range(field.shape[0])]


def _write_layer(where: str, out: Path, first: int, stored: "_Stored", options: dict) -> int:
    source = open_field(where)
    last = min(first + source.levels[0].chunks[0], source.shape[0])
    labels = predict(source, stored, slices=range(first + 1, last + 1), **options)

    def stripes() -> Iterator[tuple[int, np.ndarray]]:
        step = options["block_px"]
        for row in range(0, labels.shape[1], step):
            yield row, labels[:, row : row + step].compute(scheduler="synchronous")

    return ngff.write_layer(out, first, stripes())


@dataclasses.dataclass(frozen=True)
class _Level:
    """A level of a field as what Dask reads parts of."""

    source: Field
    level: int

    @property
    def shape(self):
        return self.source.levels[self.level].shape

    @property
    def dtype(self):
        return self.source.levels[self.level].dtype

    @property
    def ndim(self):
        return 3

    def __getitem__(self, where):
        return self.source.read(*where, level=self.level)


def _planes(da, pictures, level: int, slices: Iterable[int] | None):
    """Return the slices as a Dask array in chunks of a few slices."""
    if isinstance(pictures, Field):
        chunks = pictures.levels[level].chunks
        planes = da.from_array(
            _Level(pictures, level), chunks=chunks, name=False, asarray=False, fancy=False
        )
    else:
        if getattr(pictures, "ndim", 0) != 3:
            raise ValueError("The pictures must be a Field or an array (z, y, x).")
        planes = da.asarray(pictures)
        planes = planes.rechunk({0: min(ngff.CHUNK_SLICES, len(planes))})
    if planes.dtype != np.uint8:
        raise TypeError(f"The pictures are {planes.dtype}; allowed is uint8, grey 0 to 255.")
    if slices is None:
        return planes
    places = np.array([int(number) - 1 for number in slices], int)
    absent = [str(place + 1) for place in places if not 0 <= place < len(planes)]
    if absent or not len(places):
        raise ValueError(
            f"There are no slices {', '.join(absent) or 'to label'}; "
            f"allowed are 1 to {len(planes)}."
        )
    return planes[places]


def _fit(da, planes, axis: int, block_px: int, overlap: int, stride: int):
    """Cut an axis into blocks, with so much of the mirror image behind it that each is whole."""
    length = planes.shape[axis]
    n_full, rest = divmod(length, block_px)
    blocks = [block_px] * n_full
    if rest:
        # On the grid, and no less than what its neighbour takes of it.
        blocks.append(max(-(-rest // stride) * stride, overlap))
    if overlap:
        # Beyond the last block, as far as it looks, all see the same: the mirror image.
        blocks.append(overlap)
    beyond = sum(blocks) - length
    if beyond:
        mirrored = np.pad(np.arange(length), (0, beyond), mode="symmetric")[length:]
        planes = da.concatenate([planes, da.take(planes, mirrored, axis=axis)], axis=axis)
    return planes.rechunk({axis: tuple(blocks)})


def _label_block(planes: np.ndarray, *, stored, preparation, pixel_nm) -> np.ndarray:
    """Label a block with its margin: one task."""
    network, channels = _network(stored)
    labels = np.empty(planes.shape, np.uint8)
    for place, plane in enumerate(planes):
        plane = np.ascontiguousarray(plane)
        if preparation is not None:
            plane = preparation.image(plane, pixel_size_nm=pixel_nm, shape=plane.shape)
        found = network(as_input(plane[None], channels))[0]
        labels[place] = found.argmax(axis=-1) + min(Label)
    return labels


def _check_preparation(preparation, pixel_nm: float | None, level: int) -> None:
    if preparation is None:
        return
    if pixel_nm is None:
        raise ValueError(
            "An array has no pixel size, which the preparation needs: give a Field, or prepare "
            "the slices before."
        )
    if preparation.pixel_size_nm and pixel_nm < preparation.pixel_size_nm:
        raise ValueError(
            f"Level {level} has pixels of {pixel_nm:g} nm, and the network learned from pixels of "
            f"{preparation.pixel_size_nm:g} nm: give the level whose pixels are that large."
        )


def _radius(preparation, pixel_nm: float | None) -> int:
    """Return how far the smoothing before the network reaches."""
    if preparation is None:
        return 0
    return max(1, round(preparation.smooth_radius_px * REFERENCE_PIXEL_SIZE_NM / pixel_nm))


# --- the network on a worker ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Stored:
    """A network as other processes get it: layers and weights, not how it was trained."""

    key: str
    name: str = dataclasses.field(compare=False)
    layers: str = dataclasses.field(compare=False, repr=False)
    weights: tuple = dataclasses.field(compare=False, repr=False)
    reach: float = dataclasses.field(compare=False)
    stride: int = dataclasses.field(compare=False)

    def __dask_tokenize__(self):
        return self.key


def _store(network) -> _Stored:
    shape, out = tuple(network.input_shape), tuple(network.output_shape)
    if len(shape) != 4 or shape[-1] not in (1, 3) or shape[1:3] != (None, None):
        raise ValueError(
            f"{network.name} takes {shape}; blocks need a network for inputs of any size, "
            "(None, None, None, 1 or 3). Build it for that, and give it the weights."
        )
    if len(out) != 4 or out[-1] != len(Label):
        raise ValueError(f"{network.name} returns {out}; it must return {len(Label)} classes.")
    layers, weights = network.to_json(), tuple(network.get_weights())
    return _Stored(
        key_of("", layers=layers, weights=list(weights)),
        network.name,
        layers,
        weights,
        *reach(network),
    )


def _network(stored: _Stored):
    with _building:
        return _built(stored)


@lru_cache(maxsize=2)
def _built(stored: _Stored):
    need_tensorflow()
    import keras

    import helpers.networks  # noqa: F401  Its layers become known to Keras.

    network = keras.models.model_from_json(stored.layers)
    network.set_weights(stored.weights)
    return predictor(network), network.input_shape[-1]
