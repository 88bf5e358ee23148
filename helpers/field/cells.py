"""One cell a task: the nucleus in its box by chapter 5's method, then the cell around it."""

import json
import math
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.segmentation import watershed

from helpers import volume
from helpers.cache import key_of, write_whole
from helpers.field import tasks
from helpers.field.ngff import Field, open_field
from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.traditional.doubts import Doubt, DoubtWarning

LABELS, BASIN, MEASURES = "labels", "basin.npy", "measures.json"
"""What is in the folder of a cell: label maps, the cell's share of the box, measures."""
BASIN_NM = 200.0
"""Pixels no larger than this are enough to part cells that touch."""
CORE_SHARE, CORE_NM = 1.2, (6_000.0, 7_500.0)
"""The nucleus is looked for as far from the middle as the cell is deep, times this, within these
limits."""
SEED_NM = 1500.0
"""Radius of the ball that stands for a neighbouring cell, whose nucleus this task does not know."""
DARK_NM = 100.0
"""Sigma of the smoothing before cell and resin are told apart."""
CUT_NM = 300.0
"""How far from a side of the field the cut through a nucleus looks like an envelope."""
FAR_NM = 4500.0
"""A nucleus whose middle is farther from the cell's is doubtful."""


def folder_of(out: Path, cell: int) -> Path:
    """Return the folder of a cell's results."""
    return Path(out, "cells", f"cell_{cell:03d}")


def segment_cells(
    field: Field, cells: pd.DataFrame, out: Path | str, *, client=None, progress: bool = False
) -> pd.DataFrame:
    """Segment cells, one a task; what is there and still valid is taken.

    Parameters
    ----------
    field : Field
    cells : DataFrame
        Of `find_cells`.
    out : path
        A folder ``cells/cell_001`` for each is made in it.
    client : distributed.Client, optional
    progress : bool

    Returns
    -------
    DataFrame
        The rows of `cells` with ``volume_um3``, ``surface_um2``, ``sphericity``, ``slices`` (with
        nucleus), ``doubts`` (text) and ``failed`` (why a cell has no result; empty where it has
        one). A cell that fails takes no other with it. ``attrs["seconds"]`` are those of each task.
    """
    levels = cells.attrs["levels"]
    todo = {
        int(row.cell): (
            *(tasks.timed, segment_cell, field.where),
            *(row._asdict(), _middles(cells, row.cell), folder_of(out, row.cell), levels),
        )
        for row in cells.itertuples(index=False)
    }
    measures, seconds = {}, {}
    for cell, found, error in tasks.run(todo, client, what="cells", progress=progress):
        if error is not None:
            measures[cell] = {"failed": f"{type(error).__name__}: {error}"}
        else:
            measures[cell], seconds[cell] = found
    empty = {"volume_um3": math.nan, "surface_um2": math.nan, "sphericity": math.nan}
    empty |= {"slices": 0, "doubts": "", "failed": ""}
    rows = [
        {name: measures[cell].get(name, value) for name, value in empty.items()}
        for cell in cells["cell"]
    ]
    table = pd.concat([cells.reset_index(drop=True), pd.DataFrame(rows, columns=empty)], axis=1)
    table.attrs = cells.attrs | {"seconds": seconds}
    return table


def _middles(cells: pd.DataFrame, but: int) -> np.ndarray:
    return cells.loc[cells["cell"] != but, ["z_um", "y_um", "x_um"]].to_numpy(float) * 1000


def segment_cell(where: str, row: dict, others_nm: np.ndarray, folder: Path, levels) -> dict:
    """Segment one cell: one task.

    Parameters
    ----------
    where : str
        The field.
    row : dict
        Of the table of `find_cells`.
    others_nm : (n, 3) array of float
        Middles of the other cells.
    folder : Path
        Of the results. A task that was killed begins anew and ends with the same files.
    levels : (float, int)
        Grey levels that part cell from resin, and of resin, which stands beyond the field's sides.

    Returns
    -------
    dict
        ``volume_um3``, ``surface_um2``, ``sphericity``, ``slices``, ``doubts``.

    Raises
    ------
    helpers.volume.SliceError, ValueError, helpers.cache.StorageError
        If there is no result.
    """
    field, folder = open_field(where), Path(folder)
    core = core_of(row, field.voxel_nm)
    stack = field.stack(*core, name=f"cell {row['cell']} of a field", fill=levels[1])
    doubts: list[Doubt] = []
    with warnings.catch_warnings():
        # What is left out is told in the table.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", DoubtWarning)
        maps = volume.segment_to_folder(
            stack,
            folder / LABELS,
            workers=1,
            progress=False,
            errors="skip",
            overwrite=True,
            rules=volume.Rules(resin_level=levels[0]),
            doubts=doubts,
        )
    key = key_of(
        [segment_cell, part_cells, basin_box, core_of, inside, volume],
        identity=maps.identity,
        row=row,
        others=others_nm,
        levels=levels,
        numbers=maps.numbers,
    )
    known = _read(folder / MEASURES)
    if known.get("key") == key and (folder / BASIN).is_file():
        return known["measures"]
    if not maps.numbers:
        raise ValueError(f"cell {row['cell']}: no slice of its box can be read.")
    basin, middle_nm = part_cells(field, maps, row, others_nm, levels[0])
    write_whole(folder / BASIN, lambda path: np.save(path, np.packbits(basin, axis=-1)))
    measured = volume.measure_nucleus(
        ((n, inside(maps.read(n), field, core)[0] == Label.NUCLEUS) for n in maps.numbers),
        voxel_nm=field.voxel_nm,
    )
    told = [doubt.message for doubt in doubts if doubt.number is None]
    counts = pd.Series([d.kind for d in doubts if d.number is not None], dtype=str).value_counts()
    told += [f"{kind}: {count} slices" for kind, count in sorted(counts.items())]
    left_out = len(stack.slice_numbers) - len(maps.numbers)
    told += [f"slices that cannot be read: {left_out}"] if left_out else []
    if row["is_cut"]:
        told.append("the side of the field cuts the cell: measures are of the part inside")
    if middle_nm is not None and np.hypot(*(middle_nm - _middle(row))[1:]) > FAR_NM:
        told.append("the nucleus lies far from the middle of the cell")
    told += [measured.note] if measured.note else []
    measures = {
        "volume_um3": _number(measured.volume_um3),
        "surface_um2": _number(measured.surface_um2),
        "sphericity": _number(measured.sphericity),
        "slices": int((measured.areas["area_um2"] > 0).sum()),
        "doubts": "; ".join(told),
    }
    write_whole(folder / MEASURES, json.dumps({"key": key, "measures": measures}, indent=1) + "\n")
    return measures


def core_of(row: dict, voxel_nm) -> tuple[slice, tuple[int, int], tuple[int, int]]:
    """Return the part of a cell's box in which its nucleus is looked for, places from 0.

    It may reach beyond the field's sides.
    """
    half = float(np.clip(CORE_SHARE * row["depth_um"] * 1000, *CORE_NM)) / voxel_nm[1]
    middles = (row[name] * 1000 / voxel_nm[1] for name in ("y_um", "x_um"))
    y, x = ((round(at - half), round(at + half)) for at in middles)
    return slice(int(row["first"]) - 1, int(row["last"])), y, x


def inside(
    labels: np.ndarray, field: Field, core: tuple[slice, tuple[int, int], tuple[int, int]]
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Take from a core's label map what is inside the field.

    What stands for resin beyond the sides makes an envelope of the cut through a nucleus: there
    the nucleus goes on to the side instead.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Classes of a slice of the core.
    field : Field
    core : (slice, (int, int), (int, int))
        From `core_of`.

    Returns
    -------
    labels : (y, x) array of uint8
    window : (slice, slice)
        Where it lies in the field.
    """
    width = max(1, round(CUT_NM / field.pixel_nm(0)))
    bounds = list(zip(core[1:], field.shape[1:], strict=True))
    window = tuple(slice(max(0, low), min(n, high)) for (low, high), n in bounds)
    part = tuple(
        slice(w.start - low, w.stop - low) for w, ((low, _), _) in zip(window, bounds, strict=True)
    )
    found = labels[part].copy()
    for axis, ((low, high), n) in enumerate(bounds):
        along = np.moveaxis(found, axis, 0)  # a view: what is set in it is set in `found`
        if len(along) > width:
            for strip, cut in ((along, low < 0), (along[::-1], high > n)):
                if cut:
                    strip[:width, strip[width] == Label.NUCLEUS] = Label.NUCLEUS
    return found, window


def basin_box(field: Field, row: dict) -> tuple[int, tuple[slice, slice, slice]]:
    """Return the level on which cells are parted, and the box of a cell there, inside the field."""
    level = field.level_for(BASIN_NM)
    sides = (("top", "bottom"), ("left", "right"))
    plane = tuple(
        slice(max(0, int(row[low]) >> level), min(n, -(-int(row[high]) >> level)))
        for (low, high), n in zip(sides, field.levels[level].shape[1:], strict=True)
    )
    return level, (slice(int(row["first"]) - 1, int(row["last"])), *plane)


def _middle(row: dict) -> np.ndarray:
    return np.array([row["z_um"], row["y_um"], row["x_um"]]) * 1000


def part_cells(
    field: Field, maps: LabelMaps, row: dict, others_nm: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Part a cell from those that it touches, by a watershed on the distance from resin.

    Parameters
    ----------
    field : Field
    maps : LabelMaps
        Of the cell's core.
    row : dict
    others_nm : (n, 3) array of float
    threshold : float
        Darker is cell.

    Returns
    -------
    basin : (z, y, x) array of bool
        The cell, nucleus included, in its `basin_box`.
    middle_nm : (3,) array or None
        Of the nucleus; None where none was found.
    """
    level, box = basin_box(field, row)
    step, side = 2**level, field.pixel_nm(level)
    solid = is_dark(field.read(*box, level=level), threshold, side)
    nucleus = np.zeros_like(solid)
    _, (top, _), (left, _) = core_of(row, field.voxel_nm)
    for place, number in enumerate(range(box[0].start + 1, box[0].stop + 1)):
        if maps.has(number):
            y, x = np.nonzero(maps.read(number) <= Label.NUCLEUS)
            y, x = (y + top) // step - box[1].start, (x + left) // step - box[2].start
            inside = (y >= 0) & (x >= 0) & (y < solid.shape[1]) & (x < solid.shape[2])
            nucleus[place, y[inside], x[inside]] = True
    grid = [
        (np.arange(part.start, part.stop) + 0.5) * unit
        for part, unit in zip(box, (field.voxel_nm[0], side, side), strict=True)
    ]
    solid |= nucleus
    markers = np.zeros(solid.shape, np.int32)
    for number, middle in enumerate(others_nm, start=2):
        markers[_ball(grid, middle)] = number
    middle_nm = None
    if nucleus.any():
        middle_nm = np.array([at.mean() for at in np.nonzero(nucleus)])
        middle_nm = np.array(
            [
                g[0] + at * (g[-1] - g[0]) / max(1, len(g) - 1)
                for g, at in zip(grid, middle_nm, strict=True)
            ]
        )
        markers[nucleus] = 1
    else:
        markers[_ball(grid, _middle(row))] = 1
    markers[~solid] = 0
    depth = ndimage.distance_transform_edt(solid, sampling=(field.voxel_nm[0], side, side))
    return watershed(-depth, markers, mask=solid) == 1, middle_nm


def is_dark(planes: np.ndarray, threshold: float, pixel_nm: float) -> np.ndarray:
    """Tell cell from resin, slice by slice, after a little smoothing.

    Parameters
    ----------
    planes : (z, y, x) array of uint8
    threshold : float
    pixel_nm : float

    Returns
    -------
    (z, y, x) array of bool
    """
    sigma = DARK_NM / pixel_nm
    # Beyond four sigma the kernel is nothing: parts of a slice give what the whole does.
    side = 2 * round(4 * sigma) + 1
    return (
        np.stack([cv2.GaussianBlur(p, (side, side), max(sigma, 1e-3)) for p in planes]) < threshold
    )


def _ball(grid, middle_nm) -> np.ndarray:
    z, y, x = ((g - m) ** 2 for g, m in zip(grid, middle_nm, strict=True))
    return z[:, None, None] + y[:, None] + x < SEED_NM**2


class CellResult:
    """Classes of a cell's core, and what of its box is the cell, slice by slice.

    Parameters
    ----------
    field : Field
    row : dict
        Of the table.
    folder : Path
    """

    def __init__(self, field: Field, row: dict, folder: Path):
        self._field, self.number, self.middle_nm = field, int(row["cell"]), _middle(row)
        self._level, self._box = basin_box(field, row)
        self._core = core_of(row, field.voxel_nm)
        self._maps = LabelMaps(folder / LABELS)
        self._basin = np.load(folder / BASIN)
        step = 2**self._level
        self.window = tuple(
            slice(part.start * step, min(part.stop * step, n))
            for part, n in zip(self._box[1:], field.shape[1:], strict=True)
        )

    def classes(self, place: int) -> np.ndarray | None:
        """Return nucleus, envelope and cell in `window` of a slice, 0 elsewhere.

        Parameters
        ----------
        place : int
            Of the slice, from 0.

        Returns
        -------
        (y, x) array of uint8, or None
        """
        if not self._box[0].start <= place < self._box[0].stop:
            return None
        packed = self._basin[place - self._box[0].start]
        plane = np.unpackbits(packed, axis=-1, count=self._box[2].stop - self._box[2].start)
        step = 2**self._level
        large = plane.repeat(step, axis=0).repeat(step, axis=1) * np.uint8(Label.CELL)
        found = large[tuple(slice(w.stop - w.start) for w in self.window)].copy()
        if self._maps.has(place + 1):
            core, place_in_field = inside(self._maps.read(place + 1), self._field, self._core)
            cut, onto = [], []
            for had, part in zip(place_in_field, self.window, strict=True):
                low, high = max(had.start, part.start), min(had.stop, part.stop)
                cut.append(slice(low - had.start, high - had.start))
                onto.append(slice(low - part.start, high - part.start))
            core, under = core[tuple(cut)], found[tuple(onto)]
            under[core <= Label.NUCLEUS] = core[core <= Label.NUCLEUS]
        return found


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _number(value: float) -> float:
    return float(f"{value:.6g}")
