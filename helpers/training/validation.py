"""How good a network is while it learns, at the size that it sees."""

import numpy as np

from helpers.labels import Label
from helpers.metrics import accuracy, confusion_matrix, jaccard
from helpers.training.device import need_tensorflow
from helpers.training.objective import cross_entropy
from helpers.training.pipeline import as_input


def validate(
    predict,
    images: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    channels: int,
    batch: int,
) -> dict[str, float]:
    """Score a network on slices or patches that it is not trained on.

    Parameters
    ----------
    predict : callable
        From a batch of grey levels to probabilities.
    images, labels : (n, y, x) arrays of uint8
    weights : (4,) array of float32
        Of the classes, for the loss.
    channels : int
        Of the model's input.
    batch : int
        Items computed at once.

    Returns
    -------
    dict of str to float
        ``validation_loss``, ``validation_accuracy``, ``validation_nucleus_jaccard``, over the
        pixels of all items together. They are for watching: nothing is chosen by them.
    """
    tf = need_tensorflow()
    matrix, losses = 0, []
    for start in range(0, len(images), batch):
        truth = labels[start : start + batch]
        probabilities = predict(as_input(images[start : start + batch], channels))
        loss = cross_entropy(tf.constant(truth), probabilities, tf.constant(weights))
        losses += [float(loss)] * len(truth)
        result = np.argmax(probabilities.numpy(), axis=-1).astype(np.uint8) + min(Label)
        matrix = matrix + confusion_matrix(result, truth)
    return {
        "validation_loss": float(np.mean(losses)),
        "validation_accuracy": accuracy(matrix),
        "validation_nucleus_jaccard": jaccard(matrix, Label.NUCLEUS),
    }
