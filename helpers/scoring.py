"""A result scored against a ground truth, both of any form, joined by slice number."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.foreign import Ids, open_labels
from helpers.data.truths import FIELD_SLICES, FieldTruths
from helpers.labels import Label
from helpers.metrics.objects import match_pieces
from helpers.metrics.pixels import confusion_matrix
from helpers.results.tables import score_rows
from helpers.segmenting import LABELS, SUMMARY

PUBLISHED = "published"
"""As a truth: what the authors published of the field."""
METRICS = ("jaccard", "dice", "accuracy")
DISTANCES = ("boundary_f", "hausdorff_95_nm", "average_boundary_distance_nm")
SWAPPED = 0.5
"""From this Jaccard index on, two classes of different names are the same thing."""


@dataclass(frozen=True)
class Scores:
    """What `score` returns.

    Attributes
    ----------
    table : DataFrame
        A row a class, a column a metric: means over the slices that have the class.
    by_slice : DataFrame
        Columns ``slice``, ``metric``, ``class``, ``value``, ``present``.
    count : int
        How many slices were scored.
    doubts : list of str
    nuclei : DataFrame or None
        Of a field: a row a slice, with the nuclei that the truth has, that the result has, and
        that are in both, as `helpers.metrics.objects.match_pieces` pairs them.
    """

    table: pd.DataFrame
    by_slice: pd.DataFrame
    count: int
    doubts: list[str]
    nuclei: pd.DataFrame | None = None


def score(
    result,
    truth,
    *,
    classes: tuple[Label, ...] | None = None,
    ids: Ids = None,
    result_ids: Ids = None,
    pattern: str | None = None,
    pixel_nm: float | None = None,
) -> Scores:
    """Score label maps against others.

    Parameters
    ----------
    result : path or other form of label maps
        Folder that `helpers.segment` or `helpers.field.segment_field` wrote, or what
        `helpers.data.open_labels` opens.
    truth : path or other form of label maps
        Ground truth. ``"published"``, for a field: the authors', of the nuclei in four whole
        slices. Their files, which may lie in a folder, count from 0 in their names; they are
        taken for the slices that they belong to, one further.
    classes : tuple of Label, optional
        By default those that both know.
    ids, result_ids : str or mapping, optional
        What the numbers of the two mean; see `helpers.data.open_labels`.
    pattern : str, optional
        Finds the slice number in the names of the truth's files.
    pixel_nm : float, optional
        Side of a pixel; read from the folder of `helpers.segment`. Without it there are no
        distances of borders.

    Returns
    -------
    Scores

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError, TypeError, ValueError
        As `helpers.data.open_labels`; or if the two have no slice in common, or sizes differ.
    """
    folder = Path(result) if isinstance(result, (str, Path)) else None
    field = _field_in(folder) if folder is not None else None
    if field is not None:
        pixel_nm = pixel_nm or field.voxel_nm[1]
        result, result_ids = field.where, result_ids or "classes"
    elif folder is not None and (folder / SUMMARY).is_file() and (folder / LABELS).is_dir():
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        pixel_nm = pixel_nm or summary["voxel_nm"][1]
        result, result_ids = folder / LABELS, result_ids or "classes"
    ours = open_labels(result, ids=result_ids)
    theirs = _open_truth(truth, ids, pattern)
    numbers = sorted(set(ours.numbers) & set(theirs.numbers))
    doubts = []
    subset = set(ours.numbers) <= set(theirs.numbers) or set(theirs.numbers) <= set(ours.numbers)
    if not numbers or not subset:
        raise ValueError(
            f"RESULT has the slices {_span(ours.numbers)}, TRUTH {_span(theirs.numbers)}; slices "
            "are joined by number, and one must have all those of the other. Rename the files, or "
            "give pattern= to find the right number in their names."
        )
    is_whole = isinstance(theirs, FieldTruths) and len(ours.numbers) in FIELD_SLICES
    if (ours.counted or theirs.counted) and ours.numbers != theirs.numbers and not is_whole:
        which = "TRUTH" if theirs.counted else "RESULT"
        doubts.append(
            f"{which} has no slice numbers of its own: its places {_span(numbers)} are taken for "
            "the slices of these numbers."
        )
    if classes is None:
        known = [set(each.classes) for each in (ours, theirs) if each.classes]
        classes = tuple(set.intersection(*known)) if known else None
    total = np.zeros((5, 5), np.int64)
    rows, nuclei = [], []
    for number in numbers:
        found, true = ours.read(number), theirs.read(number)
        if found.shape != true.shape:
            turned = " They look transposed." if found.shape == true.shape[::-1] else ""
            raise ValueError(
                f"slice {number} is {found.shape} in RESULT and {true.shape} in TRUTH; they must "
                f"agree.{turned}"
            )
        scored = score_rows(found, true, pixel_size_nm=pixel_nm or 1.0, classes=classes)
        rows.append(scored.assign(slice=number))
        total += confusion_matrix(found, true)
        if field is not None:
            counts = match_pieces(found == Label.NUCLEUS, true == Label.NUCLEUS)
            nuclei.append({"slice": number, **counts._asdict()})
    by_slice = pd.concat(rows, ignore_index=True)
    wanted = [*METRICS, *(DISTANCES if pixel_nm else ())]
    by_slice = by_slice[by_slice["metric"].isin(wanted)]
    means = by_slice[by_slice["present"].astype(bool)].groupby(["class", "metric"])["value"].mean()
    table = means.unstack("metric").reindex(columns=wanted)
    names = ["all", *(label.title for label in Label)]
    table = table.reindex([name for name in names if name in table.index])
    doubts += _swapped(total)
    columns = ["slice", "metric", "class", "value", "present"]
    by_slice = by_slice[columns].reset_index(drop=True)
    counted = pd.DataFrame(nuclei) if field is not None else None
    return Scores(table, by_slice, len(numbers), doubts, counted)


def _field_in(folder: Path):
    """Open the classes that a field's folder of results has; None for other folders."""
    if not any(folder.glob("*.zarr")):
        return None
    # Half of what this module takes to import, and for fields alone.
    from helpers.field.joining import CLASSES
    from helpers.field.ngff import open_field

    return open_field(folder / CLASSES) if (folder / CLASSES).is_dir() else None


def _open_truth(truth, ids: Ids, pattern: str | None):
    if isinstance(truth, str) and truth == PUBLISHED:
        if Path(truth).exists():
            raise ValueError(
                f"TRUTH is {truth!r}, and there is a file or folder of that name: it is open which "
                f"is meant. Write ./{truth} for it, or work in another folder for the authors'."
            )
        return FieldTruths()
    if isinstance(truth, str | Path) and pattern is None and FieldTruths.is_in(truth):
        return FieldTruths(truth)
    return open_labels(truth, ids=ids, pattern=pattern)


def _swapped(total: np.ndarray) -> list[str]:
    """Say where what the truth calls one class is what the result calls another."""
    either = total.sum(axis=1)[:, None] + total.sum(axis=0)[None] - total
    index = total / np.maximum(either, 1)
    return [
        f"what TRUTH calls {true.title}, RESULT calls {found.title} (Jaccard index "
        f"{index[true, found]:.2f}); do the numbers mean what they should? See ids=."
        for true in Label
        for found in Label
        if true != found and index[true, found] > SWAPPED and index[true, true] < SWAPPED / 5
    ]


def _span(numbers) -> str:
    return f"{min(numbers)} to {max(numbers)} ({len(numbers)})"


def read_classes(text: str | None) -> tuple[Label, ...] | None:
    """Read names of classes from a command line.

    Examples
    --------
    >>> [each.value for each in read_classes("nucleus, envelope")]
    [2, 1]
    """
    return None if text is None else tuple(_class(each) for each in text.split(","))


def _class(name: str) -> Label:
    names = {label.title: label for label in Label} | {"envelope": Label.NUCLEAR_ENVELOPE}
    names |= {str(label.value): label for label in Label}
    found = names.get(name.strip().lower().replace("_", " "))
    if found is None:
        raise ValueError(f"class is {name.strip()!r}; allowed are {', '.join(names)}.")
    return found


def read_ids(text: str | None) -> Ids:
    """Read what numbers mean from a command line.

    Examples
    --------
    >>> read_ids("nucleus"), read_ids("255=nucleus,0=cell,7=0")
    ('nucleus', {255: <Label.NUCLEUS: 2>, 0: <Label.CELL: 3>, 7: 0})
    """
    if text is None or "=" not in text:
        return text
    ids = {}
    for pair in text.split(","):
        theirs, _, ours = (part.strip() for part in pair.partition("="))
        if not re.fullmatch(r"\d+|#[0-9a-fA-F]{6}", theirs):
            raise ValueError(f"ids has {theirs!r}; allowed are numbers, and colours as '#ff0000'.")
        ids[theirs if theirs[0] == "#" else int(theirs)] = 0 if ours == "0" else _class(ours)
    return ids
