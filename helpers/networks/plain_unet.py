"""The paper's U-Net, which has no skip connections."""

import os

import keras

from helpers.networks.assembly import begin, check_classes, finish
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
