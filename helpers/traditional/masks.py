"""Small operations on masks and images that the steps share."""

import cv2
import numpy as np


def check_image(image: np.ndarray) -> np.ndarray:
    """Return a slice as it is, or say what is wrong with it.

    Parameters
    ----------
    image : (y, x) array of uint8

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    TypeError
        If it is not an array of uint8.
    ValueError
        If it does not have two dimensions, or has no pixels.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise TypeError(
            f"image has dtype {image.dtype}; allowed is uint8, grey levels 0 to 255. "
            "Bring the slice to that range first, for instance with skimage.util.img_as_ubyte."
        )
    if image.ndim != 2:
        raise ValueError(
            f"image has shape {image.shape}; allowed is one grey slice (y, x). "
            "Take one slice of a stack, or one channel of a colour picture."
        )
    if image.size == 0:
        raise ValueError(f"image has shape {image.shape} and no pixels; give a whole slice.")
    return np.ascontiguousarray(image)


def check_mask(mask: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    """Return a mask as bool, or say why it does not go with the slice.

    Parameters
    ----------
    mask : (y, x) array of bool
    shape : (int, int)
        Shape of the slice.
    name : str
        What the caller calls the mask.

    Returns
    -------
    (y, x) array of bool

    Raises
    ------
    TypeError
        If it is not an array of bool.
    ValueError
        If its shape is another.
    """
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(
            f"{name} has dtype {mask.dtype}; allowed is bool, True inside. "
            "From labels: labels == Label.NUCLEUS."
        )
    if mask.shape != shape:
        raise ValueError(f"{name} has shape {mask.shape}, the slice {shape}; they must agree.")
    return mask


def as_bytes(mask: np.ndarray) -> np.ndarray:
    """Give OpenCV a mask as 0 and 1 without copying.

    Parameters
    ----------
    mask : array of bool

    Returns
    -------
    array of uint8
    """
    return np.ascontiguousarray(mask).view(np.uint8)


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of a mask.

    Parameters
    ----------
    mask : (y, x) array of bool

    Returns
    -------
    (y, x) array of float32
        Exact Euclidean distance in pixels; very large where the mask is empty.
    """
    if not mask.any():
        return np.full(mask.shape, np.finfo(np.float32).max, np.float32)
    return cv2.distanceTransform(
        (~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dstType=cv2.CV_32F
    )


def disk(radius_px: float) -> np.ndarray:
    """Disk as MATLAB draws it: an octagon for a radius of 3 or more.

    Parameters
    ----------
    radius_px : float
        Rounded to a whole number of pixels, at least 1.

    Returns
    -------
    (n, n) array of uint8

    Notes
    -----
    The published code asks for ``strel('disk', 5)``, whose default approximation is not the disk
    of 81 pixels but an octagon of 9 x 9, one pixel smaller all round.

    Examples
    --------
    >>> disk(5).shape, int(disk(5).sum()), disk(1).tolist()
    ((9, 9), 69, [[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    """
    radius = max(1, round(radius_px))
    reach = radius if radius < 3 else radius - 1
    y, x = np.abs(np.mgrid[-reach : reach + 1, -reach : reach + 1])
    inside = y * y + x * x <= radius * radius if radius < 3 else y + x <= round(1.5 * reach)
    return inside.astype(np.uint8)


def fill(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of a mask.

    Parameters
    ----------
    mask : (y, x) array of bool

    Returns
    -------
    (y, x) array of bool
    """
    outlines, _ = cv2.findContours(as_bytes(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled.view(bool)


def around(mask: np.ndarray, margin_px: float) -> tuple[slice, slice]:
    """Box around a mask, so that the next steps touch only what they can change.

    Parameters
    ----------
    mask : (y, x) array of bool
        Not empty.
    margin_px : float
        How far the box reaches beyond the mask, inside the slice.

    Returns
    -------
    (slice, slice)
        Rows and columns.
    """
    x, y, width, height = cv2.boundingRect(as_bytes(mask))
    margin = int(np.ceil(margin_px))
    return (
        slice(max(0, y - margin), min(mask.shape[0], y + height + margin)),
        slice(max(0, x - margin), min(mask.shape[1], x + width + margin)),
    )
