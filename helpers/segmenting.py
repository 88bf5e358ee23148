"""A reader's own stack, segmented and measured by one call, with all results in one folder."""

import html
import io
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile

import helpers
from helpers import data, machine, tiffs
from helpers.cache import locked, write_whole
from helpers.data.stack import DOUBTFUL, Stack
from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.masks import as_bytes
from helpers.show.figures import outline, shrunk
from helpers.show.galleries import MAX_WIDTH_PX, Panel, gallery
from helpers.show.page_html import PageHtml, doubts_box, whole_page
from helpers.show.surfaces import surface
from helpers.strokes.drawn import Strokes
from helpers.strokes.stacks import segment_by_strokes
from helpers.traditional.doubts import Doubt
from helpers.volume.ahead import LeftOutWarning
from helpers.volume.measures import NucleusMeasures, measure_nucleus
from helpers.volume.passes import segment_to_folder

LABELS, MASKS, TABLE, SUMMARY, REPORT = (
    *("labels", "masks"),
    *("nucleus.csv", "summary.json", "report.html"),
)
"""What is in the folder of results."""

SHEET, MORE_DOUBTS = 20, 12
"""Slices of the contact sheet: evenly spread, and those in doubt besides."""

MASK_NAME = "nucleus_{:04d}.tif"


@dataclass(frozen=True)
class Segmentation:
    """What `segment` found. As the last line of a cell it shows the contact sheet and the surface.

    Attributes
    ----------
    folder : Path
        Where the results are.
    stack : Stack
        The slices that were segmented.
    maps : LabelMaps
        Label maps, by slice number.
    measures : NucleusMeasures
        Volume, surface and sphericity.
    table : DataFrame
        A row a slice: ``slice``, ``z_um``, ``area_um2``, ``volume_um3``, ``grey_mean``,
        ``grey_sd``, ``doubts``.
    doubts : tuple of helpers.traditional.doubts.Doubt
        What makes the result doubtful; empty where nothing does.
    """

    folder: Path
    stack: Stack
    maps: LabelMaps
    measures: NucleusMeasures
    table: pd.DataFrame
    doubts: tuple[Doubt, ...]

    def __repr__(self) -> str:
        with_nucleus = int((self.table["area_um2"] > 0).sum())
        return (
            f"Segmentation of {len(self.table)} slices, {with_nucleus} with nucleus, "
            f"{self.measures.volume_um3:.4g} µm³, {len(self.doubts)} doubts, in {self.folder}"
        )

    def _repr_html_(self) -> str:
        return "\n".join(part if isinstance(part, str) else part.html for part in _parts(self))


def segment(
    where,
    out: Path | str,
    *,
    voxel_nm=None,
    mode: str = "improved",
    strokes: Strokes | Path | str | None = None,
    features: str = "hand-made",
    every: int = 1,
    centre: int | None = None,
    workers: int | None = None,
    errors: str = "raise",
    overwrite: bool = False,
    progress: bool = True,
    **opening,
) -> Segmentation:
    """Segment the nucleus in a stack of your own, measure it, and write all of it to a folder.

    The traditional method is used, which needs no training: it looks for one nucleus near the
    centre of slices with dark membranes. With strokes, a random forest learns from them.

    Parameters
    ----------
    where : path, array, mapping or Stack
        What `helpers.data.open_stack` opens, or what it returned.
    out : path
        Folder of the results, made where it is not. ``labels`` has the four classes, ``masks`` the
        nucleus as 0 and 255, both as TIFFs with the pixel size in their tags and the slice's number
        in their names; ``nucleus.csv`` the measures of each slice; ``summary.json`` those of the
        nucleus, and what was decided and doubted; ``report.html`` a contact sheet and the surface.
        The same call again ends with the same files; where all are there, nothing is computed.
    voxel_nm : (float, float, float), optional
        As `helpers.data.open_stack` has it.
    mode : {"improved", "published"}
        See `helpers.volume.segment_stack`.
    strokes : Strokes or path, optional
        Strokes on slices of this stack, or the file that has them: then a forest that learns from
        them labels each slice, instead of the traditional method. See `helpers.strokes`.
    features : {"hand-made", "VGG16", "both"}
        What the forest learns from; all but the first need TensorFlow.
    every : int
        Take every slice, every second one, ...; they keep their numbers.
    centre : int, optional
        Slice to start from; by default one is chosen.
    workers : int, optional
        Processes; by default as many as there are cores.
    errors : {"raise", "skip"}
        Whether a slice that cannot be read stops the run, or is left out and doubted.
    overwrite : bool
        Whether the results of another run in `out` are replaced.
    progress : bool
        Whether to show a progress bar.
    **opening
        Other options of `helpers.data.open_stack`: `pattern`, `channel`, `axes`, `crop`,
        `grey_range`, `invert`.

    Returns
    -------
    Segmentation

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, TypeError, ValueError
        As `helpers.data.open_stack` and `helpers.volume.segment_to_folder`.
    helpers.volume.SliceError
        If a slice cannot be read.
    helpers.cache.StorageError
        If the results cannot be written.
    """
    if every < 1:
        raise ValueError(f"every is {every}; it must be a whole number from 1.")
    out = Path(out).expanduser()
    stack = where
    if not isinstance(where, Stack):
        stack = data.open_stack(where, voxel_nm=voxel_nm, **opening)
    elif voxel_nm is not None or opening:
        raise ValueError("a Stack is open already; give voxel_nm and the like to open_stack.")
    label = partial(segment_to_folder, mode=mode, centre=centre, workers=workers)
    if strokes is not None:
        if mode != "improved" or centre is not None:
            raise ValueError("with strokes each slice is labelled alone: give no mode or centre.")
        if not isinstance(strokes, Strokes):
            strokes = Strokes.load(strokes)
        label = partial(segment_by_strokes, strokes=strokes, kind=features, learn_from=stack)
    stack = replace(stack, slice_numbers=stack.slice_numbers[::every])
    doubts = [
        Doubt("opened", None, _without_mark(n)) for n in stack.notes if n.startswith(DOUBTFUL)
    ]
    label = partial(label, errors=errors, progress=progress, overwrite=overwrite)
    with locked(out, f"segments {stack.name}"):
        return _segment(
            stack, where, out, doubts, label, "strokes" if strokes is not None else mode
        )


def _segment(
    stack: Stack, where, out: Path, doubts: list[Doubt], label: Callable[..., LabelMaps], mode: str
) -> Segmentation:
    """Label, measure and write, while no other process writes to the folder."""
    found: list[Doubt] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        maps = label(stack, out / LABELS, doubts=found)
    left_out = set(stack.slice_numbers) - set(maps.numbers)
    for warning in caught:
        if not isinstance(warning.message, LeftOutWarning):  # Said as a doubt, below.
            warnings.warn_explicit(warning.message, warning.category, warning.filename, 1)
    doubts += [Doubt("slice left out", number, "It could not be read.") for number in left_out]
    doubts += found
    stack = replace(stack, slice_numbers=tuple(n for n in stack.slice_numbers if maps.has(n)))
    table, measures = _measured(stack, maps, out / MASKS, doubts)
    result = Segmentation(out, stack, maps, measures, table, tuple(doubts))
    _write(result, where, mode)
    return result


def _without_mark(note: str) -> str:
    text = note.removeprefix(DOUBTFUL).strip()
    return text[:1].upper() + text[1:]


def _measured(stack, maps, masks: Path, doubts) -> tuple[pd.DataFrame, NucleusMeasures]:
    """Read each label map once: write its mask, measure it, and look at its grey levels."""
    greys = {}

    def nuclei():
        for number in stack.slice_numbers:
            nucleus = maps.read(number) == Label.NUCLEUS
            inside = stack.image(number)[nucleus]
            greys[number] = (inside.mean(), inside.std()) if inside.size else (math.nan, math.nan)
            _write_mask(masks / MASK_NAME.format(number), nucleus, stack.pixel_size_nm)
            yield number, nucleus

    measures = measure_nucleus(nuclei(), voxel_nm=stack.voxel_nm)
    # A run that this one replaces may have had other slices.
    current = {MASK_NAME.format(number) for number in stack.slice_numbers}
    for path in masks.glob(MASK_NAME.replace("{:04d}", "[0-9]*")):
        if path.name not in current:
            path.unlink()
    table = measures.areas.copy()
    # The share of each slice in the volume: half the way to its neighbours.
    z_um = table["z_um"].to_numpy()
    half = np.diff(z_um) / 2
    table["volume_um3"] = table["area_um2"] * (np.append(half, 0) + np.append(0, half))
    table["grey_mean"] = [greys[number][0] for number in table["slice"]]
    table["grey_sd"] = [greys[number][1] for number in table["slice"]]
    table["doubts"] = [
        "; ".join(doubt.message for doubt in doubts if doubt.number == number)
        for number in table["slice"]
    ]
    return table, measures


def _write_mask(path: Path, nucleus: np.ndarray, pixel_size_nm: float) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        nucleus.astype(np.uint8) * np.uint8(255),
        byteorder="<",
        photometric="minisblack",
        compression="zlib",
        metadata=None,
        software=False,
        **tiffs.resolution_tags(pixel_size_nm),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    content = buffer.getvalue()
    if not (path.is_file() and path.read_bytes() == content):
        write_whole(path, content)


def _write(result: Segmentation, where, mode: str) -> None:
    rounded = result.table.round({"z_um": 6, "area_um2": 6, "volume_um3": 6})
    rounded = rounded.round({"grey_mean": 2, "grey_sd": 2})
    write_whole(result.folder / TABLE, rounded.to_csv(index=False, lineterminator="\n"))
    summary = json.dumps(_summary(result, where, mode), indent=1, ensure_ascii=False)
    write_whole(result.folder / SUMMARY, summary + "\n")
    write_whole(result.folder / REPORT, whole_page(_title(result), *_parts(result)))


def _summary(result: Segmentation, where, mode: str) -> dict:
    stack, measures = result.stack, result.measures
    return {
        "input": str(where) if isinstance(where, (str, Path)) else stack.name,
        "mode": mode,
        "slices": len(stack),
        "first_slice": stack.slice_numbers[0],
        "last_slice": stack.slice_numbers[-1],
        "slices_with_nucleus": int((result.table["area_um2"] > 0).sum()),
        "shape": list(stack.shape),
        "voxel_nm": list(stack.voxel_nm),
        "volume_um3": _number(measures.volume_um3),
        "surface_um2": _number(measures.surface_um2),
        "sphericity": _number(measures.sphericity),
        "scale_of_surface_nm": _number(measures.smoothing_nm),
        "largest_section_um2": _number(result.table["area_um2"].max()),
        "why_a_measure_is_missing": measures.note,
        "decided_when_opened": list(stack.notes),
        "doubts": [
            {"kind": doubt.kind, "slice": doubt.number, "message": doubt.message}
            for doubt in result.doubts
        ],
        "helpers": helpers.__version__,
        "versions": machine.versions(),
    }


def _number(value: float) -> float | None:
    return None if not np.isfinite(value) else float(f"{value:.6g}")


# --- the page ------------------------------------------------------------------------------------


def _title(result: Segmentation) -> str:
    return f"The nucleus in {Path(result.stack.name).name}, {len(result.stack)} slices"


def _parts(result: Segmentation) -> list[PageHtml | str]:
    """Return what stands on the page: doubts, measures, surface and contact sheet."""
    measures, stack = result.measures, result.stack
    parts: list[PageHtml | str] = [doubts_box(map(_of_doubt, result.doubts))]
    rows = "".join(
        f"<tr><th>{html.escape(row.measure)}</th><td>{shown(row.value)} {row.unit}</td></tr>"
        for row in measures.table().itertuples()
    )
    parts.append(f"<h2>Measures</h2><table>{rows}</table>")
    notes = [measures.note, *stack.notes]
    parts += [f"<p>{html.escape(note)}</p>" for note in notes if note]
    if len(measures.faces):
        parts.append(
            surface(
                measures.vertices_um,
                measures.faces,
                caption=f"Surface of the nucleus, smoothed over {measures.smoothing_nm:g} nm.",
                alt="The surface of the nucleus, to turn and to cut.",
                slice_distance_nm=stack.voxel_nm[0],
            )
        )
    parts.append(_sheet(result))
    return parts


def _of_doubt(doubt: Doubt) -> str:
    where = "" if doubt.number is None or "lice" in doubt.message else f"Slice {doubt.number}: "
    return f"{doubt.kind}: {where}{doubt.message}"


def shown(value: float) -> str:
    """Write a measure, or that there is none."""
    return "not to be had" if not np.isfinite(value) else f"{value:.4g}"


def _sheet(result: Segmentation) -> PageHtml:
    stack = result.stack
    doubtful = {doubt.number for doubt in result.doubts} & set(stack.slice_numbers)
    shown = {*stack.some(SHEET), *sorted(doubtful)[:MORE_DOUBTS]}
    areas = result.table.set_index("slice")["area_um2"]
    panels = []
    for number in sorted(shown):
        nucleus = result.maps.read(number) == Label.NUCLEUS
        lines = [f"{areas[number]:.1f} µm²" if areas[number] else "no nucleus"]
        kinds = {doubt.kind for doubt in result.doubts if doubt.number == number}
        lines += [f"in doubt: {kind}" for kind in sorted(kinds)]
        picture = _thumbnail(stack.image(number), nucleus)
        alt = f"Slice {number} with the outline of its nucleus, {lines[0]}."
        panels.append(Panel(picture, f"slice {number}", alt, tuple(lines)))
    caption = "Slices with the outline of the nucleus. Look at them before you believe a number."
    return gallery(panels, caption=caption)


def _thumbnail(image: np.ndarray, nucleus: np.ndarray) -> np.ndarray:
    """Draw the outline on a picture that is small already, so that it can be seen there."""
    small = shrunk(image, MAX_WIDTH_PX)
    mask = cv2.resize(as_bytes(nucleus), small.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return outline(small, {"nucleus": mask.view(bool)})
