"""A synthetic HeLa cell: labels and electron-microscopy slices, from nothing but a seed.

The field always holds one whole cell with its neighbours; envelope, organelles and grain have
their size in nanometres.
"""

import operator

import cv2
import numpy as np

from helpers.labels import Label
from helpers.phantom.noise import check_seed, distance_to_level, generator, smooth_noise
from helpers.phantom.texture import render

# The paper's field: 300 slices of 50 nm, 2000 x 2000 pixels of 10 nm. Shapes are set in it.
FIELD_NM = (15_000.0, 20_000.0, 20_000.0)
# The line of the published ground truth, measured on slices 30 to 250: 8.3 to 8.5 pixels of 10 nm.
ENVELOPE_NM = 84.0
# The nucleus of the paper's cell lies in slices 24 to 262 of 300, about slice 143.
NUCLEUS_CENTRE_NM = (7_150.0, 9_900.0, 10_000.0)
NUCLEUS_RADII_NM = (5_950.0, 3_750.0, 4_300.0)
CELL_CENTRE_NM = (8_600.0, 10_200.0, 9_800.0)
CELL_RADII_NM = (9_000.0, 6_700.0, 7_000.0)
BLEBS = 14_000
MIN_SIDE_PX = 16


class Phantom:
    """A synthetic cell; slices are computed when asked for.

    Parameters
    ----------
    shape : (z, y, x)
        Number of slices and pixels.
    voxel_nm : (z, y, x)
        Size of a voxel in nm.
    seed : int
        Another seed gives another cell.

    Attributes
    ----------
    slice_numbers : range
        From 1 to the number of slices.

    Raises
    ------
    ValueError
        If the shape, the voxel size or the seed is out of range.

    Notes
    -----
    Whatever the shape, the field is one whole cell with its neighbours, the nucleus in the middle
    and none in the first and the last slice.
    A field of 15 x 20 x 20 um, as by default, is as large as the paper's.
    Envelope, organelles and grain keep their size in nm.

    Modelled on the cell of Karabag et al. (2020), doi 10.1371/journal.pone.0230605, and its ground
    truth, doi 10.5281/zenodo.3834608.

    Examples
    --------
    >>> cell = Phantom(shape=(12, 64, 64), voxel_nm=(1250, 312.5, 312.5))
    >>> cell.image(6).shape, cell.image(6).dtype
    ((64, 64), dtype('uint8'))
    """

    def __init__(self, shape=(48, 500, 500), voxel_nm=(300.0, 40.0, 40.0), seed=0):
        self.shape = _three(shape, operator.index, "shape", "whole numbers (slices, rows, columns)")
        self.voxel_nm = _three(voxel_nm, float, "voxel_nm", "numbers (z, y, x), in nm")
        if self.shape[0] < 1 or min(self.shape[1:]) < MIN_SIDE_PX:
            raise ValueError(
                f"shape is {self.shape}; it needs at least one slice of "
                f"{MIN_SIDE_PX} x {MIN_SIDE_PX} pixels."
            )
        if not all(np.isfinite(size) and size > 0 for size in self.voxel_nm):
            raise ValueError(f"voxel_nm is {self.voxel_nm}; every size must be above 0.")
        if not np.isclose(self.voxel_nm[1], self.voxel_nm[2]):
            raise ValueError(f"voxel_nm is {self.voxel_nm}; pixels must be square (y equal to x).")
        check_seed(seed)
        self.seed = int(seed)
        self.slice_numbers = range(1, self.shape[0] + 1)
        self._latest = None, None
        self._neighbours = _place_neighbours(self.seed)

    def labels(self, number: int) -> np.ndarray:
        """Return the classes of a slice; only the central nucleus counts as one.

        Parameters
        ----------
        number : int
            Slice number, from 1.

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`.

        Raises
        ------
        ValueError
            If there is no such slice.
        """
        latest, labels = self._latest
        if latest != number:
            space = self._space(number)
            labels = _cells(space, self._neighbours)
            draw_nucleus(labels, _central_nucleus(space), space.pixel_size_nm)
            # One slice is kept, for the image that is asked for next.
            self._latest = number, labels
        return labels.copy()

    def nuclei(self, number: int) -> np.ndarray:
        """Return the classes of a slice with the neighbours' nuclei, too.

        Parameters
        ----------
        number : int
            Slice number, from 1.

        Returns
        -------
        (y, x) array of uint8

        Raises
        ------
        ValueError
            If there is no such slice.
        """
        space = self._space(number)
        labels = self.labels(number)
        lobes = 250 * space.noise("neighbour nucleus", 1200)
        for neighbour in self._neighbours:
            depth = lobes + _ellipsoid(space, neighbour["centre"], 0.55 * neighbour["radii"])
            depth[labels < Label.CELL] = -1e6
            draw_nucleus(labels, depth, space.pixel_size_nm)
        return labels

    def image(self, number: int) -> np.ndarray:
        """Return the electron-microscopy slice.

        Parameters
        ----------
        number : int
            Slice number, from 1.

        Returns
        -------
        (y, x) array of uint8

        Raises
        ------
        ValueError
            If there is no such slice.
        """
        return render(
            self.nuclei(number),
            pixel_size_nm=self.voxel_nm[1],
            z_nm=(number - 0.5) * self.voxel_nm[0],
            seed=self.seed,
        )

    def _space(self, number: int) -> "_Space":
        if number not in self.slice_numbers:
            raise ValueError(f"There is no slice {number}; slices are 1 to {self.shape[0]}.")
        # The first and the last slice lie at the very ends of the field, whatever their number.
        last = self.shape[0] - 1
        z_nm = FIELD_NM[0] * (number - 1) / last if last else NUCLEUS_CENTRE_NM[0]
        return _Space(self.shape[1:], z_nm, self.voxel_nm[1], self.seed)


def _three(values, kind, name: str, what: str) -> tuple:
    try:
        values = tuple(kind(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be three {what}; it is {values!r}.") from error
    if len(values) != 3:
        raise ValueError(f"{name} must be three {what}; it is {values!r}.")
    return values


class _Space:
    """One slice of the field: its coordinates in nm, bent so that nothing is a plain ellipse."""

    def __init__(self, shape, z_nm, pixel_size_nm, seed):
        self.shape, self.z_nm, self.pixel_size_nm, self.seed = shape, z_nm, pixel_size_nm, seed
        y, x = (
            ((np.arange(n, dtype=np.float32) + 0.5) * np.float32(size / n))
            for n, size in zip(shape, FIELD_NM[1:], strict=True)
        )
        self.y = y[:, None] + 450 * self.noise("bend y", 3500)
        self.x = x + 450 * self.noise("bend x", 3500)

    def noise(self, name: str, spacing_nm: float) -> np.ndarray:
        return smooth_noise(self.shape, FIELD_NM[1:], self.z_nm, spacing_nm, self.seed, name)


def _place_neighbours(seed: int) -> list[dict]:
    """Set cells round the central one, most of them cut by the border."""
    rng = generator(seed, "neighbours")
    turn = rng.uniform(0, 2 * np.pi)
    neighbours = []
    for i in range(6):
        angle = turn + (i + rng.uniform(-0.3, 0.3)) * 2 * np.pi / 6
        reach = rng.uniform(11_500, 13_500)
        centre = np.array(
            [
                rng.uniform(1_000, 14_000),
                CELL_CENTRE_NM[1] + reach * np.sin(angle),
                CELL_CENTRE_NM[2] + reach * np.cos(angle),
            ]
        )
        neighbours.append({"centre": centre, "radii": rng.uniform(4_500, 6_500, 3) * (1.4, 1, 1)})
    return neighbours


def _ellipsoid(space, centre, radii):
    """How far inside an ellipsoid each pixel lies, about, in nm."""
    z, y, x = (
        (at - float(middle)) / float(radius)
        for at, middle, radius in zip((space.z_nm, space.y, space.x), centre, radii, strict=True)
    )
    return (1 - z * z - x * x - y * y) * float(np.mean(radii[1:]) / 2)


def _cells(space, neighbours):
    depth = _ellipsoid(space, CELL_CENTRE_NM, CELL_RADII_NM)
    for neighbour in neighbours:
        depth = np.maximum(depth, _ellipsoid(space, neighbour["centre"], neighbour["radii"]))
    # Where the noise rises above the surface, pieces are cut off from their cell.
    surface = np.clip(depth, -2500, 2500)
    depth = surface + 600 * space.noise("edge", 1200)
    _add_blebs(space, depth)
    depth += 260 * space.noise("folds", 600) + 330 * space.noise("villi", 260)
    # No resin deep inside a cell, where nuclei are.
    depth = np.maximum(depth, surface - 1000)
    return np.where(depth > 0, np.uint8(Label.CELL), np.uint8(Label.BACKGROUND))


def _add_blebs(space, depth) -> None:
    """Put round blebs on and near the cells' surfaces, in place."""
    rng = generator(space.seed, "blebs")
    centre = rng.uniform(0, 1, (BLEBS, 3)) * FIELD_NM
    radius = rng.triangular(60, 60, 750, BLEBS)
    scale = np.array(space.shape) / FIELD_NM[1:]
    rows, columns = (centre[:, 1:] * scale).astype(int).T
    # The farther from a cell, the smaller; with the slice they grow and shrink.
    below = depth[rows, columns]
    radius -= np.maximum(0, -900 - below)
    # Deep inside a cell they would change nothing.
    radius[below > 1200] = 0
    cut = np.sqrt(
        np.maximum(radius, 0) ** 2 - (centre[:, 0] - space.z_nm) ** 2,
        where=radius > np.abs(centre[:, 0] - space.z_nm),
        out=np.zeros(BLEBS),
    )
    for (_, y, x), r in zip(centre[cut > 0], cut[cut > 0], strict=True):
        # Beyond its edge, too, for the noise to act on.
        reach = r + 900
        low = np.maximum(0, ((y - reach, x - reach) * scale).astype(int))
        high = np.minimum(space.shape, ((y + reach, x + reach) * scale).astype(int) + 1)
        window = tuple(slice(*pair) for pair in zip(low, high, strict=True))
        rows, columns = (np.arange(*pair) for pair in zip(low, high, strict=True))
        away = np.hypot(((rows + 0.5) / scale[0] - y)[:, None], (columns + 0.5) / scale[1] - x)
        depth[window] = np.maximum(depth[window], r - away)


def _central_nucleus(space):
    height = (space.z_nm - NUCLEUS_CENTRE_NM[0]) / NUCLEUS_RADII_NM[0]
    depth = _ellipsoid(space, NUCLEUS_CENTRE_NM, NUCLEUS_RADII_NM)
    # Smooth in the middle, lobed at the ends, where the lobes' tips are islands.
    ends = min(1.0, height**4)
    rough = 60 * np.clip(space.noise("rough", 2500) + 1, 0.3, 3)
    depth += (180 + 250 * ends) * space.noise("lobes", 1300) + rough * space.noise("crinkles", 450)
    depth += ends * (500 * space.noise("islands", 800) - 550)
    # Invaginations: curved sheets of cytoplasm that reach in from the surface.
    sheet = np.abs(space.noise("cleft", 1800)) * 1300 - 130
    reach = 1500 * np.clip(space.noise("cleft reach", 2500) - 0.3, 0, 1)
    depth = np.minimum(depth, np.maximum(sheet, depth - reach))
    # Nothing may float in the first and the last slices.
    beyond = (abs(height) - 1) * NUCLEUS_RADII_NM[0]
    return depth - np.float32(max(0, 4 * beyond))


def draw_nucleus(labels, depth, pixel_size_nm: float, within=True) -> None:
    """Draw a nucleus and, along its edge, the envelope, in place; `within` may limit it."""
    if not (depth > 0).any():
        return
    distance = distance_to_level(depth, pixel_size_nm)
    half = max(ENVELOPE_NM / 2, 0.6 * pixel_size_nm)
    inside = (distance > 0).astype(np.uint8)
    labels[within & (inside > 0)] = Label.NUCLEUS
    # Whatever the pixel size, no gap: the outermost pixels of a nucleus are always envelope.
    outermost = inside > cv2.erode(inside, np.ones((3, 3), np.uint8))
    labels[within & (outermost | (np.abs(distance) < half))] = Label.NUCLEAR_ENVELOPE
