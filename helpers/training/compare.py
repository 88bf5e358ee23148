"""Trainings beside each other: the slices they share, their cost and scores, the paper's grid."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas.io.formats.style import Styler

from helpers import settings
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.metrics import accuracy, confusion_matrix, jaccard
from helpers.show import figures
from helpers.training.device import build
from helpers.training.examples import patch_corners
from helpers.training.recipe import Recipe
from helpers.training.split import Split
from helpers.training.train import train

SAMPLE_TRAINING_SLICES = (71, 118, 170, 215, 260)
GAP_SLICES = 5
"""A test slice of the sample lies farther than that, 250 nm, from every training slice."""
MOST_SCORED = 6
TRIAL_SLICES = 12
_REMEMBERED_BYTES = 64e6


def for_training(stack: Stack) -> Stack:
    """Make a stack ready to be read again and again, as trainings in a row do.

    Parameters
    ----------
    stack : Stack
        Of the profile ``smoke`` only `TRIAL_SLICES` of its slices are taken.

    Returns
    -------
    Stack
        It keeps the last slices that were read; do not change them in place.

    Raises
    ------
    ValueError
        As `check_epochs`.
    """
    check_epochs(stack)
    is_trial = settings.current().profile == "smoke"
    numbers = stack.some(TRIAL_SLICES) if is_trial else stack.slice_numbers
    # The readers themselves: they say of drawn slices what they depend on.
    keep = lru_cache(int(_REMEMBERED_BYTES / math.prod(stack.shape)))
    return replace(
        stack, slice_numbers=numbers, _image=keep(stack._image), _labels=keep(stack._labels)
    )


def check_epochs(stack: Stack) -> None:
    """Refuse the paper's epochs where there are so few slices that they would train nothing.

    Parameters
    ----------
    stack : Stack
        Only its source and its slice numbers count.

    Raises
    ------
    ValueError
        If in the profile ``paper`` ResNet18 would get fewer steps than in ``quick``, unless
        ``HELA_FEW_SLICES`` is 1.
    """
    if settings.current().profile != "paper" or settings.read("HELA_FEW_SLICES") == "1":
        return
    slices = len(split_of(stack).train)
    steps = Recipe.of("resnet18", "paper").total_steps(slices)
    least = Recipe.of("resnet18", "quick").total_steps(slices)
    if steps < least:
        raise ValueError(
            f"The profile paper trains for the paper's epochs: of {slices} slices, as in "
            f"{stack.name}, ResNet18's are {steps} steps, fewer than the {least} of quick. "
            "Set HELA_SOURCE=full, of whose 300 slices they are 660, or HELA_PROFILE=quick; "
            "HELA_FEW_SLICES=1 trains all the same."
        )


def split_of(stack: Stack, seed: int = 0) -> Split:
    """Divide a stack into slices to learn from and slices to be tested on.

    Parameters
    ----------
    stack : Stack
        Only its source and its slice numbers count.
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


def some_of(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Choose which test slices a chapter scores: all in the paper's profile, else a few.

    Parameters
    ----------
    numbers : tuple of int
        Slice numbers, in order.

    Returns
    -------
    tuple of int
        Evenly from the first to the last.
    """
    count = {"smoke": 2, "quick": MOST_SCORED}.get(settings.current().profile, len(numbers))
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers)))
    return tuple(numbers[round(place)] for place in places)


def smaller(recipe: Recipe, slices: int, *, sides: float = 1 / 2) -> Recipe:
    """Return a recipe that costs a sixth, to compare many trainings in little time.

    Parameters
    ----------
    recipe : Recipe
        For whole slices.
    slices : int
        How many there are to train on.
    sides : float
        Share of the rows and of the columns that is left.

    Returns
    -------
    Recipe
        Fewer rows and columns, two thirds of the steps, and six looks at the test slices.
    """
    steps = max(1, 2 * recipe.total_steps(slices) // 3)
    return replace(
        recipe,
        steps=steps,
        epochs=None,
        image_px=tuple(round(side * sides) for side in recipe.image_px),
        validate_every=max(1, steps // 6),
    )


def recipe_table(recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """Put recipes side by side.

    Parameters
    ----------
    recipes : mapping of str to Recipe
        By name.

    Returns
    -------
    DataFrame of str
        A column a recipe, and a row for each of its numbers that matter to a reader.
    """
    rows = {
        "optimiser": lambda recipe: recipe.optimiser,
        "rate": lambda recipe: f"{recipe.rate:g}, {recipe.schedule}",
        "batch": lambda recipe: recipe.batch,
        "length": lambda recipe: (
            f"{recipe.epochs:g} epochs" if recipe.epochs else f"{recipe.steps} steps"
        ),
        "at most (minutes)": lambda recipe: recipe.max_minutes or "no limit",
        "pretrained encoder": lambda recipe: "kept as it is" if recipe.frozen else "learns",
        "L2": lambda recipe: f"{recipe.l2:g}",
        "class weights": lambda recipe: recipe.class_weights,
        "input (px)": lambda recipe: (
            f"patches of {recipe.patch_px}"
            if recipe.patch_px
            else "{} x {}".format(*recipe.image_px)
        ),
    }
    return pd.DataFrame(
        {
            name: {title: str(read(recipe)) for title, read in rows.items()}
            for name, recipe in recipes.items()
        }
    )


def cost_of(record: Mapping) -> str:
    """Say what a training was and what it took, in a sentence.

    Parameters
    ----------
    record : dict
        `helpers.training.Run.record`.

    Returns
    -------
    str
    """
    return (
        f"{record['network']}, {record['weights']}: {record['steps']} steps in "
        f"{record['minutes']:.1f} minutes, on {record['device']}, in {record['precision']}."
    )


def plot_result(stack: Stack, index: int, result: np.ndarray, *, source: str) -> Figure:
    """Show what a network found in a slice: the four classes, and where its nucleus is wrong.

    Parameters
    ----------
    stack : Stack
        With ground truth of that slice.
    index : int
        Slice number.
    result : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    source : str
        As for `helpers.show.row`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    image, truth = stack.image(index), stack.labels(index)
    return figures.row(
        [
            figures.overlay(image, result),
            figures.compare(image, result == Label.NUCLEUS, truth == Label.NUCLEUS),
        ],
        [f"slice {index}: classes", "nucleus: right and wrong"],
        pixel_size_nm=stack.pixel_size_nm,
        key=figures.COMPARE_COLOURS,
        source=source,
    )


def scores_of(maps: Mapping[int, np.ndarray], stack: Stack) -> pd.DataFrame:
    """Score label maps against the ground truth.

    Parameters
    ----------
    maps : mapping of int to (y, x) array of uint8
        Numbers of `helpers.labels.Label`, by slice number.
    stack : Stack
        With ground truth of these slices.

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


def styled(table: pd.DataFrame) -> Styler:
    """Format a table of scores for a page.

    Parameters
    ----------
    table : DataFrame
        From `scores_of` or `summary_of`.

    Returns
    -------
    pandas.io.formats.style.Styler
    """
    digits = {"parameters (M)": 1, "steps": 0, "minutes": 1, "s a step": 2}
    formats = {name: f"{{:,.{digits.get(name, 3)}f}}" for name in table}
    style = table.style.format(formats, na_rep="none", escape="html")
    return style.format_index(escape="html", axis=0).format_index(escape="html", axis=1)


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
        As of a `Recipe`.
    patch_px : int
        Side of the patches.
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
    # Here, because the networks need TensorFlow.
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
        )
        run = train(model, stack, split, chosen)
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


def plot_grid(table: pd.DataFrame, *, source: str | None = None) -> Figure:
    """Draw a grid's accuracy: a panel a patch size, a colour an optimiser, a line style a depth.

    Parameters
    ----------
    table : DataFrame
        From `run_grid`.
    source : str, optional
        Shown below, as by `helpers.show.subplots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sizes = sorted(table["patch_px"].unique())
    names = list(dict.fromkeys(table["optimiser"]))
    # The last of these colours are the darkest: lines on white.
    colours = {
        name: np.divide(figures.OUTLINE_COLOURS[-1 - at], 255)
        for at, name in enumerate(sorted(names))
    }
    with plt.rc_context(figures.STYLE):
        figure, axes = figures.subplots(
            1, len(sizes), figsize=(7.5, 3.2), sharey=True, squeeze=False, source=source
        )
        for axis, size in zip(axes[0], sizes, strict=True):
            chosen = table[table["patch_px"] == size]
            for (layers, name), one in chosen.groupby(["layers", "optimiser"]):
                axis.plot(
                    one["epochs"],
                    one["accuracy"],
                    "o",
                    ls=_LINES[layers],
                    ms=4,
                    color=colours[name],
                )
            axis.set(title=f"patches of {size}", xlabel="epochs", ylim=(0, 1))
            axis.spines[["top", "right"]].set_visible(False)
        axes[0, 0].set_ylabel("accuracy")
        entries = [Line2D([], [], color=colours[name], label=name) for name in names]
        for layers in sorted(table["layers"].unique()):
            entries.append(Line2D([], [], color="0.3", ls=_LINES[layers], label=f"{layers} layers"))
        figure.legend(handles=entries, loc="outside upper center", ncols=len(entries))
    return figure
