"""What training makes small, and how: weighted cross-entropy, L2, optimisers."""

import numpy as np

from helpers.ground_truth.balance import median_frequency_weights
from helpers.labels import Label
from helpers.training.device import need_tensorflow
from helpers.training.prepare import Slices
from helpers.training.recipe import MOMENTUM, Recipe


def class_weights(slices: Slices, recipe: Recipe) -> np.ndarray:
    """Weigh the classes as the recipe asks.

    Parameters
    ----------
    slices : Slices
        Training slices, which median frequency balancing counts.
    recipe : Recipe

    Returns
    -------
    (4,) array of float32
        In the order of `Label`.

    Raises
    ------
    ValueError
        If a class that is to be balanced is in no slice.
    """
    if recipe.class_weights == "uniform":
        return np.ones(len(Label), np.float32)
    if not isinstance(recipe.class_weights, str):
        return np.array(recipe.class_weights, np.float32)
    weights = np.array(list(median_frequency_weights(slices.labels).values()), np.float32)
    return np.sqrt(weights) if recipe.class_weights == "softened" else weights


def cross_entropy(labels, probabilities, weights):
    """Cross-entropy of each pixel, weighted by its class, averaged over the pixels.

    Parameters
    ----------
    labels : (n, y, x) tensor of integers
        Numbers of `Label`; 0, not labelled, counts for nothing.
    probabilities : (n, y, x, 4) tensor
        Softmax of a model.
    weights : (4,) tensor of float32

    Returns
    -------
    scalar tensor of float32

    Notes
    -----
    Divided by the number of pixels and not by the sum of their weights, as MATLAB's weighted
    cross-entropy in the authors' code is.
    """
    tf = need_tensorflow()
    import keras

    labels = tf.cast(labels, tf.int32)
    each = keras.ops.sparse_categorical_crossentropy(tf.maximum(labels - 1, 0), probabilities)
    weight = tf.gather(tf.concat([[0.0], weights], axis=0), labels)
    return tf.reduce_mean(tf.cast(each, tf.float32) * weight)


def add_l2(gradients: list, variables: list, l2: float) -> list:
    """Add the gradient of L2 regularisation, `l2` times the weight, to that of each kernel.

    Biases and the parameters of normalisation layers are left alone. This is the gradient of
    ``l2 / 2`` times the sum of squares added to the loss, as in the authors' MATLAB code; done
    here, the loss that is shown is that of the data, and it is exact in any precision.

    Parameters
    ----------
    gradients, variables : lists of tensors, of the same length
    l2 : float

    Returns
    -------
    list of tensors
    """
    if isinstance(l2, float) and l2 == 0:
        return gradients
    return [
        gradient + l2 * variable.value if "kernel" in variable.name else gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def make_optimiser(recipe: Recipe):
    """Make the recipe's optimiser; the training loop sets its rate at each step.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    keras.optimizers.Optimizer
    """
    need_tensorflow()
    import keras

    if recipe.optimiser == "sgdm":
        return keras.optimizers.SGD(recipe.rate, momentum=MOMENTUM)
    if recipe.optimiser == "rmsprop":
        return keras.optimizers.RMSprop(recipe.rate)
    return keras.optimizers.Adam(recipe.rate)
