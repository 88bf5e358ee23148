"""Electron-microscopy texture over a label slice: the grey levels of the synthetic cell.

Everything but the grain is a function of the position in nanometres, so neighbouring slices
resemble each other and another pixel size shows the same cell.
Grey levels were measured on slice 170 of the paper's cell.
"""

import zlib

import cv2
import numpy as np

from helpers.labels import Label

# Grain, measured on the raw slices of another cell of the same acquisition (ROI_6005_4739_81):
# a neighbour along x has a correlation of 0.67 and along y of 0.70, which is what a Gaussian of
# 7.8 and 8.7 nm gives. The figure of slice 170, smoothed and resampled twice, comes within 0.04 of
# that, so that the one grain serves both.
GRAIN_SIGMA_NM = (8.7, 7.8)
# Spread at 10 nm a pixel: stronger in the darker nucleus (150) than in resin (204).
GRAIN_AT_150 = 9.0
GRAIN_SLOPE = -0.046

NUCLEOPLASM = 155.0
CYTOSOL = 157.0
RESIN = 206.0
# The dark line lies 60 nm inside the outer edge of the drawn one.
ENVELOPE_DEPTH = 36.0
ENVELOPE_OFFSET_NM = 60.0
ENVELOPE_SIGMA_NM = 28.0


def generator(seed: int, name: str, *place: int) -> np.random.Generator:
    """Return a generator that depends on nothing but the seed, a name and a place.

    Parameters
    ----------
    seed : int
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
    pixel_size_nm : float

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


def render(labels: np.ndarray, *, pixel_size_nm: float, z_nm: float, seed: int = 0) -> np.ndarray:
    """Paint an electron-microscopy slice over a label slice.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Class numbers 1 to 4: one slice of `helpers.phantom.Phantom` or of the ground truth.
    pixel_size_nm : float
        Size of a pixel.
    z_nm : float
        Depth of the slice; slices next to each other share organelles and shadows.
    seed : int
        Another seed gives other organelles, shadows and grain.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    ValueError
        If the labels are not two-dimensional or not 1 to 4, or a number is out of range.

    Examples
    --------
    >>> resin = np.full((64, 64), Label.BACKGROUND, dtype=np.uint8)
    >>> bool(render(resin, pixel_size_nm=40, z_nm=0).mean() > 180)
    True
    """
    labels = np.asarray(labels)
    _check(labels, pixel_size_nm, z_nm, seed)
    scene = _Scene(labels.shape, float(pixel_size_nm), float(z_nm), seed)
    in_nucleus = signed_distance(labels <= Label.NUCLEUS, pixel_size_nm)
    in_resin = signed_distance(labels == Label.BACKGROUND, pixel_size_nm)

    grey = _cytoplasm(scene, in_nucleus, in_resin)
    _blend(grey, _nucleoplasm(scene), in_nucleus, pixel_size_nm)
    grey -= _envelope(scene, in_nucleus)
    _blend(grey, _resin(scene, in_resin), in_resin, pixel_size_nm)
    grey += _grain(scene, grey)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _check(labels, pixel_size_nm, z_nm, seed) -> None:
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"labels must be one slice (y, x), not of shape {labels.shape}.")
    if labels.min() < min(Label) or labels.max() > max(Label):
        raise ValueError(
            f"labels must be {min(Label):d} to {max(Label):d}; "
            f"found {labels.min()} to {labels.max()}."
        )
    if not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise ValueError(f"pixel_size_nm must be above 0; it is {pixel_size_nm}.")
    if not (np.isfinite(z_nm) and z_nm >= 0):
        raise ValueError(f"z_nm must be 0 or more; it is {z_nm}.")
    check_seed(seed)


def check_seed(seed: int) -> None:
    """Raise a ValueError unless the seed is a whole number of 0 or more."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or more; it is {seed!r}.")


class _Scene:
    """Where a slice lies, and noise cut out at that place."""

    def __init__(self, shape, pixel_size_nm, z_nm, seed):
        self.shape, self.pixel_size_nm, self.z_nm, self.seed = shape, pixel_size_nm, z_nm, seed
        self.extent_nm = tuple(n * pixel_size_nm for n in shape)
        self.last = np.array(shape) - 1

    def noise(self, name: str, spacing_nm: float) -> np.ndarray:
        return smooth_noise(self.shape, self.extent_nm, self.z_nm, spacing_nm, self.seed, name)


def _blend(under, over, distance_nm, pixel_size_nm) -> None:
    """Lay one region over another, in place, with an edge one pixel wide."""
    share = np.clip(distance_nm / np.float32(pixel_size_nm) + 0.5, 0, 1)
    under += share * (over - under)


def _line(distance_nm, sigma_nm, pixel_size_nm):
    """Profile of a thin dark line; wide pixels make it wider and fainter."""
    wide = np.hypot(sigma_nm, pixel_size_nm / np.sqrt(12))
    return np.float32(sigma_nm / wide) * np.exp(-0.5 * (distance_nm / np.float32(wide)) ** 2)


def _cytoplasm(scene, in_nucleus, in_resin):
    grey = CYTOSOL + 4 * scene.noise("granules", 60) + 4 * scene.noise("cytosol", 250)
    # Blebs and the cell's outermost layer hold few organelles.
    inner = np.clip((-in_resin - 250) / 500, 0, 1)
    for name, spacing_nm in (("reticulum", 420), ("cisternae", 260)):
        membrane = scene.noise(name, spacing_nm) * (0.75 * spacing_nm)
        patchy = inner * np.clip(scene.noise(name + " patches", 1300) + 0.8, 0, 1)
        grey -= 40 * patchy * _line(membrane, 24, scene.pixel_size_nm)
    _organelles(scene, grey, np.minimum(-in_nucleus, -in_resin), inner)
    return grey - 25 * _line(in_resin + 30, 20, scene.pixel_size_nm)


# Organelles: count in a cubic micrometre, radius and length in nm, grey inside, depth of the rim.
ORGANELLES = {
    "mitochondrion": (3.0, (110, 230), (150, 1300), (118, 150), (25, 50)),
    "vesicle": (6.0, (50, 170), (0, 100), (140, 176), (20, 45)),
    "lysosome": (0.9, (60, 160), (0, 250), (80, 115), (0, 15)),
}
LAYER_NM = 1000.0


def _organelles(scene, grey, room, inner) -> None:
    """Draw the organelles that the slice cuts, in place, pressed into the room there is."""
    bend = [90 * scene.noise(name, 450) for name in ("organelles y", "organelles x")]
    first = int(scene.z_nm / LAYER_NM)
    area_um2 = scene.extent_nm[0] * scene.extent_nm[1] / 1e6
    for kind, (count, *ranges) in ORGANELLES.items():
        for layer in range(max(0, first - 1), first + 2):
            rng = generator(scene.seed, kind, layer)
            n = rng.poisson(count * area_um2)
            centre = rng.uniform(0, 1, (n, 3)) * (LAYER_NM, *scene.extent_nm)
            centre[:, 0] += layer * LAYER_NM - scene.z_nm
            axis = rng.standard_normal((n, 3)) * (0.3, 1, 1)
            axis /= np.linalg.norm(axis, axis=1, keepdims=True)
            radius, length, inside, rim = (rng.uniform(*bounds, n) for bounds in ranges)
            half = axis * length[:, None] / 2
            at = np.minimum((centre[:, 1:] / scene.pixel_size_nm).astype(int), scene.last)
            # Towards the cell's edge they get smaller and vanish.
            radius *= inner[at[:, 0], at[:, 1]]
            cut = (np.abs(centre[:, 0]) < radius + np.abs(half[:, 0])) & (radius > 30)
            cut &= room[at[:, 0], at[:, 1]] > 0
            for i in np.flatnonzero(cut):
                window, depth = _rod(scene, centre[i], half[i], radius[i], bend)
                depth = np.minimum(depth, room[window] - 60).astype(np.float32)
                patch = grey[window]
                _blend(patch, 0.3 * (patch - CYTOSOL) + inside[i], depth, scene.pixel_size_nm)
                patch -= rim[i] * _line(depth, 18, scene.pixel_size_nm)


def _rod(scene, centre, half, radius, bend):
    """Find the pixels near a rod with round ends, and how deep in it they lie, in nm."""
    size = scene.pixel_size_nm
    reach = radius + np.abs(half[1:]) + 200
    low = np.maximum(0, ((centre[1:] - reach) / size).astype(int))
    high = np.minimum(scene.shape, ((centre[1:] + reach) / size).astype(int) + 2)
    window = tuple(slice(*pair) for pair in zip(low, high, strict=True))
    y, x = (np.arange(*pair, dtype=np.float32) for pair in zip(low, high, strict=True))
    z, y, x, half = (
        np.float32(v)
        for v in (centre[0], (y + 0.5) * size - centre[1], (x + 0.5) * size - centre[2], half)
    )
    y = y[:, None] + bend[0][window]
    x = x + bend[1][window]
    square = max(float(half @ half), 1.0)
    along = np.clip((y * half[1] + x * half[2] - z * half[0]) / square, -1, 1)
    across = (z + along * half[0]) ** 2 + (y - along * half[1]) ** 2 + (x - along * half[2]) ** 2
    return window, radius - np.sqrt(across)


def _nucleoplasm(scene):
    grey = NUCLEOPLASM + 2 * scene.noise("chromatin", 150) + 2.5 * scene.noise("domains", 1200)
    grey -= 14 * np.clip(scene.noise("nucleolus", 2500) - 0.3, 0, 1)
    return grey


def _envelope(scene, in_nucleus):
    wander = ENVELOPE_OFFSET_NM + 14 * scene.noise("wander", 400)
    strength = 1 + 0.2 * scene.noise("strength", 500)
    line = _line(in_nucleus - wander, ENVELOPE_SIGMA_NM, scene.pixel_size_nm)
    return ENVELOPE_DEPTH * np.clip(strength, 0.5, 1.5) * line


def _resin(scene, in_resin):
    """Charging darkens resin far from any cell; it stays bright round the cells."""
    far = np.clip((in_resin - 700) / 1500, 0, 1)
    shadow = 18 * np.clip(scene.noise("charging", 2500) + 1, 0, 2.5)
    streak = 45 * np.clip(scene.noise("shadow", 1200) - 1.2, 0, 1)
    return RESIN - far * (shadow + streak) + 1.5 * scene.noise("resin", 300)


def _grain(scene, grey):
    """Noise of the detector: independent from slice to slice, averaged out by larger pixels."""
    rng = generator(scene.seed, "grain", round(scene.z_nm * 1000))
    white = rng.standard_normal(scene.shape, dtype=np.float32)
    sigma = [s / scene.pixel_size_nm for s in GRAIN_SIGMA_NM]
    kernels = [cv2.getGaussianKernel(2 * int(4 * s + 1) + 1, s) for s in sigma]
    white = cv2.sepFilter2D(white, -1, kernels[1], kernels[0])
    # White noise loses its spread to blurring, and to averaging as one over the pixel's side.
    reference = [cv2.getGaussianKernel(9, s / 10) for s in GRAIN_SIGMA_NM]
    at_10_nm = np.sqrt(np.prod([(k**2).sum() for k in reference]))
    spread = (GRAIN_AT_150 + GRAIN_SLOPE * (grey - 150)) * (10 / scene.pixel_size_nm / at_10_nm)
    return np.maximum(spread, 0) * white
