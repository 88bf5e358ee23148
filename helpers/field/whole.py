"""A whole field in one call: cells found, segmented, joined and measured, in one folder."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import helpers
from helpers import machine, settings
from helpers.cache import key_of, locked, write_whole
from helpers.field import find, joining
from helpers.field.cells import segment_cells
from helpers.field.convert import as_stack, convert
from helpers.field.ngff import Field, open_field
from helpers.field.views import report

FIELD, TABLE, SUMMARY, REPORT = "field.zarr", "cells.csv", "summary.json", "report.html"
"""What is in the folder of results, beside the images of labels and the folders of the cells."""


@dataclass(frozen=True)
class FieldResult:
    """What `segment_field` found.

    Attributes
    ----------
    folder : Path
        Where the results are.
    field : Field
    cells : DataFrame
        A row a cell, as `helpers.field.segment_cells` has it.
    classes, instances : Field
        As `helpers.field.join_cells` has them.
    seconds : dict
        Of the stages ``find``, ``segment`` and ``join``.
    """

    folder: Path
    field: Field
    cells: pd.DataFrame
    classes: Field
    instances: Field
    seconds: dict[str, float]

    @property
    def doubts(self) -> list[str]:
        """What is doubtful or failed, cell by cell."""
        told = [f"slice {number} of the field cannot be read" for number in self.damaged]
        told += ["no cell was found"] if self.cells.empty else []
        for row in self.cells.itertuples():
            told += [f"cell {row.cell} has no result: {row.failed}"] if row.failed else []
            told += [f"cell {row.cell}: {row.doubts}"] if row.doubts else []
        return told

    @property
    def damaged(self) -> list[int]:
        """Slices that could not be read."""
        return sorted({*self.cells.attrs["damaged"], *self.classes.damaged})

    def __repr__(self) -> str:
        whole = int((~self.cells["is_cut"]).sum())
        return (
            f"{len(self.cells)} cells, {whole} of them whole, "
            f"{len(self.doubts)} doubts, in {self.folder}"
        )


def segment_field(
    source,
    out: Path | str,
    *,
    voxel_nm=None,
    client=None,
    overwrite: bool = False,
    progress: bool | None = None,
    told: Callable[[str], None] | None = None,
    **opening,
) -> FieldResult:
    """Find all cells of a field, segment and measure them, and join them in one label image.

    Parameters
    ----------
    source : Field, path, array or Stack
        A field, or the folder or address of one; of anything else that `convert` takes, a field is
        made first, in `out`.
    out : path
        Folder of the results, made where it is not: ``cells.csv`` has a row a cell,
        ``classes.zarr`` and ``instances.zarr`` are the label images, ``cells`` the results of each
        cell, ``summary.json`` what was done; ``report.html`` shows it. The same call
        again goes on where a run was stopped.
    voxel_nm : (float, float, float), optional
        (z, y, x); needed where a field is made of files that do not have it.
    client : distributed.Client, optional
        Of `cluster`; by default this process does it all.
    overwrite : bool
        Whether the results of another field in `out` are replaced.
    progress : bool, optional
        Whether to show bars; by default not while the book is built.
    told : callable, optional
        Gets a line when a stage begins.
    **opening
        Other options of `helpers.data.open_stack`.

    Returns
    -------
    FieldResult

    Raises
    ------
    ValueError
        If `out` has the results of another field, or an option is not allowed.
    OSError, helpers.cache.StorageError
        If something cannot be read or written.
    ModuleNotFoundError
        If zarr is not installed.
    """
    out = Path(out).expanduser()
    told = told or (lambda _line: None)
    progress = not settings.is_static() if progress is None else progress
    with locked(out, "segments a field"):
        field = source
        if not isinstance(source, Field):
            field = _opened(source, out, voxel_nm, client, overwrite, progress, told, opening)
        elif voxel_nm is not None or opening:
            raise ValueError("a Field is open already; give voxel_nm and the like to convert.")
        seconds = {}
        with _stage("find", seconds):
            told("Looking for the cells.")
            cells = find.find_cells(field, client=client, progress=progress)
        _claim(field, cells, out, overwrite)
        with _stage("segment", seconds):
            told(f"Segmenting {len(cells)} cells, one a task.")
            cells = segment_cells(field, cells, out, client=client, progress=progress)
        with _stage("join", seconds):
            told("Joining them.")
            images = joining.join_cells(field, cells, out, client=client, progress=progress)
        joining.write_table(cells, out / TABLE)
        result = FieldResult(out, field, cells, *images, seconds)
        write_whole(out / SUMMARY, json.dumps(_summary(result), indent=1) + "\n")
        title = f"{len(cells)} cells of a field"
        write_whole(out / REPORT, report(title, field, cells, images[1], result.doubts))
        return result


def field_at(source) -> Field | None:
    """Open a field, if that is what is there; an address can be nothing else.

    Raises
    ------
    OSError, ValueError
        If there is no field at an address.
    """
    where = str(source)
    if "://" in where:
        return open_field(where)
    try:
        return open_field(where)
    except (OSError, ValueError):
        return None


def _opened(source, out, voxel_nm, client, overwrite, progress, told, opening) -> Field:
    field = field_at(source) if isinstance(source, str | Path) else None
    if field is not None:
        if voxel_nm is not None and not np.allclose(voxel_nm, field.voxel_nm, rtol=1e-3):
            raise ValueError(
                f"voxel_nm={tuple(voxel_nm)}, but {source} says {field.voxel_nm}; leave it out, or "
                "convert the slices anew with the right one."
            )
        return field
    stack = as_stack(source, voxel_nm=voxel_nm, **opening)
    told(f"Writing {len(stack)} slices to {out / FIELD}.")
    return convert(stack, out / FIELD, client=client, overwrite=overwrite, progress=progress)


def _claim(field: Field, cells: pd.DataFrame, out: Path, overwrite: bool) -> None:
    """Refuse a folder that has results of another field.

    Cells and images of labels know by themselves what they were made of: this is for the reader,
    whose results of another field would be lost.
    """
    mark, path = _mark(field, cells), out / SUMMARY
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("mark", mark) != mark and not overwrite:
        raise ValueError(
            f"{out} has the results of another field ({known.get('field')}); "
            "give overwrite=True to replace them, or another folder."
        )
    if known.get("mark") != mark:
        shutil.rmtree(out / "cells", ignore_errors=True)
        write_whole(path, json.dumps({"mark": mark, "field": field.where}, indent=1) + "\n")


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 2)


def _mark(field: Field, cells: pd.DataFrame) -> str:
    """Tell fields apart by what is in them: the folder may move."""
    return key_of("field", shape=field.shape, voxel=field.voxel_nm, greys=cells.attrs["greys"])


def _summary(result: FieldResult) -> dict:
    field, cells = result.field, result.cells
    threshold, resin = cells.attrs["levels"]
    return {
        "mark": _mark(field, cells),
        "field": field.where,
        "shape": list(field.shape),
        "voxel_nm": list(field.voxel_nm),
        "cells": len(cells),
        "cut_by_the_sides": int(cells["is_cut"].sum()),
        "failed": int((cells["failed"] != "").sum()),
        "grey_below_which_is_cell": threshold,
        "grey_of_resin": resin,
        "damaged_slices": result.damaged,
        "doubts": result.doubts,
        "seconds": result.seconds,
        "helpers": helpers.__version__,
        "versions": machine.versions(),
    }
