"""Training: which slices, in what order, changed how, towards what, and what came out.

`Split` divides the slices, `Recipe` holds the numbers, `build` makes a model that can be repeated,
and `train` trains it, or takes up what has been trained already.
`segment` labels slices with what came out.
TensorFlow is imported when it is first needed: splits, recipes and patches work without it.
"""

from helpers.training.compare import (
    PAPER_GRID,
    cost_of,
    for_training,
    plot_grid,
    plot_result,
    recipe_table,
    run_grid,
    scores_of,
    smaller,
    some_of,
    split_of,
    styled,
    summary_of,
)
from helpers.training.device import build, choose_precision, device_name
from helpers.training.examples import items_of, patch_corners, stream
from helpers.training.fit import class_weights
from helpers.training.history import plot_history
from helpers.training.predict import segment
from helpers.training.prepare import load_slices
from helpers.training.recipe import Recipe
from helpers.training.split import Split
from helpers.training.train import train

__all__ = [
    "PAPER_GRID",
    "Recipe",
    "Split",
    "build",
    "choose_precision",
    "class_weights",
    "cost_of",
    "device_name",
    "for_training",
    "items_of",
    "load_slices",
    "patch_corners",
    "plot_grid",
    "plot_history",
    "plot_result",
    "recipe_table",
    "run_grid",
    "scores_of",
    "segment",
    "smaller",
    "some_of",
    "split_of",
    "stream",
    "styled",
    "summary_of",
    "train",
]
