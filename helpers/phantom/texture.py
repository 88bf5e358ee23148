"""Electron-microscopy texture over a label slice: the grey levels of the synthetic cell.

Everything but the grain is a function of the position in nanometres, so neighbouring slices
resemble each other and another pixel size shows the same cell.
Grey levels were measured on slice 170 of the paper's cell.
"""

from functools import cache

import cv2
import numpy as np

from helpers.labels import Label
from helpers.phantom.noise import check_seed, generator, signed_distance, smooth_noise

# Grain, measured on the raw slices of another cell of the same acquisition (ROI_6005_4739_81):
# the correlation with the next pixel is 0.67 along x and 0.70 along y, that of a Gaussian of 7.8
# and 8.7 nm, or of these before a pixel of 10 nm averages it. The figure from which slice 170 is
# recovered, smoothed and resampled, comes within 0.04 of that, so that one grain serves both.
GRAIN_SIGMA_NM = (8.2, 7.3)
# Spread at 10 nm a pixel: stronger in the darker nucleus (150) than in resin (204).
GRAIN_AT_150 = 8.2
GRAIN_SLOPE = -0.04

NUCLEOPLASM = 153.5
CYTOSOL = 157.0
RESIN = 206.0
# The dark line lies 60 nm inside the outer edge of the drawn one.
ENVELOPE_DEPTH = 29.0
ENVELOPE_OFFSET_NM = 60.0
ENVELOPE_SIGMA_NM = 33.0


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
    # The drawn edge of the cell and the real one differ a little.
    edge = in_resin + 25 * scene.noise("edge", 250)
    _blend(grey, _resin(scene, in_resin), edge, pixel_size_nm)
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
    grey = CYTOSOL + 5 * scene.noise("granules", 75) + 4 * scene.noise("cytosol", 250)
    # Blebs and the cell's outermost layer hold few organelles.
    inner = np.clip((-in_resin - 100) / 400, 0, 1)
    for name, spacing_nm in (("reticulum", 420), ("cisternae", 260)):
        membrane = scene.noise(name, spacing_nm) * (0.75 * spacing_nm)
        patchy = inner * np.clip(scene.noise(name + " patches", 1300) + 0.8, 0, 1)
        grey -= 35 * patchy * _line(membrane, 24, scene.pixel_size_nm)
    _bodies(scene, grey, ORGANELLES, np.minimum(-in_nucleus, -in_resin) - 60, inner)
    return grey - 25 * _line(in_resin + 30, 20, scene.pixel_size_nm)


# Bodies: count in a cubic micrometre, radius and length in nm, grey inside, depth of the rim.
ORGANELLES = {
    "mitochondrion": (3.8, (110, 230), (150, 1300), (125, 152), (22, 42)),
    "vesicle": (11.0, (50, 150), (0, 120), (140, 178), (18, 42)),
    "vacuole": (0.25, (90, 300), (0, 200), (165, 205), (20, 45)),
    "lysosome": (0.9, (60, 160), (0, 250), (88, 118), (0, 15)),
}
DEBRIS = {"debris": (1.5, (35, 150), (0, 300), (110, 175), (0, 20))}
LAYER_NM = 1000.0


def _bodies(scene, grey, kinds, room, share) -> None:
    """Draw the bodies that the slice cuts, in place, pressed into the room there is.

    Where the share, from 0 to 1, is small, so are the bodies.
    """
    bend = [90 * scene.noise(name, 450) for name in ("bodies y", "bodies x")]
    first = int(scene.z_nm / LAYER_NM)
    area_um2 = scene.extent_nm[0] * scene.extent_nm[1] / 1e6
    for kind, (count, *ranges) in kinds.items():
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
            radius *= share[at[:, 0], at[:, 1]]
            cut = (np.abs(centre[:, 0]) < radius + np.abs(half[:, 0])) & (radius > 30)
            cut &= room[at[:, 0], at[:, 1]] > 0
            for i in np.flatnonzero(cut):
                window, depth = _rod(scene, centre[i], half[i], radius[i], bend)
                depth = np.minimum(depth, room[window]).astype(np.float32)
                patch = grey[window]
                # A little of what lies below shows, so that organelles have some structure.
                over = inside[i] + 0.3 * (patch - patch.mean())
                _blend(patch, over, depth, scene.pixel_size_nm)
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
    grey = NUCLEOPLASM + 3.5 * scene.noise("chromatin", 75) + 2.5 * scene.noise("domains", 1200)
    grey -= 13 * np.clip(scene.noise("nucleolus", 2200) - 0.4, 0, 1)
    return grey


def _envelope(scene, in_nucleus):
    wander = ENVELOPE_OFFSET_NM + 12 * scene.noise("wander", 400)
    strength = 1 + 0.15 * scene.noise("strength", 500)
    line = _line(in_nucleus - wander, ENVELOPE_SIGMA_NM, scene.pixel_size_nm)
    return ENVELOPE_DEPTH * np.clip(strength, 0.5, 1.5) * line


def _resin(scene, in_resin):
    """Charging darkens resin far from any cell; it stays bright round the cells."""
    far = np.clip((in_resin - 250) / 900, 0, 1)
    shadow = 15 * np.clip(scene.noise("charging", 2500) + 1.2, 0, 2.2)
    streak = 45 * np.clip(scene.noise("shadow", 1200) - 1.2, 0, 1)
    grey = RESIN - far * (shadow + streak) + 1.5 * scene.noise("resin", 300)
    _bodies(scene, grey, DEBRIS, in_resin - 60, np.ones_like(grey))
    return grey


def _grain(scene, grey):
    """Noise of the detector: independent from slice to slice, averaged out by larger pixels."""
    rng = generator(scene.seed, "grain", round(scene.z_nm * 1000))
    white = rng.standard_normal(scene.shape, dtype=np.float32)
    at_10_nm, here = (
        [_grain_kernel(sigma / size) for sigma in GRAIN_SIGMA_NM]
        for size in (10.0, scene.pixel_size_nm)
    )
    spread = GRAIN_AT_150 + GRAIN_SLOPE * (grey - 150)
    spread /= np.sqrt(np.prod([(kernel**2).sum() for kernel in at_10_nm]))
    return np.maximum(spread, 0) * cv2.sepFilter2D(white, -1, here[1], here[0])


@cache
def _grain_kernel(sigma_px: float) -> np.ndarray:
    """Kernel that turns white noise into Gaussian-correlated noise averaged over each pixel."""
    half = 16 + int(8 * sigma_px)
    lags = np.arange(-half, half + 1)[:, None]
    apart = np.linspace(-1, 1, 4001)
    # Two points, one in each of two pixels, lie this far apart this often.
    often = (1 - np.abs(apart)) / (1 - np.abs(apart)).sum()
    covariance = np.exp(-((lags + apart) ** 2) / (4 * sigma_px**2)) @ often
    power = np.fft.fft(np.fft.ifftshift(covariance)).real
    return np.fft.fftshift(np.fft.ifft(np.sqrt(np.maximum(power, 0))).real)
