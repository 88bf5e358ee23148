"""What the chapters on pretrained networks share: split, scores, and plain words on weights.

It needs no TensorFlow; what does is in `helpers.networks` and `helpers.training`.
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.metrics import accuracy, confusion_matrix, jaccard
from helpers.training.recipe import Recipe
from helpers.training.split import Split

SAMPLE_TRAINING_SLICES = (71, 118, 170, 215, 260)
GAP_SLICES = 5
"""A test slice of the sample lies farther than that, 250 nm, from every training slice."""
MOST_SCORED = 6
SHORTER = 4
TRIAL_SLICES = 12
_REMEMBERED = 16


def for_training(stack: Stack, profile: str) -> Stack:
    """Make a stack ready to be read again and again, as trainings in a row do.

    Parameters
    ----------
    stack : Stack
    profile : str
        In ``smoke`` it has a few slices only.

    Returns
    -------
    Stack
        It keeps the last slices that were read; do not change them in place.
    """
    numbers = stack.some(TRIAL_SLICES) if profile == "smoke" else stack.slice_numbers
    keep = lru_cache(_REMEMBERED)
    return replace(
        stack, slice_numbers=numbers, _image=keep(stack.image), _labels=keep(stack.labels)
    )


def split_of(stack: Stack, seed: int = 0) -> Split:
    """Divide a stack into slices to learn from and slices to be tested on.

    Parameters
    ----------
    stack : Stack
    seed : int
        Of the blocks.

    Returns
    -------
    Split
        Blocks (`Split.blocks`) where there is a whole stack. The sample has too few slices for
        blocks: `SAMPLE_TRAINING_SLICES` are trained on, and of the others those are test slices
        that lie farther than `GAP_SLICES` from all of these.

    Raises
    ------
    ValueError
        If the stack has too few slices.
    """
    if stack.source != "sample":
        return Split.blocks(stack.slice_numbers, seed)
    train = [number for number in SAMPLE_TRAINING_SLICES if number in stack.slice_numbers]
    test = [n for n in stack.slice_numbers if min(abs(n - m) for m in train) > GAP_SLICES]
    return Split(train=tuple(train), test=tuple(test))


def some_of(numbers: tuple[int, ...], profile: str) -> tuple[int, ...]:
    """Choose which test slices a chapter scores: all in the paper's profile, else a few.

    Parameters
    ----------
    numbers : tuple of int
    profile : str

    Returns
    -------
    tuple of int
    """
    count = {"smoke": 2, "quick": MOST_SCORED}.get(profile, len(numbers))
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers)))
    return tuple(numbers[round(place)] for place in places)


def shorter(recipe: Recipe, slices: int) -> Recipe:
    """Return a recipe with a quarter of the steps, to compare many trainings in little time.

    Parameters
    ----------
    recipe : Recipe
    slices : int
        How many there are to train on.

    Returns
    -------
    Recipe
        With six looks at the test slices.
    """
    steps = max(1, recipe.total_steps(slices) // SHORTER)
    return replace(recipe, steps=steps, epochs=None, validate_every=max(1, steps // 6))


def scores_of(maps: Mapping[int, np.ndarray], stack: Stack) -> pd.DataFrame:
    """Score label maps against the ground truth.

    Parameters
    ----------
    maps : mapping of int to (y, x) array of uint8
        By slice number.
    stack : Stack

    Returns
    -------
    DataFrame
        A row a slice: ``accuracy`` over the four classes, and the Jaccard index of each class
        under its title; NaN where a class is in neither picture.
    """
    rows = {}
    for number, labels in maps.items():
        matrix = confusion_matrix(labels, stack.labels(number))
        rows[number] = {
            "accuracy": accuracy(matrix),
            **{label.title: jaccard(matrix, label) for label in Label},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("slice")


def summary_of(records: Iterable[tuple[str, Mapping, pd.DataFrame]]) -> pd.DataFrame:
    """Put trainings into one table: what each cost, and the means of its scores.

    Parameters
    ----------
    records : iterable of (str, dict, DataFrame)
        Name, `helpers.training.Run.record`, and the scores of `scores_of`.

    Returns
    -------
    DataFrame
        A row a training and its initial weights: the scores, parameters in millions, steps, minutes
        and seconds a step.
    """
    rows = [
        {
            "network": name,
            "weights": record["weights"],
            **scores.mean(),
            "parameters (M)": record["parameters"] / 1e6,
            "steps": record["steps"],
            "minutes": record["minutes"],
            "s a step": record["seconds_per_step"],
        }
        for name, record, scores in records
    ]
    return pd.DataFrame(rows).set_index(["network", "weights"])


def as_text(table: pd.DataFrame) -> Styler:
    """Format the tables of `scores_of` and `summary_of` for a page.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    pandas.io.formats.style.Styler
    """
    digits = {"parameters (M)": 1, "steps": 0, "minutes": 1, "s a step": 2}
    formats = {name: f"{{:,.{digits.get(name, 3)}f}}" for name in table}
    return table.style.format(formats, na_rep="none")


def weights_box(fault: str | None, weights: str) -> str:
    """Say in a box what a network begins with, where ImageNet's weights cannot be had.

    Parameters
    ----------
    fault : str or None
        From `helpers.networks.imagenet_fault`.
    weights : str
        What it begins with instead: `helpers.networks.initialisation_of`.

    Returns
    -------
    str
        HTML; empty where there is no fault.
    """
    if fault is None:
        return ""
    is_random = weights == "random initialisation"
    what = (
        "The network begins with random weights. What follows is training from scratch, "
        "not transfer learning, and its scores say nothing about what transfer learning would give."
        if is_random
        else f"The network begins with other pretrained weights instead: {weights}."
    )
    # Where the file was looked for, and when next, is of use in an error, not on a page.
    reason = re.sub(r" \((From|asked before)[ ;][^)]*\)", "", fault)
    return (
        "<div class='admonition warning' style='overflow-wrap: anywhere'>"
        "<p class='admonition-title'>ImageNet's weights cannot be had here</p>"
        f"<p>{html.escape(what)}</p><p>Why: {html.escape(reason)}</p></div>"
    )
