"""The results of all cells as one label image of the field, whatever the order of the tasks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.cache import key_of, write_whole
from helpers.field import ngff, tasks
from helpers.field.cells import (
    BASIN,
    DARK_NM,
    LABELS,
    MEASURES,
    CellResult,
    folder_of,
    inside,
    is_dark,
)
from helpers.field.ngff import Field, open_field
from helpers.labels import PALETTES, Label

CLASSES, INSTANCES = "classes.zarr", "instances.zarr"
"""Names of the two images of labels."""


def join_cells(
    field: Field, cells: pd.DataFrame, out: Path | str, *, client=None, progress: bool = False
) -> tuple[Field, Field]:
    """Join the results of the cells in two images of labels, as large as the field.

    Where boxes overlap, these rules hold, none of which depends on the order of the tasks.
    A voxel that some cell has as its nucleus or envelope is that; of several such cells the one
    whose middle is nearest has it, and of equally near ones the first in the table.
    Of what is left and dark, a voxel that some cell has as its own is cell, and of the nearest one.
    All else is cell or background by its grey level, and of no instance.

    Parameters
    ----------
    field : Field
    cells : DataFrame
        Of `helpers.field.segment_cells`; cells that failed are left out.
    out : path
        Where the cells' folders are.
    client : distributed.Client, optional
    progress : bool

    Returns
    -------
    classes, instances : Field
        Numbers of `helpers.labels.Label`, and of the cells. Where a chunk of the field cannot be
        read, all that no cell has is background, and the slices are in `Field.damaged`.

    Raises
    ------
    helpers.cache.StorageError
        If it cannot be written.
    """
    out = Path(out)
    threshold = cells.attrs["levels"][0]
    rows = [row._asdict() for row in cells.itertuples(index=False)]
    rows = [row for row in rows if not row.get("failed")]
    key = key_of(
        ["labels 1", settle, CellResult, inside, is_dark],
        rows=[{k: row[k] for k in ("cell", "z_um", "y_um", "x_um")} for row in rows],
        measures=[folder_of(out, row["cell"]) / MEASURES for row in rows],
        basins=[folder_of(out, row["cell"]) / BASIN for row in rows],
        maps=[folder_of(out, row["cell"]) / LABELS / "label-maps.json" for row in rows],
        shape=field.shape,
        threshold=threshold,
    )
    chunk = field.levels[0].chunks
    colours = {int(label): PALETTES["safe"][label] for label in Label}
    numbers = {row["cell"]: _colour(row["cell"]) for row in rows}
    for name, dtype, shown in ((CLASSES, "uint8", colours), (INSTANCES, "uint16", numbers)):
        about = ngff.read_about(out / name)
        if about is None or about.get("key") != key:
            shutil.rmtree(out / name, ignore_errors=True)
            ngff.create(
                out / name,
                field.shape,
                field.voxel_nm,
                name=Path(name).stem,
                about={"key": key, "source": field.where},
                dtype=dtype,
                n_levels=len(field.levels),
                chunk=chunk,
                colours=shown,
            )
    todo = {
        first: (write_labels, field.where, out, first, rows, threshold)
        for first in range(0, field.shape[0], chunk[0])
        if not all(ngff.layer_is_whole(out / name, first) for name in (CLASSES, INSTANCES))
    }
    tasks.all_of(tasks.run(todo, client, what="label layers", progress=progress))
    for name in (CLASSES, INSTANCES):
        ngff.collect_damage(out / name)
    return open_field(out / CLASSES), open_field(out / INSTANCES)


def _colour(number: int) -> tuple[int, int, int]:
    """Return a colour for a cell; neighbours in the table get colours far apart."""
    hue = (number * 0.618034) % 1.0 * 6
    x = int(255 * (1 - abs(hue % 2 - 1)))
    sector = [(255, x, 0), (x, 255, 0), (0, 255, x), (0, x, 255), (x, 0, 255), (255, 0, x)]
    return sector[int(hue)]


def write_labels(where: str, out: Path, first: int, rows: list[dict], threshold: float) -> int:
    """Write one layer of chunks of both images: one task.

    Parameters
    ----------
    where : str
        The field.
    out : Path
    first : int
        First slice, from 0.
    rows : list of dict
        The cells.
    threshold : float
        Darker is cell.

    Returns
    -------
    int
        How many chunks were written.
    """
    field = open_field(where)
    depth, height = field.levels[0].chunks[:2]
    last = min(first + depth, field.shape[0])
    near = [row for row in rows if row["first"] <= last and row["last"] > first]
    results = [CellResult(field, row, folder_of(out, row["cell"])) for row in near]
    planes = _Planes(results, field, range(first, last), threshold, out)
    written = 0
    for name, which in ((CLASSES, 0), (INSTANCES, 1)):
        stripes = _stripes(planes, which, height)
        written += ngff.write_layer(out / name, first, stripes)
    return written


class _Planes:
    """Settles slices of a layer, in stripes of rows."""

    def __init__(self, results: list[CellResult], field: Field, places: range, threshold, out):
        self.results, self.field, self.places = results, field, places
        self.threshold, self.out = threshold, out
        # Each cell's slices are read once for all stripes.
        self._classes = [{place: each.classes(place) for place in places} for each in results]

    def stripe(self, rows: slice) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Settle some rows of each slice."""
        pixel_nm = self.field.pixel_nm(0)
        margin = round(4 * DARK_NM / pixel_nm) + 1
        around = slice(max(0, rows.start - margin), rows.stop + margin)
        layer = slice(self.places.start, self.places.stop)
        grey, damaged = self.field.read_what_can_be(layer, around, fill=255)
        for number, why in damaged.items():
            for name in (CLASSES, INSTANCES):
                ngff.note_damage(self.out / name, number, why)
        inner = slice(rows.start - around.start, rows.stop - around.start)
        dark = is_dark(grey, self.threshold, pixel_nm)[:, inner]
        for place, is_cell in zip(self.places, dark, strict=True):
            parts = []
            for result, slices in zip(self.results, self._classes, strict=True):
                y, x = result.window
                low, high = max(rows.start, y.start), min(rows.stop, y.stop)
                if slices[place] is not None and low < high:
                    window = slice(low - rows.start, high - rows.start), x
                    found = slices[place][low - y.start : high - y.start]
                    distance = self._distance(result, place, low, high, x.start, x.stop)
                    parts.append((result.number, window, found, distance))
            yield settle(is_cell, parts)

    def _distance(self, result, place, low, high, start, stop) -> np.ndarray:
        z_nm, y_nm, x_nm = self.field.voxel_nm
        z, y, x = result.middle_nm
        rows = ((np.arange(low, high) + 0.5) * y_nm - y) ** 2
        columns = ((np.arange(start, stop) + 0.5) * x_nm - x) ** 2
        return (rows[:, None] + columns + ((place + 0.5) * z_nm - z) ** 2).astype(np.float32)


def _stripes(planes: _Planes, which: int, height: int) -> Iterator[tuple[int, np.ndarray]]:
    n_rows = planes.field.shape[1]
    for start in range(0, n_rows, height):
        rows = slice(start, min(start + height, n_rows))
        yield start, np.stack([both[which] for both in planes.stripe(rows)])


def settle(is_cell: np.ndarray, parts: list) -> tuple[np.ndarray, np.ndarray]:
    """Decide which cell has each pixel: see `join_cells`.

    Parameters
    ----------
    is_cell : (y, x) array of bool
        What is dark.
    parts : list of (number, window, classes, distance)
        Of each cell that reaches in: where it lies, and arrays of that size; class 0 is no claim.

    Returns
    -------
    classes : (y, x) array of uint8
    instances : (y, x) array of uint16

    Examples
    --------
    >>> whole, nucleus = np.s_[0:1, 0:2], np.array([[2, 2]], np.uint8)
    >>> one = 1, whole, nucleus, np.array([[1.0, 4.0]])
    >>> other = 2, whole, np.array([[2, 3]], np.uint8), np.array([[2.0, 1.0]])
    >>> settle(np.ones((1, 2), bool), [other, one])[1].tolist()
    [[1, 1]]
    """
    classes = np.where(is_cell, np.uint8(Label.CELL), np.uint8(Label.BACKGROUND))
    instances = np.zeros(is_cell.shape, np.uint16)
    # A claim of a lower rank wins, then the nearer middle, then the smaller number.
    rank = np.full(is_cell.shape, 3, np.uint8)
    nearest = np.full(is_cell.shape, np.inf, np.float32)
    for number, window, found, distance in sorted(parts, key=lambda part: part[0]):
        claim = np.full(found.shape, 3, np.uint8)
        claim[(found == Label.CELL) & is_cell[window]] = 2
        claim[(found > 0) & (found <= Label.NUCLEUS)] = 1
        better = (claim < rank[window]) | ((claim == rank[window]) & (distance < nearest[window]))
        better &= claim < 3
        classes[window][better] = found[better]
        instances[window][better] = number
        rank[window][better] = claim[better]
        nearest[window][better] = distance[better]
    return classes, instances


def write_table(cells: pd.DataFrame, path: Path) -> None:
    """Write the table of cells as CSV."""
    write_whole(path, cells.to_csv(index=False, lineterminator="\n"))
