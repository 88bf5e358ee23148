"""Where the cells of a field are: depths of the cells in coarse slices, linked from slice to slice.

After Karabag et al., J. Imaging 7(6):93, 2021, doi 10.3390/jimaging7060093, in nanometres.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from skimage.filters import threshold_otsu

from helpers.field import tasks
from helpers.field.ngff import DamagedChunkError, Field, open_field

PIXEL_NM = 200.0
"""Pixels no larger than this are enough to find cells."""
EVERY_NM = 1000.0
"""Distance of the slices that are looked at: every 20th of 50 nm."""
SMOOTH_NM = 250.0
LEAST_DEPTH_NM = 2400.0
"""How deep a cell's middle lies at least: a third of a HeLa cell's radius."""
HOLE_NM = 1000.0
"""Side of a square as large as the largest bright spot in a cell that is no border of it."""
BEYOND_NM = 3000.0
"""How far cells go on beyond the field's sides, as far as their depth is concerned."""
LEAST_SHARE = 0.5
"""Of the deepest peak in a slice; flatter ones are not cells."""
LINK_NM = 3000.0
"""Farthest that a cell's middle moves from one slice looked at to the next: 300 pixels of 10 nm."""
MISSED = 1
"""Slices in which a cell may be missed without its end."""
LEAST_HEIGHT_NM = 7500.0
"""A cell is in as many slices at least: 150 of 50 nm. In a field lower than twice this, half of
the field."""
BOX_NM = (15_000.0, 20_000.0, 20_000.0)
"""Size of the box of a cell, (z, y, x): 300 slices of 2000 x 2000 pixels."""

COLUMNS = (
    *("cell", "z_um", "y_um", "x_um", "first", "last"),
    *("top", "bottom", "left", "right", "depth_um", "is_cut", "certainty"),
)


@dataclass(frozen=True)
class Levels:
    """Grey levels of a field.

    Attributes
    ----------
    threshold : float
        Darker is cell (Otsu's, over all slices looked at).
    resin : int
        Median of what is brighter.
    """

    threshold: float
    resin: int


def find_cells(field: Field, *, client=None, progress: bool = False) -> pd.DataFrame:
    """Find the cells of a field.

    Parameters
    ----------
    field : Field
    client : distributed.Client, optional
    progress : bool

    Returns
    -------
    DataFrame
        A row a cell, numbered from 1 by row, column and height of its middle. ``z_um``, ``y_um``,
        ``x_um``: the middle. ``first``, ``last``: slices, from 1, of its box; ``top``, ``bottom``,
        ``left``, ``right``: pixels of it, from 0, the ends excluded; they may lie beyond the field.
        ``depth_um``: how deep the middle lies in the cell. ``is_cut``: whether the cell reaches the
        sides of the field. ``certainty``: share of the slices looked at between its first and last
        in which it was seen, times how deep it is against the usual cell, 1 at most.
        ``attrs["levels"]`` has the grey levels, ``attrs["damaged"]`` the slices that could not be
        read, and ``attrs["greys"]`` how often each grey level is in the slices looked at.

    Raises
    ------
    DamagedChunkError
        If no slice can be read.
    """
    level = field.level_for(PIXEL_NM)
    step = max(1, round(EVERY_NM / field.voxel_nm[0]))
    # As many slices below the first as above the last.
    places = range((field.shape[0] - 1) % step // 2, field.shape[0], step)
    places = [place for place in places if place + 1 not in field.damaged]
    seen = {place: (grey_histogram, field.where, level, place) for place in places}
    histograms, damaged = {}, list(field.damaged)
    for place, histogram, error in tasks.run(seen, client, what="grey levels", progress=progress):
        if isinstance(error, DamagedChunkError):
            damaged.append(place + 1)
        elif error is not None:
            raise error
        else:
            histograms[place] = histogram
    if not histograms:
        raise DamagedChunkError(f"{field.where}: no slice of level {level} can be read.")
    histogram = sum(histograms[place] for place in sorted(histograms))
    levels = levels_of(histogram)
    seen = {
        place: (find_middles, field.where, level, place, levels.threshold)
        for place in sorted(histograms)
    }
    middles = tasks.all_of(tasks.run(seen, client, what="slices", progress=progress))
    table = table_of({place: middles[place] for place in sorted(middles)}, field, step)
    table.attrs = {
        "levels": (levels.threshold, levels.resin),
        "damaged": sorted(damaged),
        "greys": histogram.tolist(),
    }
    return table


def _smooth_plane(where: str, level: int, place: int) -> tuple[np.ndarray, float]:
    field = open_field(where)
    pixel_nm = field.pixel_nm(level)
    plane = field.read(place, level=level)
    return cv2.GaussianBlur(plane, (0, 0), max(0.5, SMOOTH_NM / pixel_nm)), pixel_nm


def grey_histogram(where: str, level: int, place: int) -> np.ndarray:
    """Count the grey levels of a smoothed slice: one task.

    Returns
    -------
    (256,) array of int
    """
    plane, _ = _smooth_plane(where, level, place)
    return np.bincount(plane.ravel(), minlength=256)


def levels_of(histogram: np.ndarray) -> Levels:
    """Tell resin from cells by Otsu's threshold.

    Parameters
    ----------
    histogram : (256,) array of int

    Returns
    -------
    Levels

    Examples
    --------
    >>> counts = np.zeros(256, int)
    >>> counts[[150, 152, 205]] = 10, 10, 30
    >>> levels_of(counts).resin
    205
    """
    threshold = 255
    if np.count_nonzero(histogram) > 1:
        threshold = int(threshold_otsu(hist=(histogram, np.arange(256))))
    bright = np.cumsum(histogram[threshold + 1 :])
    middle = int(np.searchsorted(bright, bright[-1] / 2)) if bright.size and bright[-1] else 0
    return Levels(threshold + 0.5, min(255, threshold + 1 + middle))


def find_middles(where: str, level: int, place: int, threshold: float) -> np.ndarray:
    """Find the middles of the cells in a slice: one task.

    Parameters
    ----------
    where : str
    level : int
    place : int
        Of the slice, from 0.
    threshold : float
        Darker is cell.

    Returns
    -------
    (n, 3) array of float
        Row, column, and depth in the cell, in nanometres.
    """
    plane, pixel_nm = _smooth_plane(where, level, place)
    return middles_of(plane < threshold, pixel_nm)


def middles_of(cells: np.ndarray, pixel_nm: float) -> np.ndarray:
    """Take the deepest points of a mask, one after another.

    Parameters
    ----------
    cells : (y, x) array of bool
        Cells end `BEYOND_NM` outside the slice: if they did not end, two that it cuts would have
        their deepest point in common, in the corner; if they ended at its border, a cell cut in
        half would be long and have two.
    pixel_nm : float

    Returns
    -------
    (n, 3) array of float
        Row, column and depth, in nanometres. Each is the deepest point around, down to
        `LEAST_DEPTH_NM` and `LEAST_SHARE` of the deepest, and lies outside the circles that the
        deeper ones fill.

    Examples
    --------
    >>> mask = np.zeros((100, 200), bool)
    >>> mask[20:81, 20:81] = mask[20:81, 120:181] = True
    >>> middles_of(mask, 100)[:, :2].round(-2).tolist()
    [[5000.0, 5000.0], [5000.0, 15000.0]]
    """
    # Vacuoles and bright organelles are no border; resin where three cells meet is one.
    _, holes, stats, _ = cv2.connectedComponentsWithStats((~cells).astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] * pixel_nm**2 < HOLE_NM**2
    small[0] = False
    solid = cells | small[holes]
    margin = max(1, round(BEYOND_NM / pixel_nm))
    solid = cv2.copyMakeBorder(solid.astype(np.uint8), *(margin,) * 4, cv2.BORDER_REPLICATE)
    solid = cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 5) * np.float32(pixel_nm)
    depth = np.ascontiguousarray(depth[margin + 1 : -margin - 1, margin + 1 : -margin - 1])
    depth = cv2.GaussianBlur(depth, (0, 0), max(0.5, 300 / pixel_nm))
    side = 2 * math.ceil(1000 / pixel_nm) + 1
    highest = cv2.dilate(depth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    least = max(LEAST_DEPTH_NM, LEAST_SHARE * float(depth.max(initial=0)))
    rows, columns = np.nonzero((depth == highest) & (depth >= least))
    deep = depth[rows, columns]
    found: list[tuple[float, float, float]] = []
    for at in np.lexsort((columns, rows, -deep)):
        y, x = (rows[at] + 0.5) * pixel_nm, (columns[at] + 0.5) * pixel_nm
        if all(math.hypot(y - a, x - b) >= 1.1 * c for a, b, c in found):
            found.append((float(y), float(x), float(deep[at])))
    return np.array(sorted(found)).reshape(-1, 3)


def link(middles: dict[int, np.ndarray], step: int) -> list[list[tuple[int, np.ndarray]]]:
    """Join the middles of neighbouring slices into tracks, the nearest pairs first.

    Parameters
    ----------
    middles : dict
        Place of the slice to its middles, as `middles_of` gives them; ascending.
    step : int
        Usual distance of the places.

    Returns
    -------
    list of lists of (place, (row, column, depth))
    """
    tracks: list[list[tuple[int, np.ndarray]]] = []
    for place, found in middles.items():
        open_ = [t for t in tracks if place - t[-1][0] <= (1 + MISSED) * step]
        pairs = sorted(
            (math.hypot(*(point[:2] - track[-1][1][:2])), number, at)
            for number, track in enumerate(open_)
            for at, point in enumerate(found)
        )
        taken, used = set(), set()
        for distance, number, at in pairs:
            if distance <= LINK_NM and number not in taken and at not in used:
                open_[number].append((place, found[at]))
                taken.add(number)
                used.add(at)
        tracks += [[(place, point)] for at, point in enumerate(found) if at not in used]
    return tracks


def table_of(middles: dict[int, np.ndarray], field: Field, step: int) -> pd.DataFrame:
    """Make the table of cells from the middles in each slice.

    Parameters
    ----------
    middles : dict
        As for `link`.
    field : Field
    step : int
        Usual distance of the places.

    Returns
    -------
    DataFrame
        As `find_cells`.
    """
    z_nm, pixel_nm = field.voxel_nm[0], field.voxel_nm[1]
    height_nm = field.shape[0] * z_nm
    least_nm = min(LEAST_HEIGHT_NM, height_nm / 2)
    kept = []
    for track in link(middles, step):
        places = np.array([place for place, _ in track])
        # A slice stands for the half step below and above it.
        if (np.ptp(places) + step) * z_nm >= least_nm:
            kept.append((places, np.array([point for _, point in track])))
    kept = _without_doubles(kept)
    usual = np.median([points[:, 2].max() for _, points in kept]) if kept else 1.0
    rows = []
    for places, points in kept:
        # The deeper a slice's middle lies, the nearer it is to the middle of the cell.
        weight = points[:, 2] ** 2
        z = float(np.average((places + 0.5) * z_nm, weights=weight))
        y, x = np.average(points[:, :2], axis=0, weights=weight)
        depth = float(points[:, 2].max())
        first, last = _along(z / z_nm, BOX_NM[0] / z_nm, field.shape[0])
        sides = [round((c + s * BOX_NM[1] / 2) / pixel_nm) for c in (y, x) for s in (-1, 1)]
        near = min(y, x, *(n * pixel_nm - c for n, c in zip(field.shape[1:], (y, x), strict=True)))
        share = len(places) / len([p for p in middles if places[0] <= p <= places[-1]])
        rows.append(
            (
                *(0, z / 1000, y / 1000, x / 1000, first, last, *sides, depth / 1000),
                *(bool(near < 1.15 * depth), share * min(1.0, depth / usual)),
            )
        )
    rows.sort(key=lambda row: (row[2], row[3], row[1]))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["cell"] = np.arange(1, len(table) + 1)
    table["is_cut"] = table["is_cut"].astype(bool)
    return table.round({"z_um": 3, "y_um": 3, "x_um": 3, "depth_um": 3, "certainty": 3})


def _along(middle: float, length: float, n: int) -> tuple[int, int]:
    return max(1, math.ceil(middle - length / 2) + 1), min(n, math.ceil(middle + length / 2))


def _without_doubles(tracks: list) -> list:
    """Drop what runs beside a longer track, inside the same cell."""
    kept = []
    for places, points in sorted(tracks, key=lambda t: (-len(t[0]), -t[1][:, 2].max())):
        middle, depth = points[:, :2].mean(axis=0), points[:, 2].max()
        beside = (
            len(set(places.tolist()) & set(others.tolist())) > len(places) / 2
            and math.hypot(*(middle - near[:, :2].mean(axis=0))) < max(depth, near[:, 2].max())
            for others, near in kept
        )
        if not any(beside):
            kept.append((places, points))
    return kept


def match(found: pd.DataFrame, truth: pd.DataFrame, *, within_um: float = 4.0) -> pd.DataFrame:
    """Pair found cells with those that are known to be there, the nearest pairs first.

    Parameters
    ----------
    found, truth : DataFrame
        With ``cell``, ``z_um``, ``y_um``, ``x_um``.
    within_um : float
        How far apart the middles may lie in the plane; a nucleus is some 4 um in radius.

    Returns
    -------
    DataFrame
        ``cell`` (found), ``true_cell``, ``apart_um``. Recall is the number of rows over that of
        `truth`, precision over that of `found`.
    """
    pairs = sorted(
        (math.hypot(a.y_um - b.y_um, a.x_um - b.x_um), a.cell, b.cell)
        for a in found.itertuples()
        for b in truth.itertuples()
    )
    rows, one, other = [], set(), set()
    for apart, a, b in pairs:
        if apart <= within_um and a not in one and b not in other:
            rows.append((a, b, apart))
            one.add(a)
            other.add(b)
    return pd.DataFrame(rows, columns=["cell", "true_cell", "apart_um"])
