"""A U-Net as one would build it today: skip connections, batch normalisation."""

import os

import keras

from helpers.networks.assembly import begin, check_classes, finish
from helpers.networks.layers import conv_block
from helpers.networks.weights import RANDOM, check_kind


def unet(
    input_shape: tuple = (None, None, 1),
    classes: int = 4,
    weights: str | os.PathLike | None = None,
    *,
    depth: int = 4,
    filters: int = 16,
) -> keras.Model:
    """Build a U-Net with skip connections, for images or tiles of any size.

    On each level two 3 x 3 convolutions, each with batch normalisation and ReLU. On the way down
    maps are halved by max-pooling and channels doubled; on the way up maps are doubled, and the map
    of the same size from the way down is put beside them.

    Parameters
    ----------
    input_shape : (int or None, int or None, 1 or 3)
        Rows, columns, channels; values from 0 to 255. None is any size.
    classes : int
    weights : path or None
        A file of the network's weights; None is random.
    depth : int
        How often maps are halved, 1 to 6.
    filters : int
        Channels at full size.

    Returns
    -------
    keras.Model
        Gives (n, rows, columns, classes) probabilities, float32.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed.
    DataError
        If the file of weights cannot be used.

    Notes
    -----
    Source: Ronneberger et al. (2015), arXiv:1505.04597; its convolutions have no padding, these
    have, so that the output is as large as the input.
    """
    check_classes(classes)
    if not 1 <= depth <= 6:
        raise ValueError(f"depth is {depth}; allowed are 1 to 6.")
    if filters < 1:
        raise ValueError(f"filters is {filters}; it must be 1 or more.")
    check_kind(weights, "unet", ())
    inputs, x = begin(input_shape, 2**depth, "tf", channels=(1, 3))
    skips = []
    for level in range(depth):
        x = _two_convolutions(x, filters * 2**level, f"down{level + 1}")
        skips.append(x)
        x = keras.layers.MaxPooling2D(name=f"down{level + 1}_pool")(x)
    x = _two_convolutions(x, filters * 2**depth, "bottom")
    for level in reversed(range(depth)):
        count, name = filters * 2**level, f"up{level + 1}"
        x = keras.layers.Conv2DTranspose(count, 2, strides=2, name=f"{name}_transposed")(x)
        x = keras.layers.Concatenate(name=f"{name}_skip")([x, skips[level]])
        x = _two_convolutions(x, count, name)
    logits = keras.layers.Conv2D(classes, 1, name="logits")(x)
    return finish("unet", inputs, logits, weights, RANDOM)


def _two_convolutions(x, filters: int, name: str):
    x = conv_block(x, filters, name=f"{name}_conv1")
    return conv_block(x, filters, name=f"{name}_conv2")
