"""Random numbers with a place: what makes a slice of the phantom independent of the others."""

import zlib

import cv2
import numpy as np


def generator(seed: int, name: str, *place: int) -> np.random.Generator:
    """Return a generator that depends on nothing but the seed, a name and a place.

    Parameters
    ----------
    seed : int
        Of the whole cell.
    name : str
        What the numbers are for.
    *place : int
        Index of a slice or layer, 0 or more.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *place])


def smooth_noise(
    shape: tuple[int, int],
    extent_nm: tuple[float, float],
    z_nm: float,
    spacing_nm: float,
    seed: int,
    name: str,
) -> np.ndarray:
    """Cut a slice out of three-dimensional smooth noise with zero mean and unit spread.

    Random numbers on a lattice, joined by splines; only the four lattice planes next to the slice
    are drawn, each from its own seed.

    Parameters
    ----------
    shape : (y, x)
        Pixels of the slice.
    extent_nm : (y, x)
        Size of the slice.
    z_nm : float
        Depth of the slice, 0 or more.
    spacing_nm : float
        Distance between lattice points: the size of a feature.
    seed : int
        Another seed gives another noise.
    name : str
        Noises of different names are independent.

    Returns
    -------
    (y, x) array of float32
    """
    lattice = tuple(max(2, round(size / spacing_nm)) for size in extent_nm)
    plane, t = divmod(z_nm / spacing_nm, 1)
    # Cubic B-spline.
    middle = 3 * t**3 - 6 * t**2 + 4, 3 * (1 - t) ** 3 - 6 * (1 - t) ** 2 + 4
    weights = np.array([(1 - t) ** 3, *middle, t**3]) / 6
    kernel = cv2.getGaussianKernel(5, 0.7)
    spread = np.sqrt((weights**2).sum()) * (kernel**2).sum()
    points = sum(
        np.float32(weight / spread)
        * generator(seed, name, int(plane) + i).standard_normal(lattice, dtype=np.float32)
        for i, weight in enumerate(weights)
    )
    points = cv2.sepFilter2D(points, -1, kernel, kernel)
    finer = lattice[0] > shape[0] or lattice[1] > shape[1]
    return cv2.resize(
        points, shape[::-1], interpolation=cv2.INTER_AREA if finer else cv2.INTER_CUBIC
    )


def signed_distance(mask: np.ndarray, pixel_size_nm: float) -> np.ndarray:
    """Measure how far inside a mask every pixel lies.

    Parameters
    ----------
    mask : (y, x) array of bool
        What is inside.
    pixel_size_nm : float
        Size of a pixel.

    Returns
    -------
    (y, x) array of float32
        Distance to the mask's edge in nm: above 0 inside, below 0 outside.
        Without an edge, plus or minus 1e6.
    """
    mask = mask.astype(np.uint8)
    if mask.all() or not mask.any():
        return np.full(mask.shape, 1e6 if mask.all() else -1e6, np.float32)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    pixels = np.where(mask, inside - 0.5, 0.5 - outside)
    # Distances between pixel centres come in steps along oblique edges.
    return cv2.GaussianBlur(pixels, (3, 3), 0.7) * np.float32(pixel_size_nm)


def distance_to_level(depth: np.ndarray, pixel_size_nm: float) -> np.ndarray:
    """Measure how far from the line where a smooth surface is 0 every pixel lies.

    Parameters
    ----------
    depth : (y, x) array of float32
        The surface: above 0 inside.
    pixel_size_nm : float
        Size of a pixel.

    Returns
    -------
    (y, x) array of float32
        In nm, above 0 inside; near the line exact to a part of a pixel.
    """
    far = signed_distance(depth > 0, pixel_size_nm)
    slope = np.hypot(cv2.Scharr(depth, -1, 1, 0) / 32, cv2.Scharr(depth, -1, 0, 1) / 32)
    near = depth / np.maximum(slope, 1e-3) * pixel_size_nm
    reach = 1.5 * pixel_size_nm
    return np.where(np.abs(far) < reach, np.clip(near, -reach, reach), far)


def check_seed(seed: int) -> None:
    """Raise a ValueError unless the seed is a whole number of 0 or more."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or more; it is {seed!r}.")
