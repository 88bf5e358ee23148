"""A synthetic field of many HeLa cells, some touching and some cut by the border."""

import numpy as np
import pandas as pd

from helpers.labels import Label
from helpers.phantom.cell import draw_nucleus
from helpers.phantom.noise import check_seed, generator, smooth_noise
from helpers.phantom.texture import render

# As the paper's cell and its nucleus have them (see `helpers.phantom.cell`), a little rounder.
CELL_RADII_NM = np.array([9_000.0, 6_700.0, 7_000.0])
NUCLEUS_RADII_NM = np.array([5_600.0, 3_750.0, 4_000.0])
NEAREST_NM = 11_500.0
"""Distance of the nearest two centres in the plane: such cells touch over a broad face."""
MARGIN_NM = 1_500.0
"""How near the border a centre may lie; cells nearer than their radius are cut."""
DARTS = 20_000


class PhantomField:
    """Many synthetic cells in one field; slices are computed when asked for.

    Parameters
    ----------
    shape : (z, y, x)
        Number of slices and pixels.
    voxel_nm : (z, y, x)
        Size of a voxel in nm; pixels are square.
    n_cells : int
    seed : int
        Another seed gives another field.

    Attributes
    ----------
    cells : DataFrame
        A row a cell: ``cell`` (from 1), ``z_um``, ``y_um``, ``x_um`` (centre), ``is_cut`` (whether
        the border of the field cuts its nucleus).

    Raises
    ------
    ValueError
        If the seed is out of range, the pixels are not square, or so many cells have no room.

    Notes
    -----
    Shapes are plainer than those of `helpers.phantom.Phantom`: lobed ellipsoids without blebs and
    clefts. Texture and envelope are the same.

    Examples
    --------
    >>> field = PhantomField((6, 96, 96), (2500, 320, 320), n_cells=3)
    >>> len(field.cells), field.image(3).shape
    (3, (96, 96))
    """

    def __init__(self, shape=(48, 1024, 1024), voxel_nm=(300.0, 40.0, 40.0), n_cells=8, seed=0):
        check_seed(seed)
        self.shape = tuple(int(side) for side in shape)
        self.voxel_nm = tuple(float(side) for side in voxel_nm)
        if self.voxel_nm[1] != self.voxel_nm[2]:
            raise ValueError(f"voxel_nm is {self.voxel_nm}; pixels must be square (y equal to x).")
        self.seed = int(seed)
        self.slice_numbers = range(1, self.shape[0] + 1)
        self._extent_nm = np.multiply(self.shape, self.voxel_nm)
        self._centres, self._sizes = _place(self._extent_nm, n_cells, self.seed)
        radii = self._sizes[:, None] * NUCLEUS_RADII_NM
        low, high = self._centres - radii, self._centres + radii
        cut = ((low < 0) | (high > self._extent_nm)).any(axis=1)
        self.cells = pd.DataFrame(self._centres / 1000, columns=["z_um", "y_um", "x_um"])
        self.cells.insert(0, "cell", np.arange(1, n_cells + 1))
        self.cells["is_cut"] = cut

    def labels(self, number: int) -> np.ndarray:
        """Return the classes of a slice, all nuclei included.

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
        return self._draw(number)[0]

    def instances(self, number: int) -> np.ndarray:
        """Return which cell each pixel of a slice belongs to.

        Parameters
        ----------
        number : int
            Slice number, from 1.

        Returns
        -------
        (y, x) array of uint16
            Numbers of `cells`; 0 is resin.

        Raises
        ------
        ValueError
            If there is no such slice.
        """
        return self._draw(number)[1]

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
        labels = self.labels(number)
        pixel_nm = self.voxel_nm[1]
        return render(labels, pixel_size_nm=pixel_nm, z_nm=self._height_nm(number), seed=self.seed)

    def _height_nm(self, number: int) -> float:
        if number not in self.slice_numbers:
            raise ValueError(f"There is no slice {number}; slices are 1 to {self.shape[0]}.")
        return (number - 0.5) * self.voxel_nm[0]

    def _noise(self, name: str, spacing_nm: float, z_nm: float) -> np.ndarray:
        extent = tuple(self._extent_nm[1:])
        return smooth_noise(self.shape[1:], extent, z_nm, spacing_nm, self.seed, name)

    def _draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw classes and instances, each cell in a window of its own."""
        z_nm, size_nm = self._height_nm(number), self.voxel_nm[1]
        edge = 500 * self._noise("edge", 1500, z_nm) + 220 * self._noise("folds", 500, z_nm)
        lobes = 200 * self._noise("lobes", 1300, z_nm) + 50 * self._noise("crinkles", 450, z_nm)
        owner = np.zeros(self.shape[1:], np.uint16)
        deepest = np.zeros(self.shape[1:], np.float32)
        nuclei = []
        for cell, (centre, scale) in enumerate(
            zip(self._centres, self._sizes, strict=True), start=1
        ):
            # Noise adds some micrometre and a half at most to what an ellipsoid reaches.
            reach = scale * CELL_RADII_NM[1:].max() + 3000
            window = self._window(centre[1:], reach)
            surface = self._ellipsoid(window, z_nm, centre, scale * CELL_RADII_NM)
            depth = np.maximum(np.clip(surface, -2500, 2500) + edge[window], surface - 1000)
            wins = depth > deepest[window]
            owner[window][wins] = cell
            deepest[window][wins] = depth[wins]
            inner = self._ellipsoid(window, z_nm, centre, scale * NUCLEUS_RADII_NM) + lobes[window]
            nuclei.append((cell, window, inner))
        labels = np.where(owner > 0, np.uint8(Label.CELL), np.uint8(Label.BACKGROUND))
        for cell, window, inner in nuclei:
            inner[owner[window] != cell] = -1e6
            part = labels[window]
            draw_nucleus(part, inner, size_nm, within=part == Label.CELL)
        return labels, owner

    def _window(self, centre_nm, reach_nm) -> tuple[slice, slice]:
        size = self.voxel_nm[1]
        low = np.maximum(0, (centre_nm - reach_nm) / size).astype(int)
        high = np.minimum(self.shape[1:], (centre_nm + reach_nm) / size + 1).astype(int)
        return tuple(slice(*pair) for pair in zip(low, high, strict=True))

    def _ellipsoid(self, window, z_nm, centre, radii) -> np.ndarray:
        """How far inside an ellipsoid each pixel lies, about, in nm."""
        y, x = (
            ((np.arange(w.start, w.stop, dtype=np.float32) + 0.5) * self.voxel_nm[1] - at) / radius
            for w, at, radius in zip(window, centre[1:], radii[1:], strict=True)
        )
        z = (z_nm - centre[0]) / radii[0]
        depth = (1 - z * z - x * x - y[:, None] ** 2) * np.mean(radii[1:]) / 2
        return depth.astype(np.float32)


def _place(extent_nm, n_cells: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Throw darts until so many cells have room; each may touch others, and none covers another."""
    rng = generator(seed, "field")
    centres: list[np.ndarray] = []
    low = np.array([min(0.45 * extent_nm[0], 7_000), MARGIN_NM, MARGIN_NM])
    for _ in range(DARTS):
        if len(centres) == n_cells:
            break
        dart = rng.uniform(low, np.maximum(low, extent_nm - low))
        if all(np.hypot(*(dart - other)[1:]) >= NEAREST_NM for other in centres):
            centres.append(dart)
    if len(centres) < n_cells:
        size = " x ".join(f"{side / 1000:.0f}" for side in extent_nm[1:])
        raise ValueError(
            f"n_cells is {n_cells}; a field of {size} um has room for {len(centres)}. "
            "Give fewer cells, or a larger field."
        )
    centres.sort(key=lambda centre: (centre[1], centre[2]))
    return np.array(centres).reshape(-1, 3), rng.uniform(0.88, 1.06, n_cells)
