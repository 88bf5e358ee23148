"""U-Nets: the paper's, which has no skip connections, and one as it would be built today."""

import os

import keras

from helpers.networks.layers import begin, check_classes, conv_block, finish
from helpers.networks.weights import RANDOM, check_kind

_FILTERS = 64
_LEVELS = {10: 1, 15: 2, 20: 3}


def paper_unet(
    input_shape: tuple = (128, 128, 1),
    classes: int = 4,
    weights: str | os.PathLike | None = None,
    *,
    layers: int = 20,
) -> keras.Model:
    """Build exactly the network that the paper calls U-Net.

    Down: a 3 x 3 convolution of 64 filters with ReLU and a 2 x 2 max-pooling, three times; at the
    bottom one more convolution; up: a 4 x 4 transposed convolution of 64 filters, stride 2, and a
    1 x 1 convolution to one channel a class, three times; softmax. Nothing leads from the way down
    to the way up. Of one channel and for four classes it has 186,124 parameters.

    Parameters
    ----------
    input_shape : (int or None, int or None, 1 or 3)
        Rows, columns, channels; values from 0 to 255. The paper has patches of 128 x 128.
    classes : int
        Of each pixel, 2 or more.
    weights : path or None
        A file of the network's weights; None is random.
    layers : {10, 15, 20}
        The paper's count, with input, activations and output; 20 is what it chose.

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
    Source: Karabag et al. (2020), doi 10.1371/journal.pone.0230605, section "U-Net". MATLAB
    subtracts the mean patch; here 0 to 255 becomes -1 to 1, which needs no training data.
    """
    check_classes(classes)
    if layers not in _LEVELS:
        raise ValueError(f"layers is {layers}; allowed are 10, 15 and 20, as the paper counts.")
    check_kind(weights, "paper_unet", ())
    levels = _LEVELS[layers]
    inputs, x = begin(input_shape, 2**levels, "tf", channels=(1, 3))
    for level in range(1, levels + 1):
        x = _convolution(x, f"down{level}_conv")
        x = keras.layers.MaxPooling2D(name=f"down{level}_pool")(x)
    x = _convolution(x, "bottom_conv")
    for level in range(levels, 0, -1):
        x = keras.layers.Conv2DTranspose(
            _FILTERS, 4, strides=2, padding="same", name=f"up{level}_transposed"
        )(x)
        x = keras.layers.Conv2D(classes, 1, name=f"up{level}_classes")(x)
    return finish("paper_unet", inputs, x, weights, RANDOM)


def _convolution(x, name: str):
    return keras.layers.Conv2D(
        _FILTERS, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name
    )(x)


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
        Of each pixel, 2 or more.
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
