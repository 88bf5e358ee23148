"""Volume, surface and shape of a segmented nucleus in micrometres."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral

import cv2
import numpy as np
import pandas as pd
from scipy import integrate, ndimage
from skimage import measure

from helpers.labels import Label, check_labels, check_length, check_mask
from helpers.masks import as_bytes

MAX_GAP_RATIO = 2
"""Largest distance between neighbouring slices over the smallest up to which there is a surface."""

SIDES = (
    ("first slice", "last slice"),
    ("upper edge", "lower edge"),
    ("left edge", "right edge"),
)
MARGIN = 5
"""What is kept around the nucleus, in slices, and in cells of a slice distance; zero beyond."""


@dataclass(frozen=True)
class NucleusMeasures:
    """What `measure_nucleus` returns.

    Attributes
    ----------
    volume_um3 : float
    surface_um2 : float
    sphericity : float
        Surface of the ball of the same volume over the surface: 1 for a ball, less for all else.
    smoothing_nm : float
        Scale of the surface: sigma of the Gaussian before it was found. NaN without one.
    areas : DataFrame
        A row a slice, in order: ``slice``, ``z_um`` (height above slice 1), ``area_um2``.
    vertices_um : (n, 3) array of float32
        Points of a mesh for display, (z, y, x), from the centre of the stack's first voxel.
    faces : (m, 3) array of int32
        Its triangles: rows of `vertices_um`.
    note : str
        Why a measure is missing (NaN) or stands for less than the whole nucleus; empty if none
        does.
    """

    volume_um3: float
    surface_um2: float
    sphericity: float
    smoothing_nm: float
    areas: pd.DataFrame
    vertices_um: np.ndarray
    faces: np.ndarray
    note: str

    def table(self) -> pd.DataFrame:
        """List the measures.

        Returns
        -------
        DataFrame
            A row a measure, with the columns ``measure``, ``value`` and ``unit``.
        """
        rows = [
            ("volume", self.volume_um3, "µm³"),
            ("surface area", self.surface_um2, "µm²"),
            ("sphericity", self.sphericity, ""),
            ("scale of the surface", self.smoothing_nm, "nm"),
            ("largest section", self.areas["area_um2"].max(), "µm²"),
            ("slices with nucleus", float((self.areas["area_um2"] > 0).sum()), ""),
        ]
        return pd.DataFrame(rows, columns=["measure", "value", "unit"])


def measure_nucleus(
    slices: Iterable[tuple[int, np.ndarray]],
    *,
    voxel_nm: tuple[float, float, float],
    smoothing_nm: float | None = None,
    max_triangles: int = 20_000,
) -> NucleusMeasures:
    """Measure a nucleus from its slices, which are read once and not kept.

    Parameters
    ----------
    slices : iterable of (int, array)
        Slice number, from 0, and its (y, x) picture: a mask (bool) or a map of the four classes
        (uint8), of which the nucleus counts and its envelope does not. In any order. Give the
        slices without nucleus too: they are what shows that the nucleus ends.
    voxel_nm : (float, float, float)
        Distance of slices whose numbers differ by one, and pixel size, (z, y, x), in nanometres.
    smoothing_nm : float, optional
        Sigma of the Gaussian before the surface is found. By default the larger of slice distance
        and pixel size, which is the least that leaves no steps. Compare surfaces and sphericities
        at one scale only: a nucleus has folds of all sizes, and a finer scale finds more of them.
    max_triangles : int
        Size of the mesh for display, at least 100.

    Returns
    -------
    NucleusMeasures

    Raises
    ------
    TypeError
        If a picture is neither bool nor uint8, or a slice number is not an integer.
    ValueError
        If there is no slice, one comes twice, shapes differ, or a size is out of range.

    Notes
    -----
    Volume: the area curve, linear between neighbouring slices, integrated (Cavalieri's principle),
    whatever their distances.

    Surface: marching cubes (Lewiner et al. 2003, doi 10.1080/10867651.2003.10487582). On the mask
    itself it would follow the steps of the voxels and be a tenth to a fifth too large. So a slice
    is averaged to cells about as wide as the slice distance, which keeps where inside a cell the
    boundary lies; the grid is smoothed; and the level is the one that leaves the volume as it was.
    There is no surface (NaN) where distances of slices differ by more than `MAX_GAP_RATIO`, as in
    the sample; a slice missing in an even row is bridged.

    Sphericity: Wadell (1935), doi 10.1086/624298: pi^(1/3) (6 V)^(2/3) / A.

    Everything marked is measured together, islands and all. Holes take from the volume, and their
    walls are surface. Where the nucleus reaches the border of the stack, the measures hold for the
    part inside, the cut is not surface, and there is no sphericity. With no nucleus at all, volume
    and surface are 0. The note says which of these holds.
    """
    if max_triangles < 100:
        raise ValueError(f"max_triangles is {max_triangles}; allowed are 100 and more.")
    if smoothing_nm is not None:
        check_length(smoothing_nm, "smoothing_nm")
    coverage = _Coverage(voxel_nm)
    for number, picture in slices:
        coverage.add(number, picture)
    areas = coverage.areas()
    nothing = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    if not areas["area_um2"].any():
        note = "No slice has any nucleus."
        return NucleusMeasures(0.0, 0.0, math.nan, math.nan, areas, *nothing, note)

    grid = coverage.grid()
    volume = float(integrate.trapezoid(areas["area_um2"], areas["z_um"]))
    surface, sphericity, scale_nm, mesh = math.nan, math.nan, math.nan, nothing
    problem = _why_no_surface(grid, areas)
    notes = [_cut_note(grid), problem]
    if len(areas) == 1:
        volume = math.nan
    if not problem:
        scale_nm = float(smoothing_nm or 1000 * grid.spacing_um.max())
        field, level = _smooth(grid, scale_nm / 1000)
        points, faces = _mesh(field, level, grid.axes_um)
        surface = float(measure.mesh_surface_area(points, faces))
        if not grid.cut_sides:
            sphericity = _sphericity(volume, surface)
        mesh = _display_mesh(field, level, grid, surface, max_triangles)
        notes.append(_parts_note(field > level))
    note = " ".join(filter(None, notes))
    return NucleusMeasures(volume, surface, sphericity, scale_nm, areas, *mesh, note)


# --- slices, taken in one by one and kept as shares of coarse cells ------------------------------


@dataclass(frozen=True)
class _Grid:
    """How much of each cell is nucleus.

    Attributes
    ----------
    shares : (z, y, x) array of float32
        0 to 1.
    axes_um : tuple of three arrays of float
        Where the cells' centres lie, (z, y, x); slices need not be evenly spaced.
    cut : tuple of three (bool, bool)
        For each axis, whether the nucleus reaches the border of the stack at its low and high end.
    """

    shares: np.ndarray
    axes_um: tuple[np.ndarray, np.ndarray, np.ndarray]
    cut: tuple[tuple[bool, bool], ...]

    @property
    def spacing_um(self) -> np.ndarray:
        """Distance of neighbouring cells, (z, y, x); where slices are uneven, the usual one."""
        return np.array([np.median(np.diff(axis)) for axis in self.axes_um])

    @property
    def cut_sides(self) -> list[str]:
        """Names of the borders that the nucleus reaches."""
        pairs = zip(SIDES, self.cut, strict=True)
        return [name for names, ends in pairs for name, end in zip(names, ends, strict=True) if end]


class _Coverage:
    """Keeps of each slice its area and, where there is nucleus, the shares of its cells.

    Parameters
    ----------
    voxel_nm : (float, float, float)
        (z, y, x). Cells are whole numbers of pixels, about as wide as the slice distance.
    """

    def __init__(self, voxel_nm: tuple[float, float, float]):
        self.voxel_nm = tuple(
            check_length(length, f"voxel_nm[{axis}]") for axis, length in enumerate(voxel_nm)
        )
        if len(self.voxel_nm) != 3:
            raise ValueError(f"voxel_nm is {voxel_nm}; it needs three lengths, (z, y, x).")
        depth, *pixel = self.voxel_nm
        self.cell_px = tuple(max(1, round(depth / side)) for side in pixel)
        self._shape: tuple[int, int] | None = None
        self._pixels: dict[int, int] = {}
        self._shares: dict[int, tuple[slice, slice, np.ndarray]] = {}
        self._box_px: np.ndarray | None = None  # ((low y, low x), (high y, high x)), exclusive

    def add(self, number: int, picture: np.ndarray) -> None:
        """Take in a slice; for parameters and errors see `measure_nucleus`."""
        if not isinstance(number, Integral):
            raise TypeError(f"slice number is {number!r}; it must be an integer, from 0.")
        number = int(number)
        if number < 0:
            raise ValueError(f"slice number is {number}; slices are numbered from 0 or 1.")
        if number in self._pixels:
            raise ValueError(f"slice {number} comes twice; give each slice once.")
        name = f"slice {number}"
        picture = np.asarray(picture)
        if picture.dtype == bool:
            mask = check_mask(picture, name, self._shape)
        else:
            mask = check_mask(check_labels(picture, name) == Label.NUCLEUS, name, self._shape)
        self._shape = mask.shape
        self._pixels[number] = cv2.countNonZero(as_bytes(mask))
        if self._pixels[number]:
            self._keep(number, mask)

    def _keep(self, number: int, mask: np.ndarray) -> None:
        x, y, width, height = cv2.boundingRect(as_bytes(mask))
        box = np.array([(y, x), (y + height, x + width)])
        if self._box_px is None:
            self._box_px = box
        self._box_px = np.array(
            [np.minimum(box[0], self._box_px[0]), np.maximum(box[1], self._box_px[1])]
        )
        first = box[0] // self.cell_px
        after = -(-box[1] // self.cell_px)
        window = tuple(
            slice(low * side, high * side)
            for low, high, side in zip(first, after, self.cell_px, strict=True)
        )
        crop = as_bytes(mask[window]) * 255
        # The last cells may reach beyond the slice: as if it went on as it ends.
        rows, columns = (after - first) * self.cell_px - crop.shape
        crop = cv2.copyMakeBorder(crop, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        shares = cv2.resize(
            crop, tuple((after - first)[::-1].tolist()), interpolation=cv2.INTER_AREA
        )
        self._shares[number] = (*map(slice, first, after), shares)

    @property
    def numbers(self) -> list[int]:
        """Slice numbers, in order."""
        return sorted(self._pixels)

    def areas(self) -> pd.DataFrame:
        """Return the area curve: slice, z_um, area_um2."""
        if not self._pixels:
            raise ValueError("there are no slices to measure; give at least one.")
        numbers = np.array(self.numbers)
        pixels = np.array([self._pixels[number] for number in self.numbers], dtype=float)
        return pd.DataFrame(
            {
                "slice": numbers,
                "z_um": self._z_um(numbers),
                "area_um2": pixels * self.voxel_nm[1] * self.voxel_nm[2] / 1e6,
            }
        )

    def grid(self) -> _Grid:
        """Join the slices from the nucleus's first to its last, with a margin that is empty."""
        numbers, marked = self.numbers, sorted(self._shares)
        first, last = numbers.index(marked[0]), numbers.index(marked[-1])
        used = numbers[max(0, first - MARGIN) : last + MARGIN + 1]
        depth_nm = np.diff(used).max(initial=1) * self.voxel_nm[0]
        cell_nm = np.multiply(self.cell_px, self.voxel_nm[1:])
        margin = np.ceil(MARGIN * max(depth_nm, *cell_nm) / cell_nm).astype(int)
        count = -(-np.array(self._shape) // self.cell_px)
        low = self._box_px[0] // self.cell_px - margin
        high = -(-self._box_px[1] // self.cell_px) + margin
        # Only what the border cuts is open there: what ends just before it ends.
        cut = self._cut(numbers, marked)
        low = np.where([ends[0] for ends in cut[1:]], np.maximum(0, low), low)
        high = np.where([ends[1] for ends in cut[1:]], np.minimum(count, high), high)
        shares = np.zeros((len(used), *(high - low)), np.float32)
        for place, number in enumerate(used):
            if number in self._shares:
                *window, cells = self._shares[number]
                shares[(place, *(_moved(w, by) for w, by in zip(window, low, strict=True)))] = cells
        shares /= 255
        plane = (
            ((np.arange(start, stop) + 0.5) * side - 0.5) * length / 1000
            for start, stop, side, length in zip(
                low, high, self.cell_px, self.voxel_nm[1:], strict=True
            )
        )
        return _Grid(shares, (self._z_um(used), *plane), cut)

    def _cut(self, numbers: list[int], marked: list[int]) -> tuple[tuple[bool, bool], ...]:
        (top, left), (bottom, right) = self._box_px.tolist()
        height, width = self._shape
        return (
            (marked[0] == numbers[0], marked[-1] == numbers[-1]),
            (top == 0, bottom == height),
            (left == 0, right == width),
        )

    def _z_um(self, numbers: Iterable[int]) -> np.ndarray:
        return (np.asarray(numbers) - 1) * self.voxel_nm[0] / 1000


def _moved(window: slice, by: int) -> slice:
    return slice(window.start - by, window.stop - by)


# --- the surface, and what to say of it ----------------------------------------------------------


def _sphericity(volume_um3: float, surface_um2: float) -> float:
    return math.pi ** (1 / 3) * (6 * volume_um3) ** (2 / 3) / surface_um2


def _why_no_surface(grid: _Grid, areas: pd.DataFrame) -> str:
    if len(areas) == 1:
        return "One slice has neither volume nor surface; give its neighbours too."
    z_um = grid.axes_um[0]
    gaps = np.diff(areas["slice"][areas["z_um"].between(z_um[0], z_um[-1])])
    if gaps.max() > MAX_GAP_RATIO * gaps.min():
        return (
            f"No surface: neighbouring slices lie {gaps.min()} to {gaps.max()} slice distances "
            "apart, too unevenly to know the boundary between them."
        )
    if min(grid.shares.shape) < 2:
        return "No surface: the slices are narrower than two slice distances."
    return ""


def _cut_note(grid: _Grid) -> str:
    if not grid.cut_sides:
        return ""
    return (
        f"The nucleus reaches the border of the stack ({', '.join(grid.cut_sides)}): volume and "
        "surface are of the part inside, the cut is not surface, and there is no sphericity."
    )


def _parts_note(inside: np.ndarray) -> str:
    """Say how many bodies and cavities there are, if not one and none."""
    notes = []
    bodies, count = ndimage.label(inside)
    if count > 1:
        sizes = np.bincount(bodies.ravel())[1:]
        notes.append(
            f"{count} separate bodies are measured together; all but the largest have "
            f"{100 * (1 - sizes.max() / sizes.sum()):.2g} % of the volume."
        )
    hollows, count = ndimage.label(~inside)
    faces = [np.take(hollows, end, axis) for axis in range(3) for end in (0, -1)]
    open_hollows = np.unique(np.concatenate([face.ravel() for face in faces]))
    count -= np.count_nonzero(open_hollows)
    if count:
        notes.append(f"Holes inside: {count}. Their walls count as surface.")
    return " ".join(notes)


def _smooth(grid: _Grid, sigma_um: float) -> tuple[np.ndarray, float]:
    """Smooth the grid alike in all directions, and find the level that leaves the volume."""
    field = ndimage.gaussian_filter(grid.shares, sigma_um / grid.spacing_um, mode="nearest")
    # Smoothing pulls a convex surface inwards; this level has as many cells inside as were marked.
    inside = round(float(grid.shares.sum(dtype=np.float64)))
    inside = min(max(inside, 1), field.size - 1)
    ends = np.partition(field, [field.size - inside - 1, field.size - inside], axis=None)
    return field, float(ends[-inside - 1] + ends[-inside]) / 2


def _mesh(
    field: np.ndarray, level: float, axes_um: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Find the surface; its points in the units of the axes, which need not be even."""
    if not field.min() < level < field.max():
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    points, faces, _, _ = measure.marching_cubes(field, level)
    for axis, places in enumerate(axes_um):
        points[:, axis] = np.interp(points[:, axis], np.arange(len(places)), places)
    return points, faces


def _display_mesh(
    field: np.ndarray, level: float, grid: _Grid, surface_um2: float, max_triangles: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the surface again, on a cubic grid just coarse enough for the number of triangles."""
    # Marching cubes makes two to three triangles of a cell's side squared.
    step_um = max(math.sqrt(2 * surface_um2 / max_triangles), grid.spacing_um.max())
    while True:
        # Smoothed by half a step more, or what is thin would be lost between the grid's points.
        sigmas = 0.5 * step_um / grid.spacing_um
        smooth = ndimage.gaussian_filter(field, sigmas, mode="nearest")
        places_um = tuple(map(_even_places, grid.axes_um, grid.cut, [step_um] * 3))
        indices = [
            np.interp(wanted, places, np.arange(len(places)))
            for wanted, places in zip(places_um, grid.axes_um, strict=True)
        ]
        coarse = ndimage.map_coordinates(
            smooth, np.meshgrid(*indices, indexing="ij"), order=1, mode="nearest"
        )
        points, faces = _mesh(coarse, level, places_um)
        if len(faces) <= max_triangles:
            return points.astype(np.float32), faces.astype(np.int32)
        step_um *= 1.02 * math.sqrt(len(faces) / max_triangles)


def _even_places(places_um: np.ndarray, cut: tuple[bool, bool], step_um: float) -> np.ndarray:
    """Lay even places over an axis, a step beyond its ends where the surface is to close."""
    low = places_um[0] - (0 if cut[0] else step_um)
    high = places_um[-1] + (0 if cut[1] else step_um)
    return np.linspace(low, high, max(2, math.ceil((high - low) / step_um) + 1))
