"""Volume, surface and shape of a segmented nucleus in micrometres."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import integrate, ndimage
from skimage import measure

from helpers.labels import check_length
from helpers.volume._coverage import Coverage, Grid

MAX_GAP_RATIO = 2
"""Largest distance between neighbouring slices over the smallest up to which there is a surface."""


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
        Slice number, from 1, and its (y, x) picture: a mask (bool) or a map of the four classes
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
    coverage = Coverage(voxel_nm)
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


def _sphericity(volume_um3: float, surface_um2: float) -> float:
    return math.pi ** (1 / 3) * (6 * volume_um3) ** (2 / 3) / surface_um2


def _why_no_surface(grid: Grid, areas: pd.DataFrame) -> str:
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


def _cut_note(grid: Grid) -> str:
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


def _smooth(grid: Grid, sigma_um: float) -> tuple[np.ndarray, float]:
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
    field: np.ndarray, level: float, grid: Grid, surface_um2: float, max_triangles: int
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
