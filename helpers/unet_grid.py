"""The configurations of its U-Net that the paper tried, trained one after the other."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from helpers.data.stack import Stack
from helpers.show.figures import OUTLINE_COLOURS, STYLE
from helpers.training import Recipe, Split, build, patch_corners, train

LOOKS = 3
"""A training is looked at after each third: of 15 epochs after 5, 10 and 15."""

_LINES = {10: ":", 15: "--", 20: "-"}


@dataclass(frozen=True)
class Configuration:
    """One of the trainings of the grid; each gives three points, as long as the rate is constant.

    Attributes
    ----------
    layers : {10, 15, 20}
        As the paper counts.
    optimiser : {"sgdm", "adam", "rmsprop"}
    patch_px : int
    """

    layers: int
    optimiser: str
    patch_px: int


PAPER_GRID = tuple(
    Configuration(*each) for each in product((10, 15, 20), ("sgdm", "adam", "rmsprop"), (64, 128))
)
"""What the paper tried, with 5, 10 and 15 epochs of each: 54 results (section "U-Net")."""


def run_grid(
    stack: Stack,
    split: Split,
    recipe: Recipe,
    configurations: Iterable[Configuration] = PAPER_GRID,
    *,
    seed: int = 0,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Train the paper's U-Net in several configurations, and score each on the test slices.

    Parameters
    ----------
    stack : Stack
        With ground truth.
    split : Split
        The paper looked at slice 100.
    recipe : Recipe
        With a constant rate; its optimiser and patches give way to those of each configuration.
    configurations : iterable of Configuration
        By default all that the paper tried.
    seed : int
    progress : bool, optional
        As for `helpers.training.train`.

    Returns
    -------
    DataFrame
        Three rows a configuration: ``layers``, ``optimiser``, ``patch_px``, ``epochs``, ``steps``,
        ``accuracy`` of four classes and ``nucleus_jaccard``, over the pixels of the patches that
        were looked at, and ``minutes``. What has been trained before is not trained again.

    Raises
    ------
    ValueError
        If the rate is not constant: the first third of a training would not be a shorter one.
    """
    if recipe.schedule != "constant":
        raise ValueError(
            f"schedule is {recipe.schedule!r}; the grid needs 'constant', since it takes a "
            "training of 5 epochs for the first third of one of 15."
        )
    from helpers.networks import paper_unet

    rows = []
    for each in configurations:
        chosen = replace(recipe, optimiser=each.optimiser, patch_px=each.patch_px)
        shape = chosen.preparation.shape_for(stack.shape, stack.pixel_size_nm)
        items = len(patch_corners(len(split.train), shape, each.patch_px, chosen.patch_overlap))
        every = math.ceil(chosen.total_steps(items) / LOOKS)
        chosen = replace(chosen, validate_every=every)
        model = build(
            paper_unet,
            (each.patch_px, each.patch_px, 1),
            layers=each.layers,
            precision=chosen.precision,
            seed=seed,
        )
        run = train(model, stack, split, chosen, seed=seed, progress=progress)
        for look in run.history.dropna(subset=["validation_accuracy"]).itertuples():
            rows.append(
                {
                    "layers": each.layers,
                    "optimiser": each.optimiser,
                    "patch_px": each.patch_px,
                    "epochs": look.step * chosen.batch / items,
                    "steps": look.step,
                    "accuracy": look.validation_accuracy,
                    "nucleus_jaccard": look.validation_nucleus_jaccard,
                    "minutes": look.seconds / 60,
                }
            )
    return pd.DataFrame(rows)


def plot_grid(table: pd.DataFrame, column: str = "accuracy") -> Figure:
    """Draw a grid: a panel a patch size, a colour an optimiser, a line style a number of layers.

    Parameters
    ----------
    table : DataFrame
        From `run_grid`.
    column : {"accuracy", "nucleus_jaccard"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    sizes = sorted(table["patch_px"].unique())
    names = list(dict.fromkeys(table["optimiser"]))
    # The last of these colours are the darkest: lines on white.
    colours = {
        name: np.divide(OUTLINE_COLOURS[-1 - at], 255) for at, name in enumerate(sorted(names))
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(sizes), figsize=(7.5, 3.2), sharey=True, squeeze=False)
        plt.close(figure)
        for axis, size in zip(axes[0], sizes, strict=True):
            chosen = table[table["patch_px"] == size]
            for (layers, name), one in chosen.groupby(["layers", "optimiser"]):
                axis.plot(
                    one["epochs"], one[column], "o", ls=_LINES[layers], ms=4, color=colours[name]
                )
            axis.set(title=f"patches of {size}", xlabel="epochs", ylim=(0, 1))
            axis.spines[["top", "right"]].set_visible(False)
        axes[0, 0].set_ylabel(column.replace("_", " "))
        entries = [Line2D([], [], color=colours[name], label=name) for name in names]
        for layers in sorted(table["layers"].unique()):
            entries.append(Line2D([], [], color="0.3", ls=_LINES[layers], label=f"{layers} layers"))
        figure.legend(handles=entries, loc="outside upper center", ncols=len(entries))
    return figure
