"""The authors' own segmentations of a few slices, recovered from their figures and scored here."""

import pandas as pd

from helpers import sample
from helpers.labels import Label
from helpers.results.evaluation import evaluate
from helpers.results.table import as_table
from helpers.settings import Settings
from helpers.stack_type import Stack

PANELS = {
    "b": ("image processing", "one nucleus"),
    "c": ("later U-Net", "several nuclei"),
    "d": ("later U-Net (post-processed)", "several nuclei"),
}
"""Method and ground truth of each panel of the published figures."""


def evaluate_recovered(stack: Stack, *, settings: Settings | None = None) -> pd.DataFrame:
    """Score the authors' own later segmentations on the same slices as ours.

    They are not those behind the paper's curve, see `helpers.sample.authors_result`.

    Parameters
    ----------
    stack : Stack
        The sample or the full stack.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    DataFrame
        Columns of `helpers.results.COLUMNS`, with the origin ``recovered``; the nucleus alone. The
        run says which ground truth: their U-Net looks for all nuclei.

    Raises
    ------
    ValueError
        If the stack has none of the slices that the figures show.
    helpers.data.DataError
        If a figure cannot be had.
    """
    of_paper = stack.source in ("sample", "full")
    slices = [n for n in stack.slice_numbers if of_paper and n in sample.PANEL_SLICES]
    if not slices:
        raise ValueError(
            f"{stack.name} has no slice that the published figures show; take the source sample or "
            f"full, which has {', '.join(map(str, sample.PANEL_SLICES))}."
        )
    tables = []
    for panel, (method, truth) in PANELS.items():

        def recover(_image, number, panel=panel):
            return sample.authors_result(number, panel, settings=settings)

        tables.append(
            evaluate(
                recover,
                stack,
                method=method,
                run=truth,
                origin="recovered",
                slices=slices,
                ids={True: Label.NUCLEUS, False: Label.CELL},
                classes=[Label.NUCLEUS],
                truth=truth,
                training_slices=() if panel == "b" else None,
                split="none" if panel == "b" else "not published",
                device="not published",
                timed=False,
                settings=settings,
            )
        )
    return as_table(pd.concat(tables, ignore_index=True))
