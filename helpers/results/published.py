"""What the authors published: per-slice curves, and segmentations recovered from their figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io

from helpers.data import figures, files
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.results.evaluation import evaluate
from helpers.results.runs import About
from helpers.results.tables import as_table

FIGURES = {
    "accuracy": "hela-unet2/CODE/Figures/Hela_segmentation_multinuclei_accuracy3.fig",
    "jaccard": "hela-unet2/CODE/Figures/Hela_segmentation_multinuclei_jaccard3.fig",
}
"""Name in `helpers.data.files` of the figure that has the curves of a metric."""

NUCLEUS_SLICES = range(24, 263)
"""Slices where the published ground truth has the central cell's nucleus."""


@dataclass(frozen=True)
class Curve:
    """A published curve: its method, and what its numbers are.

    Attributes
    ----------
    method : str
    accuracy_of : str
        Class of its accuracy: ``all`` four, or ``nucleus`` against the rest.
    training_slices : range or None
        Slices that the method was trained on; None where that is not known.
    """

    method: str
    accuracy_of: str
    training_slices: range | None


_NUCLEUS = Label.NUCLEUS.title

CURVES = (
    Curve("U-Net", "all", range(101, 180, 2)),
    Curve("later U-Net A", "all", None),
    Curve("later U-Net B", _NUCLEUS, None),
    Curve("Inception-ResNet-v2", "all", None),
    Curve("ResNet18", "all", None),
    Curve("VGG16", "all", None),
    Curve("image processing", _NUCLEUS, range(0)),
)
"""The curves in the order of the figure files.

Which slices the networks were trained on is not published: 60 % of all, at random. What the later
U-Nets differ in is not recorded; they are not in the paper. That the accuracy of image processing
and of the later U-Net B is that of nucleus against the rest is inferred: it is above what four
classes allow, and near that of the authors' segmentations scored so.
"""


def load_published(methods: Iterable[str] | None = None) -> pd.DataFrame:
    """Read the per-slice curves that the authors published.

    Parameters
    ----------
    methods : iterable of str, optional
        These alone, in this order; by default all of `CURVES`.

    Returns
    -------
    DataFrame
        Columns of `helpers.results.tables.COLUMNS`, with the origin ``published`` and the metrics
        ``accuracy`` and ``jaccard``. Slices that a curve does not have are not in the table:
        four accuracies have the slices 20 to 265 only. The curves are 0 where there is no nucleus;
        so are these rows, with ``present`` False.

    Raises
    ------
    helpers.data.DataError
        If a figure cannot be had.
    ValueError
        If a file is not the figure it should be.

    Notes
    -----
    Figure 9 of Karabag et al. (2020), doi 10.1371/journal.pone.0230605, as the authors' files
    have it.
    """
    rows = []
    for metric, name in FIGURES.items():
        curves = _read_curves(files.fetch(name))
        for curve, (slices, values) in zip(CURVES, curves, strict=True):
            trained = curve.training_slices
            rows.append(
                pd.DataFrame(
                    {
                        "method": curve.method,
                        "run": "published",
                        "origin": "published",
                        "slice": slices,
                        "metric": metric,
                        "class": curve.accuracy_of if metric == "accuracy" else _NUCLEUS,
                        "value": values,
                        # The later U-Nets were scored on the neighbours' nuclei too: a Jaccard
                        # index above 0 on a slice says that the truth had some.
                        "present": (
                            np.isin(slices, NUCLEUS_SLICES) | (values > 0)
                            if metric == "jaccard"
                            else np.ones(len(slices), bool)
                        ),
                        "training": pd.array(
                            [None if trained is None else n in trained for n in slices],
                            dtype="boolean",
                        ),
                    }
                )
            )
    table = as_table(pd.concat(rows, ignore_index=True))
    if methods is None:
        return table
    places = {method: place for place, method in enumerate(methods)}
    table = table[table["method"].isin(places)]
    return table.sort_values(
        "method", key=lambda names: names.map(places), kind="stable", ignore_index=True
    )


@lru_cache(maxsize=len(FIGURES))
def _read_curves(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Read slices and values of the first seven lines of a figure file."""
    try:
        figure = scipy.io.loadmat(path, struct_as_record=False, squeeze_me=True)["hgS_070000"]
        axes = next(child for child in np.atleast_1d(figure.children) if child.type == "axes")
        lines = [child.properties for child in axes.children if "line" in child.type]
        curves = tuple(
            (np.asarray(line.XData).astype(np.int64), np.asarray(line.YData, dtype=float))
            for line in lines[: len(CURVES)]
        )
    except Exception as error:  # scipy raises whatever a damaged file makes it meet.
        raise ValueError(
            f"{path} cannot be read as a MATLAB figure ({error}); delete it and fetch it again."
        ) from error
    if len(curves) < len(CURVES) or any(x.shape != y.shape for x, y in curves):
        raise ValueError(
            f"{path} has {len(curves)} curves, not {len(CURVES)} with a value a slice; "
            "delete it and fetch it again."
        )
    return curves


PANELS = {
    "b": ("image processing", "one nucleus"),
    "c": ("later U-Net", "several nuclei"),
    "d": ("later U-Net (post-processed)", "several nuclei"),
}
"""Method and ground truth of each panel of the published figures."""


def evaluate_recovered(stack: Stack) -> pd.DataFrame:
    """Score the authors' own later segmentations on the same slices as ours.

    They are not those behind the paper's curve, see `helpers.data.authors_result`.

    Parameters
    ----------
    stack : Stack
        The sample or the full stack.

    Returns
    -------
    DataFrame
        Columns of `helpers.results.tables.COLUMNS`, with the origin ``recovered``; the nucleus
        alone. The run says which ground truth: their U-Net looks for all nuclei.

    Raises
    ------
    ValueError
        If the stack has none of the slices that the figures show.
    helpers.data.DataError
        If a figure cannot be had.
    """
    of_paper = stack.source in ("sample", "full")
    slices = [n for n in stack.slice_numbers if of_paper and n in figures.PANEL_SLICES]
    if not slices:
        raise ValueError(
            f"{stack.name} has no slice that the published figures show; take the source sample or "
            f"full, which has {', '.join(map(str, figures.PANEL_SLICES))}."
        )
    tables = []
    for panel, (method, truth) in PANELS.items():

        def recover(_image, number, panel=panel):
            return figures.authors_result(number, panel)

        about = About(
            method,
            truth,
            origin="recovered",
            code=[figures, panel],
            training_slices=() if panel == "b" else None,
            split="none" if panel == "b" else "not published",
            device="not published",
        )
        tables.append(
            evaluate(
                recover,
                stack,
                about,
                slices=slices,
                ids={True: Label.NUCLEUS, False: Label.CELL},
                classes=[Label.NUCLEUS],
                truth=truth,
            )
        )
    return as_table(pd.concat(tables, ignore_index=True))
