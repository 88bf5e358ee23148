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
    shorter,
    some_of,
    split_of,
    styled,
    summary_of,
)
from helpers.training.device import build, choose_precision, device_name, precision
from helpers.training.history import COLUMNS, plot_history
from helpers.training.objective import class_weights, cross_entropy
from helpers.training.patches import patch_corners, patch_starts
from helpers.training.pipeline import Items, as_input, augment, items_of, stream
from helpers.training.predict import segment
from helpers.training.prepare import Preparation, Slices, load_slices, resize_labels
from helpers.training.recipe import Recipe
from helpers.training.run import Run, train
from helpers.training.split import Split

__all__ = [
    "COLUMNS",
    "PAPER_GRID",
    "Items",
    "Preparation",
    "Recipe",
    "Run",
    "Slices",
    "Split",
    "as_input",
    "augment",
    "build",
    "choose_precision",
    "class_weights",
    "cost_of",
    "cross_entropy",
    "device_name",
    "for_training",
    "items_of",
    "load_slices",
    "patch_corners",
    "patch_starts",
    "plot_grid",
    "plot_history",
    "plot_result",
    "precision",
    "recipe_table",
    "resize_labels",
    "run_grid",
    "scores_of",
    "segment",
    "shorter",
    "some_of",
    "split_of",
    "stream",
    "styled",
    "summary_of",
    "train",
]
