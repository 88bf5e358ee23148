"""What can be done to a slice before its neighbours are known."""

from dataclasses import dataclass

import numpy as np

from helpers.traditional import (
    Constants,
    detect_edges,
    find_background,
    grow_edges,
    smooth,
    superpixels,
)


@dataclass(frozen=True)
class Prepared:
    """A slice with its superpixels and its background.

    Attributes
    ----------
    smoothed : (y, x) array of float32
        Grey levels.
    regions : (y, x) array of int32
        Superpixels, 0 for edges.
    background : (y, x) array of bool
    """

    smoothed: np.ndarray
    regions: np.ndarray
    background: np.ndarray


def prepare(
    image: np.ndarray, constants: Constants, with_regions: bool = True
) -> tuple[np.ndarray | None, np.ndarray]:
    """Find superpixels and background of a slice.

    This is two thirds of the work, needs no neighbour, and is done ahead by other cores.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    constants : Constants
    with_regions : bool
        False beyond the end of the nucleus, where only the background is wanted.

    Returns
    -------
    regions : (y, x) array of uint16 or int32, or None
        Superpixels, as small as their number allows: they travel between processes.
    background : array of uint8
        The mask, a bit a pixel.
    """
    smoothed = smooth(image, constants)
    background = np.packbits(find_background(smoothed, constants=constants))
    if not with_regions:
        return None, background
    regions = superpixels(grow_edges(detect_edges(smoothed, constants), constants))
    if regions.max() <= np.iinfo(np.uint16).max:
        regions = regions.astype(np.uint16)
    return regions, background


def unpack(
    image: np.ndarray, prepared: tuple[np.ndarray, np.ndarray], constants: Constants
) -> Prepared:
    """Restore what `prepare` made of a slice.

    Parameters
    ----------
    image : (y, x) array of uint8
    prepared : (array, array)
        From `prepare`.
    constants : Constants

    Returns
    -------
    Prepared
    """
    regions, packed = prepared
    return Prepared(
        smooth(image, constants), regions.astype(np.int32), unpack_mask(packed, image.shape)
    )


def unpack_mask(packed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Restore a mask from its bits.

    Parameters
    ----------
    packed : array of uint8
        From `numpy.packbits`.
    shape : (int, int)

    Returns
    -------
    (y, x) array of bool
    """
    return np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).view(bool)
