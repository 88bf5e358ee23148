"""What a training did, step by step: a table, a figure, and a figure that grows."""

import io
import time
from base64 import b64encode
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.show.figures import OUTLINE_COLOURS, STYLE, subplots

COLUMNS = (
    "step",
    "epoch",
    "rate",
    "loss",
    "accuracy",
    "seconds",
    "validation_loss",
    "validation_accuracy",
    "validation_nucleus_jaccard",
)
"""Columns of a history; those of the validation are NaN in steps without one."""

_PANELS = (
    ("loss", "loss", "validation_loss"),
    ("four-class accuracy", "accuracy", "validation_accuracy"),
    ("nucleus Jaccard", None, "validation_nucleus_jaccard"),
)
_REDRAW_SECONDS = 5.0
# Drawing may take this share of the time at most.
_REDRAW_SHARE = 0.02


def as_table(rows: list[dict]) -> pd.DataFrame:
    """Make the table of a history.

    Parameters
    ----------
    rows : list of dict
        A row a step; what is missing is NaN.

    Returns
    -------
    DataFrame
        With the columns `COLUMNS`.
    """
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    whole = {"step": np.int64, "epoch": np.int64}
    return table.astype({name: whole.get(name, np.float64) for name in COLUMNS})


def plot_history(
    histories: pd.DataFrame | Mapping[str, pd.DataFrame], *, source: str | None = None
) -> Figure:
    """Draw loss, accuracy and nucleus Jaccard against the steps.

    Parameters
    ----------
    histories : DataFrame or mapping of str to DataFrame
        One history, or several by name, each in its colour. Thin lines are the training batches
        (running mean), points the test slices: say so in the caption.
    source : str, optional
        Shown below, as by `helpers.show.subplots`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no history.
    """
    if isinstance(histories, pd.DataFrame):
        histories = {"": histories}
    if not histories:
        raise ValueError("There is no history to draw; give at least one.")
    with plt.rc_context(STYLE):
        figure, axes = subplots(1, len(_PANELS), figsize=(7.5, 2.9), source=source)
        for axis, (title, of_batches, of_slices) in zip(axes, _PANELS, strict=True):
            axis.set(title=title, xlabel="step")
            axis.spines[["top", "right"]].set_visible(False)
            if "Jaccard" in title or "accuracy" in title:
                axis.set_ylim(0, 1)
            for place, (name, history) in enumerate(histories.items()):
                colour = np.divide(OUTLINE_COLOURS[(6 - place) % len(OUTLINE_COLOURS)], 255)
                if of_batches:
                    smooth = history[of_batches].rolling(max(1, len(history) // 40), 1).mean()
                    axis.plot(history["step"], smooth, color=colour, linewidth=0.9, alpha=0.7)
                seen = history.dropna(subset=[of_slices])
                axis.plot(seen["step"], seen[of_slices], "o-", color=colour, ms=4, label=name)
        if any(histories):
            figure.legend(
                *axes[-1].get_legend_handles_labels(),
                loc="outside upper center",
                ncols=min(3, len(histories)),
            )
    return figure


class LivePlot:
    """A figure in a running notebook that grows with the training and vanishes at its end.

    The chapter draws the finished history itself, so that it stands on the static page too.
    """

    def __init__(self):
        self._handle = None
        self._next = 0.0

    def update(self, rows: list[dict]) -> None:
        """Draw the history anew, unless that has just been done.

        Parameters
        ----------
        rows : list of dict
            One a step so far.
        """
        from IPython.display import HTML, display

        start = time.monotonic()
        if start < self._next:
            return
        picture = io.BytesIO()
        plot_history(as_table(rows)).savefig(picture, format="png")
        # Not IPython's Image: on Colab (IPython 7) it knows no alternative text.
        content = b64encode(picture.getvalue()).decode()
        image = HTML(f'<img src="data:image/png;base64,{content}" alt="Training curves so far">')
        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)
        end = time.monotonic()
        self._next = end + max(_REDRAW_SECONDS, (end - start) / _REDRAW_SHARE)

    def close(self) -> None:
        """Take the figure away."""
        from IPython.display import HTML

        if self._handle is not None:
            self._handle.update(HTML(""))
